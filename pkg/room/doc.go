// Package room tells where the pods of a node would find room on the others, by the rules of the scheduler: requests, node selectors and affinities, taints,
// affinity and anti-affinity between pods, topology spread, host ports, the zones of volumes and how many a node can attach.
//
// It is a forecast and no reservation: the scheduler decides pod by pod, on the cluster as it is then. Where something that it needs was not read it
// says so, and never takes it for room, nor for want of it. It reads a snapshot and nothing else; test/room holds it against the real scheduler.
package room
