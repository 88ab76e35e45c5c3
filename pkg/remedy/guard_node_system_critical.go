package remedy

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeSystemCritical() Guard {
	return Guard{
		Name:     "node-system-critical",
		Prevents: "A part of the cluster itself goes with the node, on which the repair depends: DNS, the network, storage.",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.ReplicaSet, snapshot.Deployment},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var critical []NodePod
			var names []string
			for _, p := range c.leaves() {
				obj := p.Case.Pod.Object
				if !strings.HasPrefix(obj.Spec.PriorityClassName, "system-") && (obj.Spec.Priority == nil || *obj.Spec.Priority < systemPriority) {
					continue
				}
				name := p.Case.standing().name()
				if left, ok := p.readyBeside(); ok && left <= 0 {
					name += fmt.Sprintf(" (no other pod of %s is Ready)", p.Case.Pod.Owner)
				}
				critical, names = append(critical, p), append(names, name)
			}
			if len(critical) == 0 {
				return nil
			}
			return []Verdict{{
				Level:  Warn,
				Reason: fmt.Sprintf("The cluster itself may need %s of system priority that %s from node %s: %s.", plural(len(critical), "a pod", "pods"), plural(len(critical), "goes", "go"), c.Ref.Name, sentences(names)),
				Evidence: podsCited(critical, "spec.priorityClassName", func(p NodePod) string {
					return p.Case.Pod.Object.Spec.PriorityClassName
				}),
			}}
		},
	}
}

// readyBeside is how many other pods of its Deployment are Ready, by the status of that; false where it has none or it was not read.
func (p NodePod) readyBeside() (int32, bool) {
	owner, ok := p.Case.S.Owner(p.Case.Pod.Object)
	if !ok || owner.Kind != snapshot.Deployment {
		return 0, false
	}
	d := p.Case.S.Deployment(p.Case.Pod.Ref.Namespace, owner.Name)
	if d == nil {
		return 0, false
	}
	n := d.Status.ReadyReplicas
	if r := snapshot.PodCondition(p.Case.Pod.Object, corev1.PodReady); r != nil && r.Status == corev1.ConditionTrue {
		n--
	}
	return n, true
}
