package render

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// brief and whole are how many pieces of evidence a list and a story quote; wide quotes all.
const (
	brief = 2
	whole = 4
)

// finding writes what is wrong: the cause, the case and the evidence, all of it where full.
func (p *page) finding(indent int, f report.Finding, full bool) {
	if full {
		p.quote(indent, f, len(f.Evidence), evidenceBoundFull)
		return
	}
	p.quote(indent, f, brief, evidenceBound)
}

// quote writes a finding with up to so many pieces of evidence, each bounded.
func (p *page) quote(indent int, f report.Finding, most, bound int) {
	p.para(indent, indent+2, styled(bold, string(f.Code)+" "+f.Title), styled(dim, sure(f.Confidence)))
	if f.Message != "" {
		p.para(indent+2, indent+2, text(f.Message))
	}
	quoted := f.Evidence
	if most < len(quoted) {
		quoted = p.strongest(quoted, most)
	}
	for _, e := range quoted {
		p.evidence(indent+2, e, bound)
	}
	if n := len(f.Evidence) - len(quoted); n > 0 {
		p.para(indent+2, indent+4, styled(dim, "more evidence: -o wide"))
	}
	if len(f.Alternatives) > 0 {
		p.para(indent+2, indent+4, text("the evidence fits these as well: "+strings.Join(f.Alternatives, ", ")))
	}
	if f.Decide != "" {
		p.para(indent+2, indent+4, styled(yellow, "to decide: "), text(f.Decide))
	}
}

// evidence quotes one fact: what it says, and where it stands.
func (p *page) evidence(indent int, e diagnose.Evidence, bound int) {
	value := strings.TrimSpace(e.Value)
	if value == "" {
		value = "(empty)"
	}
	const short = 40
	if e.Field != "" && e.Count == 0 && e.Last.IsZero() && width(Clean(value)) <= short {
		p.para(indent, indent+2, text("> "+e.Field+": "+value), styled(dim, " ("+e.Object+")"))
		return
	}
	where := e.Object
	if e.Field != "" {
		where += ", " + e.Field
	}
	if e.Count > 1 {
		where += fmt.Sprintf(", %d times", e.Count)
	}
	if !e.Last.IsZero() {
		if e.Count > 1 {
			where += ", last"
		} else {
			where += ","
		}
		where += " " + p.when(e.Last)
	}
	p.para(indent, indent+2, text("> "+boundMiddle(value, bound)))
	p.para(indent+2, indent+2, styled(dim, Bound(where, bound)))
}

// strongest picks the evidence that is quoted: the first pieces that this page has not quoted yet and that say something else than
// each other.
func (p *page) strongest(es []diagnose.Evidence, most int) []diagnose.Evidence {
	var out []diagnose.Evidence
	said := map[string]bool{}
	for _, e := range es {
		if len(out) == most {
			break
		}
		gist := e.Field + " " + gist(e.Value)
		if e.Count > 0 {
			gist = e.Field // events with one reason say the same of one pod after another
		}
		if !p.quoted[e.Value] && !said[gist] {
			p.quoted[e.Value], said[gist] = true, true
			out = append(out, e)
		}
	}
	return out
}

// gist is a message without what differs between two of a kind: ids, numbers, and kubelet's mark of a repeated one.
func gist(message string) string {
	message = strings.TrimPrefix(message, "(combined from similar events): ")
	var words []string
	for _, w := range strings.Fields(message) {
		if !strings.ContainsAny(w, "0123456789") {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// ladder writes the remedies, least dangerous first.
func (p *page) ladder(indent int, rs []report.Remedy) {
	for i, r := range rs {
		p.para(indent, indent+3, text(fmt.Sprintf("%d. ", i+1)), styled(riskStyle(r.Risk), "risk "+string(r.Risk)+": "), text(r.Text))
		p.command(indent+3, "", r.Command)
	}
}

func riskStyle(r diagnose.Risk) style {
	switch r {
	case diagnose.RiskHigh, diagnose.RiskDataLoss:
		return red
	case diagnose.RiskMedium:
		return yellow
	default:
		return plain
	}
}
