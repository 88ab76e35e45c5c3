// Stuck finds pods.
package stuck // want doc-go "does not begin with"
