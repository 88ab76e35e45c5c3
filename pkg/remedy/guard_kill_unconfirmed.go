package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func killUnconfirmed() Guard {
	return Guard{
		Name:     "kill-unconfirmed",
		Prevents: "A node that is only cut off is taken for one that is off, and its containers go on serving and writing beside their replacements.",
		For:      changes(),
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Check: func(c *Case, r Remedy) []Verdict {
			past, _ := c.past(r.ID)
			if !past || c.atRest().known {
				return nil
			}
			heard, says := c.hearing()
			if heard == kubeletHeard {
				return nil // kubelet-alive says it
			}
			return []Verdict{{
				Level: Warn,
				Reason: fmt.Sprintf("Nothing is heard of the kubelet of node %s (%s), which does not show that the machine is off: the containers of %s may run on there, "+
					"and stop only when the kubelet is back or the machine is restarted.", c.Pod.Node, says, c.Pod.Ref),
				Evidence: c.nodeEvidence(),
			}}
		},
	}
}
