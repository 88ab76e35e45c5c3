package node

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// waitsForKubelet tells whether nothing but the kubelet of its node, or a stand-in for it, can move the pod on.
func waitsForKubelet(p stuck.Pod) bool {
	switch p.State {
	case stuck.Terminating:
		return p.Stage == stuck.KillUnconfirmed || p.Stage == stuck.Cleanup
	case stuck.Unschedulable, stuck.SchedulingGated:
		return false
	default:
		return true
	}
}

// refs lists the pods of the group for which keep holds.
func refs(g scope.Group, keep func(stuck.Pod) bool) []snapshot.Ref {
	var out []snapshot.Ref
	for _, p := range g.Stuck {
		if keep(p) {
			out = append(out, p.Ref)
		}
	}
	return out
}

// leaseEvidence cites the age of the node's lease.
func leaseEvidence(node string, f scope.NodeFacts) diagnose.Evidence {
	return diagnose.Evidence{
		Object: "lease kube-node-lease/" + node, Field: "spec.renewTime", Value: "renewed " + scope.Ago(f.LeaseAge),
	}
}
