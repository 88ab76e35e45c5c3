package report

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Object is something other than a pod that is stuck: a workload that cannot create its pods, so that there is no pod to show it, or a namespace
// that was deleted and does not go.
type Object struct {
	Kind      snapshot.Kind     `json:"kind"`
	Namespace string            `json:"namespace,omitempty"`
	Name      string            `json:"name"`
	UID       string            `json:"uid,omitempty"`
	State     stuck.ObjectState `json:"state"`
	Since     time.Time         `json:"since"`
	// StuckForSeconds counts from Since to the moment the picture was taken.
	StuckForSeconds int64  `json:"stuckForSeconds"`
	StuckFor        string `json:"stuckFor"` // the same for people: "14m"
	// Wanted and Created count the pods of a workload; of a Deployment those of its present template. Both are 0 for other kinds.
	Wanted   int       `json:"wanted"`
	Created  int       `json:"created"`
	Findings []Finding `json:"findings"`
	// Unexplained is set where nothing in the catalogue explains the object: what was looked at, and what could not be.
	Unexplained *Unexplained `json:"unexplained,omitempty"`
	// Next is the command to run next.
	Next string `json:"next"`
}

// Ref names the object.
func (o Object) Ref() snapshot.Ref {
	return snapshot.Ref{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}

// objects lists what is stuck beside pods. Where pods, nodes or states were asked for, nobody asked for these.
func (b *builder) objects(found stuck.Result) []Object {
	out := []Object{}
	a := b.o.Asked
	if len(a.Names)+len(a.Nodes)+len(a.States) > 0 || a.LabelSelector != "" || a.FieldSelector != "" || b.o.Overview || len(b.o.Stories) > 0 {
		return out
	}
	for _, o := range found.Objects {
		if a.Namespace == "" || o.Ref.Namespace == a.Namespace || o.Ref.Kind == snapshot.Namespace && o.Ref.Name == a.Namespace {
			out = append(out, b.object(o))
		}
	}
	return out
}

func (b *builder) object(o stuck.Object) Object {
	out := Object{
		Kind: o.Ref.Kind, Namespace: o.Ref.Namespace, Name: o.Ref.Name, UID: string(o.Ref.UID), State: o.State,
		Since: o.Since.UTC(), StuckForSeconds: seconds(o.For), StuckFor: scope.Short(o.For), Wanted: o.Wanted, Created: o.Created, Findings: []Finding{},
	}
	for _, f := range b.d.Of(o.Ref) {
		out.Findings = append(out.Findings, b.finding(f))
	}
	if u, ok := b.d.Unexplained[o.Ref]; ok {
		out.Unexplained = &Unexplained{LookedAt: u.LookedAt, Missing: u.Missing}
	}
	switch {
	case len(out.Findings) > 0:
		out.Next = "kubectl stuck explain " + string(out.Findings[0].Code)
	case o.Ref.Kind == snapshot.Namespace:
		out.Next = "kubectl get namespace " + o.Ref.Name + " -o yaml"
	default:
		out.Next = "kubectl get events -n " + o.Ref.Namespace + " --field-selector reason=" + stuck.FailedCreate
	}
	return out
}
