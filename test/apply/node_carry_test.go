package apply

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

func TestANodeIsCordonedBesideWhoChangesItsTaints(t *testing.T) {
	n := machine(t, nil)
	calls, times := 0, 0
	j := &journal{before: func(e remedy.Entry) error {
		if e.Type == remedy.Intent && times < 2 { // between the look and the call
			times++
			taint(t, n.Name, []string{"node.kubernetes.io/memory-pressure", "node.kubernetes.io/disk-pressure"}[times-1])
		}
		return nil
	}}
	out, status, err := admin(t).Carry(t.Context(), j, planOf(steps(cordon(n))), nodeHooks(t, &calls))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	now := nodeNow(t, n.Name)
	if !now.Spec.Unschedulable || len(now.Spec.Taints) != len(n.Spec.Taints)+2 || calls != 2 || j.types() != "intent replan intent replan intent outcome" {
		t.Errorf("%+v, guards ran %d times, journal %s", now.Spec, calls, j.types())
	}
	if !strings.Contains(out[0].Text, "cordoned") {
		t.Error(out[0].Text)
	}
	out, status, err = admin(t).Carry(t.Context(), j, planOf(steps(cordon(now))), nodeHooks(t, &calls))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Already)
}

func TestAHeartbeatAsksForNoOtherJudgement(t *testing.T) {
	n := machine(t, nil)
	at := metav1.Now()
	beat(t, n.Name, at)
	n = nodeNow(t, n.Name)
	calls, times := 0, 0
	j := &journal{before: func(e remedy.Entry) error {
		if e.Type == remedy.Intent && times == 0 {
			times++
			beat(t, n.Name, metav1.NewTime(at.Add(10*time.Second)))
		}
		return nil
	}}
	out, status, err := admin(t).Carry(t.Context(), j, planOf(steps(deletes(n))), nodeHooks(t, &calls))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	if calls != 0 || j.types() != "intent intent outcome" || nodeNow(t, n.Name) != nil {
		t.Errorf("guards ran %d times; journal %s", calls, j.types())
	}
}

func TestANodeOfAnotherUIDOrVersionIsNotDeleted(t *testing.T) {
	n := machine(t, nil)
	calls := 0
	other := deletes(n)
	other.Ref.UID = "00000000-0000-0000-0000-000000000000"
	out, status, err := admin(t).Carry(t.Context(), &journal{}, planOf(steps(other)), nodeHooks(t, &calls))
	if !errors.Is(err, remedy.ErrReplaced) {
		t.Error(err)
	}
	want(t, out, status, remedy.Stopped)
	// A Node that is made anew between the look and the call.
	j := &journal{before: func(e remedy.Entry) error {
		if e.Type != remedy.Intent {
			return nil
		}
		if err := cluster.Client().CoreV1().Nodes().Delete(t.Context(), n.Name, metav1.DeleteOptions{}); err != nil {
			return err
		}
		machine(t, func(x *corev1.Node) { x.GenerateName, x.Name = "", n.Name })
		return nil
	}}
	out, status, err = admin(t).Carry(t.Context(), j, planOf(steps(deletes(n))), nodeHooks(t, &calls))
	if !errors.Is(err, remedy.ErrReplaced) {
		t.Error(err)
	}
	want(t, out, status, remedy.Stopped)
	if now := nodeNow(t, n.Name); now == nil || now.UID == n.UID || now.DeletionTimestamp != nil {
		t.Fatalf("the other Node was touched: %+v", now)
	}
	// One that was changed is judged again, and left alone where a guard then forbids it.
	n = nodeNow(t, n.Name)
	taint(t, n.Name, "example.com/changed")
	blocked := errors.New("a guard forbids it")
	out, status, err = admin(t).Carry(t.Context(), &journal{}, planOf(steps(deletes(n))), apply.Hooks{
		Again: func(_ context.Context, a remedy.Act) (remedy.Act, error) { return a, blocked },
	})
	if !errors.Is(err, blocked) || nodeNow(t, n.Name) == nil {
		t.Error(err)
	}
	want(t, out, status, remedy.Stopped)
}

