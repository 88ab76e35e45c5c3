package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// refusedBy expects that a guard refuses, by its name or by the flag that lifts it, and says so to the person. It returns the verdict.
func refusedBy(t *testing.T, a world.Answer, guard string) remedy.Verdict {
	t.Helper()
	must(t, a, world.Refused)
	for _, v := range a.Verdicts() {
		if v.Blocks() && (v.Guard == guard || v.Override == "--"+guard) {
			says(t, a.ErrOut, v.Guard)
			return v
		}
	}
	t.Fatalf("%s does not refuse; what does: %v\n%s", guard, a.Blocks(), asJSON(a.Verdicts()))
	return remedy.Verdict{}
}

// living is a node that nobody hears of, and on which everything runs.
func living() scene {
	const space = "ledger"
	return scene{
		name: "a node that is cut off and lives keeps its StatefulSet's pod",
		setup: func(ctx context.Context, w *world.World) error {
			if err := w.Set(ctx, space, "ledger", cut, world.Spec("ledger", world.Grace(2), world.Tolerate(cut), world.Prefer(cut))); err != nil {
				return err
			}
			// A node that ever worked has a lease; this one is so young that it may not yet.
			err := bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
				if _, err := w.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, cut, metav1.GetOptions{}); err != nil {
					return fmt.Errorf("get the lease of node %s: %w", cut, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return w.Node(cut).Cut()
		},
		test: func(t *testing.T, w *world.World) {
			ok(t, w.UntilNode(t.Context(), 2*time.Minute, cut, world.Ready(corev1.ConditionUnknown)))
			// Until nobody can say any more that its kubelet was heard of lately, and the node controller has said all that it has to say.
			ok(t, bed.Poll(t.Context(), 2*time.Minute, func(ctx context.Context) error {
				l, err := w.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, cut, metav1.GetOptions{})
				if err != nil {
					return fmt.Errorf("get the lease of node %s: %w", cut, err)
				}
				if age := time.Since(l.Spec.RenewTime.Time); age < 45*time.Second {
					return fmt.Errorf("the lease of node %s is %s old", cut, age)
				}
				return nil
			}))
			ok(t, w.UntilNode(t.Context(), time.Minute, cut, func(n *corev1.Node) error {
				if !world.Tainted(n, corev1.TaintNodeUnreachable) {
					return fmt.Errorf("node %s is not tainted", cut)
				}
				return nil
			}))
			dir := journalIn(t)
			untouched(t, w, cut, space, func() {
				a := stuck(t, w, "node", cut, "--drain-and-delete", "--yes="+cut, "--journal", dir)
				v := refusedBy(t, a, "node-at-most-one")
				says(t, v.Reason, "ledger-0")
				// A dry run says the same.
				must(t, stuck(t, w, "node", cut, "--drain-and-delete", "--dry-run=client", "--journal", dir), world.Refused)
			})
			if runs := world.ReadJournal(dir); len(runs) != 0 {
				t.Errorf("what was refused is in the journal: %s", asJSON(runs))
			}
			// It was right: the pod runs there.
			running, err := w.Node(cut).Running(t.Context())
			ok(t, err)
			n := 0
			for _, c := range running {
				if c.Namespace == space && c.Pod == "ledger-0" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d containers of ledger-0 run on %s: it would have been no damage", n, cut)
			}
		},
	}
}

// gated is a node that is well, with what keeps its pods from leaving it, one after the other.
func gated() scene {
	const space, tight = "narrow", "narrow"
	well := []string{"--even-if-healthy", "--yes=" + quiet}
	return scene{
		name: "room, webhooks and disruption budgets are respected before anything is lost",
		setup: func(ctx context.Context, w *world.World) error {
			return w.Deploy(ctx, space, "free", quiet, 2, world.Spec("free", world.Grace(1), world.Tolerate(quiet), world.Prefer(quiet)))
		},
		test: func(t *testing.T, w *world.World) {
			ctx := t.Context()
			args := func(dir string, more ...string) []string {
				return append(append([]string{"node", quiet, "--drain-and-delete", "--journal", dir}, well...), more...)
			}
			t.Log("a node that is well is left alone")
			untouched(t, w, quiet, space, func() {
				refusedBy(t, stuck(t, w, "node", quiet, "--drain-and-delete", "--yes="+quiet, "--journal", journalIn(t)), "even-if-healthy")
			})

			t.Log("a pod that fits nowhere else")
			ok(t, w.Deploy(ctx, space, tight, quiet, 1, world.Spec(tight, world.Grace(1), world.Tolerate(quiet), world.Only(world.Pool, quiet))))
			untouched(t, w, quiet, space, func() {
				a := stuck(t, w, args(journalIn(t))...)
				v := refusedBy(t, a, "even-without-room")
				says(t, v.Reason+asJSON(v.Evidence), tight+"-")
				if a.Doc.Node == nil || a.Doc.Node.Room == nil || len(a.Doc.Node.Room.Pending) != 1 || !strings.HasPrefix(a.Doc.Node.Room.Pending[0].Pod.Name, tight+"-") {
					t.Errorf("who would stay Pending: %s", asJSON(a.Doc.Node))
				}
			})
			ok(t, w.Client().AppsV1().Deployments(space).Delete(ctx, tight, metav1.DeleteOptions{}))
			ok(t, bed.Poll(ctx, world.Soon, func(ctx context.Context) error {
				if pods, err := w.Pods(ctx, space, tight); err != nil || len(pods) > 0 {
					return fmt.Errorf("%d pods of %s (%w)", len(pods), tight, err)
				}
				return nil
			}))

			testHook(t, w, space, args)
			testBudget(t, w, space, args)
		},
	}
}

