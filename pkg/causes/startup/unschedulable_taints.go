package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func unschedulableTaints() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST635", Slug: "unschedulable-taints",
		Doc: diagnose.Doc{
			Title:     "The nodes carry taints that the pod does not tolerate, or are cordoned",
			Symptom:   `Pending, FailedScheduling with "untolerated taint" or "were unschedulable" for most nodes.`,
			Mechanism: "A taint keeps away every pod without a matching toleration: set by people to reserve nodes, by the node controller for nodes that are not ready or under pressure, by a cloud provider for nodes that it has not initialized, and by kubectl cordon or drain.",
			Confirm: []string{
				"kubectl get nodes -o custom-columns=NAME:.metadata.name,CORDONED:.spec.unschedulable,TAINTS:.spec.taints[*].key",
				"kubectl get pod {pod} -o jsonpath='{.spec.tolerations}' -n {namespace}",
				"kubectl get events --field-selector involvedObject.name={pod},reason=FailedScheduling -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-nodes", Risk: diagnose.RiskNone, Text: "Taints of node.kubernetes.io/… stand for trouble of the node: mend that, and they go.", Command: "kubectl stuck node"},
				{ID: "uncordon", Risk: diagnose.RiskLow, Text: "Uncordon nodes whose maintenance is over (kubectl uncordon).", Command: "kubectl get nodes"},
				{ID: "add-toleration", Risk: diagnose.RiskLow, Text: "If the pod may use reserved nodes, add the toleration to the workload."},
				{ID: "remove-taint", Risk: diagnose.RiskMedium, Text: "Remove a taint that nobody needs any more (kubectl taint nodes NODE KEY-). Other pods come to the node as well then."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go",
			},
		},
		Reach: scope.ReachPod,
		Pod:   unschedulable(obstacleTaints, "Taints or cordons keep the pod off the nodes"),
	}
}
