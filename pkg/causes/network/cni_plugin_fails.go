package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
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
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			all := hearing(s, r, func(m string) bool { return !takesDown(m) && saysNothingKnown(m) })
			var out []diagnose.Finding
			for _, h := range all {
				if h.starting == 0 {
					continue // see cni-plugin-del-bug
				}
				who := "The network plugin"
				if name := pluginOf(last(h.ev)); name != "" {
					who = fmt.Sprintf("The network plugin %q", name)
				}
				a := agentsOn(s, h.node)
				out = append(out, diagnose.Finding{
					Subject: h.subject(), Explains: h.pods, Confidence: diagnose.Possible, Evidence: append(h.ev, a.ev...),
					Message:      fmt.Sprintf("%s on node %s fails to set up pods' networks: %s.%s%s", who, h.node, quote(last(h.ev)), spread(all, r.Nodes), a),
					Alternatives: []string{"cni-chained-plugin-dead", "cni-not-initialized", "cni-state-corrupt"},
					Decide:       "The log of the plugin's pod on the node, and whether new pods start on other nodes.",
				})
			}
			return out
		},
		Log: []diagnose.LogMatch{{
			Text: diagnose.Text{
				Any: []string{"failed to setup network for sandbox", "failed to create pod network sandbox", "cni failed to set up pod", "ADD was an error", "error adding container to network"},
				None: []string{
					"unauthorized", "forbidden", "dial tcp", "dial unix", "no IP addresses available", "assign an IP address", "requested IPv", "range is full", "Could not allocate IP", "IPs available",
					"available addresses", "unexpected end of JSON", "invalid character", "failed to find plugin", "Cilium agent", "/var/lib/calico/nodename", "subnet.env", "not initialized", "uninitialized",
					"network-attachment-definition", "GetCNIConfigFromFile", "resource temporarily unavailable", "OS thread", "no space left", "too many open files", "file exists", "already exists", "sandbox image",
				},
			},
			Confidence: diagnose.Possible, Alternatives: []string{"cni-chained-plugin-dead", "cni-not-initialized", "cni-state-corrupt"},
			Decide: "The log of the plugin's pod on the node, and whether new pods start on other nodes.",
		}},
	}
}
