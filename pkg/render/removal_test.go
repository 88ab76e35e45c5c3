package render

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func TestWhatIsAskedIsSaid(t *testing.T) {
	gate := func(change func(*report.RemovalGate)) report.RemovalGate {
		g := report.RemovalGate{
			Kind: admission.ValidatingWebhook, Name: "check.example.com", Configuration: "guard", Before: []string{"the report that it ended"}, FailurePolicy: "Fail",
			Backend: admission.Up, Why: "its Service guard/engine has 1 ready of 1", Sure: true, DryRun: true,
		}
		change(&g)
		return g
	}
	down := func(g *report.RemovalGate) {
		g.Backend, g.Why, g.Blocks = admission.Down, "its Service guard/engine does not exist", true
	}
	for name, c := range map[string]struct {
		gate report.RemovalGate
		want []string
	}{
		"one that cannot answer refuses":   {gate(down), []string{"validating webhook check.example.com (guard): refuses everything before the report that it ended: its Service guard/engine does not exist"}},
		"one that may fail is passed over": {gate(func(g *report.RemovalGate) { down(g); g.Blocks, g.FailurePolicy = false, "Ignore" }), []string{"down, and passed over"}},
		"one that answers is asked":        {gate(func(*report.RemovalGate) {}), []string{"asked before the report that it ended: its Service guard/engine has 1 ready of 1"}},
		"a condition leaves it open":       {gate(func(g *report.RemovalGate) { g.Sure, g.Conditions = false, []string{"not-nodes: false"} }), []string{"only the API server can tell", "not-nodes: false"}},
		"side effects forbid to try":       {gate(func(g *report.RemovalGate) { g.DryRun = false }), []string{"a dry run cannot try it"}},
		"a policy": {gate(func(g *report.RemovalGate) {
			g.Kind, g.Name, g.Configuration = admission.MutatingPolicy, "fill-in", "fill-in-all"
		}), []string{"MutatingAdmissionPolicy fill-in (fill-in-all)"}},
		"control characters do not pass": {gate(func(g *report.RemovalGate) { g.Name, g.Why = "a\x1b[31mb", "c\u202ed" }), []string{`c\u202ed`}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPage(Options{Width: 400}, time.Time{})
			p.removal(&report.Removal{
				Note: "The kubelet writes.", Gates: []report.RemovalGate{c.gate}, Unread: []snapshot.Kind{snapshot.MutatingWebhookConfiguration},
				Budgets: []report.RemovalBudget{{Name: "cart", Why: "budgets are not asked"}},
			})
			got := p.b.String()
			for _, w := range append(c.want, "What is asked before it may change", "disruption budget cart (0 allowed): budgets are not asked", "MutatingWebhookConfiguration; there may be more") {
				if !strings.Contains(got, w) {
					t.Errorf("%q is missing in\n%s", w, got)
				}
			}
			if strings.ContainsAny(got, "\x1b\u202e") {
				t.Errorf("a control character passed: %q", got)
			}
		})
	}
	p := newPage(Options{}, time.Time{})
	p.removal(nil)
	if p.b.Len() > 0 {
		t.Errorf("nothing is asked, and yet %q is printed", p.b.String())
	}
}
