// Package contract holds both sources, a real API server and files, against the one contract of package sourcetest, and one against
// the other: what was saved of a cluster gives the same snapshot as the cluster itself.
package contract
