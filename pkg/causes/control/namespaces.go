package control

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// holding is a condition of a namespace that says that something keeps it.
type holding struct {
	message  string
	evidence diagnose.Evidence
}

// holds looks for a condition of a namespace that does not go. The namespace controller writes them (pkg/controller/namespace/deletion).
func holds(o stuck.Object, types ...corev1.NamespaceConditionType) (holding, bool) {
	ns, ok := o.Object.(*corev1.Namespace)
	if !ok || o.State != stuck.Going {
		return holding{}, false
	}
	for _, t := range types {
		for _, c := range ns.Status.Conditions {
			if c.Type == t && c.Status == corev1.ConditionTrue {
				return holding{message: c.Message, evidence: diagnose.Evidence{
					Object: o.Ref.String(), Field: fmt.Sprintf("status.conditions[%s]", c.Type), Value: strings.TrimPrefix(c.Reason+": "+c.Message, ": "),
				}}, true
			}
		}
	}
	return holding{}, false
}

// podsHolding are the pods of a namespace that were read and are being deleted, those first whose time is up longest.
func podsHolding(s *snapshot.Snapshot, namespace string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range s.Pods() {
		if p.Namespace == namespace && p.DeletionTimestamp != nil && !p.DeletionTimestamp.After(s.Now()) {
			out = append(out, p)
		}
	}
	return out
}
