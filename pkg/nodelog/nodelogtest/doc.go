// Package nodelogtest writes logs as the programs of a node do, for tests and for measuring.
package nodelogtest
