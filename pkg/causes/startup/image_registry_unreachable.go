package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageRegistryUnreachable() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST608", Slug: "image-registry-unreachable",
		Doc: diagnose.Doc{
			Title:     "The node cannot reach the image registry",
			Symptom:   `ErrImagePull and ImagePullBackOff with a timeout, a refused connection or "no such host". On one node it is that node's DNS, proxy or firewall; on all it is the registry or its name.`,
			Mechanism: "The runtime on the node resolves the registry's name with the host's DNS and connects itself, perhaps through a proxy. That fails before the registry is asked for anything.",
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
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, diagnose.Text{Any: network(), None: append(certificates(), limits()...)})
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: x.registryRef(), Confidence: diagnose.Likely, Evidence: x.ev,
				Message: fmt.Sprintf("Node %s cannot reach the registry %s: %s.", p.Node, registryOf(x.image), x.why()),
				Decide:  "Pulls from the same registry on other nodes: if they work, it is this node's DNS, proxy or firewall.",
			}, true
		},
	}
}
