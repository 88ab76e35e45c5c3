// Package runtime holds the causes in which a node's container runtime or kernel cannot start or end containers: one
// file per cause, with the fixtures that prove it in testdata.
package runtime
