package startup

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// leaseStale is how old the renewal of a scheduler's lease may be. It is renewed every 2 s, and lost after 15 s (k8s.io/component-base/config
// RetryPeriod, LeaseDuration); a new leader takes some seconds more.
const leaseStale = 40 * time.Second

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
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Lease, snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.Node != "" || p.State != stuck.Pending && p.State != stuck.Unschedulable ||
				snapshot.PodCondition(p.Object, corev1.PodScheduled) != nil || len(p.Object.Spec.SchedulingGates) > 0 {
				return diagnose.Finding{}, false
			}
			if len(diagnose.Said(s, p, diagnose.Text{}, "FailedScheduling", "Unschedulable", "Scheduled", "NotTriggerScaleUp", "TriggeredScaleUp")) > 0 {
				return diagnose.Finding{}, false // somebody looked at it
			}
			name := p.Object.Spec.SchedulerName
			if name == "" {
				name = corev1.DefaultSchedulerName
			}
			group, _ := groupOf(p)
			if len(p.Object.Spec.ResourceClaims) > 0 || group != "" {
				return diagnose.Finding{}, false // such a pod may be held back without a word: dra-claim-pending, pod-group-waiting
			}
			f := diagnose.Finding{
				Subject: snapshot.Ref{Kind: kindScheduler, Name: name}, Confidence: diagnose.Likely,
				Message:  fmt.Sprintf("No scheduler named %q has looked at the pod: it has neither a node nor a word about why it has none.", name),
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "spec.schedulerName", Value: name}, {Object: p.Ref.String(), Field: "status.conditions[PodScheduled]", Value: "missing"}},
			}
			lease := name
			if name == corev1.DefaultSchedulerName {
				lease = "kube-scheduler"
				f.Reach = scope.ReachCluster
				f.Alternatives = []string{"control-plane-down"}
				f.Decide = "Whether kube-scheduler renews its lease in kube-system, and whether new pods elsewhere get a node."
			}
			l := s.Lease("kube-system", lease)
			switch {
			case l == nil && name != corev1.DefaultSchedulerName:
				f.Message += " The name is not the default scheduler's: either it is misspelt, or that scheduler does not run."
			case l == nil || l.Spec.RenewTime == nil:
			case s.Now().Sub(l.Spec.RenewTime.Time) > leaseStale:
				f.Message += fmt.Sprintf(" The lease of %s was last renewed %s ago: it does not run.", lease, s.Now().Sub(l.Spec.RenewTime.Time).Round(time.Second))
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "lease kube-system/" + lease, Field: "spec.renewTime", Value: l.Spec.RenewTime.UTC().Format(time.RFC3339)})
			default:
				f.Confidence = diagnose.Possible
				f.Message += fmt.Sprintf(" %s renews its lease, and so runs: it does not see the pod, or has not come to it.", lease)
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "lease kube-system/" + lease, Field: "spec.renewTime", Value: l.Spec.RenewTime.UTC().Format(time.RFC3339)})
			}
			return f, true
		},
	}
}
