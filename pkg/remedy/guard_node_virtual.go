package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeVirtual() Guard {
	return Guard{
		Name:     "node-virtual",
		Prevents: "A node without a machine is declared to be off, or deleted, while a provider goes on running its tasks, and charging for them.",
		For:      []ID{DeleteNode, OutOfService},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, id ID) []Verdict {
			m := c.machine()
			m.Pod.Object = &corev1.Pod{}
			ev, ok := m.virtual()
			if !ok {
				return nil
			}
			cites := []diagnose.Evidence{ev}
			if id == OutOfService {
				return []Verdict{{
					Level: Block, Evidence: cites,
					Reason: fmt.Sprintf("Node %s is virtual (%s %s): there is no machine that could be off, and the tasks behind its pods may go on at the provider.", c.Ref.Name, ev.Field, ev.Value),
				}}
			}
			return []Verdict{{
				Level: Warn, Evidence: cites,
				Reason: fmt.Sprintf("Node %s is virtual (%s %s): a provider runs its pods somewhere else, and may go on running them, and charging for them, when the objects are gone. Look there.",
					c.Ref.Name, ev.Field, ev.Value),
			}}
		},
	}
}
