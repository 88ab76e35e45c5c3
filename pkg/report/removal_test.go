package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func asking(name, service string, change func(*admissionv1.ValidatingWebhook)) *admissionv1.ValidatingWebhookConfiguration {
	none := admissionv1.SideEffectClassNone
	w := admissionv1.ValidatingWebhook{Name: name + ".example.com", SideEffects: &none, Rules: []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.OperationAll}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/status", "pods"}},
	}}}
	w.ClientConfig.Service = &admissionv1.ServiceReference{Namespace: "guard", Name: service}
	if change != nil {
		change(&w)
	}
	return &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: []admissionv1.ValidatingWebhook{w}}
}

// removalOf builds a report about one pod and returns what it says of its removal.
func removalOf(t *testing.T, names []string, change func(*corev1.Pod), more ...runtime.Object) *report.Removal {
	t.Helper()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	grace := int64(30)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-1", UID: "u", Labels: map[string]string{"app": "cart"}, DeletionTimestamp: &metav1.Time{Time: now.Add(-time.Hour)}, DeletionGracePeriodSeconds: &grace},
		Spec:       corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "app"}}}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if change != nil {
		change(p)
	}
	b := snapshot.NewBuilder()
	for _, o := range append(more, p, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-1"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}) {
		b.Add(o)
	}
	for _, i := range snapshot.Kinds() {
		b.SetComplete(i.Kind, "")
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	r := report.Build(s, found, diagnose.Run(s, found, nil), report.Options{Asked: report.Asked{Namespace: "shop", Names: names}})
	for _, g := range r.Groups {
		for i := range g.Pods {
			return g.Pods[i].Removal
		}
	}
	t.Fatal("the pod is not in the report")
	return nil
}

func TestOfAPodThatWasNotNamedOnlyWhatBlocksIsTold(t *testing.T) {
	ignore := func(w *admissionv1.ValidatingWebhook) { p := admissionv1.Ignore; w.FailurePolicy = &p }
	more := []runtime.Object{asking("gone", "gone", nil), asking("lenient", "gone", ignore), asking("url", "", func(w *admissionv1.ValidatingWebhook) {
		u := "https://elsewhere.example.com"
		w.ClientConfig = admissionv1.WebhookClientConfig{URL: &u}
	})}
	names := func(r *report.Removal) (out []string) {
		if r != nil {
			for _, g := range r.Gates {
				out = append(out, g.Configuration)
			}
		}
		return out
	}
	if got := names(removalOf(t, nil, nil, more...)); !slices.Equal(got, []string{"gone"}) {
		t.Errorf("not named: got %v", got)
	}
	r := removalOf(t, []string{"cart-1"}, nil, more...)
	if got := names(r); !slices.Equal(got, []string{"gone", "lenient", "url"}) {
		t.Fatalf("named: got %v", got)
	}
	g := r.Gates[0]
	if !g.Blocks || g.Backend != admission.Down || g.FailurePolicy != "Fail" || len(g.Before) != 2 || g.TimeoutSeconds != 10 {
		t.Errorf("got %+v", g)
	}
	if l := r.Gates[1]; l.Blocks || l.FailurePolicy != "Ignore" {
		t.Errorf("got %+v", l)
	}
}

func TestWhatIsAskedDependsOnTheStage(t *testing.T) {
	finalizers := func(p *corev1.Pod) {
		p.Finalizers, p.DeletionGracePeriodSeconds = []string{"example.com/hold"}, new(int64)
	}
	statusOnly := asking("status", "gone", func(w *admissionv1.ValidatingWebhook) { w.Rules[0].Resources = []string{"pods/status"} })
	if r := removalOf(t, nil, finalizers, statusOnly); r != nil {
		t.Errorf("a webhook for pods/status is asked about finalizers: %+v", r)
	}
	if r := removalOf(t, nil, nil, statusOnly); r == nil || len(r.Gates) != 1 || !strings.Contains(r.Note, "kubelet") {
		t.Errorf("got %+v", r)
	}
	starting := func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = nil, nil
		p.Status.Phase = corev1.PodPending
	}
	if r := removalOf(t, []string{"cart-1"}, starting, asking("gone", "gone", nil)); r != nil {
		t.Errorf("a pod that is not being deleted: %+v", r)
	}
}

func TestABudgetIsSaidNotToBeAsked(t *testing.T) {
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}},
	}
	r := removalOf(t, []string{"cart-1"}, nil, budget)
	if r == nil || len(r.Budgets) != 1 || r.Budgets[0].Refuses || !strings.Contains(r.Budgets[0].Why, "not asked") {
		t.Errorf("got %+v", r)
	}
}
