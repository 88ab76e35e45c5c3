// Package storage holds the causes in which a volume, or something else that is mounted, keeps a pod from starting or
// from going: one file per cause, with the fixtures that prove it in testdata.
package storage
