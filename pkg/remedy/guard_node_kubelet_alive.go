package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeKubeletAlive() Guard {
	return Guard{
		Name:     "node-kubelet-alive",
		Prevents: "Containers that a working kubelet cannot stop go on, where the API shows neither their pods nor their node any more.",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			m := c.machine()
			heard, says := m.hearing()
			if heard != kubeletHeard {
				return nil
			}
			var on []NodePod
			for _, p := range c.takes() {
				if !p.Case.atRest().known {
					on = append(on, p)
				}
			}
			if len(on) == 0 {
				return nil
			}
			return []Verdict{{
				Level: Warn, Evidence: m.nodeEvidence(),
				Reason: fmt.Sprintf("The kubelet of node %s works (%s) and has not reported that %s stopped: when PodGC has deleted %s, what it cannot stop goes on there, unseen.",
					c.Ref.Name, says, podNames(on), pronoun(len(on))),
			}}
		},
	}
}
