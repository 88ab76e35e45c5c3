package scope

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Result is everything that is stuck, grouped by node, and what is shared across the groups.
type Result struct {
	Groups []Group
	Shared []Shared
	// Pods tells the reach of each stuck pod; a group can hold pods of several.
	Pods map[snapshot.Ref]Verdict
	// Nodes is how many nodes there are, and Unhealthy how many of them are not healthy; 0 where nodes were not read.
	Nodes, Unhealthy int
}

// Verdict is a reach with how sure it is.
type Verdict struct {
	Reach      Reach
	Confidence Confidence
	// Via names what is shared or explains the pod, where the reach is not the node's.
	Via string
}

// Group is the stuck pods of one node.
type Group struct {
	Node string // empty for pods that have none
	Verdict
	// Why is the arithmetic in words, one statement each, the decisive one first.
	Why []string
	// Decide says what would settle an undecided group.
	Decide string

	Total   int // pods on the node, by the census
	Healthy int // of those, Running with all containers ready
	Stuck   []stuck.Pod
	Facts   NodeFacts
}

// NodeFacts is what the API knows of the node itself.
type NodeFacts struct {
	Exists       snapshot.Presence
	Ready        string // True, False, Unknown; empty where the node was not read
	ReadyReason  string
	ReadyMessage string
	ReadySince   time.Time
	// LeaseAge is how long ago its kubelet renewed its lease; negative where the lease was not read.
	LeaseAge   time.Duration
	NoLease    bool // it was looked for, and there is none
	LeaseStale bool // older than its own duration, while others are fresh or the node is not Ready
	Cordoned   bool
	Taints     []string // key=value:Effect
	Kubelet    string
	Runtime    string
	Kernel     string
	OSImage    string
	Zone       string
}

// Broken tells whether the API itself shows the node to be in trouble.
func (f NodeFacts) Broken() bool {
	return f.Exists == snapshot.Absent || f.Ready == "False" || f.Ready == "Unknown" || f.LeaseStale
}

// silent tells whether nothing is heard of the node's kubelet: the node controller gave up on it and its lease is not fresh, or its lease is
// stale, which shows earlier.
func (f NodeFacts) silent() bool {
	return f.LeaseStale || f.Ready == "Unknown" && f.LeaseAge < 0
}

// Shared is something that stuck pods have in common.
type Shared struct {
	// Kind is what it is: "NFS server", "volume", "CSI driver", "image registry", "workload", "runtime version", "zone", or the kind
	// of an object that a cause named.
	Kind string
	Name string
	// Pods and Nodes are those that are stuck and have it in common.
	Pods  []snapshot.Ref
	Nodes []string
	// Owners is how many workloads they belong to.
	Owners int
	// Healthy is how many pods were read that have it too and are well.
	Healthy int
	Confidence
	Why string
}

// Explanation is what a cause said of one pod, before the nodes are judged.
type Explanation struct {
	Reach Reach
	// Via is the broken thing: two pods explained by the same one share it.
	Via     snapshot.Ref
	Certain bool
	Likely  bool // or surer
}

// speaksFor tells whether the explanation takes its pod out of the evidence against the node: it is certain and not about the node, or it
// is likely and names something else that is broken, a volume or a webhook for instance.
func (e Explanation) speaksFor() bool {
	if e.Reach == ReachNode {
		return false
	}
	return e.Certain || e.Likely && !e.Via.IsZero() && e.Via.Kind != snapshot.Pod && e.Via.Kind != snapshot.Node
}
