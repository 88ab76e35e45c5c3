// Package cri is a container runtime that runs nothing: it serves the CRI
// runtime and image services to a kubelet on a unix socket and keeps sandboxes
// and containers as entries in a table, with the timing of real ones.
//
// What a container does follows from its command, of which a few shell words
// are understood (see program.go), so that workloads look like real ones: a Job
// with `sh -c "sleep 5"` completes, `exit 1` crash-loops, an empty trap of
// TERM makes a container that only SIGKILL ends, and a preStop hook may sleep.
//
// Before each call the node's fault.Set is asked. The words of the faults come
// from the test; this package must not invent failures of its own.
package cri
