package startup

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// kindGate stands for a scheduling gate as such, so that all pods behind it are one finding.
const kindGate snapshot.Kind = "SchedulingGate"

func schedulingGated() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST621", Slug: "schedulinggated",
		Doc: diagnose.Doc{
			Title:     "A scheduling gate holds the pod back",
			Symptom:   "STATUS SchedulingGated. The scheduler does not look at the pod at all.",
			Mechanism: "Whoever created the pod, or a webhook, put names into spec.schedulingGates. The controller that they belong to (a queue such as Kueue, a quota or device controller) removes its gate when the pod may start. It has not: the pod waits for its turn, or that controller does not run.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.schedulingGates[*].name}' -n {namespace}",
				"kubectl describe pod {pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "ask-owner", Risk: diagnose.RiskNone, Text: "The gate's name tells its controller. See there whether the pod is queued, and whether the controller runs.", Command: "kubectl describe pod {pod} -n {namespace}"},
				{ID: "remove-gate", Risk: diagnose.RiskMedium, Text: "If the controller is gone for good, remove the gate with kubectl edit: removing gates is the one change that is allowed. Quotas that it kept are passed by."},
			},
			Refs:  []string{"https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/"},
			Since: "Kubernetes 1.26",
		},
		Reach: scope.ReachShared,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.SchedulingGated || len(p.Object.Spec.SchedulingGates) == 0 {
				return diagnose.Finding{}, false
			}
			var names []string
			for _, g := range p.Object.Spec.SchedulingGates {
				names = append(names, g.Name)
			}
			all := strings.Join(names, ", ")
			return diagnose.Finding{
				Subject: snapshot.Ref{Kind: kindGate, Name: names[0]}, Confidence: diagnose.Certain,
				Message:  fmt.Sprintf("The scheduling gate %s was not lifted, and the scheduler leaves the pod alone until it is.", all),
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "spec.schedulingGates", Value: all}},
			}, true
		},
	}
}
