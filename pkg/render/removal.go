package render

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// removal says what the API server asks before a pod that is being deleted may go.
func (p *page) removal(r *report.Removal) {
	if r == nil {
		return
	}
	p.title("What is asked before it may change")
	p.para(2, 4, text(r.Note))
	for _, g := range r.Gates {
		name := gateWords(g.Kind) + " " + g.Name
		if g.Configuration != g.Name {
			name += " (" + g.Configuration + ")"
		}
		verdict := text("asked")
		switch {
		case g.Blocks:
			verdict = styled(red, "refuses everything")
		case g.Backend == admission.Down:
			verdict = styled(yellow, "down, and passed over (failurePolicy Ignore)")
		}
		spans := []span{text(name + ": "), verdict, text(" before " + strings.Join(g.Before, " and ")), text(": " + g.Why)}
		p.para(2, 4, spans...)
		if !g.Sure {
			s := "not sure: only the API server can tell whether it is asked"
			if len(g.Conditions) > 0 {
				s += "; match conditions " + strings.Join(g.Conditions, "; ")
			}
			p.para(4, 6, styled(dim, s))
		}
		if !g.DryRun {
			p.para(4, 6, styled(dim, "it has side effects, so a dry run cannot try it"))
		}
	}
	for _, b := range r.Budgets {
		p.para(2, 4, styled(dim, fmt.Sprintf("disruption budget %s (%d allowed): %s", b.Name, b.DisruptionsAllowed, b.Why)))
	}
	if len(r.Unread) > 0 {
		var kinds []string
		for _, k := range r.Unread {
			kinds = append(kinds, string(k))
		}
		p.para(2, 4, styled(yellow, "could not be read: "), text(strings.Join(kinds, ", ")+"; there may be more"))
	}
}

// gateWords names the kind of a gate for people.
func gateWords(k admission.GateKind) string {
	switch k {
	case admission.MutatingPolicy:
		return "MutatingAdmissionPolicy"
	case admission.ValidatingPolicy:
		return "ValidatingAdmissionPolicy"
	case admission.MutatingWebhook:
		return "mutating webhook"
	default:
		return "validating webhook"
	}
}
