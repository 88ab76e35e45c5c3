package diagnose_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// picture holds two pods that hang in ContainerCreating on one node, with an event about the first.
func picture(t *testing.T, gaps ...snapshot.Gap) (*snapshot.Snapshot, stuck.Result) {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, name := range []string{"a", "b"} {
		b.Add(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid-" + "x", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
			Spec:       corev1.PodSpec{NodeName: "n"},
			Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
				{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}},
			}},
		})
	}
	b.Add(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "e1"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "a", UID: "uid-x"},
		Reason:         "FailedCreatePodSandBox", Message: "(combined from similar events): Failed: FORK/exec /usr/bin/runc: resource temporarily unavailable", Count: 7,
		LastTimestamp: metav1.NewTime(now.Add(-time.Minute)),
	})
	for _, g := range gaps {
		b.AddGap(g)
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s, stuck.Find(s, stuck.Options{})
}

func fork() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST901", Slug: "fork", Reach: scope.ReachNode, Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{Title: "No forks", Remedies: []diagnose.Remedy{{ID: "look", Command: "kubectl describe pod {pod} -n {namespace} # on {node}, about {subject}"}}},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Reasons: []string{"FailedCreatePodSandBox"}, Text: diagnose.Text{All: []string{"fork/exec", "resource temporarily unavailable"}, None: []string{"disk"}}}},
			Confidence: diagnose.Likely, OnNode: true, Say: "node {node} cannot fork for {namespace}/{pod}",
		},
	}
}

func TestASignatureGivesAFindingWithItsEvidenceAndNames(t *testing.T) {
	s, found := picture(t)
	d := diagnose.Run(s, found, []diagnose.Cause{fork()})
	if len(d.Findings) != 1 {
		t.Fatalf("findings: %+v", d.Findings)
	}
	f := d.Findings[0]
	if f.Subject != (snapshot.Ref{Kind: snapshot.Node, Name: "n"}) || f.Message != "node n cannot fork for shop/a" || f.Reach != scope.ReachNode {
		t.Errorf("finding: %+v", f)
	}
	if got := f.Remedies[0].Command; got != "kubectl describe pod a -n shop # on n, about n" {
		t.Errorf("command: %s", got)
	}
	if len(f.Evidence) != 1 || f.Evidence[0].Count != 7 || f.Evidence[0].Field != "FailedCreatePodSandBox" {
		t.Errorf("evidence: %+v", f.Evidence)
	}
	if len(f.Explains) != 1 || f.Explains[0].Name != "a" {
		t.Errorf("explains: %v", f.Explains)
	}
	if len(d.Unexplained) != 1 {
		t.Fatalf("unexplained: %v", d.Unexplained)
	}
	for ref, u := range d.Unexplained {
		if ref.Name != "b" || len(u.LookedAt) == 0 {
			t.Errorf("unexplained %s: %+v", ref, u)
		}
	}
}

func TestACauseWhoseNeedsCouldNotBeReadIsSkipped(t *testing.T) {
	s, found := picture(t, snapshot.Gap{Kind: snapshot.VolumeAttachment, Reason: "Forbidden", Detail: "not allowed"})
	c := diagnose.Cause{Code: "ST902", Slug: "volume", Needs: []snapshot.Kind{snapshot.VolumeAttachment}, Pod: func(*snapshot.Snapshot, stuck.Pod) (diagnose.Finding, bool) {
		t.Error("it was asked all the same")
		return diagnose.Finding{}, false
	}}
	d := diagnose.Run(s, found, []diagnose.Cause{c})
	if len(d.Skips) != 1 || !strings.Contains(d.Skips[0].Reason, "Forbidden") {
		t.Errorf("skips: %+v", d.Skips)
	}
}

func TestAPanicLosesOneCauseOnly(t *testing.T) {
	s, found := picture(t)
	broken := diagnose.Cause{Code: "ST903", Slug: "broken", Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
		return diagnose.Finding{Message: p.Object.Spec.Volumes[len(p.Ref.Name)].Name}, true
	}}
	d := diagnose.Run(s, found, []diagnose.Cause{broken, fork()})
	if len(d.Findings) != 1 || d.Findings[0].Code != "ST901" {
		t.Errorf("findings: %+v", d.Findings)
	}
	if len(d.Skips) != 2 { // one for each pod that it was asked about
		t.Errorf("skips: %+v", d.Skips)
	}
}

func TestFindingsOfOneCauseAndSubjectAreMerged(t *testing.T) {
	s, found := picture(t)
	missing := snapshot.Ref{Kind: snapshot.ConfigMap, Namespace: "shop", Name: "settings"}
	c := diagnose.Cause{Code: "ST904", Slug: "missing", Reach: scope.ReachPod, Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
		return diagnose.Finding{Subject: missing, Confidence: diagnose.Certain}, true
	}}
	d := diagnose.Run(s, found, []diagnose.Cause{c})
	if len(d.Findings) != 1 || len(d.Findings[0].Explains) != 2 {
		t.Fatalf("findings: %+v", d.Findings)
	}
	if len(d.Scope.Shared) != 1 || d.Scope.Shared[0].Name != "shop/settings" {
		t.Errorf("two pods lack the same object, and it is not shared: %+v", d.Scope.Shared)
	}
}

func TestAGuessGivesWayToACertainty(t *testing.T) {
	s, found := picture(t)
	say := func(code diagnose.Code, conf diagnose.Confidence, only string) diagnose.Cause {
		return diagnose.Cause{Code: code, Slug: string(code), Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			return diagnose.Finding{Confidence: conf}, only == "" || p.Ref.Name == only
		}}
	}
	d := diagnose.Run(s, found, []diagnose.Cause{say("ST905", diagnose.Possible, ""), say("ST906", diagnose.Certain, "a")})
	for _, p := range found.Stuck {
		var codes []diagnose.Code
		for _, f := range d.Of(p.Ref) {
			codes = append(codes, f.Code)
		}
		want := diagnose.Code("ST905")
		if p.Ref.Name == "a" {
			want = "ST906"
		}
		if len(codes) != 1 || codes[0] != want {
			t.Errorf("%s: %v, want %s", p.Ref, codes, want)
		}
	}
}

func TestTextMatchesPartsAndIgnoresCase(t *testing.T) {
	for _, c := range []struct {
		text diagnose.Text
		in   string
		want bool
	}{
		{diagnose.Text{All: []string{"A", "b"}}, "xbxa", true},
		{diagnose.Text{All: []string{"a", "c"}}, "xbxa", false},
		{diagnose.Text{Any: []string{"q", "B"}}, "xbxa", true},
		{diagnose.Text{Any: []string{"q"}}, "xbxa", false},
		{diagnose.Text{None: []string{"X"}}, "xbxa", false},
		{diagnose.Text{}, "anything", true},
	} {
		if got := c.text.Match(c.in); got != c.want {
			t.Errorf("%+v on %q: %t", c.text, c.in, got)
		}
	}
}

func TestAFindingOfTheClusterThatNamesNothingIsReported(t *testing.T) {
	s, found := picture(t)
	c := diagnose.Cause{Code: "ST907", Slug: "empty", Cluster: func(*snapshot.Snapshot, scope.Result) []diagnose.Finding {
		return []diagnose.Finding{{}}
	}}
	d := diagnose.Run(s, found, []diagnose.Cause{c})
	if len(d.Findings) != 0 || len(d.Skips) != 1 {
		t.Errorf("findings %+v, skips %+v", d.Findings, d.Skips)
	}
}
