package report

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// NodeFix is the part of a Fix that is about a node: what is done to it, to its pods, and what is to be done on the machine.
type NodeFix struct {
	Name string `json:"name"`
	// Verdict is whether it is the node, with the numbers it rests on; the words of the group in a StuckReport.
	Reach string `json:"reach,omitempty"`
	Why   string `json:"why,omitempty"`
	Facts string `json:"facts,omitempty"` // "Ready False for 4m, lease renewed 3s ago"
	// Causes are the findings about the node, the best first, in a line each: "ST101 runtime-hung (certain): …".
	Causes []string `json:"causes,omitempty"`
	// Pods are all pods of the node, with what becomes of each.
	Pods []NodeFixPod `json:"pods,omitempty"`
	// Room is where the pods that have to move would go.
	Room *room.Result `json:"room,omitempty"`
	// Leftovers are what the deletion of the Node left behind, one by one.
	Leftovers []Leftover `json:"leftovers,omitempty"`
	// Host are the steps on the machine itself.
	Host []HostStep `json:"host,omitempty"`
	// Restore is what of the saved node is put back, and what is not.
	Restore []RestoreItem `json:"restore,omitempty"`
	// Probe is what the probe of the node showed.
	Probe *remedy.ProbeResult `json:"probe,omitempty"`
}

// NodeFixPod is a pod of the node.
type NodeFixPod struct {
	Ref   snapshot.Ref  `json:"ref"`
	Owner *snapshot.Ref `json:"owner,omitempty"`
	Fate  remedy.Fate   `json:"fate"`
	Why   string        `json:"why,omitempty"`
	// To is the node on which it would fit; Pending says why it would fit nowhere.
	To      string `json:"to,omitempty"`
	Pending string `json:"pending,omitempty"`
}

// Leftover is an object that stays after the Node object is gone.
type Leftover = remedy.Leftover

// HostStep is one thing to do on the machine.
type HostStep = remedy.HostStep

// RestoreItem is one label, taint, annotation or state of a saved node.
type RestoreItem = remedy.RestoreItem
