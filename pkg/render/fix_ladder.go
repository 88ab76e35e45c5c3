package render

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// ladder writes every rung, least dangerous first. Those that would not help are short.
func (f *fixPage) ladder(c report.FixCase) {
	if len(c.Ladder) == 0 {
		return
	}
	if f.doc.Plan != nil {
		f.title("All that can be done, least dangerous first")
	} else {
		f.title("What can be done, least dangerous first")
	}
	asked := map[remedy.ID]bool{}
	if f.doc.Plan != nil {
		for _, a := range f.doc.Plan.Acts {
			for _, id := range a.Remedies {
				asked[id] = true
			}
		}
	}
	for i, r := range c.Ladder {
		f.rung(fmt.Sprintf("%d. ", i+1), r, asked[r.ID])
	}
}

func (f *fixPage) rung(number string, r remedy.Rung, asked bool) {
	const indent = 2
	in := indent + len(number)
	if r.Help == remedy.NoHelp {
		f.para(indent, in, text(number+r.Title+" ("+byWords(r.By)+"): "), styled(yellow, "would not help"), text(because(r.Why)))
		if f.o.wide() {
			f.verdicts(in, r.Verdicts)
		}
		return
	}
	head := []span{text(number)}
	switch {
	case asked:
		head = append(head, styled(bold, "ASKED FOR: "))
	case r.Offered:
		head = append(head, styled(green, "OFFERED: "))
	}
	head = append(head, styled(bold, r.Title), text(" · "+byWords(r.By)+" · "), styled(riskStyle(r.Risk), riskWords(r.Risk)))
	if r.Blocked() {
		head = append(head, text(" · "), styled(red, "BLOCKED"))
	}
	f.para(indent, in, head...)
	f.para(in, in, text(helpWords(r.Help)+because(r.Why)))
	for _, s := range r.Risks {
		f.para(in, in+2, styled(dim, "risks: "), text(s))
	}
	f.verdicts(in, r.Verdicts)
	if r.By == remedy.ByTool {
		return // the command stands at the end, with all that it needs
	}
	for _, s := range r.Commands {
		f.command(in, "$ ", f.with(s))
	}
}

func byWords(b remedy.By) string {
	switch b {
	case remedy.ByNobody:
		return "by itself"
	case remedy.ByTool:
		return "this tool"
	case remedy.ByPerson:
		return "you"
	default:
		return string(b)
	}
}

func helpWords(h remedy.Help) string {
	switch h {
	case remedy.Helps:
		return "would help"
	case remedy.NotAlone:
		return "needed, and not enough alone"
	case remedy.NoHelp:
		return "would not help"
	case "", remedy.MayHelp:
		return "may help"
	default:
		return string(h)
	}
}

// verdicts writes what guards say, each in full once on a page.
func (f *fixPage) verdicts(indent int, vs []remedy.Verdict) {
	for _, v := range vs {
		st, head := verdictWords(v)
		key := fmt.Sprint(v.Guard, "\x00", v.Reason, "\x00", v.Blocks(), v.Lifted)
		if f.said[key] {
			f.para(indent, indent+2, styled(st, head), text(": as said above"))
			continue
		}
		f.said[key] = true
		f.para(indent, indent+2, styled(st, head), text(": "+v.Reason+lifting(v)))
		if f.o.wide() {
			for _, e := range v.Evidence {
				f.evidence(indent+2, e, evidenceBoundFull)
			}
		}
	}
}

// verdictWords begins a line about a verdict.
func verdictWords(v remedy.Verdict) (style, string) {
	switch {
	case v.Blocks():
		return red, "blocked by " + v.Guard
	case byFlag(v):
		return yellow, v.Guard + ", lifted by " + v.By
	case v.Lifted && v.By != "":
		return yellow, v.Guard + ", lifted by the words \"" + v.By + "\""
	case v.Lifted:
		return yellow, v.Guard + ", lifted"
	case v.WouldNotHelp:
		return yellow, "of little use, " + v.Guard
	default:
		return yellow, "warning, " + v.Guard
	}
}

// lifting says what lifts a block, as an end of a sentence.
func lifting(v remedy.Verdict) string {
	switch {
	case !v.Blocks():
		return ""
	case v.Override == "":
		return full(v.Reason) + " Nothing lifts it."
	default:
		return full(v.Reason) + " Lifted by " + v.Override + "."
	}
}

// full is the full stop that a sentence lacks.
func full(s string) string {
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "…") {
		return ""
	}
	return "."
}
