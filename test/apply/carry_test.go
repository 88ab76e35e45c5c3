package apply

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

func want(t *testing.T, out []remedy.Outcome, status remedy.Status, each ...remedy.Status) {
	t.Helper()
	var got []remedy.Status
	for _, o := range out {
		got = append(got, o.Status)
	}
	if len(got) != len(each) {
		t.Fatalf("outcomes %v, want %v", got, each)
	}
	for i := range got {
		if got[i] != each[i] {
			t.Errorf("outcomes %v, want %v", got, each)
		}
	}
	if worst := apply.Worst(out); status != worst {
		t.Errorf("status %s, and the worst outcome is %s", status, worst)
	}
}

func TestAStuckPodIsForcedAndItsFinalizerTakenOff(t *testing.T) {
	p := terminating(t, pod(t, space(t), "cart-0", hold))
	j, out, status, err := carry(t, planOf(steps(force(p), finalizers(p, hold))))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done, remedy.Done)
	if now := get(t, p); now != nil {
		t.Errorf("the pod is still there: %v", now.ObjectMeta)
	}
	// The guards judged the act: what its own first step changed asks for no other judgement.
	if got := j.types(); got != "intent outcome intent outcome" {
		t.Errorf("the journal has %s", got)
	}
	if !strings.Contains(out[0].Text, hold) || out[0].UID != p.UID || out[0].ResourceVersion == p.ResourceVersion {
		t.Errorf("the first outcome is %+v", out[0])
	}
	if !strings.Contains(j.entries[0].Request, "DELETE /api/v1/namespaces/"+p.Namespace+"/pods/cart-0") || !strings.Contains(string(j.entries[0].Body), string(p.UID)) {
		t.Errorf("the intent is %s %s", j.entries[0].Request, j.entries[0].Body)
	}
	_, out, status, err = carry(t, planOf(steps(force(p), finalizers(p, hold)))) // running again is safe
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Already, remedy.Already)
}

func TestOnlyTheNamedFinalizerIsTakenOff(t *testing.T) {
	p := terminating(t, pod(t, space(t), "cart-0", keep, hold))
	_, out, status, err := carry(t, planOf(steps(finalizers(p, hold))))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	if now := get(t, p); now == nil || len(now.Finalizers) != 1 || now.Finalizers[0] != keep {
		t.Errorf("left: %+v", now)
	}
}

func TestAnOrdinaryDeletionIsDoneWhenThePodIsTerminating(t *testing.T) {
	p := pod(t, space(t), "cart-0")
	_, out, status, err := carry(t, planOf(steps(remove(p))))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	if now := get(t, p); now == nil || now.DeletionTimestamp == nil || *now.DeletionGracePeriodSeconds != 30 || !strings.Contains(out[0].Text, "grace period of 30 s") {
		t.Errorf("%+v: %s", now, out[0].Text)
	}
}

func TestAChangedPodIsJudgedAgainAndThenDone(t *testing.T) {
	old := terminating(t, pod(t, space(t), "cart-0", keep, hold))
	touch(t, old)
	j, out, status, err := carry(t, planOf(steps(finalizers(old, hold))))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	if got := j.types(); got != "replan intent outcome" {
		t.Errorf("the journal has %s", got)
	}
}

func TestAPodThatChangesBetweenLookAndCallIsJudgedAgain(t *testing.T) {
	for name, plan := range map[string]func(*testing.T) []remedy.Step{
		"delete": func(t *testing.T) []remedy.Step {
			return steps(force(terminating(t, pod(t, space(t), "cart-0", hold))))
		},
		"patch": func(t *testing.T) []remedy.Step {
			return steps(finalizers(terminating(t, pod(t, space(t), "cart-0", keep, hold)), hold))
		},
	} {
		t.Run(name, func(t *testing.T) {
			act, touched, calls := plan(t), 0, 0
			j := &journal{before: func(e remedy.Entry) error {
				if e.Type == remedy.Intent && touched == 0 { // after the look, before the call
					touched++
					p, err := cluster.Client().CoreV1().Pods(act[0].Ref.Namespace).Get(t.Context(), "cart-0", metav1.GetOptions{})
					if err != nil {
						return err
					}
					touch(t, p)
				}
				return nil
			}}
			out, status, err := admin(t).Carry(t.Context(), j, planOf(act), hooks(t, &calls))
			if err != nil {
				t.Fatal(err)
			}
			want(t, out, status, remedy.Done)
			if got := j.types(); got != "intent replan intent outcome" || calls != 1 {
				t.Errorf("the journal has %s, and the guards were run again %d times", got, calls)
			}
		})
	}
}

func TestAPodThatKeepsChangingIsLeftAlone(t *testing.T) {
	p, calls := terminating(t, pod(t, space(t), "cart-0", hold)), 0
	j := &journal{}
	j.before = func(e remedy.Entry) error {
		if e.Type == remedy.Intent {
			touch(t, p)
		}
		return nil
	}
	out, status, err := admin(t).Carry(t.Context(), j, planOf(steps(force(p))), hooks(t, &calls))
	var moved *apply.Moved
	if !errors.As(err, &moved) || calls != 3 {
		t.Errorf("%v after %d", err, calls)
	}
	want(t, out, status, remedy.Stopped)
	if now := get(t, p); now == nil || *now.DeletionGracePeriodSeconds != 30 {
		t.Errorf("it was changed: %+v", now)
	}
}