func TestLabelsAndTaintsArePutOnWhereTheyAreMissingAndNowhereElse(t *testing.T) {
	n := machine(t, func(n *corev1.Node) {
		n.Labels = map[string]string{"example.com/zone": "other", "example.com/old": "yes"}
		n.Spec.Taints = []corev1.Taint{{Key: "example.com/a", Value: "x", Effect: corev1.TaintEffectNoSchedule}, {Key: "example.com/b", Effect: corev1.TaintEffectNoSchedule}}
	})
	step := changes(n, remedy.NodeChange{
		AddLabels:      map[string]string{"example.com/zone": "mine", "node-role.kubernetes.io/worker": "", "plain": "1"},
		RemoveLabels:   map[string]string{"example.com/old": "yes"},
		AddAnnotations: map[string]string{"example.com/note": "a ~ b / c"},
		AddTaints:      []corev1.Taint{{Key: remedy.TaintUnproven, Effect: corev1.TaintEffectNoSchedule}, {Key: "example.com/b", Value: "y", Effect: corev1.TaintEffectNoSchedule}},
		RemoveTaints:   []corev1.Taint{{Key: "example.com/a", Effect: corev1.TaintEffectNoSchedule}},
	})
	answers := admin(t).DryRun(t.Context(), planOf(steps(step)), nil)
	if answers[0].Said != remedy.Accepted || nodeNow(t, n.Name).ResourceVersion != n.ResourceVersion {
		t.Errorf("%+v", answers)
	}
	t.Logf("%+v", answers[0])
	calls := 0
	out, status, err := admin(t).Carry(t.Context(), &journal{}, planOf(steps(step)), nodeHooks(t, &calls))
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, status, remedy.Done)
	t.Log(out[0].Text)
	now := nodeNow(t, n.Name)
	_, role := now.Labels["node-role.kubernetes.io/worker"]
	_, old := now.Labels["example.com/old"]
	if now.Labels["example.com/zone"] != "other" || !role || old || now.Annotations["example.com/note"] != "a ~ b / c" {
		t.Errorf("%v %v", now.Labels, now.Annotations)
	}
	var taints []string
	for _, x := range now.Spec.Taints {
		taints = append(taints, x.ToString())
	}
	if got := strings.Join(taints, " "); strings.Contains(got, "example.com/a") || !strings.Contains(got, "example.com/b:NoSchedule") || !strings.Contains(got, remedy.TaintUnproven) {
		t.Error(got)
	}
	// Of a Node that is gone nothing is changed, and that is not taken for done.
	if err := cluster.Client().CoreV1().Nodes().Delete(t.Context(), n.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	out, status, err = admin(t).Carry(t.Context(), &journal{}, planOf(steps(step)), nodeHooks(t, &calls))
	var vanished *apply.Vanished
	if !errors.As(err, &vanished) {
		t.Error(err)
	}
	want(t, out, status, remedy.Stopped)
}

func TestWhatAStepCreatedIsDeletedWhateverEndedTheRun(t *testing.T) {
	ns := space(t)
	broken := errors.New("the probe hangs")
	for name, tc := range map[string]struct {
		hook func(context.CancelFunc) error
		err  func(error) bool
	}{
		"well":        {func(context.CancelFunc) error { return nil }, func(err error) bool { return err == nil }},
		"hook":        {func(context.CancelFunc) error { return broken }, func(err error) bool { return errors.Is(err, broken) }},
		"interrupted": {func(c context.CancelFunc) error { c(); return context.Canceled }, func(err error) bool { return errors.As(err, new(*apply.Interrupted)) }},
		"cancelled":   {func(c context.CancelFunc) error { c(); return nil }, func(error) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			plan := planOf(steps(remove(pod(t, ns, "after-"+name))))
			plan.Acts = append([]remedy.Act{probe(t, ns, "probe-"+name)}, plan.Acts...)
			var before *remedy.Outcome
			there := false
			out, _, err := admin(t).Carry(ctx, &journal{}, plan, apply.Hooks{Step: func(_ context.Context, act, step int, b *remedy.Outcome) error {
				if act != 0 || step != 1 {
					t.Errorf("asked before step %d of act %d", step, act)
				}
				before = b
				_, gerr := cluster.Client().CoreV1().Pods(ns).Get(t.Context(), "probe-"+name, metav1.GetOptions{})
				there = gerr == nil
				return tc.hook(cancel)
			}})
			if !tc.err(err) || before == nil || before.UID == "" || !there {
				t.Errorf("%v; before %+v, there %v", err, before, there)
			}
			for _, o := range out {
				t.Logf("%d.%d %s %s", o.Act, o.Step, o.Status, o.Text)
			}
			if out[0].Status != remedy.Done || out[1].Status != remedy.Done || out[1].UID != "" && out[1].UID != out[0].UID {
				t.Errorf("%+v", out)
			}
			_, gerr := cluster.Client().CoreV1().Pods(ns).Get(t.Context(), "probe-"+name, metav1.GetOptions{})
			if gerr == nil {
				t.Error("the probe is still there")
			}
			_, gerr = cluster.Client().CoreV1().Pods(ns).Get(t.Context(), "after-"+name, metav1.GetOptions{})
			if gerr != nil {
				t.Error(gerr) // it is Terminating, or untouched
			}
			if ended := out[2].Status == remedy.Skipped; ended != (name != "well") {
				t.Errorf("the act after it: %+v", out[2])
			}
		})
	}
}

