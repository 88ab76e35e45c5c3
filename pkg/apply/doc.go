// Package apply carries out plans. It is the only package that writes to a cluster.
//
// Its client has a gate (gate.go): a request that changes something leaves the process only if it is a dry run, a question about rights, or the very
// call for which the journal has an entry on disk. Deletions carry the UID and resourceVersion of the plan, patches test them. What the API server
// answers is told apart into done, refused and unknown, and unknown is looked up before anything else happens. What the plan says comes from
// package remedy; nothing is decided here.
package apply
