package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// several is the page about more than one object: a line for each, and the verdicts by guard.
func (f *fixPage) several() error {
	f.blank()
	if plan := f.doc.Plan; plan != nil {
		f.place(plan)
		cols := f.actColumns(plan)
		if same, ok := sameRemedy(cols); ok {
			f.para(2, 4, styled(dim, "remedy of all: "), text(same))
			cols = slices.DeleteFunc(cols, func(c column) bool { return c.head == remedyHead })
		}
		if err := f.table(2, cols, f.o.wide()); err != nil {
			return err
		}
		f.byGuard(planVerdicts(plan))
		f.refusals(plan)
		f.losses(plan)
		f.sights(plan)
		return nil
	}
	if err := f.table(2, f.caseColumns(), f.o.wide()); err != nil {
		return err
	}
	var all []guarded
	for _, c := range f.doc.Cases {
		for _, r := range c.Ladder {
			if r.By != remedy.ByTool || r.Help == remedy.NoHelp {
				continue
			}
			for _, v := range r.Verdicts {
				all = append(all, guarded{c.Pod.Namespace + "/" + c.Pod.Name, v})
			}
		}
	}
	f.byGuard(all)
	return nil
}

// caseColumns has a line for each pod of which no rung was chosen.
func (f *fixPage) caseColumns() []column {
	cols := []column{
		{head: "POD", weight: 9}, {head: "STATE", weight: 4, min: 8}, {head: "NODE", weight: 4, min: 8}, {head: "CAUSE", weight: 5},
		{head: "OFFERED", weight: 8, min: 12}, {head: "RISK", weight: 7}, {head: "BLOCKED BY", weight: 6},
	}
	for _, c := range f.doc.Cases {
		state := string(c.Pod.State)
		if c.Well {
			state = "not stuck"
		}
		offered, risk, blocked := "nothing", none, []string{}
		for _, r := range c.Ladder {
			if r.Offered {
				offered, risk = string(r.ID), string(r.Risk)
			}
		}
		if b := firstBlocked(c.Ladder); offered == "nothing" && b != nil {
			blocked = blockers(b.Verdicts)
		}
		row := []string{c.Pod.Namespace + "/" + c.Pod.Name, orNone(state), orNone(c.Pod.Node), cause(c.Pod, report.Group{}), offered, risk, orNone(strings.Join(blocked, ","))}
		for i := range cols {
			cols[i].cells = append(cols[i].cells, row[i])
		}
	}
	return cols
}

const remedyHead = "REMEDY"

// roomy is the width from which on a table names the guards that block; what they say stands below it in any case.
const roomy = 100

func lifted(vs []remedy.Verdict) int {
	n := 0
	for _, v := range vs {
		if v.Lifted {
			n++
		}
	}
	return n
}

// sameRemedy is what all lines have in the column of remedies, where they have the same.
func sameRemedy(cols []column) (string, bool) {
	for _, c := range cols {
		if c.head != remedyHead || len(c.cells) == 0 {
			continue
		}
		return c.cells[0], !slices.ContainsFunc(c.cells, func(s string) bool { return s != c.cells[0] })
	}
	return "", false
}

// actColumns has a line for each object of a plan.
func (f *fixPage) actColumns(plan *remedy.Plan) []column {
	cols := []column{
		{head: "POD", weight: 9}, {head: "NODE", weight: 4, min: 8}, {head: remedyHead, weight: 6, min: 10}, {head: "RISK", weight: 7},
		{head: "VERDICT", weight: 8, min: 10},
	}
	if slices.ContainsFunc(plan.Acts, func(a remedy.Act) bool { return a.Target.Kind != snapshot.Pod }) {
		cols[0].head = "OBJECT"
	}
	if len(f.doc.DryRun) > 0 && !f.ran() {
		cols = append(cols, column{head: "DRY RUN", weight: 8})
	}
	if f.ran() {
		cols = append(cols, column{head: "RESULT", weight: 8}, column{head: "PROOF", weight: 6})
	}
	for i, a := range plan.Acts {
		name := shortRef(a.Target)
		var ids []string
		for _, id := range a.Remedies {
			ids = append(ids, string(id))
		}
		verdict := "may be done"
		if b := blockers(a.Verdicts); len(b) > 0 {
			if verdict = "blocked"; f.width >= roomy {
				verdict += ": " + strings.Join(b, ",")
			}
		} else if n := lifted(a.Verdicts); n > 0 {
			verdict = count(n, "guard") + " lifted"
		} else if n := len(a.Verdicts); n > 0 {
			verdict = count(n, "warning")
		}
		row := []string{name, orNone(a.Node), strings.Join(ids, ","), string(a.Risk), verdict}
		if len(f.doc.DryRun) > 0 && !f.ran() {
			row = append(row, f.forecast(i, a))
		}
		if f.ran() {
			row = append(row, string(f.ended(i, a)), f.sightWord(i))
		}
		for j := range cols {
			cols[j].cells = append(cols[j].cells, row[j])
		}
	}
	return cols
}

