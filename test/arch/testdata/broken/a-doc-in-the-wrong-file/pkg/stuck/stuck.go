// Package stuck finds pods.
package stuck // want doc-go "documented outside doc.go"
