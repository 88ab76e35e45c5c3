package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// rowsOfPods is how many pods of a node the page for people has a line for; -o wide has all.
const rowsOfPods = 25

// aboutNode tells that the document is about a node.
func (f *fixPage) aboutNode() bool { return f.doc.Node != nil }

// node is the page about a change of a node: the node and its verdict, its pods and where they go, what is in the way, what is done, what came of it, and
// what is left for the person.
func (f *fixPage) node() error {
	n, plan := f.doc.Node, f.doc.Plan
	if plan != nil && !f.ran() {
		f.blocks(plan)
	}
	f.nodeFacts(n)
	if !f.ran() || f.o.wide() {
		if err := f.nodePods(n); err != nil {
			return err
		}
	}
	if plan != nil {
		if len(plan.Acts) == 1 { // one act is told in full, and no proof of it twice
			f.plan(plan)
		} else {
			f.nodePlan(plan)
		}
	}
	f.proof()
	if err := f.probe(n.Probe); err != nil {
		return err
	}
	f.restored(n.Restore)
	f.leftovers(n.Leftovers)
	for _, c := range f.doc.Cases {
		f.patient(c)
	}
	if !f.refused() {
		f.host(n)
	}
	return nil
}

func (f *fixPage) nodeFacts(n *report.NodeFix) {
	f.blank()
	spans := []span{styled(bold, "node "+n.Name)}
	if n.Reach != "" {
		spans = append(spans, text(" · what is stuck on it spans: "+n.Reach))
	}
	if n.Facts != "" {
		spans = append(spans, text(" · "+n.Facts))
	}
	f.para(0, 2, spans...)
	if n.Why != "" {
		f.para(2, 4, text(n.Why))
	}
	for i, c := range n.Causes {
		if i == 3 && !f.o.wide() {
			f.para(2, 4, styled(dim, fmt.Sprintf("and %d more causes: -o wide", len(n.Causes)-i)))
			break
		}
		f.para(2, 4, styled(dim, "cause: "), text(boundMiddle(c, f.bound())))
	}
}

// nodePods has a line for each pod of the node, the ones that would find no place first.
func (f *fixPage) nodePods(n *report.NodeFix) error {
	if len(n.Pods) == 0 {
		return nil
	}
	counts := map[remedy.Fate]int{}
	pending := 0
	for _, p := range n.Pods {
		counts[p.Fate]++
		if p.Pending != "" {
			pending++
		}
	}
	var parts []string
	for _, l := range []struct {
		fate remedy.Fate
		says string
	}{
		{remedy.Evicted, "to be evicted"}, {remedy.Dropped, "that nobody can stop in order"}, {remedy.WithOwner, "held by finalizers alone"}, {remedy.WithNode, "of DaemonSets"},
		{remedy.Remains, "static"}, {remedy.Finished, "that ended"},
	} {
		if counts[l.fate] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[l.fate], l.says))
		}
	}
	f.title(fmt.Sprintf("Its %s: %s", count(len(n.Pods), "pod"), strings.Join(parts, ", ")))
	pods := slices.Clone(n.Pods)
	slices.SortStableFunc(pods, func(a, b report.NodeFixPod) int { return weightOf(a) - weightOf(b) })
	shown := len(pods)
	if !f.o.wide() {
		shown = min(shown, rowsOfPods)
	}
	cols := []column{{head: "POD", weight: 9}, {head: "OWNER", weight: 6}, {head: "BECOMES", weight: 8, min: 8}, {head: "FITS ON", weight: 7}}
	for _, p := range pods[:shown] {
		to := orNone(p.To)
		switch {
		case p.Pending != "":
			to = "nowhere"
		case p.To == "" && p.Fate == remedy.WithNode:
			to = "stays with the node"
		}
		for i, cell := range []string{p.Ref.Namespace + "/" + p.Ref.Name, owner(p.Owner), string(p.Fate), to} {
			cols[i].cells = append(cols[i].cells, cell)
		}
	}
	if err := f.table(2, cols, f.o.wide()); err != nil {
		return err
	}
	if shown < len(pods) {
		f.para(2, 4, styled(dim, fmt.Sprintf("and %d more: -o wide, or -o json", len(pods)-shown)))
	}
	if pending > 0 {
		f.para(2, 4, styled(red, fmt.Sprintf("%s would stay Pending:", count(pending, "pod"))))
		for _, p := range pods {
			if p.Pending != "" {
				f.para(4, 6, text(p.Ref.Namespace+"/"+p.Ref.Name+": "+boundMiddle(p.Pending, f.bound())))
			}
		}
	}
	if n.Room != nil {
		for _, r := range n.Room.Rests {
			f.para(2, 4, styled(dim, "room: "), text(r))
		}
	}
	return nil
}