func TestAnotherPodOfTheNameIsNeverTouched(t *testing.T) {
	ns := space(t)
	for name, step := range map[string]func() (remedy.Step, *journal){
		"before the look": func() (remedy.Step, *journal) {
			old := pod(t, ns, "early", hold)
			s := force(old)
			s.Ref.UID = "00000000-0000-0000-0000-000000000000"
			return s, &journal{}
		},
		"between look and call": func() (remedy.Step, *journal) {
			old := pod(t, ns, "late")
			j := &journal{}
			j.before = func(e remedy.Entry) error {
				if e.Type != remedy.Intent {
					return nil
				}
				if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), "late", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
					return err
				}
				pod(t, ns, "late")
				return nil
			}
			return force(old), j
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, j := step()
			calls := 0
			out, status, err := admin(t).Carry(t.Context(), j, planOf(steps(s)), hooks(t, &calls))
			var swapped *apply.Swapped
			if !errors.As(err, &swapped) || !errors.Is(err, remedy.ErrReplaced) {
				t.Fatalf("%v", err)
			}
			want(t, out, status, remedy.Stopped)
			now, err := cluster.Client().CoreV1().Pods(ns).Get(t.Context(), s.Ref.Name, metav1.GetOptions{})
			if err != nil || now.DeletionTimestamp != nil || now.UID == s.Ref.UID {
				t.Errorf("the other pod was touched: %v %+v", err, now)
			}
			if !strings.Contains(out[0].Text, string(now.UID)) || !strings.Contains(out[0].Text, string(s.Ref.UID)) {
				t.Errorf("both UIDs should be named: %s", out[0].Text)
			}
		})
	}
}

func TestTheRunStopsAtTheFirstThatIsNotDone(t *testing.T) {
	ns := space(t)
	a, b, c := terminating(t, pod(t, ns, "a")), pod(t, ns, "b"), terminating(t, pod(t, ns, "c"))
	other := force(b)
	other.Ref.UID = "00000000-0000-0000-0000-000000000000"
	_, out, status, _ := carry(t, planOf(steps(force(a)), steps(other), steps(force(c))))
	want(t, out, status, remedy.Done, remedy.Stopped, remedy.Skipped)
	if get(t, c) == nil {
		t.Error("the third was touched")
	}
}

func TestNothingIsSentWithoutItsJournalEntry(t *testing.T) {
	p, calls := terminating(t, pod(t, space(t), "cart-0")), 0
	full := errors.New("no space left on device")
	j := &journal{before: func(remedy.Entry) error { return full }}
	out, status, err := admin(t).Carry(t.Context(), j, planOf(steps(force(p))), hooks(t, &calls))
	var unwritten *apply.Unwritten
	if !errors.As(err, &unwritten) || unwritten.Sent || !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	want(t, out, status, remedy.Error)
	if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
		t.Error("the pod was changed")
	}
	// An outcome that cannot be written down ends the run, loudly.
	q := terminating(t, pod(t, p.Namespace, "cart-1"))
	j.before = func(e remedy.Entry) error {
		if e.Type == remedy.Result {
			return full
		}
		return nil
	}
	out, status, err = admin(t).Carry(t.Context(), j, planOf(steps(force(q)), steps(force(p))), hooks(t, &calls))
	if !errors.As(err, &unwritten) || !unwritten.Sent || unwritten.Outcome == nil || unwritten.Outcome.Status != remedy.Done || !strings.Contains(err.Error(), "cart-1") {
		t.Errorf("%v", err)
	}
	want(t, out, status, remedy.Done, remedy.Skipped)
	if get(t, q) != nil || get(t, p) == nil {
		t.Error("one should be gone, and the other not")
	}
}

func TestAnInterruptionBeforeACallSendsNothing(t *testing.T) {
	p, calls := terminating(t, pod(t, space(t), "cart-0")), 0
	ctx, cancel := context.WithCancel(t.Context())
	j := &journal{before: func(remedy.Entry) error { cancel(); return nil }}
	out, status, err := admin(t).Carry(ctx, j, planOf(steps(force(p))), hooks(t, &calls))
	var interrupted *apply.Interrupted
	if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	t.Log(out[0].Text)
	if status == remedy.Done || status == remedy.Already || status == remedy.Open {
		t.Errorf("%s: %s", status, out[0].Text)
	}
	if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
		t.Error("the pod was changed")
	}
}

