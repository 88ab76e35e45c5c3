package render_test

import (
	"strings"
	"testing"

	owners "github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// finalizerOwners are an owner that is gone and one of which nothing is known.
func finalizerOwners() []report.FinalizerOwner {
	controller, lease := ref(snapshot.Deployment, "backup", "snapshot-operator"), ref(snapshot.Lease, "backup", "snapshot-operator")
	return []report.FinalizerOwner{
		{
			Finalizer: "backup.example.com/snapshot", Owner: "snapshot-operator", How: owners.ByWriter, Controller: &controller, Lease: &lease, Alive: owners.Gone, Confidence: scope.Certain,
			Why: "deployment backup/snapshot-operator is scaled to 0 replicas, and its lease was last renewed 4h ago", Decide: "Why it has no ready pod: kubectl describe deployment snapshot-operator -n backup.",
			Todo: "upload the snapshot of the pod's data", Leaks: "the snapshot is lost", Ref: "https://backup.example.com/docs",
		},
		{Finalizer: "hold.example.org/x", How: owners.ByNone, Alive: owners.Unknown, Confidence: scope.Possible, Why: "nothing in the cluster is called like it"},
	}
}

func TestExplainTellsWhoHoldsAPod(t *testing.T) {
	r := withoutNodes(deadNFS())
	got := draw(t, r, render.Options{View: render.Explain, Width: 200})
	if strings.Contains(got, "Who holds it") {
		t.Fatal("nothing is held there, and it is asked who holds it")
	}
	found := false
	for _, c := range cases() {
		for _, g := range c.Groups {
			for _, p := range g.Pods {
				found = found || len(p.FinalizerOwners) > 0
			}
		}
		got := draw(t, withoutNodes(c), render.Options{View: render.Explain, Width: 200})
		if !strings.Contains(got, "snapshot-operator") {
			continue
		}
		for _, want := range []string{
			"Who holds it", "finalizer: backup.example.com/snapshot", "owner: snapshot-operator (it wrote the finalizer)", "runs as: deployment backup/snapshot-operator",
			"is it alive: no (certain): deployment backup/snapshot-operator is scaled to 0 replicas", "it has still to upload the snapshot", "if the finalizer is removed before: the snapshot is lost",
			"finalizer: hold.example.org/x", "owner: not known", "is it alive: not known (possible)",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in:\n%s", want, got)
			}
		}
	}
	if !found {
		t.Error("no case has a pod that is held")
	}
}

func TestWhatAClusterSaysOfOwnersIsCleaned(t *testing.T) {
	r := withoutNodes(undecided())
	o := report.FinalizerOwner{Finalizer: "a\x1b[31m/b", Owner: "own\x07er", How: owners.ByWriter, Alive: owners.Gone, Confidence: scope.Likely, Why: "x\u202ey", Todo: "t\x1b", Leaks: "l\x1b", Decide: "D\x1b.", Ref: "r\x1b"}
	for i := range r.Groups {
		for j := range r.Groups[i].Pods {
			r.Groups[i].Pods[j].FinalizerOwners = []report.FinalizerOwner{o}
		}
	}
	got := draw(t, r, render.Options{View: render.Explain, Width: 100})
	if !strings.Contains(got, "Who holds it") || strings.ContainsAny(got, "\x1b\x07\u202e") {
		t.Errorf("control characters reach the terminal: %q", got)
	}
}
