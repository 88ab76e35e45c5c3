package remedy

import (
	"encoding/json"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Lifetime is how long a plan may be carried out after it was made. Guards are run again on fresh objects whatever its age; the limit is there
// because what a person agreed to was a state of the cluster, and that state moves.
const Lifetime = 10 * time.Minute

// Kinds of documents that hold plans and runs.
const (
	APIVersion = "kubectl-stuck.dev/v1alpha1"
	KindPlan   = "StuckPlan"
	KindRun    = "StuckRun"
)

// Verb is what a step does to its object.
type Verb string

// The verbs. They are those of the API, and of RBAC.
const (
	Delete Verb = "delete"
	Patch  Verb = "patch"
	Create Verb = "create"
	// Evict is a creation of pods/eviction: the API server deletes the pod if its disruption budgets allow that.
	Evict Verb = "evict"
)

// Step is one call that changes the cluster.
type Step struct {
	Verb Verb `json:"verb"`
	// Ref names the object. Its UID is always set, except where the step creates it.
	Ref snapshot.Ref `json:"ref"`
	// ResourceVersion is that of the object the plan was made on: a precondition of the call.
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// Grace is the grace period of a deletion, in seconds; nil is the object's own.
	Grace *int64 `json:"gracePeriodSeconds,omitempty"`
	// Patch is a JSON Patch (RFC 6902) that tests uid, resourceVersion and every value it removes.
	Patch json.RawMessage `json:"patch,omitempty"`
	// Manifest is the object that a step creates.
	Manifest json.RawMessage `json:"manifest,omitempty"`
	// Finalizers are those that a patch takes off or puts back, for people and for reading back.
	Finalizers []string `json:"finalizers,omitempty"`
	// PutsBack tells that the patch adds them.
	PutsBack bool `json:"putsBack,omitempty"`
	// Change is what a patch of a Node makes different; Patch is made from it.
	Change *NodeChange `json:"change,omitempty"`
	// OfBefore tells that the step deletes what the step before it in the act created: its UID is known only then.
	OfBefore bool `json:"ofBefore,omitempty"`
	// What says what the step does: "delete pod shop/cart-0 at once, without waiting for its node".
	What string `json:"what"`
	// Kubectl is the same as kubectl commands, for who would rather do it by hand. They lack the preconditions where kubectl has none.
	Kubectl []string `json:"kubectl,omitempty"`
	Undo    Undo     `json:"undo"`
}

// Undo says, before a step is done, whether it can be undone.
type Undo struct {
	Can bool `json:"can"`
	// How is how, or why not, as a clause.
	How string `json:"how"`
}

// Cluster says which cluster a plan is for.
type Cluster struct {
	Context string `json:"context,omitempty"` // kubeconfig context
	Server  string `json:"server,omitempty"`
	// ID is the UID of the kube-system Namespace, by which clusters are told apart; empty where it could not be read.
	ID string `json:"id,omitempty"`
}

// Act is what is to be done about one object: steps that belong together.
type Act struct {
	Target snapshot.Ref `json:"target"`
	// Node is the node that the target is bound to; empty where it has none.
	Node string `json:"node,omitempty"`
	// Owner is the workload behind it; nil for a bare pod.
	Owner *snapshot.Ref `json:"owner,omitempty"`
	// Remedies are the rungs that the steps are of, in the order of the steps.
	Remedies []ID          `json:"remedies"`
	Risk     diagnose.Risk `json:"risk"` // the worst of its remedies', as it is here
	// Loses says what will be lost or left behind, one statement each.
	Loses []string `json:"loses,omitempty"`
	// Help tells whether it is expected to help, and Why from what that is known.
	Help Help   `json:"help"`
	Why  string `json:"why,omitempty"`
	// Verdicts are those of every guard that had something to say, blocks first.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	Steps    []Step    `json:"steps"`
}

// Plan is everything that one run will do. It is data: nothing happens until package apply carries it out.
type Plan struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Made       time.Time `json:"made"`    // by the cluster's clock
	Expires    time.Time `json:"expires"` // by the same
	Cluster    Cluster   `json:"cluster"`
	// Asked is what the person asked for: a saved plan is judged again by it.
	Asked Asked `json:"asked"`
	// Verdicts are those about the run as a whole.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	Acts     []Act     `json:"acts"`
	// Undoes is the ID of the run that this one takes back.
	Undoes string `json:"undoes,omitempty"`
}

// Risk is the worst of the plan's acts.
func (p *Plan) Risk() diagnose.Risk {
	worst := diagnose.RiskNone
	for _, a := range p.Acts {
		worst = Worse(worst, a.Risk)
	}
	return worst
}

// Blocks lists the verdicts that forbid the plan.
func (p *Plan) Blocks() []Verdict {
	var out []Verdict
	for _, v := range p.Verdicts {
		if v.Blocks() {
			out = append(out, v)
		}
	}
	for _, a := range p.Acts {
		for _, v := range a.Verdicts {
			if v.Blocks() {
				out = append(out, v)
			}
		}
	}
	return out
}

