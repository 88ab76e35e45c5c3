package diagnose

import (
	"slices"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Code names a cause for good: "ST" and three digits. Codes are never reused.
type Code string

// Confidence is how sure a finding is.
type Confidence = scope.Confidence

// The degrees of confidence.
const (
	Certain  = scope.Certain
	Likely   = scope.Likely
	Possible = scope.Possible
)

// Risk is what a remedy can cost.
type Risk string

// The risks, least first.
const (
	RiskNone     Risk = "none"      // it looks, or waits, or restores what is missing
	RiskLow      Risk = "low"       // it restarts something that others do not feel
	RiskMedium   Risk = "medium"    // others on the node or in the cluster feel it
	RiskHigh     Risk = "high"      // state may be left behind: leaked resources, wrong counts, lost objects
	RiskDataLoss Risk = "data-loss" // two writers on one volume, or data in flight lost
)

// Remedy is one rung of the ladder in a cause's documentation, least dangerous first.
type Remedy struct {
	ID   string // short and stable, kebab-case: "restart-runtime"
	Risk Risk
	// Text says what to do, and when it is wrong to do it.
	Text string
	// Command does it, or is the first step; empty where the step is outside the cluster. {namespace}, {pod}, {node}
	// and {subject} stand for the names in the case at hand.
	Command string
}

// Doc is what a person should know of a cause. explain ST123 and docs/causes.md are made from it.
type Doc struct {
	Title     string   // what is wrong, in a few words, as a statement: "The runtime cannot start processes"
	Symptom   string   // what one sees
	Mechanism string   // how that comes about
	Confirm   []string // kubectl commands that show it by hand, with the placeholders of Remedy.Command
	Remedies  []Remedy // least dangerous first
	Refs      []string // where it is documented: URLs of Kubernetes documentation or issues, or a source file
	// Since and Until are the first and the last version in which the cause exists, with the name of what has the version ("Kubernetes 1.22",
	// "containerd 1.6.8"); empty where it is not bound to any.
	Since, Until string
}

// Cause is one reason for which pods get stuck: a value of the catalogue.
type Cause struct {
	Code Code
	Slug string
	Doc  Doc
	// Reach is what this cause spans by its nature. A pod that a cause of reach pod or shared explains for certain is
	// no evidence against its node.
	Reach scope.Reach
	// Needs are the kinds without which the cause cannot speak, beyond the pod it is asked about: where nothing of one
	// could be read, it is skipped. Optional are those that it looks at too, and does without. A test compares both with
	// what it really reads.
	Needs, Optional []snapshot.Kind

	// Signature recognises the cause by what the cluster says in so many words. Most causes need nothing else.
	Signature *Signature
	// Pod decides for one stuck pod, where a signature is not enough.
	Pod func(*snapshot.Snapshot, stuck.Pod) (Finding, bool)
	// Node decides for a group of stuck pods on one node. It is also asked about nodes that are looked at by name
	// and have no stuck pods.
	Node func(*snapshot.Snapshot, scope.Group) (Finding, bool)
	// Cluster decides once, for everything that is stuck. It is asked before the last word on the nodes is spoken: what it
	// explains for certain is no evidence against them.
	Cluster func(*snapshot.Snapshot, scope.Result) []Finding

	// Object decides for something other than a pod that is stuck: a workload whose pods cannot be created, a namespace that does not go.
	Object func(*snapshot.Snapshot, stuck.Object) (Finding, bool)

	// Log recognises the cause in the lines of a node's logs.
	Log []LogMatch
}

// Reads lists the kinds that the cause looks at.
func (c Cause) Reads() []snapshot.Kind { return slices.Concat(c.Needs, c.Optional) }

// Recognisable tells whether the cause has a rule that can find it in a snapshot. One that has none shows only on the node: it is in the
// catalogue because others name it as what the same evidence fits.
func (c Cause) Recognisable() bool {
	return c.Signature != nil || c.Pod != nil || c.Node != nil || c.Cluster != nil || c.Object != nil
}

// Evidence is one fact that a finding rests on: where it stands and what it says.
type Evidence struct {
	Object string    `json:"object"` // "pod shop/cart-7d9", "event shop/cart-7d9.17a", "node worker-3"
	Field  string    `json:"field"`  // "status.conditions[Ready].message", "message"
	Value  string    `json:"value"`
	Count  int32     `json:"count,omitempty"` // of an event
	Last   time.Time `json:"last,omitzero"`   // of an event
}

// Finding is a cause applied to a subject.
type Finding struct {
	Code  Code
	Slug  string
	Title string
	// Subject is what is broken: the pod itself, its node, a volume, a ConfigMap, a webhook. Findings of one code
	// and one subject are one finding that explains several pods.
	Subject  snapshot.Ref
	Explains []snapshot.Ref // the stuck pods that it explains
	Reach    scope.Reach    // the cause's, unless the rule says otherwise
	Confidence
	// Message is the cause in this case, with its names and numbers, in one or two sentences.
	Message  string
	Evidence []Evidence
	// Alternatives are slugs of causes that the evidence cannot tell from this one, and Decide says what would.
	Alternatives []string
	Decide       string
	// ClearsBy is when it should end by itself, where the cause knows better than the state does.
	ClearsBy  time.Time
	ClearsWhy string
	Remedies  []Remedy // the cause's, with names filled in
}

// Skip says that a cause was not tried, or not everywhere, and why.
type Skip struct {
	Code   Code   `json:"code"`
	Slug   string `json:"slug"`
	Reason string `json:"reason"`
}
