// Package node holds the causes in which a node does not answer, is missing, or shuts down: one file per cause, with
// the fixtures that prove it in testdata.
package node
