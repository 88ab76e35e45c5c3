package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeOutOfService() Guard {
	return Guard{
		Name:     "node-out-of-service",
		Prevents: "A node that runs is declared to be off: its volumes are detached under it and given to other machines, and everything on it runs twice.",
		For:      []ID{OutOfService},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Node == nil {
				return nil // node-unread and node-replaced say it
			}
			m := c.machine()
			heard, says := m.hearing()
			v := Verdict{Level: Block, Evidence: m.nodeEvidence()}
			switch {
			case c.Facts.Ready == string(corev1.ConditionTrue), heard == kubeletHeard:
				v.Reason = fmt.Sprintf("Node %s is not off: %s. The taint is for a machine that is, and that stays off until the taint is taken off.", c.Ref.Name, says)
			case heard == kubeletUnread:
				v.Reason = fmt.Sprintf("Whether the kubelet of node %s is heard is not known: %s. The taint is for a machine that is off.", c.Ref.Name, says)
			case outOfService(c.Node):
				v.Level = Warn
				v.Reason = fmt.Sprintf("Node %s has the taint %s already.", c.Ref.Name, corev1.TaintNodeOutOfService)
			default:
				return nil
			}
			return []Verdict{v}
		},
	}
}
