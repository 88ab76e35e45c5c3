package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// nodeRegisters tells what a kubelet does whose Node object is gone. It registers in a loop that ends with the first success (pkg/kubelet
// kubelet_node_status.go registerWithAPIServer sets registrationCompleted, and returns at once from then on). Its status updates, every 10s
// (nodeStatusUpdateFrequency), get the Node five times (nodeStatusUpdateRetry), fail with "error getting node", and make none.
func nodeRegisters() Guard {
	return Guard{
		Name:     "node-registers",
		Prevents: "Somebody waits for a node that cannot come back by itself: a kubelet that runs does not register a second time.",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			m := c.machine()
			return []Verdict{{
				Level: Warn, Evidence: m.nodeEvidence(),
				Reason: fmt.Sprintf("A kubelet registers its node once, when it starts: if that of %s runs, it does not make the Node object again until it is restarted, and logs "+
					"\"error getting node\" every 10s until then. What it sets itself comes back with it; other labels, taints and annotations come back with kubectl stuck node %s --restore.",
					c.Ref.Name, c.Ref.Name),
			}}
		},
	}
}
