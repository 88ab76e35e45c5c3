package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeNotReady() Guard {
	return Guard{
		Name:     "node-not-ready",
		Prevents: "Labels and taints are put back on a node that is not back, and pods are sent to it; or a probe is taken for the node's failure that could not have passed.",
		For:      []ID{RestoreNode, ProbeNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, id ID) []Verdict {
			if c.readyAndFresh() {
				return nil
			}
			m := c.machine()
			_, says := m.hearing()
			if id == ProbeNode {
				return []Verdict{{
					Level: Warn, Evidence: m.nodeEvidence(),
					Reason: fmt.Sprintf("Node %s is not Ready (%s): a probe can hardly pass, and only shows at which stage it hangs.", c.Ref.Name, says),
				}}
			}
			return []Verdict{{
				Level: Block, Evidence: m.nodeEvidence(),
				Reason: fmt.Sprintf("Node %s is not Ready (%s): there is nothing yet to put back onto. kubectl stuck node %s --wait waits for it.", c.Ref.Name, says, c.Ref.Name),
			}}
		},
	}
}