func TestWhatSomebodyElseCreatedIsNotDeletedInItsPlace(t *testing.T) {
	ns := space(t)
	theirs := pod(t, ns, "probe")
	plan := planOf(steps(remove(theirs)))
	plan.Acts = []remedy.Act{probe(t, ns, "probe")}
	_, out, status, err := carry(t, plan)
	if !errors.As(err, new(*apply.Taken)) {
		t.Error(err)
	}
	want(t, out, status, remedy.Stopped, remedy.Skipped)
	// And one that took the name of ours.
	if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), "probe", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	out, _, err = admin(t).Carry(t.Context(), &journal{}, plan, apply.Hooks{Step: func(context.Context, int, int, *remedy.Outcome) error {
		if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), "probe", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			return err
		}
		theirs = pod(t, ns, "probe")
		return nil
	}})
	if err != nil || out[1].Status != remedy.Already {
		t.Errorf("%v %+v", err, out)
	}
	if now := get(t, theirs); now == nil || now.DeletionTimestamp != nil {
		t.Error("the other pod was touched")
	}
	for name, spoil := range map[string]func(*remedy.Act){
		"a UID of its own":        func(a *remedy.Act) { a.Steps[1].Ref.UID = theirs.UID },
		"nothing before it":       func(a *remedy.Act) { a.Steps = a.Steps[1:] },
		"another name before it":  func(a *remedy.Act) { a.Steps[1].Ref.Name = "other"; a.Target.Name = "other" },
		"not a deletion":          func(a *remedy.Act) { a.Steps[1].Verb = remedy.Evict },
		"two deletions of it all": func(a *remedy.Act) { a.Steps = append(a.Steps, a.Steps[1]) },
	} {
		p := plan
		p.Acts = []remedy.Act{probe(t, ns, "probe")}
		spoil(&p.Acts[0])
		if _, _, _, err := carry(t, p); !errors.As(err, new(*apply.BadPlan)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADryRunOfWhatIsDoneToANodeChangesNothing(t *testing.T) {
	n := machine(t, nil)
	made := deletes(n)
	made.Verb, made.ResourceVersion, made.Ref.UID, made.Ref.Name = remedy.Create, "", "", n.Name+"-again"
	made.Manifest = []byte(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + made.Ref.Name + `"}}`)
	ns := space(t)
	plan := planOf(steps(cordon(n)), steps(deletes(n)), steps(made))
	plan.Acts = append(plan.Acts, probe(t, ns, "probe"))
	beat(t, n.Name, metav1.Now()) // as a kubelet does all the time
	n = nodeNow(t, n.Name)
	answers := admin(t).DryRun(t.Context(), plan, nil)
	for i, w := range []remedy.Said{remedy.Accepted, remedy.Accepted, remedy.Accepted, remedy.Accepted, remedy.Untestable} {
		t.Logf("%+v", answers[i])
		if answers[i].Said != w {
			t.Errorf("%d: %+v, want %s", i, answers[i], w)
		}
	}
	if answers[0].After != "cordoned" || answers[1].After != "gone" || answers[4].Text == "" || answers[4].Code == http.StatusOK {
		t.Errorf("%+v", answers)
	}
	if now := nodeNow(t, n.Name); now == nil || now.ResourceVersion != n.ResourceVersion || nodeNow(t, made.Ref.Name) != nil {
		t.Error("something was changed")
	}
}

func TestAnEventAboutANodeIsFoundByItsUID(t *testing.T) {
	n := machine(t, nil)
	if err := admin(t).Tell(t.Context(), &journal{}, nodeRef(n), "CordonedByKubectlStuck", "cordoned"); err != nil {
		t.Fatal(err)
	}
	// kubectl describe node asks for both: involvedObject.uid is the Node's UID (controllers), or its name (the kubelet).
	events, err := cluster.Client().CoreV1().Events("").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + n.Name + ",involvedObject.kind=Node,involvedObject.uid=" + string(n.UID)})
	if err != nil || len(events.Items) != 1 || events.Items[0].Namespace != metav1.NamespaceDefault {
		t.Errorf("%v %+v", err, events)
	}
}
