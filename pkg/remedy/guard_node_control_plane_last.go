package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeControlPlaneLast() Guard {
	return Guard{
		Name:     "node-control-plane-last",
		Prevents: "The only control plane that is left is deleted from itself: nothing is there any more that could make anything again.",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			says, ev := c.controlPlane()
			_, up, all := c.controlOthers()
			if len(says) == 0 || len(up) > 0 {
				return nil
			}
			return []Verdict{{
				Level: Block, Evidence: ev,
				Reason: fmt.Sprintf("Node %s is of the control plane (%s), and no other node of it is Ready%s. Bring another one up first.", c.Ref.Name, listed(says), notAll(all)),
			}}
		},
	}
}
