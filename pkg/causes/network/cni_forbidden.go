package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func cniForbidden() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST412", Slug: "cni-forbidden",
		Doc: diagnose.Doc{
			Title:   "The network plugin may not do at the API server what it needs to",
			Symptom: `Pods neither start nor end; the network plugin answers that its user "cannot get", "cannot list" or "cannot patch" something: "is forbidden".`,
			Mechanism: "The API server knows the plugin's token, and the roles bound to its ServiceAccount do not allow the request. A release of the provider needs a right that its ClusterRole does not have yet: " +
				"the DaemonSet was upgraded without the rest of its manifest, or the node still uses the kubeconfig of another ServiceAccount.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get clusterrolebindings -o wide",
			},
			Remedies: []diagnose.Remedy{
				{ID: "compare-role", Risk: diagnose.RiskNone, Text: "Compare the ClusterRole that is bound to the user in the message with the one in the manifest of the provider's release.", Command: "kubectl get clusterrolebindings -o wide"},
				{ID: "apply-manifest", Risk: diagnose.RiskLow, Text: "Apply the whole manifest of the release, roles included. Waiting pods follow within a minute."},
				{ID: "restart-network-provider", Risk: diagnose.RiskLow, Text: "If the user in the message is one of an earlier release, delete the provider's pod on the node: it writes the plugin's kubeconfig anew."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/reference/access-authn-authz/rbac/",
				"https://github.com/projectcalico/calico/issues/5046",
			},
		},
		Reach: scope.ReachCluster,
		Needs: []snapshot.Kind{snapshot.Event},
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			all := hearing(s, r, says(sayForbidden))
			var out []diagnose.Finding
			for _, h := range all {
				out = append(out, diagnose.Finding{
					Subject: h.subject(), Explains: h.pods, Confidence: diagnose.Likely, Evidence: h.ev,
					Message: fmt.Sprintf("The API server forbids the network plugin on node %s what it asks, so that it does not %s: %s.%s", h.node, h.calls(), quote(last(h.ev)), spread(all, r.Nodes)),
				})
			}
			return out
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				All: []string{"is forbidden: User"}, Any: []string{"ClusterInformation", "plugin type=", "networkPlugin cni", "network for sandbox", "network for pod sandbox", "CNI network", "ADD was an error", "DEL was an error", "Multus:"},
			}},
		},
	}
}
