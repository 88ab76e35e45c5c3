package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniChainedPluginDead() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST406", Slug: "cni-chained-plugin-dead",
		Doc: diagnose.Doc{
			Title:   "A network plugin is configured on the node, but its agent or its binary is gone",
			Symptom: "No pod starts or ends on the node; the events name a socket that refuses, a file of the provider that is missing, or a plugin that is in no path. The node is Ready.",
			Mechanism: "A file in /etc/cni/net.d makes the runtime call a plugin, and the plugin asks its agent on the node (Multus, Cilium, Calico, the AWS agent). If the agent is down, or was uninstalled " +
				"and its file stayed behind, every ADD and DEL fails. The node stays Ready, because the configuration as such is valid.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl get daemonsets -A",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "heal-agent", Risk: diagnose.RiskNone, Command: "kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
					Text: "Bring the plugin's DaemonSet pod on this node back. Waiting pods follow by themselves.",
				},
				{ID: "reinstall-plugin", Risk: diagnose.RiskLow, Text: "If it was uninstalled, install it again for as long as pods that were started with it exist: they need it to end."},
				{
					ID: "remove-leftover-config", Risk: diagnose.RiskHigh, Command: "kubectl drain {node} --ignore-daemonsets",
					Text: "If it is to stay uninstalled, drain the node, remove the plugin's file from /etc/cni/net.d on the host and reboot. Wrong without the drain: pods set up by the old chain cannot be taken down by the new one.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
				"https://github.com/cilium/cilium/blob/main/plugins/cilium-cni/cmd/cmd.go",
				"https://github.com/containernetworking/cni/blob/main/pkg/invoke/find.go",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			none := []string{"sandbox image", "containerd.sock", "crio.sock", "cri-dockerd.sock", "docker.sock", "containerd/s/"}
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill},
				diagnose.Text{All: []string{"dial unix"}, Any: []string{"connection refused", "no such file or directory"}, None: none},
				diagnose.Text{All: []string{"dial tcp 127.0.0.1", "connection refused"}, None: append([]string{"/api"}, none...)},
				diagnose.Text{Any: []string{
					"unable to connect to Cilium agent", "failed to find plugin", "stat /var/lib/calico/nodename", "open /run/flannel/subnet.env",
				}},
			)
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			a := agentsOn(s, p.Node)
			c := diagnose.Likely
			if a.ill {
				c = diagnose.Fresh(s, diagnose.Certain, ev)
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: c, Evidence: append(ev, a.ev...),
				Message: fmt.Sprintf("Node %s calls a network plugin that does not answer or is not there: %s.%s", p.Node, quote(last(ev)), a),
			}, true
		},
		Log: []string{"unable to connect to Cilium agent", "failed to find plugin", "multus.sock: connect: connection refused"},
	}
}
