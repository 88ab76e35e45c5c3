package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func unschedulableAffinity() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST636", Slug: "unschedulable-affinity",
		Doc: diagnose.Doc{
			Title:     "No node matches the pod's selector or affinity",
			Symptom:   `Pending, FailedScheduling with "didn't match Pod's node affinity/selector", "pod affinity rules" or "anti-affinity rules".`,
			Mechanism: "The pod's nodeSelector or required node affinity asks for labels that no node with room has; or required rules between pods ask it to be with pods that are nowhere, or away from pods that are everywhere, for instance more replicas than nodes.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.nodeSelector} {.spec.affinity}' -n {namespace}",
				"kubectl get nodes --show-labels",
				"kubectl get events --field-selector involvedObject.name={pod},reason=FailedScheduling -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "compare-labels", Risk: diagnose.RiskNone, Text: "Compare the labels that the pod asks for with those of the nodes: a node that was made anew may have lost a label.", Command: "kubectl get nodes --show-labels"},
				{ID: "label-node", Risk: diagnose.RiskLow, Text: "Give the label back to the nodes that are meant (kubectl label node NODE KEY=VALUE)."},
				{ID: "relax-rule", Risk: diagnose.RiskLow, Text: "Or make the rule a preference in the workload, or run fewer replicas, or add nodes."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/interpodaffinity/filtering.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod:      unschedulable(obstacleAffinity, "No node fits the pod's node selector, its affinity or its anti-affinity"),
	}
}
