package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeHealthy() Guard {
	return Guard{
		Name:     "node-healthy",
		Prevents: "A node that works is emptied and deleted for what is wrong with a volume, a webhook, an image or one workload: the pods stick elsewhere as they did here.",
		Flag:     "even-if-healthy",
		Lifts:    "--even-if-healthy",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			heard, says := c.machine().hearing()
			if !c.readyAndFresh() || heard == kubeletSilent || c.Reach == scope.ReachNode {
				return nil
			}
			reason := fmt.Sprintf("Node %s works as far as the API shows: %s.", c.Ref.Name, says)
			switch {
			case c.Group == nil:
				reason += " Nothing on it is stuck."
			case c.Reach == scope.ReachUndecided:
				reason += fmt.Sprintf(" Whether it is the node that makes pods hang is not decided: kubectl stuck node %s --probe settles it.", c.Ref.Name)
			case c.Reach != "":
				reason += fmt.Sprintf(" What is wrong with the pods that hang on it is of reach %s, and not the node.", c.Reach)
			}
			return []Verdict{c.Asked.Lift(Verdict{Level: Block, Reason: reason, Evidence: c.machine().nodeEvidence()}, "even-if-healthy")}
		},
	}
}
