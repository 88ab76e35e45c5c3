package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func unread() Guard {
	return Guard{
		Name:     "unread",
		Prevents: "What could not be read is taken for harmless: a node that nobody may look at passes for one that is off.",
		Flag:     flagAttest,
		Lifts:    liftsAttest,
		For:      changes(),
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Check: func(c *Case, r Remedy) []Verdict {
			past, _ := c.past(r.ID)
			if !past || c.Pod.Object == nil || c.atRest().known {
				return nil
			}
			node := c.nodeRef()
			if c.S.Node(c.Pod.Node) == nil && c.S.Has(snapshot.Node, "", c.Pod.Node) != snapshot.Absent {
				v := Verdict{
					Level:    Block,
					Reason:   fmt.Sprintf("%s could not be read%s: whether it is off, cut off or well is not known, and the containers of %s are not known to have stopped.", node, c.gap(snapshot.Node), c.Pod.Ref),
					Evidence: []diagnose.Evidence{{Object: node.String(), Field: "existence", Value: "could not be read"}},
				}
				return []Verdict{c.vouched(v)}
			}
			if c.leaseUnread() {
				lease := snapshot.Ref{Kind: snapshot.Lease, Namespace: corev1.NamespaceNodeLease, Name: c.Pod.Node}
				if c.S.Has(snapshot.Node, "", c.Pod.Node) == snapshot.Absent {
					v := Verdict{
						Level:    Block,
						Reason:   fmt.Sprintf("%s does not exist, and %s could not be read%s: whether the kubelet runs on without its Node object is not known.", node, lease, c.gap(snapshot.Lease)),
						Evidence: append(c.nodeEvidence(), diagnose.Evidence{Object: lease.String(), Field: "existence", Value: "could not be read"}),
					}
					return []Verdict{c.vouched(v)}
				}
				return []Verdict{{
					Level:    Warn,
					Reason:   fmt.Sprintf("%s could not be read%s: when the kubelet of %s was heard last is not known beyond the condition Ready.", lease, c.gap(snapshot.Lease), node),
					Evidence: []diagnose.Evidence{{Object: lease.String(), Field: "existence", Value: "could not be read"}},
				}}
			}
			return nil
		},
	}
}

// gap says why the kind could not be read, for use in a sentence; empty where that is not known.
func (c *Case) gap(k snapshot.Kind) string {
	for _, g := range c.S.Gaps() {
		if g.Kind == k {
			return " (" + g.Reason + ")"
		}
	}
	return ""
}