func weightOf(p report.NodeFixPod) int {
	if p.Pending != "" {
		return 0
	}
	return 1 + slices.Index([]remedy.Fate{remedy.Dropped, remedy.Evicted, remedy.WithOwner, remedy.WithNode, remedy.Remains, remedy.Finished}, p.Fate)
}

// nodePlan is a plan of several acts: the evictions in one line, the others one by one.
func (f *fixPage) nodePlan(plan *remedy.Plan) {
	switch {
	case f.changed() || f.has(remedy.Already):
		f.title("What was done")
	case f.ran():
		f.title("What was tried")
	case f.refused():
		f.title("What was asked for, and would be done")
	default:
		f.title("What would be done")
	}
	f.place(plan)
	number := 0
	undo := map[bool][]string{}
	for i := 0; i < len(plan.Acts); i++ {
		act := plan.Acts[i]
		last := i
		for slices.Contains(act.Remedies, remedy.EvictPod) && last+1 < len(plan.Acts) && slices.Contains(plan.Acts[last+1].Remedies, remedy.EvictPod) {
			last++
		}
		number++
		head := fmt.Sprintf("%d. ", number)
		what := act.Target.String()
		if len(act.Steps) > 0 {
			what = act.Steps[0].What
		}
		if last > i {
			what = fmt.Sprintf("evict %d pods, one after the other as their disruption budgets allow, and give them time to stop", last-i+1)
		}
		risk := act.Risk
		for _, a := range plan.Acts[i : last+1] {
			risk = remedy.Worse(risk, a.Risk)
		}
		f.para(2, 2+len(head), text(head), styled(bold, what), text(" · "), styled(riskStyle(risk), riskWords(risk)))
		f.nodeOutcomes(2+len(head), i, last)
		for k := i; k <= last; k++ {
			for _, s := range plan.Acts[k].Steps {
				if !slices.Contains(undo[s.Undo.Can], s.Undo.How) {
					undo[s.Undo.Can] = append(undo[s.Undo.Can], s.Undo.How)
				}
				if f.o.wide() {
					for _, c := range s.Kubectl {
						f.command(2+len(head), "by hand: ", f.with(c))
					}
				}
			}
		}
		i = last
	}
	var lost []string
	for n, a := range plan.Acts {
		if end := f.ended(n, a); f.ran() && end != remedy.Done && end != remedy.Open {
			continue // what was not done costs nothing
		}
		for _, l := range a.Loses {
			if !slices.Contains(lost, l) {
				lost = append(lost, l)
			}
		}
	}
	for _, l := range lost {
		f.para(2, 4, styled(red, "lost: "), text(l))
	}
	if !f.ran() {
		for _, how := range undo[true] {
			f.para(2, 4, styled(dim, "can be undone: "), text(how))
		}
		for _, how := range undo[false] {
			f.para(2, 4, styled(dim, "cannot be undone: "), text(how))
		}
	}
	if !f.ran() || f.o.wide() {
		var rest []remedy.Verdict
		for _, g := range planVerdicts(plan) {
			if !g.verdict.Blocks() || f.ran() {
				rest = append(rest, g.verdict)
			}
		}
		if len(rest) > 0 {
			f.title("What the guards say besides")
			f.verdicts(2, rest)
		}
	}
}

// nodeOutcomes says how the acts from first to last ended, those alike in one line; before they are carried out, what the dry run said against them.
func (f *fixPage) nodeOutcomes(indent, first, last int) {
	counts := map[remedy.Status]int{}
	var odd []int
	for k := first; k <= last; k++ {
		o := f.outcome(k, 0)
		if o == nil {
			continue
		}
		counts[o.Status]++
		if o.Status != remedy.Done && o.Status != remedy.Already {
			odd = append(odd, k)
		}
	}
	for _, s := range []remedy.Status{remedy.Done, remedy.Already, remedy.Rejected, remedy.Stopped, remedy.Error, remedy.Open, remedy.Skipped} {
		switch {
		case counts[s] == 0:
		case first == last:
			f.para(indent, indent+2, styled(statusStyle(s), statusWords(s)))
		default:
			f.para(indent, indent+2, styled(statusStyle(s), fmt.Sprintf("%d %s", counts[s], statusWords(s))))
		}
	}
	for i, k := range odd {
		o := f.outcome(k, 0)
		if o.Status == remedy.Skipped && !f.o.wide() {
			continue
		}
		if i == rowsOfPods && !f.o.wide() {
			break
		}
		name := f.doc.Plan.Acts[k].Target.String() + ": "
		f.para(indent, indent+2, text(name+boundMiddle(strings.TrimPrefix(o.Text, name), f.bound()))) // some words begin with it
	}
	if f.ran() {
		return
	}
	for k := first; k <= last; k++ {
		if a := f.answer(k, 0); a != nil && a.Said != remedy.Accepted {
			f.para(indent, indent+2, text(f.doc.Plan.Acts[k].Target.String()))
			f.predicted(indent+2, *a)
		}
	}
}

