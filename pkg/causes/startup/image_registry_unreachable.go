package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func imageRegistryUnreachable() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST608", Slug: "image-registry-unreachable",
		Doc: diagnose.Doc{
			Title:     "The node cannot reach the image registry",
			Symptom:   `ErrImagePull and ImagePullBackOff with a timeout, a refused connection, a connection that breaks ("unexpected EOF", "short read"), an answer of 500 or above, or "no such host". On one node it is that node's DNS, proxy or firewall; on all it is the registry or its name.`,
			Mechanism: "The runtime on the node resolves the registry's name with the host's DNS and connects itself, perhaps through a proxy. That fails before the registry is asked for anything, the registry answers that it is not able to, or the connection breaks while layers come over it.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=Failed",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-from-node", Risk: diagnose.RiskNone, Text: "See whether other nodes pull from this registry; on the host, whether its name resolves and its port answers, and which proxy the runtime uses."},
				{ID: "wait", Risk: diagnose.RiskNone, Text: "If the registry is down, wait: kubelet tries again at least every 5 minutes."},
				{ID: "other-nodes", Risk: diagnose.RiskMedium, Text: "If only this node is cut off, cordon it and delete the waiting pods, so that they start elsewhere.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/",
				"https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			pulled := pulledFrom(s)
			var out []diagnose.Finding
			for _, h := range byRegistry(s, r, faultNetwork) {
				f := diagnose.Finding{
					Subject: snapshot.Ref{Kind: kindRegistry, Name: h.registry}, Explains: h.pods, Confidence: diagnose.Likely, Evidence: h.ev,
					Message: fmt.Sprintf("Pulls from the registry %s fail on %s: %s%s.%s", h.registry, h.where(), brokenBy(h.said), h.why, h.elsewhere(pulled)),
					Decide:  "Pulls from the same registry on other nodes: if they work, it is this node's DNS, proxy or firewall.",
				}
				switch others := h.others(pulled); {
				case len(h.nodes) == 1 && len(others) > 0:
					f.Subject, f.Reach = snapshot.Ref{Kind: snapshot.Node, Name: h.nodes[0]}, scope.ReachNode
					f.Decide = "On the node's host, whether the registry's name resolves and its port answers, and which proxy the runtime uses."
				case len(h.nodes) > 1:
					f.Decide = "Whether the registry answers from anywhere: if it does, it is what these nodes have in common (DNS, a proxy, a firewall, a network's way out)."
				}
				out = append(out, f)
			}
			return out
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				All: []string{"pull"}, Any: []string{"dial tcp", "i/o timeout", "no such host", "server misbehaving", "TLS handshake timeout", "proxyconnect", "connection reset by peer", "unexpected EOF", "503 Service Unavailable", "502 Bad Gateway", "failed to do request"},
				None: append(append([]string{"sandbox image", "x509", "unauthorized", "containerd.sock", "dial unix", "unexpected commit digest"}, limits()...), "no space left"),
			}},
		},
	}
}
