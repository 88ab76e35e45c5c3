package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func kubeletAlive() Guard {
	return Guard{
		Name:     "kubelet-alive",
		Prevents: "Containers go on running on a node that works, where the API shows nothing of them any more: they hold ports, memory and files, and nobody knows whose they are.",
		For:      changes(),
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Check: func(c *Case, r Remedy) []Verdict {
			past, _ := c.past(r.ID)
			if !past || c.atRest().known {
				return nil
			}
			heard, says := c.hearing()
			if heard != kubeletHeard {
				return nil
			}
			return []Verdict{{
				Level: Warn,
				Reason: fmt.Sprintf("The kubelet of node %s works (%s) and has not reported that the containers of %s stopped: without the pod they may go on running there, unseen. "+
					"Why it cannot stop them shows on the node (kubectl stuck node %s).", c.Pod.Node, says, c.Pod.Ref, c.Pod.Node),
				Evidence: c.nodeEvidence(),
			}}
		},
	}
}
