package diagnose

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// object asks a cause about something other than a pod that is stuck.
func (e *engine) object(c Cause, o stuck.Object) {
	if c.Object == nil {
		return
	}
	e.guard(c, o.Ref.String(), func() {
		if f, ok := c.Object(e.s, o); ok {
			// Remedies and texts name the object where they would name a pod.
			e.add(c, f, stuck.Pod{Ref: o.Ref})
		}
	})
}

// RefusalEvidence cites what was said of a workload.
func RefusalEvidence(r stuck.Refusal) Evidence {
	e := Evidence{Object: r.About.String(), Field: r.Field, Value: r.Message}
	if r.Count > 0 {
		e.Object, e.Count, e.Last = "event of "+e.Object, r.Count, r.Last
	}
	return e
}

// unexplainedObject gathers what there is on an object that no cause recognised.
func unexplainedObject(s *snapshot.Snapshot, o stuck.Object) Unexplained {
	var u Unexplained
	look := func(format string, args ...any) { u.LookedAt = append(u.LookedAt, fmt.Sprintf(format, args...)) }
	switch w := o.Object.(type) {
	case *corev1.Namespace:
		for _, c := range w.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				look("its condition %s: %s", c.Type, join(c.Reason, c.Message))
			}
		}
		if len(u.LookedAt) == 0 {
			look("its conditions: none says that anything holds it")
		}
		if f := finalizersOf(w); len(f) > 0 {
			look("its finalizers: %s", strings.Join(f, ", "))
		}
		n := 0
		for _, p := range s.Pods() {
			if p.Namespace == o.Ref.Name {
				n++
			}
		}
		look("its pods: %d of them were read", n)
	default:
		look("its status: it wants %d pods, and %d were created", o.Wanted, o.Created)
		if stuck.Unseen(o.Object) {
			look("its status: no controller has looked at it since it was made")
		}
		said := stuck.Refusals(s, o)
		if d, ok := w.(*appsv1.Deployment); ok && len(said) == 0 {
			look("the conditions of %s and its ReplicaSets", d.Name)
		}
		for i := max(0, len(said)-2); i < len(said); i++ {
			look("%s of %s: %s", said[i].Field, said[i].About, said[i].Message)
		}
		if len(said) == 0 && s.Gap(snapshot.Event) == nil {
			look("events about it: none says that a pod could not be created")
		}
	}
	for _, g := range s.Gaps() {
		if g.Namespace == "" || g.Namespace == o.Ref.Namespace || o.Ref.Kind == snapshot.Namespace && g.Namespace == o.Ref.Name {
			u.Missing = append(u.Missing, g.Error())
		}
	}
	return u
}

// finalizersOf are those of a namespace: the API server removes it when both lists are empty (pkg/registry/core/namespace).
func finalizersOf(ns *corev1.Namespace) []string {
	var out []string
	for _, f := range ns.Spec.Finalizers {
		out = append(out, string(f))
	}
	return append(out, ns.Finalizers...)
}
