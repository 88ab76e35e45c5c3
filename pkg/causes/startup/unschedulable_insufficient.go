package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func unschedulableInsufficient() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST620", Slug: "unschedulable-insufficient",
		Doc: diagnose.Doc{
			Title:     "No node has enough left of what the pod requests",
			Symptom:   `Pending, FailedScheduling with "Insufficient cpu", "Insufficient memory", "Insufficient <resource>", "Too many pods" or "free ports".`,
			Mechanism: "The scheduler adds up the requests (not the use) of the pods on each node, and counts pods, host ports and devices. Nowhere is enough left; for a device it may be that no node offers it at the moment, because its device plugin does not run.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod},reason=FailedScheduling -n {namespace}",
				"kubectl describe nodes",
				"kubectl get nodes -o custom-columns=NAME:.metadata.name,CPU:.status.allocatable.cpu,MEMORY:.status.allocatable.memory,PODS:.status.allocatable.pods",
			},
			Remedies: []diagnose.Remedy{
				{ID: "compare-requests", Risk: diagnose.RiskNone, Text: "Compare what the pod requests with what the largest node can give at all. A request that no empty node could meet needs other nodes, or a smaller request.", Command: "kubectl describe nodes"},
				{ID: "add-nodes", Risk: diagnose.RiskLow, Text: "Add nodes, or see why the autoscaler does not: its events on the pod say so."},
				{ID: "lower-requests", Risk: diagnose.RiskLow, Text: "Lower requests that are far above the use, here or in others."},
				{ID: "make-room", Risk: diagnose.RiskMedium, Text: "Scale down or delete what matters less, or give this workload a higher PriorityClass: the scheduler then ends pods of lower priority for it."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#my-pods-are-pending-with-event-message-failedscheduling",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/noderesources/fit.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod:      unschedulable(obstacleResources, "No node has enough room for what the pod requests"),
	}
}
