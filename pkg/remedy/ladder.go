package remedy

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// ID names a rung of the ladder, for good.
type ID string

// The rungs, least dangerous first. See SAFETY.md in docs.
const (
	Wait             ID = "wait"
	Restore          ID = "restore"          // what is missing: a server, an object, a controller; by the person
	Restart          ID = "restart"          // the kubelet or the runtime of the node; by the person
	DeletePod        ID = "delete-pod"       // as kubectl delete does: the kubelet stops the containers, and a controller makes another pod
	OutOfService     ID = "out-of-service"   // the taint of a node that is off
	DeleteNode       ID = "delete-node"      // so that PodGC removes its pods
	ForceDelete      ID = "force-delete-pod" // without waiting for the node
	RemoveFinalizers ID = "remove-finalizers"
	Cordon           ID = "cordon"       // a node takes no new pods
	EvictPod         ID = "evict-pod"    // from a node that is drained
	InService        ID = "in-service"   // the taint of a node that is off is taken off again
	RestoreNode      ID = "restore-node" // labels, taints and annotations that a Node object lost
	ProveNode        ID = "prove-node"   // our own taint of a node that was not proven is taken off
	ProbeNode        ID = "probe-node"   // a pod of ours is run on it and deleted
	Uncordon         ID = "uncordon"     // undo: the node takes pods again
	CreateNode       ID = "create-node"  // undo: a Node object that was deleted
	PutBack          ID = "put-back"     // undo: finalizers that were taken off
	CreateAgain      ID = "create-again" // undo: a bare pod that was deleted
)

// Help tells whether something is expected to help.
type Help string

// Whether it helps.
const (
	Helps    Help = "helps"
	MayHelp  Help = "may help"
	NotAlone Help = "not alone" // it is needed, and something else too
	NoHelp   Help = "would not help"
)

// By says who carries a rung out.
type By string

// Who does it.
const (
	ByNobody By = "nobody" // it happens by itself
	ByTool   By = "tool"
	ByPerson By = "person"
)

// Rung is one remedy as it stands in the case at hand.
type Rung struct {
	ID    ID     `json:"id"`
	Title string `json:"title"` // what to do, in a few words: "restart the runtime of node worker-3"
	By    By     `json:"by"`
	Help  Help   `json:"help"`
	// Why says why it would help here, or would not, in a sentence.
	Why  string        `json:"why"`
	Risk diagnose.Risk `json:"risk"`
	// Risks says what it risks in this case, one statement each.
	Risks []string `json:"risks,omitempty"`
	// Commands do it, or are its first steps.
	Commands []string `json:"commands,omitempty"`
	// Verdicts are what the guards say of a rung of the tool.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	// Offered marks the least dangerous rung that the tool can do, that is expected to help, and that nothing blocks.
	Offered bool `json:"offered,omitempty"`
}

// Blocked tells whether a guard forbids the rung.
func (r Rung) Blocked() bool {
	for _, v := range r.Verdicts {
		if v.Blocks() {
			return true
		}
	}
	return false
}

// Remedy is one rung of the ladder: what it is, whether it applies, and what it would do.
type Remedy struct {
	ID ID
	// Doc says what it does, for people and for docs/SAFETY.md; Risk is what it costs at worst.
	Doc  string
	Risk diagnose.Risk
	By   By
	// Flag asks for it on the command line, without its dashes; empty where it cannot be asked for.
	Flag string
	// Assess says how the rung stands in a case; false where it has no place there. Verdicts and Offered are not its business.
	Assess func(*Case) []Rung
	// Steps are the calls that it takes, what it loses, and the risk as it is here; nil for rungs that the tool does not carry out.
	Steps func(*Case) (Work, error)
}

// Work is what a remedy does in a case.
type Work struct {
	Steps []Step
	Risk  diagnose.Risk
	Loses []string
}
