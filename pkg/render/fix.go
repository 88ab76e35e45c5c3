package render

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Fix writes what can be done about pods, what is planned, and what came of it. For people the verdict comes first, then the case, then the ladder or
// the plan, and last the commands.
func Fix(w io.Writer, doc *report.Fix, o Options) error {
	switch o.Format {
	case Table, Wide:
		p := newPage(o, doc.TakenAt)
		f := fixPage{page: p, doc: doc, o: o, said: map[string]bool{}}
		if err := f.write(); err != nil {
			return err
		}
		return p.writeTo(w)
	case Name:
		var b strings.Builder
		for _, r := range fixTargets(doc) {
			b.WriteString(Clean(strings.ToLower(string(r.Kind))+"/"+r.Name) + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	case HTML:
		return errors.New("output format html is for what is stuck; -o json has all of a plan and of its result")
	case CustomColumns, CustomColumnsFile:
		return customColumns(w, fixRows(doc), o)
	default:
		return Data(w, doc, o)
	}
}

// fixTargets are the objects that the document is about: its pods, or, where it has none because it undoes a run, those of the plan.
func fixTargets(doc *report.Fix) []snapshot.Ref {
	if doc.Node != nil {
		return nodeTarget(doc)
	}
	var out []snapshot.Ref
	for _, c := range doc.Cases {
		out = append(out, snapshot.Ref{Kind: snapshot.Pod, Namespace: c.Pod.Namespace, Name: c.Pod.Name})
	}
	if len(out) == 0 && doc.Plan != nil {
		for _, a := range doc.Plan.Acts {
			out = append(out, snapshot.Ref{Kind: a.Target.Kind, Namespace: a.Target.Namespace, Name: a.Target.Name})
		}
	}
	return out
}

// fixRows are what custom columns have a line for.
func fixRows(doc *report.Fix) []any {
	var out []any
	if doc.Node != nil {
		return []any{doc.Node}
	}
	for _, c := range doc.Cases {
		out = append(out, c)
	}
	if len(out) == 0 && doc.Plan != nil {
		for _, a := range doc.Plan.Acts {
			out = append(out, a)
		}
	}
	return out
}

// fixPage is a page about one document.
type fixPage struct {
	*page
	doc *report.Fix
	o   Options
	// said are the verdicts that the page has given in full, so that none is given twice.
	said map[string]bool
}

func (f *fixPage) write() error {
	f.headline()
	switch {
	case f.aboutNode():
		if err := f.node(); err != nil {
			return err
		}
	case len(fixTargets(f.doc)) > 1:
		if err := f.several(); err != nil {
			return err
		}
	default:
		f.single()
	}
	f.missing()
	f.aftermath()
	f.limits(&report.Report{Gaps: f.doc.Gaps}, f.o)
	f.closing()
	return nil
}

// single is the page about one object.
func (f *fixPage) single() {
	plan := f.doc.Plan
	if plan != nil && !f.ran() {
		f.blocks(plan)
	}
	for _, c := range f.doc.Cases {
		f.patient(c)
	}
	if plan != nil {
		f.plan(plan)
		f.proof()
	}
	if plan == nil || f.refused() || f.o.wide() {
		for _, c := range f.doc.Cases {
			f.ladder(c)
		}
	}
}

// ran tells whether something was sent to the API server, or was about to be.
func (f *fixPage) ran() bool { return len(f.doc.Outcomes) > 0 }

// refused tells whether a guard, missing rights or the API server stand in the way, so that other ways are of interest.
func (f *fixPage) refused() bool {
	return f.doc.Plan != nil && !f.ran() && (len(f.doc.Plan.Blocks()) > 0 || len(f.doc.Missing) > 0 || len(f.answers(remedy.Refused)) > 0)
}

// answers are the steps to which the dry run said this.
func (f *fixPage) answers(said remedy.Said) []remedy.Answer {
	var out []remedy.Answer
	for _, a := range f.doc.DryRun {
		if a.Said == said {
			out = append(out, a)
		}
	}
	return out
}

// nothingChanged ends every headline about something that was not done.
const nothingChanged = "nothing was changed"

// headline is the answer in one line, and where it comes from in another.
func (f *fixPage) headline() {
	st, verdict, rest := f.verdict()
	spans := []span{styled(st, verdict)}
	if rest != "" {
		spans = append(spans, text(" · "+rest))
	}
	f.para(0, 2, spans...)
	second := taken(&report.Report{TakenAt: f.doc.TakenAt, Origin: f.doc.Origin})
	if f.doc.Plan != nil {
		if c := f.doc.Plan.Cluster; c.Context != "" && c.Context != f.doc.Origin.Context {
			second += " · planned for context " + c.Context
		}
	}
	f.para(0, 2, styled(dim, second))
}

// verdict is the headline: a word that says how things stand, and a clause.
func (f *fixPage) verdict() (st style, verdict, rest string) {
	doc := f.doc
	what := targetWords(fixTargets(doc))
	if doc.Plan == nil && doc.Status == "" {
		return f.offer(what)
	}
	if !f.ran() && doc.Plan != nil {
		if st, verdict, rest, ok := f.standstill(what); ok {
			return st, verdict, rest
		}
	}
	rest = what
	if !f.changed() && !f.open() && f.ran() && doc.Status != remedy.Already {
		rest += " · " + nothingChanged
	}
	if n := f.acts(remedy.Done); doc.Plan != nil && len(doc.Plan.Acts) > 1 && n > 0 && doc.Status != remedy.Done {
		rest += fmt.Sprintf(" · %d of %d done", n, len(doc.Plan.Acts))
	}
	switch doc.Status {
	case remedy.Done:
		if doc.Node != nil && doc.Node.Probe != nil && len(doc.Sights) == 0 {
			if doc.Node.Probe.Works {
				return green, "PROBED, and it works", rest
			}
			return red, "PROBED, and it does not work", rest
		}
		if f.proven() {
			return green, "DONE, and proven", rest
		}
		if len(doc.Sights) == 0 {
			return yellow, "DONE, not proven", rest + " · nobody looked what came of it"
		}
		if slices.ContainsFunc(doc.Sights, func(s remedy.Sight) bool { return s.Settled && !s.Good }) {
			return red, "DONE, and not as wanted", rest
		}
		return yellow, "DONE, not proven", rest
	case remedy.Already:
		return green, "ALREADY DONE", rest + " · somebody else did it"
	case remedy.Rejected:
		return red, "REFUSED by the API server", rest
	case remedy.Stopped:
		return red, "STOPPED", rest
	case remedy.Open:
		return red, "UNKNOWN", rest + " · it was sent, and whether it was done could not be seen"
	case remedy.Error:
		return red, "FAILED", rest
	case remedy.Skipped:
		if f.changed() {
			return yellow, "NOT FINISHED", rest
		}
		return yellow, "NOT TRIED", rest
	case "":
		if len(doc.DryRun) > 0 {
			if n := len(doc.DryRun) - len(f.answers(remedy.Accepted)); n > 0 {
				return yellow, "PLAN, and a dry run that does not tell all", rest + " · " + nothingChanged
			}
			return bold, "PLAN, accepted by a dry run", rest + " · " + nothingChanged
		}
		return bold, "PLAN", rest + " · " + nothingChanged
	default:
		return yellow, strings.ToUpper(string(doc.Status)), rest
	}
}

// standstill is the headline of a plan that something stands in the way of; false where nothing does.
func (f *fixPage) standstill(what string) (st style, verdict, rest string, ok bool) {
	var guards []string
	for _, v := range f.doc.Plan.Blocks() {
		if !slices.Contains(guards, v.Guard) {
			guards = append(guards, v.Guard)
		}
	}
	switch refused := f.answers(remedy.Refused); {
	case len(guards) > 0:
		return red, "REFUSED by " + and(guards), what + " · " + nothingChanged, true
	case len(f.doc.Missing) > 0:
		return red, "NOT ALLOWED: " + count(len(f.doc.Missing), "right") + " missing", what + " · " + nothingChanged, true
	case len(refused) > 0:
		by := "the API server, in a dry run"
		if refused[0].By != "" {
			by += ": " + refused[0].By
		}
		return red, "REFUSED by " + by, what + " · " + nothingChanged, true
	default:
		return plain, "", "", false
	}
}

// offer is the headline where no rung was chosen.
func (f *fixPage) offer(what string) (st style, verdict, rest string) {
	if f.aboutNode() {
		return bold, strings.ToUpper(what), ""
	}
	if len(f.doc.Cases) == 1 {
		c := f.doc.Cases[0]
		for _, r := range c.Ladder {
			if r.Offered {
				return green, "OFFERED: " + r.Title, "risk " + string(r.Risk) + " · " + nothingChanged
			}
		}
		if c.Well {
			return bold, "NOTHING TO DO", what + " is neither stuck nor waiting"
		}
		if b := firstBlocked(c.Ladder); b != nil {
			return yellow, "NOTHING IS OFFERED", what + " · what this tool could do and may help is blocked by " + and(blockers(b.Verdicts))
		}
		return yellow, "NOTHING IS OFFERED", what + " · nothing that this tool could do is expected to help; what helps is yours to do"
	}
	n := 0
	for _, c := range f.doc.Cases {
		if slices.ContainsFunc(c.Ladder, func(r remedy.Rung) bool { return r.Offered }) {
			n++
		}
	}
	switch {
	case len(f.doc.Cases) == 0:
		return bold, "NOTHING TO DO", "no pod was found"
	case n == 0:
		return yellow, "NOTHING IS OFFERED", what
	default:
		return green, fmt.Sprintf("OFFERED for %d of %s", n, count(len(f.doc.Cases), "pod")), nothingChanged
	}
}

// firstBlocked is the least dangerous rung of the tool that may help and that a guard forbids.
func firstBlocked(ladder []remedy.Rung) *remedy.Rung {
	for i, r := range ladder {
		if r.By == remedy.ByTool && r.Help != remedy.NoHelp && r.Blocked() {
			return &ladder[i]
		}
	}
	return nil
}

// targetWords names one object, or counts several.
func targetWords(refs []snapshot.Ref) string {
	switch len(refs) {
	case 0:
		return "no object"
	case 1:
		return refs[0].String()
	}
	kind := strings.ToLower(string(refs[0].Kind))
	for _, r := range refs {
		if r.Kind != refs[0].Kind {
			kind = "object"
		}
	}
	return count(len(refs), kind)
}

func (f *fixPage) changed() bool { return f.has(remedy.Done) }
func (f *fixPage) open() bool    { return f.has(remedy.Open) }

// acts counts those that ended so.
func (f *fixPage) acts(s remedy.Status) int {
	n := 0
	if f.doc.Plan != nil {
		for i, a := range f.doc.Plan.Acts {
			if f.ended(i, a) == s {
				n++
			}
		}
	}
	return n
}

func (f *fixPage) has(s remedy.Status) bool {
	return slices.ContainsFunc(f.doc.Outcomes, func(o remedy.Outcome) bool { return o.Status == s })
}

// proven tells whether what was wanted was seen of every act.
func (f *fixPage) proven() bool {
	if f.doc.Plan == nil || len(f.doc.Plan.Acts) == 0 {
		return false
	}
	if f.aboutNode() { // the last act on a node tells of all that went before it
		return len(f.doc.Sights) > 0 && !slices.ContainsFunc(f.doc.Sights, func(s remedy.Sight) bool { return !s.Good })
	}
	for i := range f.doc.Plan.Acts {
		if s := f.sight(i); s == nil || !s.Good {
			return false
		}
	}
	return true
}

// sight is what was seen last of an act; nil where nothing was.
func (f *fixPage) sight(act int) *remedy.Sight {
	for i := range slices.Backward(f.doc.Sights) {
		if f.doc.Sights[i].Act == act {
			return &f.doc.Sights[i]
		}
	}
	return nil
}

// outcome is how a step ended; nil where nothing is known of it.
func (f *fixPage) outcome(act, step int) *remedy.Outcome {
	for i := range slices.Backward(f.doc.Outcomes) {
		if o := &f.doc.Outcomes[i]; o.Act == act && o.Step == step {
			return o
		}
	}
	return nil
}

// answer is what the dry run said to a step; nil where it was not asked.
func (f *fixPage) answer(act, step int) *remedy.Answer {
	for i := range f.doc.DryRun {
		if a := &f.doc.DryRun[i]; a.Act == act && a.Step == step {
			return a
		}
	}
	return nil
}

// blocks says under the headline why a plan is refused.
func (f *fixPage) blocks(plan *remedy.Plan) {
	for _, g := range planVerdicts(plan) {
		if g.verdict.Blocks() {
			f.verdicts(2, []remedy.Verdict{g.verdict})
		}
	}
}

// patient is the case in a few lines: who it is, how it stands, what explains it, and what it waits for by itself.
func (f *fixPage) patient(c report.FixCase) {
	pod := c.Pod
	f.blank()
	name := pod.Name
	if pod.Namespace != "" {
		name = pod.Namespace + "/" + name
	}
	spans := []span{styled(bold, "pod "+name)}
	switch {
	case c.Well:
		spans = append(spans, text(" · not stuck, STATUS "+pod.Status))
	case pod.State != "":
		s := " · " + string(pod.State)
		if pod.Stage != "" {
			s += ", " + string(pod.Stage)
		}
		spans = append(spans, text(s))
	}
	if !pod.Since.IsZero() && !c.Well {
		spans = append(spans, text(" · since "+f.when(pod.Since)))
	}
	f.para(0, 2, spans...)
	var where []span
	if pod.Node != "" {
		where = append(where, text("node "+pod.Node))
	} else {
		where = append(where, text("no node"))
	}
	if o := owner(pod.Owner); o != none {
		where = append(where, text(" · "+o))
	} else {
		where = append(where, text(" · no controller: nothing makes it again"))
	}
	if pod.Reach != "" {
		where = append(where, text(" · "), styled(reachStyle(pod.Reach), reachWords(pod.Reach, 1)), text(sure(pod.Confidence)))
	}
	f.para(2, 4, where...)
	if f.ran() && !f.o.wide() {
		return // it was so before; what matters now is what came of it
	}
	if s := stageWords(pod.Stage); s != "" {
		f.para(2, 4, text(s))
	}
	f.diagnosis(pod)
	f.clears(2, pod)
}

// diagnosis is what explains the pod best, without the evidence: explain has that.
func (f *fixPage) diagnosis(pod report.Pod) {
	most := 1
	if f.o.wide() {
		most = len(pod.Findings)
	}
	for i, fi := range pod.Findings {
		if i == most {
			break
		}
		bound := evidenceBound
		if f.o.wide() {
			bound = evidenceBoundFull
		}
		f.para(2, 4, styled(bold, string(fi.Code)+" "+fi.Title), styled(dim, sure(fi.Confidence)), text(because(Bound(fi.Message, bound))))
	}
	if pod.Unexplained != nil {
		f.para(2, 4, styled(yellow, "unexplained"), text(": nothing in the catalogue fits"))
	}
}

// riskWords says a risk so that nobody needs the documentation to know what it means.
func riskWords(r diagnose.Risk) string {
	switch r {
	case "":
		return "risk not known"
	case diagnose.RiskDataLoss:
		return "risk DATA LOSS"
	default:
		return "risk " + string(r)
	}
}

// and joins a list: "a, b and c".
func and(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