// blockers are the guards that forbid something.
func blockers(vs []remedy.Verdict) []string {
	var out []string
	for _, v := range vs {
		if v.Blocks() && !slices.Contains(out, v.Guard) {
			out = append(out, v.Guard)
		}
	}
	return out
}

// forecast is what the dry run says to an act: the first step that it does not take, else what is left after the last.
func (f *fixPage) forecast(n int, a remedy.Act) string {
	out := none
	for i := range a.Steps {
		ans := f.answer(n, i)
		if ans == nil {
			continue
		}
		out = string(ans.Said)
		if ans.Said != remedy.Accepted {
			return out
		}
		if ans.After != "" {
			out += ", then " + ans.After
		}
	}
	return out
}

// ended is how an act ended: as the first step that did not end well, else as its last.
func (f *fixPage) ended(n int, a remedy.Act) remedy.Status {
	out := remedy.Skipped
	for i := range a.Steps {
		o := f.outcome(n, i)
		if o == nil {
			continue
		}
		out = o.Status
		if o.Status != remedy.Done && o.Status != remedy.Already {
			break
		}
	}
	return out
}

func (f *fixPage) sightWord(n int) string {
	switch s := f.sight(n); {
	case s == nil:
		return none
	case s.Good:
		return "proven"
	case s.Settled:
		return "not as wanted"
	default:
		return "not proven"
	}
}

// guarded is a verdict and what it is about; nothing where it is about the whole run.
type guarded struct {
	about   string
	verdict remedy.Verdict
}

// shortRef is the name of a pod, and the kind with it of anything else.
func shortRef(ref snapshot.Ref) string {
	if ref.Kind != snapshot.Pod {
		return ref.String()
	}
	return ref.Namespace + "/" + ref.Name
}

func planVerdicts(plan *remedy.Plan) []guarded {
	var out []guarded
	for _, v := range plan.Verdicts {
		out = append(out, guarded{"", v})
	}
	for _, a := range plan.Acts {
		for _, v := range a.Verdicts {
			out = append(out, guarded{shortRef(a.Target), v})
		}
	}
	return out
}

// byGuard writes verdicts in groups: those that block first, then by guard in the order in which they came, and each reason once with whom it is about.
func (f *fixPage) byGuard(all []guarded) {
	if len(all) == 0 {
		return
	}
	type group struct {
		head    string
		st      style
		blocks  bool
		lifts   string
		about   []string
		reasons []string
		whom    map[string][]string
	}
	var groups []*group
	for _, g := range all {
		st, head := verdictWords(g.verdict)
		i := slices.IndexFunc(groups, func(o *group) bool { return o.head == head })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{head: head, st: st, blocks: g.verdict.Blocks(), lifts: g.verdict.Override, whom: map[string][]string{}})
		}
		o := groups[i]
		if g.about != "" && !slices.Contains(o.about, g.about) {
			o.about = append(o.about, g.about)
		}
		if !slices.Contains(o.reasons, g.verdict.Reason) {
			o.reasons = append(o.reasons, g.verdict.Reason)
		}
		if g.about != "" && !slices.Contains(o.whom[g.verdict.Reason], g.about) {
			o.whom[g.verdict.Reason] = append(o.whom[g.verdict.Reason], g.about)
		}
	}
	slices.SortStableFunc(groups, func(a, b *group) int {
		switch {
		case a.blocks && !b.blocks:
			return -1
		case b.blocks && !a.blocks:
			return 1
		default:
			return 0
		}
	})
	f.title("What the guards say")
	for _, g := range groups {
		about := ": the run as a whole"
		if n := len(g.about); n > 0 {
			noun := "pod"
			if slices.ContainsFunc(g.about, func(a string) bool { return strings.Contains(a, " ") }) { // with its kind
				noun = "object"
			}
			about = ": " + count(n, noun)
		}
		lifts := ""
		switch {
		case g.blocks && g.lifts != "":
			lifts = ", lifted by " + g.lifts
		case g.blocks:
			lifts = ", and nothing lifts it"
		}
		f.para(2, 4, styled(g.st, g.head), text(about+lifts))
		most := 3
		if f.o.wide() {
			most = len(g.reasons)
		}
		for i, r := range g.reasons {
			if i == most {
				f.para(4, 6, text("… and "+count(len(g.reasons)-i, "more reason")+": -o wide"))
				break
			}
			if whom := g.whom[r]; len(whom) > 0 {
				f.para(4, 6, styled(dim, some(whom, f.most())+": "), text(r))
			} else {
				f.para(4, 6, text(r))
			}
		}
	}
}

