package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func unschedulableOther() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST644", Slug: "unschedulable-other",
		Doc: diagnose.Doc{
			Title:     "The scheduler passes the nodes over for a reason that is not its own",
			Symptom:   "Pending, FailedScheduling with words that the default scheduler's own plugins do not use.",
			Mechanism: "Schedulers can be extended: by plugins that are built in, by extenders that are asked over HTTP, and by whole schedulers beside the default one. Each can object to nodes in its own words, or fail.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod},reason=FailedScheduling -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.schedulerName}' -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "ask-plugin", Risk: diagnose.RiskNone, Text: "Look the words up in the documentation of the scheduler that the pod names, and in its log.", Command: "kubectl get pod {pod} -o jsonpath='{.spec.schedulerName}' -n {namespace}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/types.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod:      unschedulable(obstacleOther, "The scheduler passes the nodes over in words of a plugin or an extender"),
	}
}
