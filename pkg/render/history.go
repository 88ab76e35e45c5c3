package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// History writes what a journal tells of its runs: for people a line for each.
func History(w io.Writer, h *report.History, o Options) error {
	switch o.Format {
	case Table, Wide:
		p := newPage(o, h.TakenAt)
		if err := p.history(h, o); err != nil {
			return err
		}
		return p.writeTo(w)
	case Name:
		var b strings.Builder
		for _, r := range h.Runs {
			b.WriteString(Clean(r.ID) + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	case CustomColumns, CustomColumnsFile:
		rows := make([]any, len(h.Runs))
		for i := range h.Runs {
			rows[i] = h.Runs[i]
		}
		return customColumns(w, rows, o)
	case HTML:
		return noHTML()
	default:
		return Data(w, h, o)
	}
}

// Run writes the whole story of one run.
func Run(w io.Writer, r *report.Run, o Options) error {
	switch o.Format {
	case Table, Wide:
		p := newPage(o, r.TakenAt)
		p.run(r, o)
		return p.writeTo(w)
	case Name:
		_, err := io.WriteString(w, Clean(r.Summary.ID)+"\n")
		return err
	case CustomColumns, CustomColumnsFile:
		return customColumns(w, []any{r}, o)
	case HTML:
		return noHTML()
	default:
		return Data(w, r, o)
	}
}

func noHTML() error {
	return fmt.Errorf("output format %s is for what is stuck; -o json has all that the journal says", HTML)
}

// Manifests writes the objects that a run kept as YAML documents, for kubectl create -f -.
func Manifests(w io.Writer, r *report.Run) error {
	list, err := r.Manifests()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for i, m := range list {
		if i > 0 {
			b.WriteString("---\n")
		}
		if err := writeYAML(&b, m); err != nil {
			return err
		}
	}
	_, err = w.Write(b.Bytes())
	return err
}

func (p *page) history(h *report.History, o Options) error {
	if len(h.Runs) == 0 {
		p.para(0, 2, styled(bold, "No runs"), text(" are in the journal "+h.Journal+"."))
	} else {
		p.para(0, 2, styled(bold, count(len(h.Runs), "run")), text(" in the journal "+h.Journal+", the latest first. Times are UTC."))
		p.blank()
		cols := []column{
			{head: "RUN", weight: keep}, {head: "WHEN", weight: keep}, {head: "CONTEXT", min: 8, weight: 1}, {head: "WHAT", min: 40, weight: keep}, {head: "OUTCOME", weight: keep}, {head: "UNDO", weight: keep},
		}
		for _, r := range h.Runs {
			for i, s := range []string{r.ID, p.when(r.Time), orNone(r.Context), runWhat(r, 2), runOutcome(r), runUndo(r)} {
				cols[i].cells = append(cols[i].cells, s)
			}
		}
		if err := p.table(0, cols, o.wide()); err != nil {
			return err
		}
	}
	if len(h.Unread) > 0 {
		p.title("Not read")
		for _, u := range h.Unread {
			p.para(2, 4, styled(yellow, u.Name), text(": "+u.Reason))
		}
	}
	if len(h.Runs) > 0 {
		p.blank()
		p.command(0, "all about one: ", "kubectl stuck history "+h.Runs[0].ID)
	}
	return nil
}

// runWhat says what was done to what, naming the first few objects.
func runWhat(r report.HistoryRun, most int) string {
	var names []string
	for _, t := range r.Targets {
		names = append(names, t.String())
	}
	what := strings.Join(r.Remedies, " + ")
	if r.Undoes != "" {
		what = "undo " + r.Undoes + " (" + what + ")"
	}
	return strings.TrimSpace(what + " " + some(names, most))
}

// runOutcome is how it ended, in a few words.
func runOutcome(r report.HistoryRun) string {
	s := string(r.Status)
	switch {
	case r.Unknown > 0 && r.Steps > 1:
		s += fmt.Sprintf(" (%d of %s)", r.Unknown, count(r.Steps, "step"))
	case r.Done > 0 && r.Done < r.Steps:
		s += fmt.Sprintf(" (%d of %s done)", r.Done, count(r.Steps, "step"))
	}
	if !r.Ended {
		s += ", " + notEnded
	}
	return s
}

const notEnded = "interrupted or still running"

func runUndo(r report.HistoryRun) string {
	switch {
	case r.UndoneBy != "":
		return "by " + r.UndoneBy
	case r.Undoable:
		return "can be"
	case r.Done+r.Unknown == 0:
		return none
	default:
		return "cannot"
	}
}

// runWords say how a run or a step ended, to somebody who was not there.
func runWords(s remedy.Status) string {
	switch s {
	case remedy.Done:
		return "the change was made, and was seen"
	case remedy.Already:
		return "it was as wanted already: somebody else did it"
	case remedy.Rejected:
		return "the API server refused"
	case remedy.Stopped:
		return "it was stopped before all was done"
	case remedy.Error:
		return "it failed"
	case remedy.Open:
		return "something was sent, or was about to be, and nobody wrote down what came of it"
	case remedy.Skipped:
		return "nothing was sent"
	default:
		return ""
	}
}

func runStyle(s remedy.Status) style {
	switch s {
	case remedy.Done, remedy.Already:
		return green
	case remedy.Skipped, remedy.Stopped:
		return yellow
	default:
		return red
	}
}

func (p *page) run(r *report.Run, o Options) {
	s := r.Summary
	p.para(0, 2, styled(bold, "Run "+s.ID), text(": "), styled(runStyle(s.Status), string(s.Status)), text(", "+runWords(s.Status)+"."))
	if !s.Ended {
		p.para(2, 2, styled(yellow, "It has no end: "), text(notEnded+"."))
	}
	if s.Torn {
		p.para(2, 2, styled(yellow, "Its last line is not whole: "), text("the process was ended while it wrote it."))
	}
	p.runFacts(r)
	steps := r.History().Steps()
	for i, act := range r.Plan.Acts {
		p.runAct(i, act, r, steps, o)
	}
	if len(r.Plan.Verdicts) > 0 {
		p.title("What guards said of the whole run")
		p.runVerdicts(r.Plan.Verdicts)
	}
	if len(r.FindOut) > 0 {
		p.title("Not known, and how to find out")
		p.para(2, 2, text("Nobody wrote down what came of the last call. If the object is gone, or has another UID than the one above, it was deleted; if it has another "+
			"resourceVersion, it was changed since."))
		for _, c := range r.FindOut {
			p.command(2, "", c)
		}
	}
	p.title("Undo")
	switch {
	case s.UndoneBy != "":
		p.para(2, 4, text("Taken back by run "+s.UndoneBy+"."))
	case s.Done+s.Unknown == 0:
		p.para(2, 4, text("There is nothing to undo: no step is known to have been done."))
	case s.Undoable:
		p.command(2, "", "kubectl stuck undo "+s.ID)
	default:
		p.para(2, 4, text("It cannot be undone: the steps above say why. The objects are kept as they were."))
	}
	if kept(r) {
		p.command(2, "the objects as they were: ", "kubectl stuck history "+s.ID+" --manifest")
	}
}

func kept(r *report.Run) bool {
	for _, raw := range r.Objects {
		if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			return true
		}
	}
	return false
}

// runFacts are who, when and where.
func (p *page) runFacts(r *report.Run) {
	fact := func(label, s string) {
		if s != "" {
			p.para(2, 4, styled(dim, label+": "), text(s))
		}
	}
	s, c := r.Summary, r.Plan.Cluster
	fact("begun", p.when(s.Time))
	for _, e := range r.Entries {
		if e.Type == remedy.End {
			fact("ended", strings.TrimSuffix(p.when(e.Time)+", "+e.Text, ", "))
		}
	}
	who := s.User
	if s.Host != "" {
		who += " on " + s.Host
	}
	fact("by", who)
	kube := r.Who.Kubernetes
	if len(r.Who.Groups) > 0 {
		kube += " (" + some(r.Who.Groups, 6) + ")"
	}
	fact("for the API server", kube)
	fact("acting as", r.Who.As)
	var where []string
	for _, part := range [][2]string{{"context ", c.Context}, {"server ", c.Server}, {"cluster ", c.ID}} {
		if part[1] != "" {
			where = append(where, part[0]+part[1])
		}
	}
	fact("where", strings.Join(where, ", "))
	fact("with", strings.Join(r.Args, " "))
	fact("tool", r.Version)
	if s.Undoes != "" {
		fact("takes back", "run "+s.Undoes)
	}
	if r.Plan.Asked.Attest != "" {
		fact("attested", "“"+r.Plan.Asked.Attest+"”")
	}
	if l := r.Plan.Asked.Lifted; len(l) > 0 {
		fact("guards lifted", "--"+strings.Join(l, ", --"))
	}
	fact("file", r.Path)
}

// runAct is the story of one object.
func (p *page) runAct(i int, act remedy.Act, r *report.Run, steps []remedy.StepStory, o Options) {
	p.title(sentenceCase(act.Target.String()))
	var facts []string
	if act.Target.UID != "" {
		facts = append(facts, "UID "+string(act.Target.UID))
	}
	if act.Node != "" {
		facts = append(facts, "on node "+act.Node)
	}
	if act.Owner != nil {
		facts = append(facts, "of "+owner(act.Owner))
	}
	if act.Risk != "" {
		facts = append(facts, "risk "+string(act.Risk))
	}
	if len(facts) > 0 {
		p.para(2, 4, text(strings.Join(facts, " · ")))
	}
	for _, l := range act.Loses {
		p.para(2, 4, styled(yellow, "lost or left behind: "), text(l))
	}
	p.runVerdicts(act.Verdicts)
	for _, s := range steps {
		if s.Act == i {
			p.runStep(s, o)
		}
	}
	for _, e := range r.Entries {
		if e.Act != i {
			continue
		}
		switch e.Type {
		case remedy.Proof:
			p.para(2, 4, styled(dim, "seen "+p.when(e.Time)+": "), text(e.Text))
		case remedy.Replan:
			p.para(2, 4, styled(dim, "planned again "+p.when(e.Time)+": "), text(orDefault(e.Text, "the object had changed; the guards were asked again")))
		case remedy.Message:
			p.para(2, 4, styled(dim, "noted "+p.when(e.Time)+": "), text(e.Text))
		}
	}
}

func (p *page) runVerdicts(vs []remedy.Verdict) {
	for _, v := range vs {
		st, head := yellow, "warning"
		switch {
		case v.Lifted:
			head = "block, lifted by " + v.By
		case v.Level == remedy.Block:
			st, head = red, "block"
		}
		p.para(2, 4, styled(st, v.Guard+" ("+head+"): "), text(v.Reason))
	}
}

func (p *page) runStep(s remedy.StepStory, o Options) {
	what := fmt.Sprintf("step %d, which the plan does not have", s.Step+1)
	if s.Plan != nil {
		what = s.Plan.What
	}
	p.para(2, 4, styled(bold, fmt.Sprintf("%d. ", s.Step+1)+what), text(": "), styled(runStyle(s.Status), string(s.Status)))
	var last time.Time
	for _, e := range s.Intents {
		p.para(4, 6, styled(dim, "sent "+p.when(e.Time)+": "), span{text: e.Request})
		if len(e.Body) > 0 {
			body := string(e.Body)
			if !o.wide() {
				body = boundMiddle(body, 2*evidenceBound)
			}
			p.para(6, 6, styled(dim, body))
		}
		last = e.Time
	}
	switch {
	case s.Outcome != nil && s.Outcome.Outcome != nil:
		out := s.Outcome.Outcome
		label := "answer " + p.when(s.Outcome.Time)
		if d := s.Outcome.Time.Sub(last); !last.IsZero() && d >= 0 {
			label += fmt.Sprintf(", after %.1fs", d.Seconds())
		}
		said := out.Text
		if out.Code != 0 {
			said = fmt.Sprintf("%d %s", out.Code, said)
		}
		p.para(4, 6, styled(dim, label+": "), text(said))
	case len(s.Intents) > 0:
		p.para(4, 6, styled(red, "no answer was written down: "), text("it may have been done"))
	}
	if s.Plan != nil && (s.Status == remedy.Done || s.Status == remedy.Open) && s.Plan.Undo.How != "" {
		label := "cannot be undone: "
		if s.Plan.Undo.Can {
			label = "can be undone: "
		}
		p.para(4, 6, styled(dim, label), text(s.Plan.Undo.How))
	}
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// sentenceCase begins with a capital.
func sentenceCase(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
