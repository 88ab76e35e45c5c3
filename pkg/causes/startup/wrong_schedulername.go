package startup

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// kindScheduler stands for a scheduler by its name, so that all pods that wait for it are one finding.
const kindScheduler snapshot.Kind = "Scheduler"

func wrongSchedulerName() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST622", Slug: "wrong-schedulername",
		Doc: diagnose.Doc{
			Title:     "No scheduler has looked at the pod",
			Symptom:   "Pending without a node, without a PodScheduled condition, and without a single event.",
			Mechanism: "Each scheduler only takes pods whose spec.schedulerName is its own. If none of that name runs (a typing error, a second scheduler that was removed or is down), the pod is never looked at, and nobody reports it.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.schedulerName} {.status.conditions}' -n {namespace}",
				"kubectl get leases -n kube-system",
				"kubectl get pods -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,SCHEDULER:.spec.schedulerName,NODE:.spec.nodeName",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-scheduler", Risk: diagnose.RiskNone, Text: "Bring the scheduler of that name up. It takes the waiting pods at once.", Command: "kubectl get leases -n kube-system"},
				{ID: "fix-name", Risk: diagnose.RiskLow, Text: "Or correct schedulerName in the workload; pods that exist cannot be changed and have to be replaced."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/extend-kubernetes/configure-multiple-schedulers/",
				"https://kubernetes.io/docs/reference/scheduling/config/#multiple-profiles",
			},
		},
		Reach: scope.ReachShared,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.Node != "" || p.State != stuck.Pending && p.State != stuck.Unschedulable ||
				snapshot.PodCondition(p.Object, corev1.PodScheduled) != nil || len(p.Object.Spec.SchedulingGates) > 0 {
				return diagnose.Finding{}, false
			}
			name := p.Object.Spec.SchedulerName
			if name == "" {
				name = corev1.DefaultSchedulerName
			}
			f := diagnose.Finding{
				Subject: snapshot.Ref{Kind: kindScheduler, Name: name}, Confidence: diagnose.Likely,
				Message:  fmt.Sprintf("No scheduler named %q has looked at the pod: it has neither a node nor a word about why it has none.", name),
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "spec.schedulerName", Value: name}, {Object: p.Ref.String(), Field: "status.conditions[PodScheduled]", Value: "missing"}},
			}
			if name == corev1.DefaultSchedulerName {
				f.Reach = scope.ReachCluster
				f.Alternatives = []string{"control-plane-down"}
				f.Decide = "Whether kube-scheduler renews its lease in kube-system, and whether new pods elsewhere get a node."
			}
			return f, true
		},
	}
}