// testHook has a webhook that lets no pod of the namespace be evicted.
func testHook(t *testing.T, w *world.World, space string, args func(string, ...string) []string) {
	t.Helper()
	t.Log("a webhook that blocks evictions")
	ctx := t.Context()
	const word = "pods of this shop are evicted by its own operator alone"
	var dry, meant atomic.Int32
	hook, err := world.ServeHook(ctx, func(q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		if q.DryRun != nil && *q.DryRun {
			dry.Add(1)
		} else {
			meant.Add(1)
		}
		return &admissionv1.AdmissionResponse{Allowed: false, Result: &metav1.Status{Message: word, Code: 403}}
	})
	ok(t, err)
	defer func() { ok(t, hook.Close()) }()
	fail, none, scoped := registrationv1.Fail, registrationv1.SideEffectClassNone, registrationv1.NamespacedScope
	_, err = w.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "no-evictions"},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: "evictions.shop.example.com", ClientConfig: registrationv1.WebhookClientConfig{URL: &hook.URL, CABundle: hook.CA},
			FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: space}},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Create},
				Rule:       registrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"pods/eviction"}, Scope: &scoped},
			}},
		}},
	}, metav1.CreateOptions{})
	ok(t, err)
	evict := func(ctx context.Context) error {
		pods, err := w.Pods(ctx, space, "free")
		if err != nil || len(pods) == 0 {
			return fmt.Errorf("%d pods (%w)", len(pods), err)
		}
		return w.Client().PolicyV1().Evictions(space).Evict(ctx, &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: pods[0].Name, Namespace: space}, DeleteOptions: &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}},
		})
	}
	ok(t, bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
		if err := evict(ctx); !apierrors.IsForbidden(err) {
			return fmt.Errorf("the webhook is not asked yet: %w", errors.Join(err, errors.New("want Forbidden")))
		}
		return nil
	}))
	dry.Store(0)
	meant.Store(0)
	untouched(t, w, quiet, space, func() {
		a := stuck(t, w, args(journalIn(t))...)
		must(t, a, world.Refused)
		if !slices.ContainsFunc(a.Doc.DryRun, func(d remedy.Answer) bool {
			return d.Said == remedy.Refused && strings.Contains(d.Text+d.By, "evictions.shop.example.com") && strings.Contains(d.Text, word)
		}) {
			t.Errorf("the dry run: %s", asJSON(a.Doc.DryRun))
		}
		if a.Doc.Run != "" {
			t.Errorf("there was a run: %s", a.Doc.Run)
		}
	})
	if dry.Load() == 0 || meant.Load() != 0 {
		t.Errorf("the webhook was asked for %d dry runs and %d evictions", dry.Load(), meant.Load())
	}
	ok(t, w.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, "no-evictions", metav1.DeleteOptions{}))
	ok(t, bed.Poll(ctx, time.Minute, evict))
}

// testBudget has a budget that lets no pod go.
func testBudget(t *testing.T, w *world.World, space string, args func(string, ...string) []string) {
	t.Helper()
	t.Log("a disruption budget at its limit")
	ctx, dir := t.Context(), journalIn(t)
	all := intstr.FromInt32(2)
	_, err := w.Client().PolicyV1().PodDisruptionBudgets(space).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "all-of-them"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: world.Labels("free")}},
	}, metav1.CreateOptions{})
	ok(t, err)
	ok(t, bed.Poll(ctx, world.Soon, func(ctx context.Context) error {
		b, err := w.Client().PolicyV1().PodDisruptionBudgets(space).Get(ctx, "all-of-them", metav1.GetOptions{})
		if err != nil || b.Status.CurrentHealthy != 2 || b.Status.DisruptionsAllowed != 0 {
			return fmt.Errorf("the budget is not counted yet (%w)", err)
		}
		return nil
	}))
	first := getNode(t, w, quiet)
	began := time.Now()
	a := stuck(t, w, args(dir, "--timeout", "8s")...)
	if a.Code == 0 || a.Doc.Status == remedy.Done {
		t.Errorf("exit code %d, status %q", a.Code, a.Doc.Status)
	}
	if took := time.Since(began); took > 45*time.Second {
		t.Errorf("it took %s with a time limit of 8s", took)
	}
	now := findNode(t, w, quiet)
	if now == nil || now.UID != first.UID {
		t.Fatalf("the Node was deleted although its pods could not be evicted\n%s", &a)
	}
	if !now.Spec.Unschedulable {
		t.Error("it is not cordoned")
	}
	says(t, a.ErrOut+asJSON(a.Doc.Notes)+asJSON(a.Doc.Next), "all-of-them", "cordon", "undo")
	ok(t, w.Until(ctx, space, "free", 2, world.On(quiet)))
	writes, err := w.Writes(world.About(quiet, space))
	ok(t, err)
	tries := 0
	for _, l := range writes {
		if l.ObjectRef.Resource == "nodes" && l.Verb == "delete" {
			t.Errorf("a deletion was sent: %+v", l)
		}
		if l.ObjectRef.Subresource == "eviction" {
			tries++
		}
	}
	if tries < 2 {
		t.Errorf("%d evictions were tried", tries)
	}
	b := stuck(t, w, "undo", "--yes", "--journal", dir)
	must(t, b, 0)
	if n := getNode(t, w, quiet); n.Spec.Unschedulable || n.UID != first.UID {
		t.Error("undo has left it cordoned")
	}
}
