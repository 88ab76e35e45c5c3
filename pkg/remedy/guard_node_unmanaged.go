package remedy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeUnmanaged() Guard {
	return Guard{
		Name:     "node-unmanaged",
		Prevents: "Pods that nobody makes again are lost with their node.",
		Flag:     "even-unmanaged",
		Lifts:    "--even-unmanaged",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.ReplicaSet, snapshot.StatefulSet, snapshot.DaemonSet, snapshot.Job},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var lost []NodePod
			var clauses []string
			for _, p := range c.Of(Evicted, Dropped, WithNode) {
				if p.Case.Pod.Object.DeletionTimestamp != nil {
					continue // somebody asked for that already
				}
				if why := p.unmanaged(); why != "" {
					lost, clauses = append(lost, p), append(clauses, p.Case.standing().name()+" ("+why+")")
				}
			}
			if len(lost) == 0 {
				return nil
			}
			return []Verdict{c.Asked.Lift(Verdict{
				Level: Block,
				Reason: fmt.Sprintf("Nobody makes %s again: %s. Their manifests are kept in the journal, and undo can create them again from there; what their containers held is lost.",
					plural(len(lost), "this pod", fmt.Sprintf("these %d pods", len(lost))), sentences(clauses)),
				Evidence: podsCited(lost, "metadata.ownerReferences", func(p NodePod) string { return ownersOf(p.Case.Pod.Object.OwnerReferences) }),
			}, "even-unmanaged")}
		},
	}
}

// unmanaged says why nobody makes the pod again; empty where somebody does.
func (p NodePod) unmanaged() string {
	st := p.Case.standing()
	if st.bare() {
		return "it declares no controller"
	}
	if owner := metav1.GetControllerOf(st.obj); owner != nil {
		ns := st.obj.Namespace
		for _, k := range []struct {
			kind  snapshot.Kind
			group string
		}{{snapshot.ReplicaSet, "apps"}, {snapshot.StatefulSet, "apps"}, {snapshot.DaemonSet, "apps"}, {snapshot.Job, "batch"}} {
			if isGroup(owner, string(k.kind), k.group) && p.Case.S.Has(k.kind, ns, owner.Name) == snapshot.Absent {
				return fmt.Sprintf("its controller, %s %s, does not exist any more", owner.Kind, owner.Name)
			}
		}
	}
	if strings.Contains(p.Drain.Refuses, "declare no controller") {
		return "kubectl drain: " + trimmed(p.Drain.Refuses)
	}
	return ""
}
