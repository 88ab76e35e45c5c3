package network

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// tokenLife is how long the token of a plugin lives that asks for one of a day, as Calico's does (node/pkg/cni/token_watch.go
// defaultCNITokenValiditySeconds, renewed when a quarter of it is over), less some hours for when it was written.
const tokenLife = 20 * time.Hour

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
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			all := hearing(s, r, says(sayRefused))
			var out []diagnose.Finding
			for _, h := range all {
				who := "The network plugin"
				if name := pluginOf(last(h.ev)); name != "" {
					who = fmt.Sprintf("The network plugin %q", name)
				}
				a := agentsOn(s, h.node)
				f := diagnose.Finding{
					Subject: h.subject(), Explains: h.pods, Confidence: diagnose.Likely, Evidence: append(h.ev, a.ev...),
					Message:      fmt.Sprintf("%s on node %s is refused by the API server (Unauthorized), so that it cannot %s there.%s%s", who, h.node, h.calls(), spread(all, r.Nodes), a),
					Alternatives: []string{"clock-skew"},
					Decide:       "Only some nodes, and a provider pod that has run there for a day or more: the token. All nodes at once: its ServiceAccount, or the API server's signing key. A wrong clock shows in the age of the node's lease.",
				}
				if (diagnose.Text{All: []string{"multus", "getting pod"}}).Match(last(h.ev)) {
					// Multus asks with the token of its DaemonSet's pod, which goes when that pod does.
					f.Alternatives = append(f.Alternatives, "cni-chained-plugin-dead")
					f.Decide += " Multus has it from its pod on the node: whether that runs, and since when."
				}
				if a.wellFor(tokenLife) {
					f.Message += " A pod that has run longer than a token lives, and is well, points to a token that was not renewed."
				}
				out = append(out, f)
			}
			return out
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				All: []string{"unauthorized"}, Any: []string{"error getting ClusterInformation", "connection is unauthorized", "plugin type=", "networkPlugin cni", "network for sandbox", "network for pod sandbox", "CNI network", "ADD was an error", "DEL was an error"},
				None: []string{"is forbidden", "sandbox image", "pull", "/v2/"},
			}},
			{Text: diagnose.Text{All: []string{"the server has asked for the client to provide credentials"}, Any: []string{"cni", "multus", "network for sandbox"}}},
		},
	}
}
