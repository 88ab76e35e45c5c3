package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeInService() Guard {
	return Guard{
		Name:     "node-in-service",
		Prevents: "The taint of a node that is off is taken off before it is back, and what waits for it hangs: pods that are being deleted stay, volumes stay attached.",
		Flag:     flagAttest,
		Lifts:    liftsAttest,
		For:      []ID{InService},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Node == nil {
				return nil
			}
			m := c.machine()
			heard, says := m.hearing()
			var out []Verdict
			if !c.readyAndFresh() || heard != kubeletHeard || c.Facts.LeaseAge < 0 {
				out = append(out, m.vouched(Verdict{
					Level: Block, Evidence: m.nodeEvidence(),
					Reason: fmt.Sprintf("Node %s is not seen to be back: %s. The taint comes off when the node is Ready and its kubelet renews its lease.", c.Ref.Name, says),
				}))
			}
			var left []NodePod
			for _, p := range c.Pods {
				if p.Fate != Remains && p.Case.Pod.Object.DeletionTimestamp != nil {
					left = append(left, p)
				}
			}
			if len(left) > 0 {
				out = append(out, m.vouched(Verdict{
					Level:  Block,
					Reason: fmt.Sprintf("%s %s being deleted and still there: without the taint PodGC leaves %s.", podNames(left), plural(len(left), "is", "are"), pronoun(len(left))),
					Evidence: podsCited(left, "metadata.deletionTimestamp", func(p NodePod) string {
						return p.Case.Pod.Object.DeletionTimestamp.UTC().Format("2006-01-02T15:04:05Z")
					}),
				}))
			}
			if !c.AllPods {
				out = append(out, m.vouched(Verdict{
					Level:    Block,
					Reason:   fmt.Sprintf("The pods of node %s could not all be read: whether some of them are still being deleted is not known.", c.Ref.Name),
					Evidence: []diagnose.Evidence{{Object: "pods of " + c.Ref.Name, Field: "existence", Value: "could not all be read"}},
				}))
			}
			return out
		},
	}
}
