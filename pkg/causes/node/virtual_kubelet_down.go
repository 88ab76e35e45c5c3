package node

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func virtualKubeletDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST111", Slug: "virtual-kubelet-down", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Node},
		Doc: diagnose.Doc{
			Title:     "The provider behind a virtual node does not answer",
			Symptom:   "A node with the label type=virtual-kubelet is not ready, and its pods neither start nor end.",
			Mechanism: "A virtual node is a program that passes pods on to a cloud service. When it is down, or the service refuses it, nobody reports for those pods; what runs in the service goes on, and is paid for. There is no machine to look at.",
			Confirm:   []string{"kubectl describe node {node}", "kubectl get pods -A -o wide --field-selector spec.nodeName={node}"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-provider", Risk: diagnose.RiskLow, Text: "Find the pod or process that serves the virtual node, read its log (credentials, quota), and restart it."},
				{ID: "force-delete-pod", Risk: diagnose.RiskHigh, Text: "After a look in the cloud service that the task is gone: take the pod out of the API. A task that still runs goes on unseen, beside its successor.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{"https://virtual-kubelet.io/docs/"},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			n := s.Node(g.Node)
			if n == nil || !virtual(n) {
				return diagnose.Finding{}, false
			}
			c := snapshot.NodeCondition(n, corev1.NodeReady)
			if c == nil || c.Status == corev1.ConditionTrue {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{
				Confidence: diagnose.Likely, Explains: refs(g, waitsForKubelet),
				Message: fmt.Sprintf("Node %s is a virtual one, and its provider has not reported for %s.", g.Node, scope.Short(max(s.Now().Sub(c.LastTransitionTime.Time), 0))),
				Evidence: []diagnose.Evidence{
					diagnose.NodeConditionEvidence(n, *c), {Object: "node " + n.Name, Field: "metadata.labels[type]", Value: "virtual-kubelet"},
				},
			}
			return f, len(f.Explains) > 0 || len(g.Stuck) == 0
		},
	}
}

// virtual tells whether no machine stands behind the node (virtual-kubelet sets this label on its nodes).
func virtual(n *corev1.Node) bool { return n.Labels["type"] == "virtual-kubelet" }
