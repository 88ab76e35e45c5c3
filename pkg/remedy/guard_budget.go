package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func budget() Guard {
	return Guard{
		Name:     "budget",
		Prevents: "A workload is left with fewer pods than its PodDisruptionBudget promises, because a deletion, unlike an eviction, does not ask for it.",
		For:      []ID{DeletePod, ForceDelete},
		Needs:    []snapshot.Kind{snapshot.PodDisruptionBudget},
		Check: func(c *Case, _ Remedy) []Verdict {
			p := c.Pod.Object
			if p == nil {
				return nil
			}
			var out []Verdict
			if !c.S.Complete(snapshot.PodDisruptionBudget, p.Namespace) {
				out = append(out, Verdict{
					Level:    Warn,
					Reason:   fmt.Sprintf("The PodDisruptionBudgets of namespace %s could not be read, and a deletion asks none of them: what it leaves healthy is not known.", p.Namespace),
					Evidence: []diagnose.Evidence{{Object: "poddisruptionbudgets in " + p.Namespace, Field: "existence", Value: "could not be read"}},
				})
			}
			// The disruption controller counts pods that are Ready and not being deleted (pkg/controller/disruption countHealthyPods).
			ready := snapshot.PodCondition(p, corev1.PodReady)
			counted := p.DeletionTimestamp == nil && ready != nil && ready.Status == corev1.ConditionTrue
			for _, b := range admission.Budgets(c.S, p) {
				after := b.CurrentHealthy
				left := fmt.Sprintf("This pod is not counted among them, so it stays at %d", after)
				if counted {
					after--
					left = fmt.Sprintf("Without this pod it is %d", after)
				}
				if after >= b.DesiredHealthy && b.DisruptionsAllowed > 0 {
					continue
				}
				out = append(out, Verdict{
					Level: Warn,
					Reason: fmt.Sprintf("%s wants %d healthy pods and has %d, and a deletion of %s does not ask it. %s.",
						b.Ref, b.DesiredHealthy, b.CurrentHealthy, c.Pod.Ref, left),
					Evidence: []diagnose.Evidence{{Object: b.Ref.String(), Field: "status", Value: fmt.Sprintf("currentHealthy %d, desiredHealthy %d, disruptionsAllowed %d", b.CurrentHealthy, b.DesiredHealthy, b.DisruptionsAllowed)}},
				})
			}
			return out
		},
	}
}
