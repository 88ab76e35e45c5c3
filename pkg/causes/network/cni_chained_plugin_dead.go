package network

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniChainedPluginDead() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST406", Slug: "cni-chained-plugin-dead",
		Doc: diagnose.Doc{
			Title:   "A network plugin's agent on the node, or its binary, is gone or does not answer",
			Symptom: "No pod starts or ends on the node; the events name a socket that refuses, an agent that does not answer, a file of the provider that is missing, or a plugin that is in no path. The node is Ready.",
			Mechanism: "A file in /etc/cni/net.d makes the runtime call a plugin, and the plugin asks its agent on the node (Multus, Cilium, Calico, Antrea, OVN, Istio, the agents of clouds). If the agent is down, or was uninstalled " +
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
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill}, says(sayAgentGone))
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			a := agentsOn(s, p.Node)
			f := diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: append(ev, a.ev...),
				Message: fmt.Sprintf("Node %s calls a network plugin whose agent or file is not there, or does not answer: %s.%s", p.Node, quote(last(ev)), a),
			}
			if a.ill {
				f.Confidence = diagnose.Fresh(s, diagnose.Certain, ev)
			}
			switch said := strings.ToLower(last(ev)); {
			case strings.Contains(said, "failed to find plugin"), strings.Contains(said, "/opt/cni/bin/"):
				f.Alternatives = []string{"cni-not-initialized"}
				f.Decide = "Whether the plugin's DaemonSet still exists: if it does, its pod on the node failed to write the binary; if not, the configuration that names it was left behind."
			case strings.Contains(said, "timeout exceeded"), strings.Contains(said, "pod annotation"), strings.Contains(said, "port binding"), strings.Contains(said, "ovn-installed"):
				f.Alternatives = []string{"cni-del-apiserver-unreachable"}
				f.Decide = "The log of the provider's pods (the agent on the node, and its controller): one that is there and answers late is overloaded, or waits for the API server."
			}
			return f, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"unable to connect to Cilium agent", "unable to connect to Cilium daemon", "Failed to create cilium agent client", "Unable to create endpoint: Cilium API client timeout exceeded",
				"stat /var/lib/calico/nodename", "loadFlannelSubnetEnv failed", "open /run/flannel/subnet.env", "no ztunnel connection", "failed to contact node Istio CNI agent",
				"failed to signal node Istio CNI agent", "failed to send CNI request", "failed to find plugin", "Error received from AddNetwork gRPC call", "Error received from DelNetwork gRPC call",
				"resource does not exist: ClusterInformation",
			}, None: standardPlugins()}},
			{
				Text: diagnose.Text{All: []string{"dial unix"}, Any: []string{"multus.sock", "antrea/cni.sock", "cilium.sock", "eni.socket", "ovn-cni-server.sock", "cni-server.sock", "istio-cni/pluginevent.sock", "dhcp.sock", "azure-vnet", "kube-ovn-daemon.sock"}},
			},
			{Text: diagnose.Text{All: []string{"sandbox", "dial tcp 127.0.0.1", "connection refused"}, None: []string{"/api"}}},
			{Text: diagnose.Text{All: []string{"unable to allocate IP address: Post", "127.0.0.1:6784"}}},
			{
				Text:         diagnose.Text{Any: []string{"failed to get pod annotation: timed out", "timed out waiting for OVS port binding", "error while waiting on OVS.Interface"}},
				Confidence:   diagnose.Possible,
				Alternatives: []string{"cni-del-apiserver-unreachable"},
				Decide:       "The log of the provider's controller, which is to annotate the pod: whether it runs, and reaches the API server.",
			},
		},
	}
}
