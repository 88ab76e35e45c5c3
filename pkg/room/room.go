package room

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Result is where each pod that has to move would go.
type Result struct {
	// Places are the pods that fit, in the order in which they were placed.
	Places []Place `json:"places"`
	// Pending are those that would stay Pending.
	Pending []Unplaced `json:"pending,omitempty"`
	// Unknown are those of which it cannot be told, for want of something that was not read.
	Unknown []Unplaced `json:"unknown,omitempty"`
	// Candidates is the number of nodes that take pods at all (Ready, not cordoned, not the node itself), and Looked that of those whose pods were all read.
	Candidates int `json:"candidates"`
	Looked     int `json:"looked"`
	// Rests are statements of what the answer rests on and does not know: extended schedulers, resource claims, nodes that were not looked at.
	Rests []string `json:"rests,omitempty"`
}

// Place is a pod and the node on which it would fit.
type Place struct {
	Pod  snapshot.Ref `json:"pod"`
	Node string       `json:"node"`
}

// Unplaced is a pod without a place, and why, in the words of the scheduler's own events as far as they have them.
type Unplaced struct {
	Pod snapshot.Ref `json:"pod"`
	// Why counts the reasons over the nodes: "0/4 nodes are available: 2 Insufficient cpu, 2 node(s) had untolerated taint …".
	Why string `json:"why"`
	// Preempts tells whether the pod would fit if other pods gave way to its priority (preemption); the name says nothing of who would.
	Preempts bool `json:"preempts,omitempty"`
}
