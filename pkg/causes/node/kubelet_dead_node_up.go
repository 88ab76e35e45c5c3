package node

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// The API shows the same as for a node that is off, so only the node's log speaks for this one; node-lost names it as
// its alternative.
func kubeletDeadNodeUp() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST102", Slug: "kubelet-dead-node-up", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "The machine is up and its kubelet is not",
			Symptom:   "The node looks lost (Ready=Unknown, stale lease), yet the machine answers pings and its containers still serve.",
			Mechanism: "The kubelet stopped or ends again and again, so nobody reports for the node. Containers do not need the kubelet to go on running: they do.",
			Confirm:   []string{"kubectl get node {node} -o wide", "kubectl get --raw /api/v1/nodes/{node}/proxy/healthz"},
			Remedies: []diagnose.Remedy{
				{ID: "read-kubelet-log", Risk: diagnose.RiskNone, Text: "On the node: systemctl status kubelet, and journalctl -u kubelet for the reason of its end."},
				{ID: "start-kubelet", Risk: diagnose.RiskLow, Text: "Mend what the log names (configuration, certificate, cgroup version) and start the kubelet. Never taint this node out-of-service: its containers run."},
			},
			Refs: []string{"https://kubernetes.io/docs/tasks/debug/debug-cluster/"},
		},
		Log: []string{"kubelet.service: Main process exited", "kubelet.service: Failed with result", "failed to run Kubelet"},
	}
}
