package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// TestTheDeletionOfANodeIsInTheQuestion holds that evictions, of which there may be a hundred, do not hide what comes after them.
func TestTheDeletionOfANodeIsInTheQuestion(t *testing.T) {
	node := snapshot.Ref{Kind: snapshot.Node, Name: "worker-3", UID: "n"}
	plan := &remedy.Plan{Acts: []remedy.Act{{Target: node, Node: node.Name, Remedies: []remedy.ID{remedy.Cordon}, Risk: diagnose.RiskLow, Steps: []remedy.Step{{What: "cordon node worker-3"}}}}}
	for i := range 110 {
		a := remedy.Act{
			Target: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: fmt.Sprintf("web-%d", i)}, Node: node.Name, Remedies: []remedy.ID{remedy.EvictPod}, Risk: diagnose.RiskLow,
			Steps: []remedy.Step{{What: fmt.Sprintf("evict pod shop/web-%d", i)}},
		}
		if i%5 == 0 {
			a.Risk, a.Loses = diagnose.RiskHigh, []string{fmt.Sprintf("what pod shop/web-%d keeps in emptyDir tmp", i)}
		}
		plan.Acts = append(plan.Acts, a)
	}
	plan.Acts = append(plan.Acts, remedy.Act{
		Target: node, Node: node.Name, Remedies: []remedy.ID{remedy.DeleteNode}, Risk: diagnose.RiskMedium, Steps: []remedy.Step{{What: "delete the Node object of worker-3"}}, Loses: []string{"the labels of the Node object"},
	})
	q, word := Question(plan, Options{Width: 80})
	for _, want := range []string{
		"This changes 111 objects. Risk high.", "cordon node worker-3", "110 pods on node worker-3 · risk high", "shop/web-9 and 100 more", "lost: what pod shop/web-45", "lost: and 12 more, as the plan says",
		"delete the Node object of worker-3", "lost: the labels of the Node object",
	} {
		if !strings.Contains(q, want) {
			t.Errorf("the question does not say %q", want)
		}
	}
	if lines := strings.Count(q, "\n"); lines > 30 || word != Yes {
		t.Errorf("%d lines, %q:\n%s", lines, word, q)
	}
}

// TestWhatWasNotDoneCostsNothing holds what is said of a drain that was interrupted before the Node object was deleted.
func TestWhatWasNotDoneCostsNothing(t *testing.T) {
	node := snapshot.Ref{Kind: snapshot.Node, Name: "worker-3", UID: "n"}
	pod := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "web-0", UID: "p"}
	doc := &report.Fix{
		Kind: report.KindFix, Status: remedy.Skipped, Run: "20260301-100000-aaaaaa",
		Node: &report.NodeFix{Name: "worker-3"},
		Plan: &remedy.Plan{Acts: []remedy.Act{
			{Target: pod, Node: "worker-3", Remedies: []remedy.ID{remedy.EvictPod}, Risk: diagnose.RiskHigh, Steps: []remedy.Step{{What: "evict pod shop/web-0"}}, Loses: []string{"what it keeps in emptyDir tmp"}},
			{Target: node, Node: "worker-3", Remedies: []remedy.ID{remedy.DeleteNode}, Risk: diagnose.RiskHigh, Steps: []remedy.Step{{What: "delete the Node object of worker-3"}}, Loses: []string{"the labels of the Node object"}},
		}},
		Outcomes: []remedy.Outcome{{Act: 0, Status: remedy.Done}, {Act: 1, Status: remedy.Skipped}},
	}
	var b strings.Builder
	if err := Fix(&b, doc, Options{Format: Table, Width: 100}); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if !strings.Contains(out, "NOT FINISHED") || !strings.Contains(out, "1 of 2 done") || !strings.Contains(out, "lost: what it keeps in emptyDir tmp") || strings.Contains(out, "lost: the labels") || strings.Contains(out, "on node worker-3") {
		t.Error(out)
	}
	doc.Outcomes[1].Status = remedy.Open
	b.Reset()
	if err := Fix(&b, doc, Options{Format: Table, Width: 100}); err != nil || !strings.Contains(b.String(), "lost: the labels") {
		t.Errorf("what may have been done may cost something: %v\n%s", err, b.String())
	}
}