func TestABlockedOrOldOrForeignPlanIsNotBegun(t *testing.T) {
	p := terminating(t, pod(t, space(t), "cart-0"))
	for name, spoil := range map[string]func(*remedy.Plan){
		"blocked": func(x *remedy.Plan) {
			x.Acts[0].Verdicts = []remedy.Verdict{{Guard: "at-most-one", Level: remedy.Block}}
		},
		"expired":  func(x *remedy.Plan) { x.Expires = x.Made.Add(-2 * time.Second) },
		"timeless": func(x *remedy.Plan) { x.Expires = metav1.Time{}.Time },
		"eternal":  func(x *remedy.Plan) { x.Expires = x.Made.AddDate(1, 0, 0) },
		"foreign":  func(x *remedy.Plan) { x.Cluster.ID = "00000000-0000-0000-0000-000000000000" },
		"empty":    func(x *remedy.Plan) { x.Acts = nil },
		"other":    func(x *remedy.Plan) { x.Kind = remedy.KindRun },
	} {
		plan := planOf(steps(force(p)))
		spoil(&plan)
		j, out, status, err := carry(t, plan)
		if err == nil || len(j.entries) != 0 || status != remedy.Stopped {
			t.Errorf("%s: %v %v %s %v", name, err, out, status, j.types())
		}
		t.Logf("%s: %T %v", name, err, err)
	}
	if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
		t.Error("the pod was changed")
	}
}

func TestAnActThatBecameWorseIsNotDone(t *testing.T) {
	p := terminating(t, pod(t, space(t), "cart-0"))
	touch(t, p)
	for name, worse := range map[string]func(*remedy.Act){
		"blocked": func(a *remedy.Act) {
			a.Verdicts = []remedy.Verdict{{Guard: "at-most-one", Level: remedy.Block, Reason: "two writers"}}
		},
		"riskier": func(a *remedy.Act) { a.Risk = diagnose.RiskDataLoss },
	} {
		calls := 0
		h := hooks(t, &calls)
		inner := h.Again
		h.Again = func(ctx context.Context, a remedy.Act) (remedy.Act, error) {
			now, err := inner(ctx, a)
			worse(&now)
			return now, err
		}
		out, status, err := admin(t).Carry(t.Context(), &journal{}, planOf(steps(force(p))), h)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		want(t, out, status, remedy.Stopped)
		t.Logf("%v", err)
	}
	if now := get(t, p); now == nil || *now.DeletionGracePeriodSeconds != 30 {
		t.Error("the pod was changed")
	}
}

func TestABarePodIsMadeAgain(t *testing.T) {
	p := pod(t, space(t), "cart-0")
	s := again(t, p)
	_, out, status, err := carry(t, planOf(steps(s)))
	var taken *apply.Taken
	if !errors.As(err, &taken) {
		t.Errorf("%v", err)
	}
	want(t, out, status, remedy.Stopped)
	if _, _, _, err := carry(t, planOf(steps(force(p)))); err != nil {
		t.Fatal(err)
	}
	answers := admin(t).DryRun(t.Context(), planOf(steps(s)), nil)
	if len(answers) != 1 || answers[0].Said != remedy.Accepted || get(t, p) != nil {
		t.Fatalf("%+v", answers)
	}
	_, out, status, err = carry(t, planOf(steps(s)))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	if now := get(t, p); now == nil || now.UID == p.UID || out[0].UID != now.UID || now.ManagedFields[0].Manager != "kubectl-stuck" {
		t.Errorf("%+v", now)
	}
}

func TestFinalizersArePutBackOnlyWhereThePodIsNotBeingDeleted(t *testing.T) {
	ns := space(t)
	back := func(name string, terminate bool) remedy.Step {
		p := pod(t, ns, name, keep)
		if terminate {
			p = terminating(t, p)
		}
		s := finalizers(p, hold)
		s.PutsBack = true
		return s
	}
	_, out, status, err := carry(t, planOf(steps(back("alive", false))))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	plan := planOf(steps(back("dying", true)))
	answers := admin(t).DryRun(t.Context(), plan, nil)
	if answers[0].Said != remedy.Refused || answers[0].Code != 422 || answers[0].By != "validation of metadata.finalizers" {
		t.Errorf("%+v", answers)
	}
	t.Logf("%+v", answers[0])
	_, out, status, err = carry(t, plan)
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Rejected)
	if !strings.Contains(out[0].Text, "no new finalizers can be added if the object is being deleted") {
		t.Error(out[0].Text)
	}
}

func TestAnEventIsLeftOnAPodThatIsGone(t *testing.T) {
	p := terminating(t, pod(t, space(t), "cart-0"))
	j, _, _, err := carry(t, planOf(steps(force(p))))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ä", 2000)
	if err := admin(t).Tell(t.Context(), j, refOf(p), "ForceDeletedByKubectlStuck", long); err != nil {
		t.Fatal(err)
	}
	events, err := cluster.Client().CoreV1().Events(p.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(p.UID)})
	if err != nil || len(events.Items) != 1 {
		t.Fatalf("%v %v", err, events)
	}
	e := events.Items[0]
	if e.Reason != "ForceDeletedByKubectlStuck" || e.ReportingController != "kubectl-stuck" || len(e.Message) > 1024 || e.InvolvedObject.Name != "cart-0" {
		t.Errorf("%+v", e)
	}
	if got := j.types(); got != "intent outcome message" || !json.Valid(j.entries[2].Body) {
		t.Errorf("the journal has %s", got)
	}
}