func (f *fixPage) leftovers(all []remedy.Leftover) {
	if len(all) == 0 {
		return
	}
	f.title("What is left behind")
	for _, l := range all {
		f.para(2, 4, styled(bold, l.Ref.String()), text(": "+l.Held))
		if l.By != "" {
			f.para(4, 6, text(l.By))
		}
		if l.Command != "" {
			f.command(4, "", f.with(l.Command))
		}
	}
}

// host are the steps on the machine.
func (f *fixPage) host(n *report.NodeFix) {
	if len(n.Host) == 0 {
		return
	}
	if !f.ran() && !f.o.wide() && f.doc.Plan != nil {
		f.para(0, 2, styled(dim, fmt.Sprintf("Afterwards %s are to be done on the machine; -o wide shows them now.", count(len(n.Host), "step"))))
		return
	}
	f.title("On the machine of node " + n.Name)
	for i, h := range n.Host {
		number := fmt.Sprintf("%d. ", i+1)
		in := 2 + len(number)
		f.para(2, in, text(number), styled(bold, h.What))
		f.para(in, in, styled(dim, h.Why))
		for _, c := range h.Commands {
			f.command(in, "# ", c)
		}
	}
}

// restored says what of a saved node is given back, and what is not and why.
func (f *fixPage) restored(items []remedy.RestoreItem) {
	if len(items) == 0 {
		return
	}
	f.title("What the node had, and what is given back")
	for _, puts := range []bool{true, false} {
		for _, i := range items {
			if i.Puts != puts {
				continue
			}
			what := i.Field
			if i.Key != "" {
				what += " " + i.Key
			}
			if i.Saved != "" {
				what += "=" + i.Saved
			}
			head, st := "gives back ", green
			if !puts {
				head, st = "leaves ", yellow
			}
			why := i.Why
			if i.Owner != "" {
				why = "it belongs to " + i.Owner + ": " + why
			}
			if i.Now != "" && i.Now != i.Saved {
				why = "it is " + i.Now + " now; " + why
			}
			f.para(2, 4, styled(st, head), styled(bold, what), text(because(why)))
		}
	}
}

// probe is how the node fared beside a healthy one, stage by stage.
func (f *fixPage) probe(r *remedy.ProbeResult) error {
	if r == nil {
		return nil
	}
	f.title("Probe")
	st := red
	if r.Works {
		st = green
	}
	f.para(2, 4, styled(st, r.Verdict))
	f.blank()
	cols := []column{{head: "STAGE", weight: 9}, {head: strings.ToUpper(Clean(r.Run.Node)), weight: 8}}
	if r.Beside != nil {
		cols = append(cols, column{head: strings.ToUpper(Clean(r.Beside.Node)), weight: 8})
	}
	for _, s := range r.Run.Stages {
		row := []string{string(s.Stage), probeWords(s)}
		if r.Beside != nil {
			beside := none
			if j := slices.IndexFunc(r.Beside.Stages, func(b remedy.StageTime) bool { return b.Stage == s.Stage }); j >= 0 {
				beside = probeWords(r.Beside.Stages[j])
			}
			row = append(row, beside)
		}
		for k, cell := range row {
			cols[k].cells = append(cols[k].cells, cell)
		}
	}
	if err := f.table(2, cols, f.o.wide()); err != nil {
		return err
	}
	for _, run := range []*remedy.ProbeRun{&r.Run, r.Beside} {
		if run == nil {
			continue
		}
		for _, s := range run.Stages {
			if s.Text != "" && (!s.Passed || f.o.wide()) {
				f.para(2, 4, styled(dim, run.Node+", "+string(s.Stage)+": "), text(boundMiddle(s.Text, f.bound())))
			}
		}
	}
	f.para(2, 4, styled(dim, "pod "+r.Run.Pod+", image "+r.Run.Image))
	if r.Alone != "" {
		f.para(2, 4, styled(dim, "compared with no healthy node: "), text(r.Alone))
	}
	for _, run := range []*remedy.ProbeRun{&r.Run, r.Beside} {
		if run != nil && run.Left != "" {
			f.para(2, 4, styled(yellow, "left behind: "), text(run.Left))
		}
	}
	return nil
}

func probeWords(s remedy.StageTime) string {
	took := fmt.Sprintf("%.1fs", float64(s.Milliseconds)/1000)
	switch {
	case s.Passed && s.Untold:
		return "with another"
	case s.Passed:
		return took
	case s.Untold:
		return "not known"
	case s.Milliseconds > 0:
		return "NO, after " + took
	default:
		return "NO"
	}
}

// nodeTarget is the node that a document without a plan is about.
func nodeTarget(doc *report.Fix) []snapshot.Ref {
	if doc.Node == nil {
		return nil
	}
	return []snapshot.Ref{{Kind: snapshot.Node, Name: doc.Node.Name}}
}
