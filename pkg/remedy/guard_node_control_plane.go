package remedy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeControlPlane() Guard {
	return Guard{
		Name:     "node-control-plane",
		Prevents: "A member of etcd is taken away while its list still counts it, and the next failure costs the quorum; or an API server goes that others rely on.",
		Flag:     "even-control-plane",
		Lifts:    "--even-control-plane",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			says, ev := c.controlPlane()
			if len(says) == 0 {
				return nil
			}
			known, up, all := c.controlOthers()
			reason := fmt.Sprintf("Node %s is of the control plane: %s. %s", c.Ref.Name, listed(says), c.quorum(known, up, all))
			return []Verdict{c.Asked.Lift(Verdict{Level: Block, Reason: reason, Evidence: ev}, "even-control-plane")}
		},
	}
}

// quorum says how many members of etcd would be left, if each node of the control plane has one, or each that has the role. A member stays in etcd's list when
// its Node object goes: the quorum is counted with it until somebody removes it (etcdctl member remove). k3s and RKE2 may remove it themselves.
func (c *NodeCase) quorum(known, up []*corev1.Node, all bool) string {
	const role = "node-role.kubernetes.io/etcd"
	of := "nodes of the control plane"
	keep := func(n *corev1.Node) bool { _, ok := n.Labels[role]; return ok }
	if keep(c.nodeObject()) || slices.ContainsFunc(known, keep) {
		of = "nodes with the label " + role
		if !keep(c.nodeObject()) {
			return fmt.Sprintf("It has no member of etcd by its labels; %d other nodes of the control plane are Ready%s.", len(up), notAll(all))
		}
		only := func(ns []*corev1.Node) []*corev1.Node {
			return slices.DeleteFunc(slices.Clone(ns), func(n *corev1.Node) bool { return !keep(n) })
		}
		known, up = only(known), only(up)
	}
	n, left := len(known)+1, len(up)
	need := n/2 + 1
	holds := fmt.Sprintf("the quorum of %d holds", need)
	if left < need {
		holds = fmt.Sprintf("the quorum of %d does not hold, and the API stops to take changes", need)
	}
	return fmt.Sprintf("If each of the %d %s has a member of etcd%s, %d others are Ready, and %s. The member stays in etcd's list until it is removed there: "+
		"etcdctl member list, etcdctl member remove.", n, of, notAll(all), left, holds)
}
