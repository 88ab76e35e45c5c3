package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
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
