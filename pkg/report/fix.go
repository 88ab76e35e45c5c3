package report

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// KindFix is the kind of the document about remedies.
const KindFix = "StuckFix"

// Fix is what fix and undo answer: what is wrong, what can be done, what was planned, what the API server said to it, and what came of it. Parts
// that were not reached are absent. The plan in it can be saved and carried out later.
type Fix struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	TakenAt    time.Time       `json:"takenAt"`
	Origin     snapshot.Origin `json:"origin"`
	// Cases are the pods in question, with the ladder of each.
	Cases []FixCase `json:"cases"`
	// Node is what a change of a node is about.
	Node *NodeFix     `json:"node,omitempty"`
	Plan *remedy.Plan `json:"plan,omitempty"`
	// Missing are the rights that the plan needs and the user does not have.
	Missing []MissingRight `json:"missing,omitempty"`
	// DryRun is what the API server said to each step without doing it.
	DryRun []remedy.Answer `json:"dryRun,omitempty"`
	// Run is the ID of the run in the journal, and Journal its file.
	Run      string           `json:"run,omitempty"`
	Journal  string           `json:"journal,omitempty"`
	Status   remedy.Status    `json:"status,omitempty"`
	Outcomes []remedy.Outcome `json:"outcomes,omitempty"`
	// Sights are what was seen last of each act's effect.
	Sights []remedy.Sight `json:"sights,omitempty"`
	Gaps   []Gap          `json:"gaps"`
	// Notes are statements about the whole: why nothing was done, what to do next.
	Notes []string `json:"notes,omitempty"`
	Next  []string `json:"next,omitempty"`
}

// FixCase is one pod and its ladder.
type FixCase struct {
	Pod Pod `json:"pod"`
	// Well tells that the pod is neither stuck nor waiting.
	Well   bool          `json:"well,omitempty"`
	Ladder []remedy.Rung `json:"ladder"`
}

// MissingRight is a right that is missing, and the role that has it.
type MissingRight struct {
	Verb        string `json:"verb"`
	Resource    string `json:"resource"` // with its group: "pods", "nodes", "deployments.apps"
	Subresource string `json:"subresource,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name,omitempty"`
	// Why is what the server said, if anything.
	Why string `json:"why,omitempty"`
	// Role is the ClusterRole of docs/RIGHTS.md that has it.
	Role string `json:"role"`
}
