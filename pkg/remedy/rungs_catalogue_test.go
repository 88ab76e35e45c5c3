package remedy

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// TestEveryRemedyOfTheCatalogueStandsOnExactlyOneRung walks every cause with pods in several states, with and without a node and finalizers.
func TestEveryRemedyOfTheCatalogueStandsOnExactlyOneRung(t *testing.T) {
	all := causes.All()
	if len(all) < 100 {
		t.Fatalf("the catalogue has only %d causes", len(all))
	}
	s, err := snapshot.NewBuilder().Build(noon())
	if err != nil {
		t.Fatal(err)
	}
	gone := metav1.NewTime(noon())
	shapes := map[string]*corev1.Pod{
		"deleted on a node": {ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", DeletionTimestamp: &gone, Finalizers: []string{"a.example/b"}}, Spec: corev1.PodSpec{NodeName: "w"}},
		"starting, bare":    {ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u"}},
		"nothing at all":    nil,
	}
	seen := map[ID]int{}
	for shape, pod := range shapes {
		for _, cause := range all {
			f := diagnose.Finding{Code: cause.Code, Slug: cause.Slug, Remedies: cause.Doc.Remedies, Confidence: diagnose.Likely}
			c := &Case{S: s, Stuck: true, Findings: []diagnose.Finding{f}, Pod: stuck.Pod{Object: pod, Ref: snapshot.Ref{Kind: snapshot.Pod, Namespace: "n", Name: "p", UID: "u"}}}
			if pod != nil {
				c.Pod.Node = pod.Spec.NodeName
			}
			texts := map[string]ID{}
			count := map[diagnose.Remedy]int{}
			for _, rung := range Ladder(c) {
				for _, r := range cause.Doc.Remedies {
					for _, text := range append([]string{rung.Why}, rung.Risks...) {
						if strings.HasSuffix(text, ": "+r.Text) {
							count[r]++
							texts[r.ID] = rung.ID
						}
					}
				}
			}
			for _, r := range cause.Doc.Remedies {
				seen[texts[r.ID]]++
				if count[r] != 1 {
					t.Errorf("%s: %s %s: remedy %s stands on %d rungs", shape, cause.Code, cause.Slug, r.ID, count[r])
				}
			}
		}
	}
	for _, r := range All() {
		if seen[r.ID] == 0 {
			t.Errorf("no remedy of the catalogue stands on %s: the walk proves nothing about it", r.ID)
		}
	}
}

// TestRemediesThatMeanARungAreNotShownBesideIt holds the names by which the catalogue means a rung of the tool: one that is added under a new name shows here.
func TestRemediesThatMeanARungAreNotShownBesideIt(t *testing.T) {
	for _, cause := range causes.All() {
		for _, r := range cause.Doc.Remedies {
			rung := rungOf(r)
			switch {
			case strings.Contains(r.Command, "--force") && strings.Contains(r.Command, "delete pod") && rung != ForceDelete:
				t.Errorf("%s: %s forces a deletion and stands on %s", cause.Code, r.ID, rung)
			case strings.HasPrefix(r.Command, "kubectl patch pod {pod}") && strings.Contains(r.Command, "finalizer") && !strings.Contains(r.Command, "--dry-run") && rung != RemoveFinalizers:
				t.Errorf("%s: %s takes finalizers off and stands on %s", cause.Code, r.ID, rung)
			case strings.Contains(r.Command, corev1.TaintNodeOutOfService) && rung != OutOfService:
				t.Errorf("%s: %s sets the out-of-service taint and stands on %s", cause.Code, r.ID, rung)
			case strings.HasPrefix(r.Command, "kubectl delete node ") && rung != DeleteNode:
				t.Errorf("%s: %s deletes the node and stands on %s", cause.Code, r.ID, rung)
			case r.Risk == diagnose.RiskDataLoss && (rung == Restore || rung == Restart || rung == Wait):
				t.Errorf("%s: %s loses data and stands on %s, before what loses less", cause.Code, r.ID, rung)
			}
		}
	}
}
