// Command gen-causes writes the lists of the catalogue: zz_generated.go of each subject in pkg/causes, and
// the one in pkg/causes that joins them.
//
// A cause is found by its shape alone: a top-level function without parameters whose only result is
// diagnose.Cause. So that adding a cause is adding a file, nothing here may know any cause, subject or code by
// name. It reads Go source and writes Go source; it never imports or runs what it lists.
package main
