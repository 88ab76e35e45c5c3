package admission

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Budget is a PodDisruptionBudget that covers a pod, and what an eviction of the pod would be answered for it.
type Budget struct {
	Ref snapshot.Ref
	// DisruptionsAllowed, CurrentHealthy and DesiredHealthy are pods, as the budget's status counts them.
	DisruptionsAllowed, CurrentHealthy, DesiredHealthy int32
	// Policy is spec.unhealthyPodEvictionPolicy; IfHealthyBudget where it is not set.
	Policy policyv1.UnhealthyPodEvictionPolicyType
	// Refuses tells that an eviction is refused, and Why is the reason, or why it would be let through.
	Refuses bool
	Why     string
}

// mostDisrupted is how many disrupted pods a budget may have on record (pkg/registry/core/pod/storage MaxDisruptedPodSize).
const mostDisrupted = 2000

// Budgets lists the budgets that cover the pod, by name, and what an eviction would be answered. A plain deletion asks none of them, and nor do the
// taint manager, PodGC and kubelet.
//
// It follows pkg/registry/core/pod/storage/eviction.go.
func Budgets(s *snapshot.Snapshot, pod *corev1.Pod) []Budget {
	if pod == nil {
		return nil
	}
	var out []Budget
	for _, b := range s.PodDisruptionBudgets(pod.Namespace) {
		sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		// An absent selector selects nothing (policy/v1 PodDisruptionBudgetSpec), an empty one everything.
		if b.Spec.Selector == nil || err != nil || !sel.Matches(labels.Set(pod.Labels)) {
			continue
		}
		out = append(out, budgetOf(b, pod))
	}
	if len(out) > 1 && !ignoresBudgets(pod) {
		for i := range out {
			out[i].Refuses, out[i].Why = true, "the pod has more than one budget, which the eviction API does not support"
		}
	}
	return out
}

func budgetOf(b *policyv1.PodDisruptionBudget, pod *corev1.Pod) Budget {
	st := b.Status
	out := Budget{
		Ref:                snapshot.Ref{Kind: snapshot.PodDisruptionBudget, Namespace: b.Namespace, Name: b.Name, UID: b.UID},
		DisruptionsAllowed: st.DisruptionsAllowed, CurrentHealthy: st.CurrentHealthy, DesiredHealthy: st.DesiredHealthy, Policy: policyv1.IfHealthyBudget,
	}
	if p := b.Spec.UnhealthyPodEvictionPolicy; p != nil {
		out.Policy = *p
	}
	ready := snapshot.PodCondition(pod, corev1.PodReady)
	isReady := ready != nil && ready.Status == corev1.ConditionTrue
	refuse := func(format string, args ...any) { out.Refuses, out.Why = true, fmt.Sprintf(format, args...) }
	switch {
	case ignoresBudgets(pod):
		out.Why = "the pod is being deleted, has ended or has not started, so budgets are not asked"
	case !isReady && out.Policy == policyv1.AlwaysAllow:
		out.Why = "the pod is not Ready, and unhealthyPodEvictionPolicy is AlwaysAllow"
	case !isReady && st.CurrentHealthy >= st.DesiredHealthy && st.DesiredHealthy > 0:
		out.Why = "the pod is not Ready, and enough others are"
	case st.ObservedGeneration < b.Generation:
		refuse("the disruption controller has not taken up its last change")
	case st.DisruptionsAllowed < 0:
		refuse("its status allows fewer than no disruptions")
	case len(st.DisruptedPods) > mostDisrupted:
		refuse("more than %d evictions are not confirmed yet", mostDisrupted)
	case st.DisruptionsAllowed > 0:
		out.Why = fmt.Sprintf("it allows %d more", st.DisruptionsAllowed)
	case syncFailed(st):
		refuse("the disruption controller cannot compute it: %s", condition(st).Message)
	case st.ExpectedPods > 0 && st.DesiredHealthy >= st.ExpectedPods && st.CurrentHealthy <= st.DesiredHealthy:
		refuse("it needs %d healthy pods and %d are expected at all: it never allows an eviction", st.DesiredHealthy, st.ExpectedPods)
	default:
		refuse("it needs %d healthy pods and has %d", st.DesiredHealthy, st.CurrentHealthy)
	}
	return out
}

// ignoresBudgets tells whether the eviction API deletes the pod without asking (canIgnorePDB).
func ignoresBudgets(p *corev1.Pod) bool {
	return snapshot.IsTerminal(p) || p.Status.Phase == corev1.PodPending || p.DeletionTimestamp != nil
}

func syncFailed(st policyv1.PodDisruptionBudgetStatus) bool {
	c := condition(st)
	return c.Status == metav1.ConditionFalse && c.Reason == policyv1.SyncFailedReason && c.Message != ""
}

func condition(st policyv1.PodDisruptionBudgetStatus) metav1.Condition {
	for _, c := range st.Conditions {
		if c.Type == policyv1.DisruptionAllowedCondition {
			return c
		}
	}
	return metav1.Condition{}
}
