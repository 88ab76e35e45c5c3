package report

import (
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Removal is what the API server asks before a pod that is being deleted may go.
type Removal struct {
	// Note says in a sentence what the pod still needs, by the stage of its deletion.
	Note string `json:"note"`
	// Gates are asked, in this order. Of a pod that was not asked for by name only those are here that cannot answer.
	Gates []RemovalGate `json:"gates"`
	// Budgets cover the pod. No deletion asks them; an eviction does, and not for a pod that is being deleted already.
	Budgets []RemovalBudget `json:"budgets,omitempty"`
	// Unread are kinds of objects that may hold more gates, and that could not all be read.
	Unread []snapshot.Kind `json:"unread,omitempty"`
}

// RemovalGate is a webhook or a policy that is asked.
type RemovalGate struct {
	Kind admission.GateKind `json:"kind"`
	// Name is the name of the webhook, or of the policy.
	Name string `json:"name"`
	// Configuration is the object that it stands in: its configuration, or the binding of a policy.
	Configuration string `json:"configuration"`
	// Before says which of the things that the pod needs it is asked before.
	Before []string `json:"before"`
	// FailurePolicy is Fail or Ignore.
	FailurePolicy string          `json:"failurePolicy"`
	Backend       admission.State `json:"backend"`
	Why           string          `json:"why"`
	// Blocks tells that it cannot answer, and that the request is refused for that.
	Blocks bool `json:"blocks"`
	// Denies tells that it may refuse by its own judgement, Mutates that it may change the object.
	Denies  bool `json:"denies"`
	Mutates bool `json:"mutates"`
	// Sure is false where only the API server can tell whether it asks this one.
	Sure           bool     `json:"sure"`
	Conditions     []string `json:"conditions,omitempty"`
	TimeoutSeconds int32    `json:"timeoutSeconds,omitempty"`
	// DryRun is false where a dry run cannot tell: the webhook has side effects.
	DryRun bool `json:"dryRun"`
}

// RemovalBudget is a PodDisruptionBudget that covers the pod.
type RemovalBudget struct {
	Name               string `json:"name"`
	DisruptionsAllowed int32  `json:"disruptionsAllowed"`
	Refuses            bool   `json:"refuses"`
	Why                string `json:"why"`
}

// removal tells what is asked before a pod that is being deleted may go; nil where nobody is, as far as was read.
func (b *builder) removal(p stuck.Pod) *Removal {
	if p.State != stuck.Terminating {
		return nil
	}
	if b.chain == nil {
		b.chain = admission.NewChain(b.s)
	}
	named := slices.Contains(b.o.Asked.Names, p.Ref.Name)
	out := &Removal{Note: stageNote(p), Gates: []RemovalGate{}}
	type id struct {
		kind       admission.GateKind
		ref, bound string
		name       string
	}
	at := map[id]int{}
	for _, w := range admission.Writes(p) {
		for _, g := range b.chain.Gates(p.Object, w.Op, w.Subresource) {
			if !named && !g.Blocks() {
				continue
			}
			k := id{g.Kind, g.Ref.Name, g.Binding.Name, g.Name}
			if i, ok := at[k]; ok {
				out.Gates[i].Before = append(out.Gates[i].Before, w.What)
				continue
			}
			at[k] = len(out.Gates)
			out.Gates = append(out.Gates, removalGate(g, w.What))
		}
	}
	if named {
		out.Unread = admission.Unread(b.s)
		for _, x := range admission.Budgets(b.s, p.Object) {
			out.Budgets = append(out.Budgets, RemovalBudget{Name: x.Ref.Name, DisruptionsAllowed: x.DisruptionsAllowed, Refuses: x.Refuses, Why: x.Why})
		}
	}
	if len(out.Gates)+len(out.Budgets)+len(out.Unread) == 0 {
		return nil
	}
	return out
}

func removalGate(g admission.Gate, before string) RemovalGate {
	out := RemovalGate{
		Kind: g.Kind, Name: g.Name, Configuration: g.Ref.Name, Before: []string{before}, FailurePolicy: string(admissionv1.Ignore), Backend: g.Backend.State, Why: g.Backend.Why,
		Blocks: g.Blocks(), Denies: g.Denies, Mutates: g.Mutates, Sure: g.Sure, Conditions: g.Conditions, TimeoutSeconds: g.TimeoutSeconds, DryRun: g.DryRun(),
	}
	if g.Fail {
		out.FailurePolicy = string(admissionv1.Fail)
	}
	if !g.Binding.IsZero() {
		out.Configuration = g.Binding.Name
	}
	return out
}

// stageNote says what a pod that is being deleted still needs of the API server.
func stageNote(p stuck.Pod) string {
	switch p.Stage {
	case stuck.FinalizersOnly:
		return "Whoever removes a finalizer updates the pod; with the last one it is gone."
	case stuck.Cleanup:
		return "The kubelet deletes it for good when its volumes and devices are released; its status is written already."
	case stuck.NodeGone, stuck.NeverScheduled:
		return "PodGC marks it as failed in its status, unless it has ended, and then deletes it for good."
	default:
		return "The kubelet writes into its status that it ended, and then deletes it for good."
	}
}
