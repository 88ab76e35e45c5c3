package report

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// FinalizerOwner is who has to remove a finalizer, how it is, and what would be left behind if somebody else did.
type FinalizerOwner struct {
	Finalizer string `json:"finalizer"`
	// Owner is empty where nobody knows it.
	Owner string `json:"owner,omitempty"`
	// How it was found: table, crd-group, writer, name or none.
	How        string           `json:"how"`
	Controller *snapshot.Ref    `json:"controller,omitempty"` // the workload that runs it
	Lease      *snapshot.Ref    `json:"lease,omitempty"`      // by which it elects its leader
	Alive      finalizer.Alive  `json:"alive"`
	Confidence scope.Confidence `json:"confidence"`
	Why        string           `json:"why"`
	Decide     string           `json:"decide,omitempty"`
	Todo       string           `json:"todo,omitempty"`
	Leaks      string           `json:"leaks,omitempty"`
	Ref        string           `json:"ref,omitempty"` // where it is documented
}

// finalizerOwners tells it of every finalizer of a pod that is being deleted.
func (b *builder) finalizerOwners(p stuck.Pod) []FinalizerOwner {
	if p.State != stuck.Terminating || p.Object == nil || len(p.Object.Finalizers) == 0 {
		return nil
	}
	var out []FinalizerOwner
	for _, o := range finalizer.OfAll(b.s, p.Ref, p.Object) {
		out = append(out, FinalizerOwner{
			Finalizer: o.Finalizer, Owner: o.Name, How: o.How, Controller: o.Controller, Lease: o.Lease,
			Alive: o.Alive, Confidence: o.Sure, Why: o.Why, Decide: o.Decide, Todo: o.Todo, Leaks: o.Leaks, Ref: o.Ref,
		})
	}
	return out
}
