// Package scope decides what a failure spans: a pod, its node, something that pods of several nodes share, or the
// whole cluster. It keeps the numbers that each decision was made on, and "undecided" is one of its answers.
//
// It is pure: it works on a snapshot, the stuck pods found in it, and what causes explained already.
package scope