// Worse returns the greater risk of two.
func Worse(a, b diagnose.Risk) diagnose.Risk {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

func rank(r diagnose.Risk) int {
	known := []diagnose.Risk{diagnose.RiskNone, diagnose.RiskLow, diagnose.RiskMedium, diagnose.RiskHigh, diagnose.RiskDataLoss}
	if i := slices.Index(known, r); i >= 0 {
		return i
	}
	return len(known) // nothing that is unknown is harmless
}

// Asked is what the person asked for, and what they vouch for.
type Asked struct {
	// Delete, Force and Finalizers choose the rung.
	Delete     bool `json:"delete,omitempty"`
	Force      bool `json:"force,omitempty"`
	Finalizers bool `json:"finalizers,omitempty"`
	// Named are the finalizers that were asked for by name; none means all that the object has.
	Named []string `json:"named,omitempty"`
	// Lifted are the flags that lift guards, without their dashes: "even-in-grace".
	Lifted []string `json:"lifted,omitempty"`
	// Attest is what the person says they know of the node, in their own words.
	Attest string `json:"attest,omitempty"`
	// MaxPods and MaxShare limit one run: pods, and percent of the pods of a workload or namespace.
	MaxPods  int `json:"maxPods,omitempty"`
	MaxShare int `json:"maxShare,omitempty"`
	// DrainAndDelete, OutOfService, InService, Restore and Probe choose what is done to a node.
	DrainAndDelete bool `json:"drainAndDelete,omitempty"`
	OutOfService   bool `json:"outOfService,omitempty"`
	InService      bool `json:"inService,omitempty"` // takes the taint off
	Restore        bool `json:"restore,omitempty"`
	Probe          bool `json:"probe,omitempty"`
	// Timeout is how long evicted pods are waited for, in seconds.
	Timeout int64 `json:"timeoutSeconds,omitempty"`
	// Again tells that the plan is made anew for an object that changed: finalizers that were named may be gone by now, taken off by their owners.
	Again bool `json:"-"`
}

// Acts tells whether the person chose a rung.
func (a Asked) Acts() bool { return a.Delete || a.Force || a.Finalizers }

// Answer is what the API server says to a step before, or instead of, doing it.
type Answer struct {
	// Step is the index of the step in its act, and Act that of the act in its plan.
	Act  int    `json:"act"`
	Step int    `json:"step"`
	Said Said   `json:"said"`
	Code int    `json:"code,omitempty"` // HTTP status
	Text string `json:"text,omitempty"` // the server's words
	// By names who refused: the webhook or policy with its configuration, or the field that may not change. Backend is the state of the server
	// behind a webhook, as a clause.
	By      string `json:"by,omitempty"`
	Backend string `json:"backend,omitempty"`
	// Next says what to do about it, where that is known.
	Next string `json:"next,omitempty"`
	// After is what would be left: "gone", or "held by finalizers …".
	After string `json:"after,omitempty"`
}

// Said is an answer in a word.
type Said string

// The answers to a dry run.
const (
	Accepted   Said = "accepted"
	Refused    Said = "refused"
	Gone       Said = "gone"     // the object does not exist any more
	Replaced   Said = "replaced" // another object has its name
	Changed    Said = "changed"  // it is not as it was planned on
	Untestable Said = "cannot be tested"
	// Held is of an eviction that a disruption budget does not allow now, and may allow later: it is asked for again.
	Held   Said = "held by a budget"
	Failed Said = "failed" // no answer, or none that tells
)

// Status is how a step, an act or a run ended.
type Status string

// How things end.
const (
	Done     Status = "done"     // the change was made, and was seen
	Already  Status = "already"  // it was as wanted before we did anything: somebody else did it
	Rejected Status = "rejected" // the API server refused; nothing was changed
	Stopped  Status = "stopped"  // a guard, or a change of the object, stopped it; nothing was changed
	Error    Status = "failed"   // it failed and nothing was changed
	Open     Status = "unknown"  // it was sent, and whether it was done could not be seen
	Skipped  Status = "not tried"
)

// Outcome is how one step ended.
type Outcome struct {
	Act    int    `json:"act"`
	Step   int    `json:"step"`
	Status Status `json:"status"`
	// Attempts is how often the call was sent.
	Attempts int       `json:"attempts"`
	Time     time.Time `json:"time"`
	Code     int       `json:"code,omitempty"`
	Text     string    `json:"text"`
	// Budget tells that it was a disruption budget that did not allow an eviction, and nothing else.
	Budget bool `json:"budget,omitempty"`
	// UID and ResourceVersion are those of the object after it, where it still exists.
	UID             types.UID `json:"uid,omitempty"`
	ResourceVersion string    `json:"resourceVersion,omitempty"`
}
