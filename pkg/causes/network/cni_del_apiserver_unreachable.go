package network

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func cniDelAPIServerUnreachable() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST405", Slug: "cni-del-apiserver-unreachable",
		Doc: diagnose.Doc{
			Title:   "The node's network plugin cannot reach the API server",
			Symptom: `Pods stay in Terminating, and new ones in ContainerCreating, with a "dial tcp …:443" error, a timeout or an x509 error of the network plugin. The node is Ready, because kubelet reaches the API server by another address.`,
			Mechanism: "Network plugins ask the API server about pods and address pools, mostly through the address of the kubernetes Service. That address works only where kube-proxy, or what stands in for it, " +
				"programs the node, and where no firewall or stale rule is in the way. The pod's processes are dead by then: the runtime takes the network down last.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get service kubernetes -n default",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "heal-service-path", Risk: diagnose.RiskNone,
					Text:    "See whether kube-proxy (or Cilium in its place) runs on this node, and whether the address in the message answers from the host. Deletions finish by themselves when it does.",
					Command: "kubectl get pods -n kube-system -o wide --field-selector spec.nodeName={node}",
				},
				{ID: "restart-kube-proxy", Risk: diagnose.RiskLow, Text: "Delete the kube-proxy pod on this node, so that it programs the Service anew. Existing connections are kept."},
				{
					ID: "force-delete", Risk: diagnose.RiskHigh, Command: "kubectl delete pod {pod} --grace-period=0 --force -n {namespace}",
					Text: "Last, remove the pod from the API. Its processes are dead, but its address and interface on the node may leak.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/",
				"https://github.com/containerd/containerd/blob/v2.0.0/internal/cri/server/sandbox_stop.go",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			all := hearing(s, r, says(sayNoAPI))
			var out []diagnose.Finding
			for _, h := range all {
				f := diagnose.Finding{
					Subject: h.subject(), Explains: h.pods, Confidence: diagnose.Likely, Evidence: h.ev,
					Message: fmt.Sprintf("The network plugin on node %s does not reach the API server, so that it does not %s: %s.%s", h.node, h.calls(), quote(last(h.ev)), spread(all, r.Nodes)),
				}
				if said := strings.ToLower(last(h.ev)); strings.Contains(said, "x509:") {
					f.Message = fmt.Sprintf("The network plugin on node %s does not accept the API server's certificate, so that it does not %s: %s.%s", h.node, h.calls(), quote(last(h.ev)), spread(all, r.Nodes))
					f.Alternatives = []string{"clock-skew", "cni-token-expired"}
					f.Decide = "An unknown authority: the plugin's kubeconfig on the node is older than the cluster's authority, and the provider's pod has to write it anew. An expired certificate: the API server's, or a wrong clock of the node."
				} else if len(all) > 1 {
					f.Alternatives = []string{"control-plane-down"}
					f.Decide = "Whether the address in the message answers from the nodes' hosts. If the API server as such is slow or down, kubelets notice too: their leases get old."
				}
				out = append(out, f)
			}
			return out
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				All: []string{"dial tcp"}, Any: []string{"error getting ClusterInformation", "error getting k8s client", "Multus:", "plugin type=", "networkPlugin cni", "NetworkPlugin cni", "CNI network", "ADD was an error", "DEL was an error", "network for sandbox", "network for pod sandbox"},
				None: []string{"dial tcp 127.0.0.1", "dial tcp [::1]", "sandbox image", "pull image", "/v2/", "dial unix"},
			}},
			{Text: diagnose.Text{
				All: []string{"error getting ClusterInformation"}, Any: []string{"context deadline exceeded", "TLS handshake timeout", "x509:", "Client.Timeout exceeded", ": Service Unavailable"},
			}},
		},
	}
}
