package render

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// plan writes what will be, or was, done about one object: the place, the steps with what the API server said to each, what is lost, and all verdicts.
func (f *fixPage) plan(plan *remedy.Plan) {
	switch {
	case f.changed() || f.has(remedy.Already):
		f.title("What was done")
	case f.open():
		f.title("What was sent")
	case f.ran():
		f.title("What was tried")
	case f.refused():
		f.title("What was asked for, and would be done")
	default:
		f.title("What would be done")
	}
	f.place(plan)
	f.verdicts(2, plan.Verdicts)
	for i, act := range plan.Acts {
		f.act(i, act)
	}
	if !f.ran() && !f.refused() && !plan.Expires.IsZero() {
		s := "the plan can be carried out until " + f.clock(plan.Expires) + " (" + age(plan.Expires.Sub(plan.Made)) + " after it was made)"
		if plan.Expires.Before(f.now) {
			s = "the plan expired " + f.when(plan.Expires)
		}
		f.para(2, 4, styled(dim, s))
	}
}

// place says which cluster is meant, so that the wrong one is noticed.
func (f *fixPage) place(plan *remedy.Plan) {
	if s := clusterWords(plan.Cluster); s != "" {
		f.para(2, 4, styled(dim, "on "), text(s))
	}
	if plan.Undoes != "" {
		f.para(2, 4, styled(dim, "takes back "), text("run "+plan.Undoes))
	}
}

// clusterWords names a cluster by all that is known of it.
func clusterWords(c remedy.Cluster) string {
	var parts []string
	if c.Context != "" {
		parts = append(parts, "context "+c.Context)
	}
	if c.Server != "" {
		parts = append(parts, "server "+c.Server)
	}
	return strings.Join(parts, " · ")
}

func (f *fixPage) act(n int, act remedy.Act) {
	head := []span{text("to " + act.Target.String())}
	if act.Node != "" && act.Target.Kind != snapshot.Node {
		head = append(head, text(" on node "+act.Node))
	}
	head = append(head, text(" · "), styled(riskStyle(act.Risk), riskWords(act.Risk)))
	f.para(2, 4, head...)
	if act.Target.UID != "" {
		f.para(2, 4, styled(dim, "uid "+string(act.Target.UID)))
	}
	for i, step := range act.Steps {
		f.step(n, i, step)
	}
	for _, s := range act.Loses {
		label := "would be lost: "
		switch {
		case f.changed():
			label = "lost or left behind: "
		case f.open():
			label = "lost or left behind, if it was done: "
		}
		f.para(2, 4, styled(red, label), text(s))
	}
	if act.Help != "" && !f.ran() {
		f.para(2, 4, styled(dim, "expected: "), text(helpWords(act.Help)+because(act.Why)))
	}
	f.verdicts(2, act.Verdicts)
}

func (f *fixPage) step(act, n int, step remedy.Step) {
	number := fmt.Sprintf("%d. ", n+1)
	in := 2 + len(number)
	f.para(2, in, text(number), styled(bold, step.What))
	if o := f.outcome(act, n); o != nil {
		f.result(in, *o)
	} else if f.ran() {
		f.para(in, in+2, styled(yellow, string(remedy.Skipped)))
	}
	if a := f.answer(act, n); a != nil && (!f.ran() || f.o.wide()) {
		f.predicted(in, *a)
	}
	undo := "yes"
	if !step.Undo.Can {
		undo = "no"
	}
	if step.Undo.How != "" {
		undo += ", " + step.Undo.How
	}
	f.para(in, in+2, styled(dim, "undo: "), text(undo))
	if f.ran() && !f.o.wide() {
		return
	}
	for _, c := range step.Kubectl {
		f.command(in, "by hand: ", f.with(c))
	}
}

// result is how a step ended.
func (f *fixPage) result(indent int, o remedy.Outcome) {
	s := ""
	if o.Code != 0 {
		s += fmt.Sprintf(", HTTP %d", o.Code)
	}
	if o.Attempts > 1 {
		s += fmt.Sprintf(", sent %d times", o.Attempts)
	}
	if !o.Time.IsZero() {
		s += ", at " + f.clock(o.Time)
	}
	f.para(indent, indent+2, styled(statusStyle(o.Status), statusWords(o.Status)), text(s+because(boundMiddle(o.Text, f.bound()))))
}

func (f *fixPage) bound() int {
	if f.o.wide() {
		return evidenceBoundFull
	}
	return 2 * evidenceBound
}

func statusStyle(s remedy.Status) style {
	switch s {
	case remedy.Done, remedy.Already:
		return green
	case remedy.Skipped:
		return yellow
	default:
		return red
	}
}

