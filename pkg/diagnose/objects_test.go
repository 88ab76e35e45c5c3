package diagnose_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// withoutPods holds two Deployments that cannot create their pods, and a namespace that does not go.
func withoutPods(t *testing.T, gaps ...snapshot.Gap) (*snapshot.Snapshot, stuck.Result) {
	t.Helper()
	b := snapshot.NewBuilder()
	three, at := int32(3), metav1.NewTime(now.Add(-10*time.Minute))
	for _, name := range []string{"a", "b"} {
		b.Add(&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &three},
			Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "no room", LastTransitionTime: at},
			}},
		})
	}
	b.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "old", DeletionTimestamp: &at}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}})
	for _, g := range gaps {
		b.AddGap(g)
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s, stuck.Find(s, stuck.Options{})
}

func room(rule func(*snapshot.Snapshot, stuck.Object) (diagnose.Finding, bool), needs ...snapshot.Kind) diagnose.Cause {
	return diagnose.Cause{
		Code: "ST902", Slug: "room", Reach: scope.ReachShared, Needs: needs, Object: rule,
		Doc: diagnose.Doc{Title: "No room", Remedies: []diagnose.Remedy{{ID: "look", Command: "kubectl describe quota {subject} -n {namespace}"}}},
	}
}

func noRoom(_ *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	if o.State != stuck.NoPods {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: snapshot.Ref{Kind: snapshot.ResourceQuota, Namespace: o.Ref.Namespace, Name: "all"}, Confidence: diagnose.Certain, Message: "No room for " + o.Ref.Name + ".",
		Evidence: []diagnose.Evidence{{Object: o.Ref.String(), Field: "status"}},
	}, true
}

func TestObjectsAreExplainedAndMergedLikePods(t *testing.T) {
	s, found := withoutPods(t)
	d := diagnose.Run(s, found, []diagnose.Cause{room(noRoom)})
	if len(d.Findings) != 1 || len(d.Findings[0].Explains) != 2 || len(d.Findings[0].Evidence) != 2 {
		t.Fatalf("want one finding about the quota that explains both: %+v", d.Findings)
	}
	f := d.Findings[0]
	if f.Reach != scope.ReachShared || f.Remedies[0].Command != "kubectl describe quota all -n shop" {
		t.Errorf("the cause's reach and names were not filled in: %+v", f)
	}
	for _, o := range found.Objects {
		_, unexplained := d.Unexplained[o.Ref]
		if got := len(d.Of(o.Ref)) == 1; got == unexplained || got != (o.State == stuck.NoPods) {
			t.Errorf("%s: explained %v, unexplained %v", o.Ref, got, unexplained)
		}
	}
	if len(d.Scope.Groups) != 0 {
		t.Errorf("what is no pod has no node to be judged: %+v", d.Scope.Groups)
	}
}

func TestAnObjectThatNothingExplainsSaysWhatWasLookedAt(t *testing.T) {
	s, found := withoutPods(t, snapshot.Gap{Kind: snapshot.ResourceQuota, Namespace: "shop", Reason: snapshot.ReasonForbidden, Detail: "no such right"})
	d := diagnose.Run(s, found, nil)
	u := d.Unexplained[snapshot.Ref{Kind: snapshot.Deployment, Namespace: "shop", Name: "a"}]
	if looked := strings.Join(u.LookedAt, "\n"); !strings.Contains(looked, "wants 3 pods, and 0") || !strings.Contains(looked, "no room") {
		t.Errorf("looked at %q", looked)
	}
	if !slices.ContainsFunc(u.Missing, func(m string) bool { return strings.Contains(m, "ResourceQuota") }) {
		t.Errorf("missing: %q", u.Missing)
	}
	u = d.Unexplained[snapshot.Ref{Kind: snapshot.Namespace, Name: "old"}]
	if looked := strings.Join(u.LookedAt, "\n"); !strings.Contains(looked, "its finalizers: kubernetes") {
		t.Errorf("of the namespace, looked at %q", looked)
	}
}

func TestARuleAboutObjectsThatFailsIsReportedAndCostsNothingElse(t *testing.T) {
	s, found := withoutPods(t)
	broken := room(func(*snapshot.Snapshot, stuck.Object) (diagnose.Finding, bool) { panic("nil map") })
	broken.Code = "ST903"
	d := diagnose.Run(s, found, []diagnose.Cause{broken, room(noRoom)})
	if len(d.Skips) != len(found.Objects) || !strings.Contains(d.Skips[0].Reason, "the rule failed") {
		t.Errorf("skips: %+v", d.Skips)
	}
	if len(d.Findings) != 1 {
		t.Errorf("findings: %+v", d.Findings)
	}
}

func TestACauseOfObjectsWithoutItsNeedsIsSkipped(t *testing.T) {
	s, found := withoutPods(t, snapshot.Gap{Kind: snapshot.ResourceQuota, Reason: snapshot.ReasonForbidden, Detail: "no such right"})
	d := diagnose.Run(s, found, []diagnose.Cause{room(noRoom, snapshot.ResourceQuota)})
	if len(d.Findings) != 0 || len(d.Skips) != 1 {
		t.Errorf("findings %+v, skips %+v", d.Findings, d.Skips)
	}
}
