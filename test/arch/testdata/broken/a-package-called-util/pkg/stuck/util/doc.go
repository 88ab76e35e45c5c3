// Package util is about nothing.
package util // want names "called util"
