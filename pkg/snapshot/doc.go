// Package snapshot holds the immutable picture of a cluster that everything else is decided on.
//
// A snapshot comes from a live cluster or from files; nothing here can tell which. It does no I/O and
// reads no clock: Now is the moment the picture was taken. What could not be read is part of the
// picture too (see Gap), and so is the difference between "is not there" and "was not looked at"
// (see Presence).
//
// Data comes from package source, through a Builder, and goes to stuck, scope and diagnose.
package snapshot