// refusals tells of the steps that did not, or would not, go through.
func (f *fixPage) refusals(plan *remedy.Plan) {
	type line struct {
		in    string
		write func(indent int)
	}
	var lines []line
	for i, a := range plan.Acts {
		for j, s := range a.Steps {
			if o := f.outcome(i, j); o != nil && (o.Status != remedy.Done && o.Status != remedy.Already && o.Status != remedy.Skipped || f.o.wide()) {
				lines = append(lines, line{s.What, func(indent int) { f.result(indent, *o) }})
			}
			if ans := f.answer(i, j); ans != nil && !f.ran() && (ans.Said != remedy.Accepted || f.o.wide()) {
				lines = append(lines, line{s.What, func(indent int) { f.predicted(indent, *ans) }})
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	if f.ran() {
		f.title("What came of it")
	} else {
		f.title("What the API server says to it in a dry run")
	}
	const most = 6
	for i, l := range lines {
		if i == most && !f.o.wide() {
			f.para(2, 4, text("… and "+count(len(lines)-i, "more step")+": -o wide"))
			return
		}
		f.para(2, 4, text(l.in))
		l.write(4)
	}
}

// losses says what is lost, each statement once, and what can be undone.
func (f *fixPage) losses(plan *remedy.Plan) {
	var said []string
	n := map[string]int{}
	undo := map[string]int{}
	var how []string
	for _, a := range plan.Acts {
		for _, s := range a.Loses {
			if n[s]++; n[s] == 1 {
				said = append(said, s)
			}
		}
		for _, s := range a.Steps {
			h := "no"
			if s.Undo.Can {
				h = "yes"
			}
			if s.Undo.How != "" {
				h += ", " + s.Undo.How
			}
			if undo[h]++; undo[h] == 1 {
				how = append(how, h)
			}
		}
	}
	if len(said)+len(how) == 0 {
		return
	}
	f.title("What is lost, and what can be undone")
	most := f.most()
	for i, s := range said {
		if most > 0 && i == most {
			f.para(2, 4, text("… and "+count(len(said)-i, "more statement")+": -o wide"))
			break
		}
		times := ""
		if n[s] > 1 {
			times = fmt.Sprintf(" (%d pods)", n[s])
		}
		f.para(2, 4, styled(red, "lost: "), text(s+times))
	}
	for i, h := range how {
		if most > 0 && i == most {
			f.para(2, 4, text("… and "+count(len(how)-i, "more statement")+": -o wide"))
			break
		}
		f.para(2, 4, styled(dim, fmt.Sprintf("undo of %s: ", count(undo[h], "step"))), text(h))
	}
}

// sights tells what was seen of the acts that are not proven; wide tells of all.
func (f *fixPage) sights(plan *remedy.Plan) {
	titled := false
	for i, a := range plan.Acts {
		s := f.sight(i)
		if s == nil || s.Good && !f.o.wide() {
			continue
		}
		if !titled {
			f.title("What was seen afterwards")
			titled = true
		}
		f.para(2, 4, styled(bold, a.Target.String()))
		f.seen(4, *s)
	}
}

// aftermath names the run, and says how to take it back and how to learn what is unknown.
func (f *fixPage) aftermath() {
	doc := f.doc
	if doc.Run == "" && doc.Journal == "" && !f.open() {
		return
	}
	f.title("Afterwards")
	if doc.Run != "" {
		f.para(2, 4, styled(dim, "run: "), text(doc.Run))
	}
	if doc.Journal != "" {
		f.para(2, 4, styled(dim, "journal: "), span{text: doc.Journal, whole: true})
	}
	if doc.Plan == nil {
		return
	}
	f.unknowns(doc.Plan)
	can, cannot := false, []string{}
	for i, a := range doc.Plan.Acts {
		for j, s := range a.Steps {
			if o := f.outcome(i, j); o == nil || o.Status != remedy.Done && o.Status != remedy.Open {
				continue
			}
			if s.Undo.Can {
				can = true
			} else if !slices.Contains(cannot, s.Undo.How) {
				cannot = append(cannot, s.Undo.How)
			}
		}
	}
	for _, how := range cannot {
		f.para(2, 4, styled(dim, "cannot be undone: "), text(orNone(how)))
	}
	if can && doc.Run != "" && !f.nextHas("kubectl stuck undo") {
		f.command(2, "to undo it: ", f.with("kubectl stuck undo "+quoted(doc.Run)))
	}
}

// unknowns says of each step whose end nobody saw how to find it out.
func (f *fixPage) unknowns(plan *remedy.Plan) {
	for i, a := range plan.Acts {
		for j, s := range a.Steps {
			if o := f.outcome(i, j); o == nil || o.Status != remedy.Open {
				continue
			}
			f.para(2, 4, styled(red, "not known: "), text("whether this was done: "+s.What))
			for _, sign := range signs(s) {
				f.para(4, 6, text(sign))
			}
			c := "kubectl get " + quoted(strings.ToLower(string(s.Ref.Kind))) + " " + quoted(s.Ref.Name)
			if s.Ref.Namespace != "" {
				c += " -n " + quoted(s.Ref.Namespace)
			}
			f.command(4, "to find out: ", f.with(c+` -o jsonpath='{.metadata.uid} {.metadata.deletionTimestamp} {.metadata.finalizers}{"\n"}'`))
			f.para(4, 6, text("Running the same command again is safe: it reads the object first, and stops if it is another one."))
		}
	}
}

// signs say what the answer to "to find out" means.
func signs(s remedy.Step) []string {
	switch s.Verb {
	case remedy.Delete:
		out := "It was done if the answer is NotFound"
		if s.Ref.UID != "" {
			out += ", or another uid than " + string(s.Ref.UID)
		}
		return []string{out + ", or the same uid with a deletionTimestamp that was not there before."}
	case remedy.Patch:
		names := strings.Join(s.Finalizers, ", ")
		if s.PutsBack {
			return []string{"It was done if the finalizers hold " + names + "."}
		}
		return []string{"It was done if the answer is NotFound, or the finalizers do not hold " + names + " any more."}
	case remedy.Create:
		return []string{"It was done if the object is there."}
	default:
		return nil
	}
}

func (f *fixPage) nextHas(prefix string) bool {
	return slices.ContainsFunc(f.doc.Next, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

// closing writes the notes, and the commands to run next.
func (f *fixPage) closing() {
	if len(f.doc.Notes) > 0 {
		f.blank()
		for _, n := range f.doc.Notes {
			f.para(0, 2, text(n))
		}
	}
	type line struct{ label, command string }
	var lines []line
	if f.doc.Plan == nil {
		for _, c := range f.doc.Cases {
			if l, cmd := f.advice(c); cmd != "" && len(f.doc.Cases) == 1 && !slices.ContainsFunc(f.doc.Next, func(s string) bool { return f.with(s) == cmd }) {
				lines = append(lines, line{l, cmd})
			}
		}
	}
	for _, n := range f.doc.Next {
		lines = append(lines, line{"next: ", f.with(n)})
	}
	if len(lines) > 0 {
		f.blank()
	}
	for _, l := range lines {
		f.command(0, l.label, l.command)
	}
}

// advice is the command for the rung that is offered, else for the first that a flag would open.
func (f *fixPage) advice(c report.FixCase) (label, command string) {
	for _, r := range c.Ladder {
		if r.Offered {
			return "To do it: ", f.call(c.Pod, r, false)
		}
	}
	for _, r := range c.Ladder {
		if r.By != remedy.ByTool || r.Help == remedy.NoHelp || !r.Blocked() {
			continue
		}
		if cmd := f.call(c.Pod, r, true); cmd != "" {
			label = "If you know better than its guards: "
			if r.Risk == diagnose.RiskDataLoss {
				label = "If you know better than its guards (else data is lost): "
			}
			return label, cmd
		}
	}
	return "", ""
}
