package admission_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
)

func budget(name string, change ...func(*policyv1.PodDisruptionBudget)) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: equal("app", "cart")},
		Status: policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, CurrentHealthy: 2, DesiredHealthy: 2, ExpectedPods: 3},
	}
	for _, c := range change {
		c(b)
	}
	return b
}

func running(ready corev1.ConditionStatus) *corev1.Pod {
	return pod(func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	})
}

func TestWhatAnEvictionIsAnswered(t *testing.T) {
	type b = *policyv1.PodDisruptionBudget
	always := func(x b) { x.Spec.UnhealthyPodEvictionPolicy = ptr(policyv1.AlwaysAllow) }
	for name, c := range map[string]struct {
		pod     *corev1.Pod
		change  func(b)
		refuses bool
		why     string
	}{
		"none is left": {running("True"), func(b) {}, true, "needs 2 healthy pods and has 2"},
		"one is left":  {running("True"), func(x b) { x.Status.DisruptionsAllowed = 1 }, false, "allows 1"},
		"an unhealthy pod while enough are healthy":   {running("False"), func(b) {}, false, "enough others"},
		"an unhealthy pod while too few are healthy":  {running("False"), func(x b) { x.Status.CurrentHealthy = 1 }, true, "needs 2 healthy pods and has 1"},
		"an unhealthy pod that may always go":         {running("False"), func(x b) { x.Status.CurrentHealthy = 0; always(x) }, false, "AlwaysAllow"},
		"a healthy pod is guarded whatever that says": {running("True"), always, true, "needs 2"},
		"a budget that can never be met":              {running("True"), func(x b) { x.Status.DesiredHealthy, x.Status.ExpectedPods = 2, 2 }, true, "never allows"},
		"a change that was not taken up":              {running("True"), func(x b) { x.Generation = 2; x.Status.DisruptionsAllowed = 5 }, true, "not taken up"},
		"a budget that cannot be computed": {running("True"), func(x b) {
			x.Status.Conditions = []metav1.Condition{{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason, Message: "found no controllers for pod"}}
		}, true, "found no controllers"},
		"a pod that is being deleted": {pod(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{}; p.Status.Phase = corev1.PodRunning }), func(b) {}, false, "not asked"},
		"a pod that has not started":  {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }), func(b) {}, false, "not asked"},
	} {
		t.Run(name, func(t *testing.T) {
			got := admission.Budgets(picture(t, nil, nil, budget("cart", c.change)), c.pod)
			if len(got) != 1 || got[0].Refuses != c.refuses || !strings.Contains(got[0].Why, c.why) {
				t.Errorf("got %+v, want refuses %v: %s", got, c.refuses, c.why)
			}
		})
	}
}

func TestTwoBudgetsRefuseEveryEviction(t *testing.T) {
	generous := func(x *policyv1.PodDisruptionBudget) { x.Status.DisruptionsAllowed = 5 }
	got := admission.Budgets(picture(t, nil, nil, budget("one", generous), budget("two", generous)), running("True"))
	if len(got) != 2 || !got[0].Refuses || !strings.Contains(got[0].Why, "more than one budget") {
		t.Errorf("got %+v", got)
	}
}

func TestABudgetCoversWhatItSelects(t *testing.T) {
	none := func(x *policyv1.PodDisruptionBudget) { x.Spec.Selector = nil }
	other := func(x *policyv1.PodDisruptionBudget) { x.Spec.Selector = equal("app", "till") }
	every := func(x *policyv1.PodDisruptionBudget) { x.Spec.Selector = &metav1.LabelSelector{} }
	elsewhere := func(x *policyv1.PodDisruptionBudget) { x.Namespace = "bank" }
	s := picture(t, nil, nil, budget("none", none), budget("other", other), budget("every", every), budget("elsewhere", elsewhere))
	if got := admission.Budgets(s, running("True")); len(got) != 1 || got[0].Ref.Name != "every" {
		t.Errorf("got %+v", got)
	}
	if got := admission.Budgets(s, nil); got != nil {
		t.Errorf("no pod, and yet %+v", got)
	}
}