func statusWords(s remedy.Status) string {
	switch s {
	case remedy.Already:
		return "already done"
	case remedy.Rejected:
		return "refused by the API server"
	case remedy.Stopped:
		return "stopped before it was sent"
	case remedy.Open:
		return "UNKNOWN whether it was done"
	case remedy.Done, remedy.Error, remedy.Skipped:
		return string(s)
	default:
		return string(s)
	}
}

// predicted is what the API server said to a step without doing it.
func (f *fixPage) predicted(indent int, a remedy.Answer) {
	st, said := saidWords(a.Said)
	if a.By != "" {
		said += " by " + a.By
	}
	if a.Code != 0 && a.Said != remedy.Accepted {
		said += fmt.Sprintf(" (HTTP %d)", a.Code)
	}
	rest := because(boundMiddle(a.Text, f.bound()))
	if a.After != "" {
		rest += "; afterwards: " + a.After
	}
	f.para(indent, indent+2, styled(dim, "dry run: "), styled(st, said), text(rest))
	if a.Backend != "" {
		f.para(indent+2, indent+4, styled(dim, "the server behind it: "), text(a.Backend))
	}
	if a.Next != "" {
		f.para(indent+2, indent+4, styled(dim, "to do about it: "), text(a.Next))
	}
}

func saidWords(s remedy.Said) (style, string) {
	switch s {
	case remedy.Accepted:
		return green, "accepted"
	case remedy.Refused:
		return red, "refused"
	case remedy.Gone:
		return yellow, "it is gone already"
	case remedy.Replaced:
		return red, "another object has its name now"
	case remedy.Changed:
		return yellow, "it has changed since it was planned on"
	case remedy.Untestable:
		return yellow, "cannot be tested"
	case remedy.Held:
		return yellow, "a disruption budget does not allow it now"
	case remedy.Failed:
		return yellow, "no answer that tells"
	default:
		return yellow, string(s)
	}
}

// missing names the rights that are missing, and the role that has them.
func (f *fixPage) missing() {
	if len(f.doc.Missing) == 0 {
		return
	}
	f.title("Rights that are missing")
	for _, m := range f.doc.Missing {
		f.para(2, 4, text(rightWords(m)+because(m.Why)))
		if m.Role != "" {
			f.para(4, 6, styled(dim, "the ClusterRole that has it: "), text(m.Role+" (docs/RIGHTS.md)"))
		}
	}
}

// rightWords is a right as kubectl auth can-i takes it.
func rightWords(m report.MissingRight) string {
	s := m.Verb + " " + m.Resource
	if m.Subresource != "" {
		s += "/" + m.Subresource
	}
	if m.Name != "" {
		s += " " + m.Name
	}
	if m.Namespace != "" {
		s += " in namespace " + m.Namespace
	}
	return s
}

// proof writes what was seen after a plan was carried out.
func (f *fixPage) proof() {
	if len(f.doc.Sights) == 0 {
		return
	}
	f.title("What was seen afterwards")
	for _, s := range f.doc.Sights {
		f.seen(2, s)
	}
}

// seen is what was seen of one act's effect. The statements come first; the fields add what they may lack.
func (f *fixPage) seen(indent int, s remedy.Sight) {
	verdict := styled(yellow, "not proven")
	switch {
	case s.Good:
		verdict = styled(green, "proven")
	case s.Settled:
		verdict = styled(red, "not as wanted")
	}
	at := ""
	if !s.Time.IsZero() {
		at = " at " + f.clock(s.Time)
	}
	f.para(indent, indent+2, verdict, text(at))
	for _, say := range s.Says {
		f.para(indent+2, indent+4, text(say))
	}
	if len(s.Held) > 0 {
		f.para(indent+2, indent+4, styled(yellow, "still held by: "), text(strings.Join(s.Held, ", ")))
	}
	if r := s.Replacement; r != nil {
		what := r.Ref.String()
		if r.Node != "" {
			what += " on node " + r.Node
		}
		what += ", " + r.Word
		switch {
		case r.Ready && r.After > 0:
			what += ", Ready after " + seconds(r.After)
		case r.Ready:
			what += ", Ready"
		default:
			what += ", not Ready"
		}
		f.para(indent+2, indent+4, styled(dim, "replacement: "), text(what+because(r.Stuck)))
	}
	for _, l := range []struct {
		label string
		list  []string
	}{{"volumes detached: ", s.Detached}, {"volumes still attached: ", s.Attached}, {"newly stuck on the node: ", podNames(s.NewlyStuck)}} {
		if len(l.list) > 0 {
			f.para(indent+2, indent+4, styled(dim, l.label), text(some(l.list, f.most())))
		}
	}
}

func (f *fixPage) most() int {
	if f.o.wide() {
		return 0
	}
	return 6
}

func podNames(refs []snapshot.Ref) []string {
	var out []string
	for _, r := range refs {
		out = append(out, r.String())
	}
	return out
}
