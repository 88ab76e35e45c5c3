package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniDelAPIServerUnreachable() diagnose.Cause {
	none := []string{"sandbox image", "pull image", "pull and unpack", "dial tcp 127.0.0.1", "dial tcp [::1]", "/v2/"}
	return diagnose.Cause{
		Code: "ST405", Slug: "cni-del-apiserver-unreachable",
		Doc: diagnose.Doc{
			Title:   "The node's network plugin cannot reach the API server",
			Symptom: `Pods stay in Terminating, and new ones in ContainerCreating, with a "dial tcp …:443" error of the network plugin. The node is Ready, because kubelet reaches the API server by another address.`,
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
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			var texts []diagnose.Text
			for _, port := range []string{":443", ":6443"} {
				texts = append(texts, diagnose.Text{
					All:  []string{"dial tcp", port},
					Any:  []string{"i/o timeout", "connection refused", "no route to host", "context deadline exceeded"},
					None: none,
				})
			}
			// Some distributions put a proxy of the API server on every node.
			texts = append(texts, diagnose.Text{
				All: []string{"dial tcp 127.0.0.1", "/api"}, Any: []string{"connection refused", "i/o timeout"}, None: []string{"sandbox image"},
			})
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill}, texts...)
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			what := "set up"
			if p.State == stuck.Terminating {
				what = "take down"
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: ev,
				Message: fmt.Sprintf("The network plugin on node %s cannot reach the API server, so that it does not %s pods' networks: %s.", p.Node, what, quote(last(ev))),
			}, true
		},
	}
}
