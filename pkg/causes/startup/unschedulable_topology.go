package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func unschedulableTopology() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST637", Slug: "unschedulable-topology",
		Doc: diagnose.Doc{
			Title:     "The pod's topology spread constraints leave no node",
			Symptom:   `Pending, FailedScheduling with "didn't match pod topology spread constraints".`,
			Mechanism: "With whenUnsatisfiable DoNotSchedule, the pod may only go where the difference between zones (or nodes) stays within maxSkew. If the zone that would be next has no room, or nodes lack the label that is spread over, nothing is left. Nodes that are cordoned or tainted still count as a domain unless the constraint says otherwise.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.topologySpreadConstraints}' -n {namespace}",
				"kubectl get nodes -L topology.kubernetes.io/zone",
				"kubectl get pods -o wide -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "make-room-in-zone", Risk: diagnose.RiskLow, Text: "Make room in the zone with the fewest of these pods: nodes, or cordons that are no longer needed.", Command: "kubectl get nodes -L topology.kubernetes.io/zone"},
				{ID: "relax-constraint", Risk: diagnose.RiskLow, Text: "Raise maxSkew, use ScheduleAnyway, or set nodeTaintsPolicy to Honor in the workload."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/podtopologyspread/plugin.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod:      unschedulable(obstacleTopology, "The pod's topology spread constraints leave no node"),
	}
}
