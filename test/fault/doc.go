// Package fault is the language in which a test says what shall go wrong on a
// node: rules that hang, delay or fail the calls of the container runtime, of
// mounts and of the CSI driver, for all pods or for some.
//
// A Set holds the rules of one node and is asked before each call; Serve puts
// it on a unix socket inside the kubelet process, and Client is the other end,
// in the test. The package must know nothing of the calls themselves.
package fault
