package node

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func virtualKubeletDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST111", Slug: "virtual-kubelet-down", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:     "The provider behind a virtual node does not answer",
			Symptom:   "A node with the label type=virtual-kubelet is not ready, and its pods neither start nor end.",
			Mechanism: "A virtual node is a program that passes pods on to a cloud service. When it is down, or the service refuses it, nobody reports for those pods; what runs in the service goes on, and is paid for. There is no machine to look at.",
			Confirm:   []string{"kubectl describe node {node}", "kubectl get pods -A -o wide --field-selector spec.nodeName={node}"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-provider", Risk: diagnose.RiskLow, Text: "Find the pod or process that serves the virtual node, read its log (credentials, quota), and restart it."},
				{ID: "force-delete-pod", Risk: diagnose.RiskHigh, Text: "After a look in the cloud service that the task is gone: take the pod out of the API. A task that still runs goes on unseen, beside its successor.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{"https://virtual-kubelet.io/docs/", "virtual-kubelet: node/pod.go"},
		},
		Pod: providerFailed,
		Log: append(
			diagnose.LikelyLines(diagnose.Saying("failed to delete pod in the provider"), diagnose.Saying("failed to create pod in provider"), diagnose.Saying("ProviderCreateFailed"), diagnose.Saying("ProviderDeleteFailed"), diagnose.Saying("ProviderUpdateFailed")),
			diagnose.FittingLines([]string{"node-lost"}, "Whether the program that serves the virtual node runs, and what its cloud service says of it.",
				diagnose.Saying("PodsTracker.cleanupDanglingPods"))...,
		),
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
					diagnose.NodeConditionEvidence(n, *c), {Object: "node " + n.Name, Field: "metadata", Value: "a virtual node, by its labels and taints"},
				},
			}
			return f, len(f.Explains) > 0 || len(g.Stuck) == 0
		},
	}
}

// virtual tells whether no machine stands behind the node: virtual-kubelet labels or taints its nodes, EKS and Tencent Cloud label theirs.
func virtual(n *corev1.Node) bool {
	if n.Labels["type"] == "virtual-kubelet" || n.Labels["eks.amazonaws.com/compute-type"] == "fargate" || n.Labels[corev1.LabelInstanceTypeStable] == "eklet" {
		return true
	}
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == "virtual-kubelet.io/provider" })
}

// providerFailed looks at a pod of a virtual node of which virtual-kubelet says that its provider refused it (virtual-kubelet: node/pod.go).
func providerFailed(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Confidence: diagnose.Likely}
	if st := p.Object.Status; st.Reason == "ProviderFailed" {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.reason", Value: st.Reason + ": " + st.Message})
	}
	f.Evidence = append(f.Evidence, diagnose.Said(s, p, diagnose.Text{}, "ProviderCreateFailed", "ProviderUpdateFailed", "ProviderDeleteFailed")...)
	f.Message = fmt.Sprintf("The provider behind virtual node %s refused what was asked of it for pod %s/%s.", p.Node, p.Ref.Namespace, p.Ref.Name)
	return f, len(f.Evidence) > 0
}
