// Package source decides what is read of a cluster, and in which order, and makes a snapshot of it.
//
// The plan is the same whether a Backend is a live API server or files on disk, so the same objects
// give the same snapshot. The plan: a census of all pods from one cheap list without objects; the full
// objects of candidates only (pending pods, the pods of nodes on which something looks stuck, and
// terminal pods that are being deleted); then what those refer to. A read that fails becomes a gap.
//
// It never writes, and never decides what is stuck: that is package stuck, on full objects.
package source
