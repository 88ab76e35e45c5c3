// Package stuck finds the pods that should have moved on and have not: which, in which state, at which stage of
// their deletion, since when, and when the matter should clear by itself.
//
// It is pure: it looks at a snapshot and takes its time from there. Its results go to scope and diagnose.
package stuck
