package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniPluginFails() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST411", Slug: "cni-plugin-fails",
		Doc: diagnose.Doc{
			Title:     "The network plugin fails to set up pods' networks",
			Symptom:   "Pods stay in ContainerCreating with FailedCreatePodSandBox and an error of the network plugin that names no better known cause.",
			Mechanism: "After it made a sandbox, the runtime calls the CNI plugins in order. An error of any of them ends the attempt, the sandbox is taken down, and kubelet tries again.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-plugin-log", Risk: diagnose.RiskNone, Text: "Look up the plugin's error, and the log of its pod on the node. Whether new pods start on other nodes tells the node from the plugin.", Command: "kubectl stuck node {node}"},
				{ID: "restart-network-provider", Risk: diagnose.RiskLow, Text: "Delete the provider's pod on this node. Running pods keep their network with most providers."},
				{ID: "other-nodes", Risk: diagnose.RiskMedium, Text: "If only this node fails, cordon it and delete the waiting pods so that they start elsewhere.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
				"https://github.com/containerd/containerd/blob/v2.0.0/internal/cri/server/sandbox_run.go",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			ev := sandboxEvents(s, p, []string{reasonCreate}, diagnose.Text{
				Any: []string{
					"failed to setup network for sandbox",  // containerd
					"failed to set up sandbox container",   // dockershim
					"networkPlugin cni failed to set up",   // dockershim
					"failed to create pod network sandbox", // CRI-O
					"failed (add)",
				},
				None: told(),
			})
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			who := "The network plugin"
			if name := pluginOf(last(ev)); name != "" {
				who = fmt.Sprintf("The network plugin %q", name)
			}
			a := agentsOn(s, p.Node)
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Possible, Evidence: append(ev, a.ev...),
				Message:      fmt.Sprintf("%s on node %s fails to set up pods' networks: %s.%s", who, p.Node, quote(last(ev)), a),
				Alternatives: []string{"cni-chained-plugin-dead", "cni-not-initialized", "cni-state-corrupt"},
				Decide:       "The log of the plugin's pod on the node, and whether new pods start on other nodes.",
			}, true
		},
	}
}
