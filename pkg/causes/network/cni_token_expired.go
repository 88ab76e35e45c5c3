package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniTokenExpired() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST404", Slug: "cni-token-expired",
		Doc: diagnose.Doc{
			Title:   "The API server refuses the network plugin's token",
			Symptom: `On one node, or on some, pods neither start nor end; the network plugin answers "Unauthorized".`,
			Mechanism: "The plugin reads a token from a kubeconfig on the node, which the provider's pod there writes anew before the old token expires. Where that pod stopped doing so " +
				"(Calico releases are known for it), the token in the file expires about a day later, and every ADD and DEL fails while the node stays Ready.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "restart-network-provider", Risk: diagnose.RiskLow,
					Text: "Delete the provider's pod on this node (calico-node, for Calico): it writes a fresh token when it starts, and waiting pods follow within a minute. If several nodes have it, restart the DaemonSet.",
				},
				{ID: "upgrade-provider", Risk: diagnose.RiskMedium, Text: "Upgrade the provider to a release that renews the token."},
			},
			Refs: []string{
				"https://github.com/projectcalico/calico/issues/7208",
				"https://github.com/projectcalico/calico/issues/7220",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill}, diagnose.Text{
				All:  []string{"unauthorized"},
				Any:  []string{"ClusterInformation", "plugin type=", "networkPlugin cni", "network for sandbox", "network for pod sandbox", "CNI network", "CNI request"},
				None: []string{"sandbox image", "pull image", "pull access"},
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
				Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: append(ev, a.ev...),
				Message:      fmt.Sprintf("%s on node %s is refused by the API server (Unauthorized), so that it can neither set up nor take down pods' networks there.%s", who, p.Node, a),
				Alternatives: []string{"clock-skew"},
				Decide:       "Only some nodes, and a provider pod that has run there for a day or more: the token. All nodes at once: its ServiceAccount, or the API server's signing key. A wrong clock shows in the age of the node's lease.",
			}, true
		},
		Log: []string{"error getting ClusterInformation: connection is unauthorized"},
	}
}
