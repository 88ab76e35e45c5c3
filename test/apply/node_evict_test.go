package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// quick makes a client whose time passes as fast as it waits, and tells what it is about to do.
func quick(t *testing.T, waits func(n int, d time.Duration)) *apply.Client {
	t.Helper()
	at, n := time.Now(), 0
	c, err := apply.New(cluster.Config(), apply.Options{
		Now: func() time.Time { return at },
		Sleep: func(ctx context.Context, d time.Duration) error {
			at = at.Add(d)
			n++
			if waits != nil {
				waits(n, d)
			}
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnEvictionWaitsForItsBudgetWhileOthersAreTried(t *testing.T) {
	ns := space(t)
	held, second, free := running(t, ns, "held", "a"), running(t, ns, "second", "a"), running(t, ns, "free", "b")
	guard(t, ns, "keeps-a", "a", 0)
	n := machine(t, nil)
	plan := planOf(steps(evict(held)), steps(evict(second)), steps(evict(free)), steps(cordon(n)))
	plan.Asked.Timeout = 60
	ready := []int{}
	var gaps []time.Duration
	touched := false
	c := quick(t, func(i int, d time.Duration) {
		gaps = append(gaps, d)
		if now := get(t, free); now == nil || now.DeletionTimestamp == nil {
			t.Error("the pod without a budget has to wait for the others")
		}
		switch i {
		case 1:
			touch(t, held) // its status changes all the time
			touched = true
		case 2, 4:
			allow(t, ns, "keeps-a", 1)
		}
	})
	j := &journal{}
	out, status, err := c.Carry(t.Context(), j, plan, apply.Hooks{
		Say:   func(s string) { t.Log(s) },
		Ready: func(_ context.Context, act int, _ remedy.Act) error { ready = append(ready, act); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done, remedy.Done, remedy.Done, remedy.Done)
	if fmt.Sprint(ready) != "[0 3]" || !touched || len(gaps) != 4 || gaps[0] != 5*time.Second {
		t.Errorf("ready %v, waits %v", ready, gaps)
	}
	for i, o := range out {
		if o.Act != i || i < 3 && !strings.HasPrefix(o.Text, "the API server took the eviction; ") {
			t.Errorf("%+v", o)
		}
	}
	if now := get(t, held); now == nil || now.DeletionTimestamp == nil || *now.DeletionGracePeriodSeconds != 30 {
		t.Errorf("%+v", now)
	}
	// Each request has its two lines, and the body stands in the first.
	intents, results, bodies := 0, 0, 0
	for _, e := range j.entries {
		switch e.Type {
		case remedy.Intent:
			intents++
			if len(e.Body) > 0 {
				bodies++
			}
		case remedy.Result:
			results++
		}
	}
	if intents != results || bodies != 4 || intents != out[0].Attempts+out[1].Attempts+out[2].Attempts+out[3].Attempts {
		t.Errorf("%d intents, %d outcomes, %d bodies: %s", intents, results, bodies, j.types())
	}
	h := remedy.History{Record: remedy.Record{Plan: plan}, Entries: j.entries}
	if h.Status() != remedy.Done {
		t.Errorf("the journal tells %s", h.Status())
	}
}

func TestWhatABudgetHoldsToTheEndStopsTheRunBeforeTheNextAct(t *testing.T) {
	ns := space(t)
	held := running(t, ns, "held", "a")
	guard(t, ns, "keeps-a", "a", 0)
	n := machine(t, nil)
	plan := planOf(steps(evict(held)), steps(deletes(n)))
	plan.Asked.Timeout = 12
	total := time.Duration(0)
	out, status, err := quick(t, func(_ int, d time.Duration) { total += d }).Carry(t.Context(), &journal{}, plan, apply.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(out[0].Text)
	want(t, out, status, remedy.Rejected, remedy.Skipped)
	if total != 12*time.Second || out[0].Code != 429 || out[0].Attempts != 4 || !strings.Contains(out[0].Text, "The disruption budget keeps-a needs 1 healthy pods and has 1 currently") {
		t.Errorf("%s, %+v", total, out[0])
	}
	if nodeNow(t, n.Name) == nil || get(t, held).DeletionTimestamp != nil {
		t.Error("something was deleted")
	}
	plan.Asked.Lifted = []string{"even-past-budget"}
	out, _, err = quick(t, nil).Carry(t.Context(), &journal{}, plan, apply.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Status != remedy.Rejected || out[1].Status != remedy.Done || nodeNow(t, n.Name) != nil || get(t, held).DeletionTimestamp != nil {
		t.Errorf("%+v", out)
	}
}

func TestAnInterruptionEndsTheWaitForABudget(t *testing.T) {
	ns := space(t)
	held, after := running(t, ns, "held", "a"), running(t, ns, "after", "b")
	guard(t, ns, "keeps-a", "a", 0)
	ctx, cancel := context.WithCancel(t.Context())
	out, status, err := quick(t, func(n int, _ time.Duration) {
		if n == 2 {
			cancel()
		}
	}).Carry(ctx, &journal{}, planOf(steps(evict(held)), steps(remove(after))), apply.Hooks{})
	if !errors.As(err, new(*apply.Interrupted)) {
		t.Error(err)
	}
	t.Log(out[0].Text)
	want(t, out, status, remedy.Error, remedy.Skipped)
	if get(t, held).DeletionTimestamp != nil || get(t, after).DeletionTimestamp != nil {
		t.Error("something was deleted")
	}
}

func TestAPodOfAnotherUIDIsNotEvicted(t *testing.T) {
	ns := space(t)
	early, late, going := running(t, ns, "early", "a"), running(t, ns, "late", "a"), terminating(t, running(t, ns, "going", "a"))
	replace := func(p *corev1.Pod) {
		if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			t.Fatal(err)
		}
		running(t, ns, p.Name, "a")
	}
	replace(early)
	done := false
	j := &journal{before: func(e remedy.Entry) error {
		if e.Type == remedy.Intent && !done { // after the look
			done = true
			replace(late)
		}
		return nil
	}}
	out, status, err := admin(t).Carry(t.Context(), j, planOf(steps(evict(early)), steps(evict(late)), steps(evict(going))), apply.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Already, remedy.Already, remedy.Already)
	if j.types() != "outcome intent outcome outcome" || out[1].Attempts != 1 {
		t.Errorf("the journal has %s; %+v", j.types(), out)
	}
	for _, p := range []*corev1.Pod{early, late} {
		if now := get(t, p); now == nil || now.UID == p.UID || now.DeletionTimestamp != nil {
			t.Errorf("%s was touched: %+v", p.Name, now)
		}
	}
}

func TestSeveralBudgetsAreARefusal(t *testing.T) {
	ns := space(t)
	p := running(t, ns, "cart-0", "a")
	guard(t, ns, "one", "a", 1)
	guard(t, ns, "two", "a", 1)
	plan := planOf(steps(evict(p)))
	answers := admin(t).DryRun(t.Context(), plan, nil)
	t.Logf("%+v", answers[0])
	if answers[0].Said != remedy.Refused || !strings.Contains(answers[0].Text, "more than one PodDisruptionBudget") {
		t.Errorf("%+v", answers)
	}
	_, out, status, err := carry(t, plan)
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Rejected)
	if out[0].Attempts != 1 || get(t, p).DeletionTimestamp != nil {
		t.Errorf("%+v", out)
	}
}

func TestADryRunOfAnEvictionChangesNothing(t *testing.T) {
	ns := space(t)
	free, held, going, other := running(t, ns, "free", "a"), running(t, ns, "held", "b"), terminating(t, running(t, ns, "going", "a")), running(t, ns, "other", "a")
	guard(t, ns, "allows", "a", 1)
	guard(t, ns, "keeps", "b", 0)
	old := evict(free)
	free = touch(t, free) // its version is not what is asked about
	wrong := evict(other)
	wrong.Ref.UID = "00000000-0000-0000-0000-000000000000"
	answers := admin(t).DryRun(t.Context(), planOf(steps(old), steps(evict(held)), steps(evict(going)), steps(wrong)), nil)
	for i, w := range []remedy.Said{remedy.Accepted, remedy.Held, remedy.Changed, remedy.Replaced} {
		t.Logf("%+v", answers[i])
		if answers[i].Said != w {
			t.Errorf("%+v, want %s", answers[i], w)
		}
	}
	if answers[0].After != "being deleted, with a grace period of 30 s" || answers[1].By != "PodDisruptionBudget "+ns+"/keeps" || answers[1].Code != 429 {
		t.Errorf("%+v", answers)
	}
	for _, p := range []*corev1.Pod{free, held, other} {
		if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
			t.Errorf("%s was changed", p.Name)
		}
	}
	if allowed(t, ns, "allows") != 1 {
		t.Error("the budget was used up by a dry run")
	}
}

// TestWhereAnEvictionsDryRunIsSaid holds what eviction.go does with both places: the gate wants both.
func TestWhereAnEvictionsDryRunIsSaid(t *testing.T) {
	ns := space(t)
	for name, tc := range map[string]struct {
		param, body, deletes bool
	}{"neither": {false, false, true}, "param": {true, false, false}, "body": {false, true, false}, "both": {true, true, false}} {
		p := running(t, ns, name, "a")
		options := ""
		if tc.body {
			options = `"dryRun":["All"],`
		}
		body := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q},"deleteOptions":{%s"preconditions":{"uid":%q}}}`, name, ns, options, p.UID)
		req := clientset(t).CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name(name).SubResource("eviction").SetHeader("Content-Type", "application/json").Body([]byte(body))
		if tc.param {
			req.Param("dryRun", "All")
		}
		if err := req.Do(t.Context()).Error(); err != nil {
			t.Fatal(name, err)
		}
		now := get(t, p)
		if deleted := now == nil || now.ResourceVersion != p.ResourceVersion; deleted != tc.deletes {
			t.Errorf("%s: changed %v, want %v", name, deleted, tc.deletes)
		}
	}
}

func TestAPolicyThatDeniesOneEvictionKeepsNoOtherFromBeingTried(t *testing.T) {
	ns := space(t)
	fail := admissionv1.Fail
	none, second := admissionv1.SideEffectClassNone, int32(1)
	// The server of the webhook does not exist, and its failurePolicy is Fail.
	name := ns + "-evictions"
	if _, err := cluster.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "evictions.example.com", NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}},
			AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &second,
			MatchConditions: []admissionv1.MatchCondition{{Name: "one", Expression: `request.name == "denied"`}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/eviction"}},
			}},
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "nowhere", Name: "engine"}},
		}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	denied, free, last := running(t, ns, "denied", "a"), running(t, ns, "free", "a"), running(t, ns, "last", "a")
	plan := planOf(steps(evict(denied)), steps(evict(free)), steps(remove(last)))
	if err := bed.Poll(t.Context(), 20*time.Second, func(ctx context.Context) error { // until the API server knows of it
		a := admin(t).DryRun(ctx, plan, nil)
		if a[0].Said != remedy.Refused || !strings.Contains(a[0].By, "evictions.example.com") || a[1].Said != remedy.Accepted {
			return fmt.Errorf("%+v", a)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, out, status, err := carry(t, plan)
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Rejected, remedy.Done, remedy.Skipped)
	if get(t, denied).DeletionTimestamp != nil || get(t, last).DeletionTimestamp != nil {
		t.Error("something else was deleted")
	}
	// It is no budget, so what goes past budgets does not go past it.
	plan.Asked.Lifted = []string{"even-past-budget"}
	_, out, _, err = carry(t, plan)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Status != remedy.Rejected || out[0].Budget || out[2].Status != remedy.Skipped || get(t, last).DeletionTimestamp != nil {
		t.Errorf("%+v", out)
	}
}

func TestAnEvictionThatCannotBeWrittenDownIsNotSent(t *testing.T) {
	ns := space(t)
	a, b := running(t, ns, "a", "a"), running(t, ns, "b", "a")
	full := errors.New("no space left on device")
	out, status, err := admin(t).Carry(t.Context(), &journal{before: func(remedy.Entry) error { return full }}, planOf(steps(evict(a)), steps(evict(b))), apply.Hooks{})
	if !errors.As(err, new(*apply.Unwritten)) || !errors.Is(err, full) {
		t.Error(err)
	}
	want(t, out, status, remedy.Error, remedy.Skipped)
	if get(t, a).ResourceVersion != a.ResourceVersion || get(t, b).ResourceVersion != b.ResourceVersion {
		t.Error("something was changed")
	}
	// What a hook says before the first of them keeps all of them from being sent.
	no := errors.New("not ready")
	calls := 0
	out, status, err = admin(t).Carry(t.Context(), &journal{}, planOf(steps(evict(a)), steps(evict(b))), apply.Hooks{
		Ready: func(context.Context, int, remedy.Act) error { calls++; return no },
	})
	if !errors.Is(err, no) || calls != 1 {
		t.Error(err, calls)
	}
	want(t, out, status, remedy.Stopped, remedy.Skipped)
}
