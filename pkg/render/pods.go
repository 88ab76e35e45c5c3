package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// pods writes the default view: the verdict, what is shared, a block for each group, and what could not be seen.
func (p *page) pods(r *report.Report, o Options) error {
	p.headline(r)
	if err := p.problems(r, o); err != nil {
		return err
	}
	wider := p.shared(r, o)
	if err := p.groups(r, o, wider); err != nil {
		return err
	}
	if err := p.objects(r, o); err != nil {
		return err
	}
	p.well(r)
	if err := p.waiting(r, o); err != nil {
		return err
	}
	p.limits(r, o)
	return nil
}

// headline is the answer in one or two lines.
func (p *page) headline(r *report.Report) {
	s := r.Summary
	var what string
	st := bold
	switch {
	case s.StuckPods > 0:
		what = count(s.StuckPods, "pod") + " stuck"
		switch {
		case s.StuckNodes == 0:
			what += ", none of them on a node"
		case s.Nodes > 0:
			what += fmt.Sprintf(" on %d of %s", s.StuckNodes, count(s.Nodes, "node"))
		default:
			what += " on " + count(s.StuckNodes, "node")
		}
	case len(r.Objects) > 0:
		what = objectsWords(r)
	case s.Complete:
		what, st = "Nothing is stuck", green
	default:
		what, st = "Nothing that could be seen is stuck", yellow
	}
	spans := []span{styled(st, what)}
	if s.StuckPods > 0 {
		parts := []string{fmt.Sprintf("%d node-wide", s.NodeWide), fmt.Sprintf("%d shared", s.Shared)}
		if s.Undecided > 0 {
			parts = append(parts, fmt.Sprintf("%d undecided", s.Undecided))
		}
		spans = append(spans, text(" · "+strings.Join(parts, ", ")))
		if len(r.Objects) > 0 {
			spans = append(spans, text(" · "+objectsWords(r)))
		}
	} else {
		spans = append(spans, text(" · looked at "+count(s.Pods, "pod")))
		if s.Nodes > 0 {
			spans = append(spans, text(" and "+count(s.Nodes, "node")))
		}
	}
	if !s.Complete {
		spans = append(spans, styled(yellow, " · incomplete"))
	}
	p.para(0, 2, spans...)
	second := taken(r)
	if a := asked(r.Asked); a != "" {
		second += " · limited to " + a
	}
	p.para(0, 2, styled(dim, second))
}

// taken says when and where the picture is from. A dump can be from any day, so its date is given.
func taken(r *report.Report) string {
	t := r.TakenAt.UTC()
	if r.Origin.Path != "" {
		s := "taken " + t.Format("2006-01-02 15:04:05") + " UTC (dump " + r.Origin.Path
		if r.Origin.Clock != "" {
			s += ", time: " + r.Origin.Clock
		}
		return s + ")"
	}
	s := "taken " + t.Format("15:04:05") + " UTC"
	switch {
	case r.Origin.Context != "":
		s += " (context " + r.Origin.Context + ")"
	case r.Origin.Server != "":
		s += " (" + r.Origin.Server + ")"
	}
	return s
}

func asked(a report.Asked) string {
	var parts []string
	if a.Namespace != "" {
		parts = append(parts, "namespace "+a.Namespace)
	}
	list := func(what string, l []string) {
		if len(l) > 0 {
			parts = append(parts, what+" "+some(l, 5))
		}
	}
	list("pods", a.Names)
	list("nodes", a.Nodes)
	list("states", a.States)
	if a.LabelSelector != "" {
		parts = append(parts, "labels "+a.LabelSelector)
	}
	if a.FieldSelector != "" {
		parts = append(parts, "fields "+a.FieldSelector)
	}
	return strings.Join(parts, " · ")
}

// shared writes what spans more than a node, which is the true headline where there is any. It returns the findings
// that it has told, so that no group tells them again.
func (p *page) shared(r *report.Report, o Options) (told map[string]bool) {
	told = map[string]bool{}
	var wider []report.Finding
	groups := map[string]int{}
	for _, g := range r.Groups {
		here := map[string]bool{}
		add := func(fs []report.Finding) {
			for _, f := range fs {
				k := key(f)
				if f.Reach != scope.ReachShared && f.Reach != scope.ReachCluster || here[k] {
					continue
				}
				here[k] = true
				groups[k]++
				// What could be shared and has hit one node only is that node's, or pod's, story.
				spans := groups[k] > 1 || g.Reach == scope.ReachCluster ||
					slices.ContainsFunc(r.Shared, func(s report.Shared) bool { return isAbout(f, s) })
				if spans && !told[k] {
					told[k] = true
					wider = append(wider, f)
				}
			}
		}
		add(g.Findings)
		for _, pod := range g.Pods {
			add(pod.Findings)
		}
	}
	pods := podsOf(r)
	for _, s := range r.Shared {
		p.blank()
		p.para(0, 2, styled(red, "SHARED"), text(" · "+s.Kind+" "+s.Name), styled(dim, sure(s.Confidence)))
		p.para(2, 4, text(s.Why))
		if len(s.Nodes) > 0 {
			n := 6
			if o.wide() {
				n = 0
			}
			p.para(2, 4, styled(dim, "nodes: "+some(s.Nodes, n)))
		}
		for _, f := range pods.shared(s) {
			if isAbout(f, s) && s.Confidence != scope.Possible {
				told[key(f)] = true
			}
			if told[key(f)] {
				p.finding(2, f, o.wide())
			}
		}
		wider = slices.DeleteFunc(wider, func(f report.Finding) bool { return isAbout(f, s) })
	}
	for _, f := range wider {
		p.blank()
		p.para(0, 2, styled(red, reachWords(f.Reach, 0)), text(" · "+f.Subject.String()))
		p.finding(2, f, o.wide())
	}
	return told
}

// few is up to how many groups are all written out.
const few = 5

// groups writes a block per group. Groups that tell the same story are told once in a long report, and what is left
// out is counted.
func (p *page) groups(r *report.Report, o Options, told map[string]bool) error {
	_, limit := o.limits()
	var blocks [][]report.Group
	at := map[string]int{}
	for _, g := range r.Groups {
		k := likeness(g)
		if i, ok := at[k]; ok && len(r.Groups) > few && limit > 0 && g.Node != "" {
			blocks[i] = append(blocks[i], g)
			continue
		}
		at[k] = len(blocks)
		blocks = append(blocks, []report.Group{g})
	}
	var left [][]report.Group
	if limit > 0 && len(blocks) > limit {
		blocks, left = blocks[:limit], blocks[limit:]
	}
	for _, b := range blocks {
		if err := p.group(r, b[0], o, told); err != nil {
			return err
		}
		p.alike(b[1:])
	}
	if len(left) > 0 {
		nodes, pods := 0, 0
		for _, b := range left {
			for _, g := range b {
				nodes++
				pods += g.Stuck
			}
		}
		p.blank()
		p.para(0, 2, text(fmt.Sprintf("… and %s with %s:", count(nodes, "more node"), count(pods, "stuck pod"))))
		p.command(2, "", "kubectl stuck node")
	}
	return nil
}

// likeness is equal for groups that tell the same story about different nodes.
func likeness(g report.Group) string {
	parts := []string{string(g.Reach), string(g.Confidence)}
	if f := g.Facts; f != nil {
		parts = append(parts, f.Ready, f.ReadyReason, fmt.Sprint(f.Exists, f.LeaseStale))
	}
	told := codes(g.Findings)
	for _, p := range g.Pods {
		for _, c := range codes(p.Findings) {
			if !slices.Contains(told, c) {
				told = append(told, c)
			}
		}
	}
	if len(told) == 0 {
		for _, p := range g.Pods {
			if s := string(p.State) + "/" + string(p.Stage); !slices.Contains(told, s) {
				told = append(told, s)
			}
		}
	}
	slices.Sort(told)
	return strings.Join(append(parts, told...), "\x00")
}

// alike names the other nodes of which the same is true.
func (p *page) alike(gs []report.Group) {
	if len(gs) == 0 {
		return
	}
	pods := 0
	var nodes []string
	for _, g := range gs {
		pods += g.Stuck
		nodes = append(nodes, fmt.Sprintf("%s (%d)", g.Node, g.Stuck))
	}
	p.para(2, 4, styled(bold, "the same on "+count(len(gs), "more node")), text(" ("+count(pods, "stuck pod")+"): "+some(nodes, 8)))
}

func (p *page) group(r *report.Report, g report.Group, o Options, told map[string]bool) error {
	p.blank()
	where := "node " + g.Node
	if g.Node == "" {
		where = "no node"
	}
	spans := []span{styled(bold, where), text(" · "), styled(reachStyle(g.Reach), reachWords(g.Reach, g.Stuck)), text(sure(g.Confidence))}
	said := func(what string) bool {
		return slices.ContainsFunc(g.Why, func(w string) bool { return strings.Contains(w, what) })
	}
	switch {
	case g.Node == "" || g.Total == 0:
		spans = append(spans, text(" · "+count(g.Stuck, "pod")+" stuck"))
	case said(fmt.Sprintf("%d of %d ", g.Stuck, g.Total)):
		spans = append(spans, text(fmt.Sprintf(" · %d healthy", g.Healthy)))
	default:
		spans = append(spans, text(fmt.Sprintf(" · %d of %s stuck, %d healthy", g.Stuck, count(g.Total, "pod"), g.Healthy)))
	}
	p.para(0, 2, spans...)
	for _, w := range g.Why {
		p.para(2, 4, text(w))
	}
	if g.Facts != nil {
		p.facts(2, g.Facts, g.Why, o.wide())
	}
	if g.Decide != "" {
		p.para(2, 4, styled(yellow, "to decide: "), text(g.Decide))
	}
	g.Findings = ofAll(g, told)
	p.groupFindings(g, o, told)
	if err := p.podTable(r, g, o); err != nil {
		return err
	}
	p.notes(r, g, o, told)
	p.command(2, "next: ", g.Next)
	return nil
}

// ofAll are the findings that the whole group has: those about its node, those that were told above, and those that
// every pod of it has. What single pods have on top is told with them.
func ofAll(g report.Group, told map[string]bool) []report.Finding {
	has := func(p report.Pod, f report.Finding) bool {
		return slices.ContainsFunc(p.Findings, func(o report.Finding) bool { return key(o) == key(f) })
	}
	all := func(f report.Finding) bool {
		return len(g.Pods) > 0 && !slices.ContainsFunc(g.Pods, func(p report.Pod) bool { return !has(p, f) })
	}
	var out []report.Finding
	for _, f := range g.Findings {
		if f.Reach == scope.ReachNode || f.Subject.Kind == snapshot.Node || told[key(f)] || all(f) {
			out = append(out, f)
		}
	}
	if len(g.Pods) > 0 {
		for _, f := range g.Pods[0].Findings {
			if all(f) && !slices.ContainsFunc(out, func(o report.Finding) bool { return key(o) == key(f) }) {
				out = append(out, f)
			}
		}
	}
	return out
}

// groupFindings writes the first finding in full and the others in a line each, wide all of them in full.
func (p *page) groupFindings(g report.Group, o Options, told map[string]bool) {
	const full, brief = 1, 3
	written := 0
	for i, f := range g.Findings {
		switch {
		case told[key(f)]:
			p.para(2, 4, text(string(f.Code)+" "+f.Title+": see above"))
		case o.wide() || written < full:
			p.finding(2, f, o.wide())
			written++
		case written < full+brief:
			p.para(2, 4, text("also "+string(f.Code)+" "+f.Title), styled(dim, sure(f.Confidence)))
			written++
		default:
			p.para(2, 4, text(fmt.Sprintf("and %s", count(len(g.Findings)-i, "more finding"))))
			return
		}
	}
}

// facts says what is out of order with the node, unless the reasons of the verdict said it; wide says the rest too.
func (p *page) facts(indent int, f *report.NodeFacts, why []string, wide bool) {
	said := func(what string) bool {
		return slices.ContainsFunc(why, func(w string) bool { return strings.Contains(w, what) })
	}
	var bad []string
	switch {
	case !f.Exists && !said("not exist"):
		bad = append(bad, "the node object does not exist")
	case f.Exists && f.Ready != "" && f.Ready != "True" && !said("Ready="+f.Ready):
		s := "Ready=" + f.Ready
		if f.ReadyReason != "" {
			s += " (" + f.ReadyReason + ")"
		}
		if f.ReadySince != nil {
			s += " since " + p.when(*f.ReadySince)
		}
		bad = append(bad, s)
	}
	if f.LeaseStale && !said("lease") {
		s := "its lease is stale"
		if f.LeaseAgeSeconds != nil {
			s = "its lease was last renewed " + p.when(p.now.Add(-time.Duration(*f.LeaseAgeSeconds)*time.Second))
		}
		bad = append(bad, s)
	}
	if f.Cordoned && !said("cordoned") {
		bad = append(bad, "cordoned")
	}
	if len(bad) > 0 {
		p.para(indent, indent+2, text("node: "+strings.Join(bad, "; ")))
	}
	if !wide {
		return
	}
	var rest []string
	add := func(what, value string) {
		if value != "" {
			rest = append(rest, what+" "+value)
		}
	}
	if f.Exists && f.Ready == "True" {
		rest = append(rest, "the node is Ready")
	}
	add("kubelet", f.Kubelet)
	add("runtime", f.Runtime)
	add("kernel", f.Kernel)
	add("", f.OSImage)
	add("zone", f.Zone)
	add("taints", strings.Join(f.Taints, ", "))
	if len(rest) > 0 {
		p.para(indent, indent+2, styled(dim, strings.Join(rest, " · ")))
	}
}

// podTable lists the pods of a group. What is the same for all of them is said once, above it.
func (p *page) podTable(r *report.Report, g report.Group, o Options) error {
	limit, _ := o.limits()
	if limit > 0 && o.MaxPods == 0 && len(r.Groups) > few {
		limit = 3 // of each group, where there are many
	}
	pods := g.Pods
	if limit > 0 && len(pods) > limit {
		pods = pods[:limit]
	}
	cols := podColumns(r, g, pods, o, p)
	var same []string
	switch {
	case o.wide(): // the same columns for every group
	case len(pods) > 1:
		cols, same = extractSame(cols, g.Pods, r, g, o, p)
	default:
		cols = slices.DeleteFunc(cols, func(c column) bool { return c.weight < keep && blankColumn(c) || known(c, g) })
	}
	if len(same) > 0 {
		p.para(2, 4, styled(dim, "all: "+strings.Join(same, " · ")))
	}
	if err := p.table(2, cols, o.wide()); err != nil {
		return err
	}
	if n := len(g.Pods) - len(pods); n > 0 {
		p.para(2, 4, text(fmt.Sprintf("… and %d more:", n)))
		p.command(4, "", more(r, g))
	}
	return nil
}

// more is the command that shows all pods of a group.
func more(r *report.Report, g report.Group) string {
	c := "kubectl stuck pods"
	if r.Asked.Namespace != "" {
		c += " -n " + r.Asked.Namespace
	} else {
		c += " -A"
	}
	if g.Node != "" {
		c += " --node " + g.Node
	}
	if r.Origin.Path != "" {
		c += " --from " + r.Origin.Path
	}
	return c + " -o wide"
}

// known tells a column of causes that says only what stands above the table.
func known(c column, g report.Group) bool {
	return c.head == causeHead && len(g.Findings) > 0 && !slices.ContainsFunc(c.cells, func(s string) bool { return s != string(g.Findings[0].Code) })
}

func blankColumn(c column) bool {
	return !slices.ContainsFunc(c.cells, func(s string) bool { return s != none && s != "" })
}

// extractSame takes out the columns in which all pods of the group, shown or not, are the same. Times are left in.
func extractSame(cols []column, all []report.Pod, r *report.Report, g report.Group, o Options, p *page) (rest []column, same []string) {
	whole := podColumns(r, g, all, o, p)
	for i, c := range cols {
		first := whole[i].cells[0]
		if c.head == nameHead(r) || c.head == forHead || slices.ContainsFunc(whole[i].cells, func(s string) bool { return s != first }) {
			rest = append(rest, c)
			continue
		}
		if first != none && first != "" && !known(whole[i], g) {
			same = append(same, first)
		}
	}
	return rest, same
}

// The columns that are asked about by name.
const (
	forHead   = "FOR"
	causeHead = "CAUSE"
)

// nameHead leaves the namespace out where only one was asked for.
func nameHead(r *report.Report) string {
	if r.Asked.Namespace != "" {
		return "NAME"
	}
	return "NAMESPACE/NAME"
}

func podName(r *report.Report, namespace, name string) string {
	if r.Asked.Namespace != "" || namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// podColumns are the columns for pods: those that matter least can be cut, or left out, where the page is narrow.
func podColumns(r *report.Report, g report.Group, pods []report.Pod, o Options, p *page) []column {
	cols := []column{
		{head: nameHead(r), weight: 9},
		{head: "STATE", weight: 7},
		{head: "STAGE", weight: 4, min: 10},
		{head: forHead, weight: 8},
		{head: "OWNER", weight: 2, min: 10},
		{head: causeHead, weight: 6},
	}
	if o.wide() {
		for _, h := range []string{"NODE", "SINCE", "CLEARS", "FINALIZERS", "UID"} {
			cols = append(cols, column{head: h, weight: 3})
		}
	}
	for _, pod := range pods {
		row := []string{podName(r, pod.Namespace, pod.Name), string(pod.State), stage(pod), seconds(pod.StuckForSeconds), owner(pod.Owner), cause(pod, g)}
		if o.wide() {
			clears := none
			if pod.ClearsBy != nil {
				clears = p.clock(*pod.ClearsBy)
			}
			row = append(row, orNone(pod.Node), p.clock(pod.Since), clears, orNone(strings.Join(pod.Finalizers, ",")), orNone(pod.UID))
		}
		for i := range cols {
			cols[i].cells = append(cols[i].cells, row[i])
		}
	}
	return cols
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// stage is how far a deletion got or, for a pod that starts, the word that kubectl has for its state where that says
// more.
func stage(p report.Pod) string {
	switch {
	case p.Stage != "":
		return string(p.Stage)
	case p.Status != "" && p.Status != string(p.State) && p.Status != "Pending":
		return p.Status
	default:
		return none
	}
}

// cause is the code of what explains the pod best.
func cause(p report.Pod, g report.Group) string {
	switch {
	case len(p.Findings) > 0:
		return string(p.Findings[0].Code)
	case p.Unexplained != nil:
		return "unexplained"
	}
	for _, f := range g.Findings {
		if f.Reach == scope.ReachNode || f.Reach == scope.ReachCluster || slices.ContainsFunc(f.Explains, func(ref snapshot.Ref) bool {
			return ref.Namespace == p.Namespace && ref.Name == p.Name
		}) {
			return string(f.Code)
		}
	}
	return none
}

// note is something that is true of some pods of a group and not of all: told once, with the pods that it is about.
type note struct {
	pods  []string
	write func(indent int)
}

// notes tells what the group's findings do not: what single pods hang in, what nothing explains, what clears by
// itself.
func (p *page) notes(r *report.Report, g report.Group, o Options, told map[string]bool) {
	notes := p.gather(r, g, o, told)
	const limit = 6
	for i, n := range notes {
		if i == limit && !o.wide() {
			p.para(2, 4, text("… and "+count(len(notes)-i, "more note")+" about single pods: -o wide"))
			return
		}
		indent := 2
		if len(g.Pods) > 1 {
			if i == 0 || !slices.Equal(n.pods, notes[i-1].pods) {
				named := 3
				if o.wide() {
					named = 0
				}
				p.para(2, 4, styled(bold, some(n.pods, named)+":"))
			}
			indent = 4
		}
		n.write(indent)
	}
}

// gather collects the notes, with those about the same pods next to each other.
func (p *page) gather(r *report.Report, g report.Group, o Options, told map[string]bool) []*note {
	shown := map[string]bool{}
	for _, f := range g.Findings {
		shown[key(f)] = true
	}
	var notes []*note
	byKey := map[string]*note{}
	add := func(k string, pod report.Pod, write func(indent int)) {
		n := byKey[k]
		if n == nil {
			n = &note{write: write}
			byKey[k] = n
			notes = append(notes, n)
		}
		n.pods = append(n.pods, podName(r, pod.Namespace, pod.Name))
	}
	for _, pod := range g.Pods {
		for i, f := range pod.Findings {
			if i > 0 && !o.wide() {
				break
			}
			if shown[key(f)] || told[key(f)] {
				continue
			}
			k := key(f)
			if f.Subject.Kind == snapshot.Pod {
				k = string(f.Code) // of each pod on its own, and so the same story
			}
			add("finding "+k, pod, func(indent int) { p.finding(indent, f, o.wide()) })
		}
		if u := pod.Unexplained; u != nil {
			add("unexplained "+strings.Join(u.LookedAt, ",")+"|"+strings.Join(u.Missing, ","), pod, func(indent int) { p.unexplained(indent, u) })
		}
		if pod.ClearsWhy != "" || pod.ClearsBy != nil {
			k := "clears " + pod.ClearsWhy
			if pod.ClearsBy != nil {
				k += pod.ClearsBy.Format(time.RFC3339)
			}
			add(k, pod, func(indent int) { p.clears(indent, pod) })
		}
	}
	at := map[string]int{}
	for i, n := range notes {
		k := strings.Join(n.pods, " ")
		if _, ok := at[k]; !ok {
			at[k] = i
		}
	}
	slices.SortStableFunc(notes, func(a, b *note) int { return at[strings.Join(a.pods, " ")] - at[strings.Join(b.pods, " ")] })
	return notes
}

func (p *page) unexplained(indent int, u *report.Unexplained) {
	p.para(indent, indent+2, styled(yellow, "unexplained"), text(": nothing in the catalogue fits"))
	if len(u.LookedAt) > 0 {
		p.para(indent+2, indent+4, text("looked at: "+strings.Join(u.LookedAt, ", ")))
	}
	if len(u.Missing) > 0 {
		p.para(indent+2, indent+4, text("could not look at: "+strings.Join(u.Missing, ", ")))
	}
}

// clears says when the matter ends by itself, and through what.
func (p *page) clears(indent int, pod report.Pod) {
	switch {
	case pod.ClearsBy != nil && pod.ClearsBy.After(p.now):
		p.para(indent, indent+2, text("clears by "+p.clock(*pod.ClearsBy)+" (in "+age(pod.ClearsBy.Sub(p.now))+"): "+pod.ClearsWhy))
	case pod.ClearsBy != nil:
		p.para(indent, indent+2, text("should have cleared "+p.when(*pod.ClearsBy)+": "+pod.ClearsWhy))
	case pod.ClearsWhy != "":
		p.para(indent, indent+2, text("clears by itself if: "+pod.ClearsWhy))
	}
}

// waiting counts the pods that are on their way; wide lists them.
func (p *page) waiting(r *report.Report, o Options) error {
	if len(r.Waiting) == 0 {
		return nil
	}
	grace, states, n := 0, []string{}, map[string]int{}
	var last time.Time
	for _, pod := range r.Waiting {
		if pod.Stage == stuck.InGrace {
			grace++
			if pod.ClearsBy != nil && pod.ClearsBy.After(last) {
				last = *pod.ClearsBy
			}
			continue
		}
		if n[string(pod.State)]++; n[string(pod.State)] == 1 {
			states = append(states, string(pod.State))
		}
	}
	slices.Sort(states)
	var parts []string
	if grace > 0 {
		s := fmt.Sprintf("%d in grace", grace)
		if !last.IsZero() {
			s += " (the last until " + p.clock(last) + ")"
		}
		parts = append(parts, s)
	}
	for i, s := range states {
		states[i] = fmt.Sprintf("%d %s", n[s], s)
	}
	if len(states) > 0 {
		parts = append(parts, strings.Join(states, ", ")+" for less than the threshold")
	}
	p.blank()
	p.para(0, 2, text(fmt.Sprintf("%s on the way and not stuck: %s", count(len(r.Waiting), "pod"), strings.Join(parts, "; "))))
	if !o.wide() {
		return nil
	}
	return p.table(2, podColumns(r, report.Group{}, r.Waiting, o, p), true)
}

// limits says what could not be seen, and what follows from that.
func (p *page) limits(r *report.Report, o Options) {
	p.gone(r)
	missing := slices.DeleteFunc(slices.Clone(r.Gaps), func(g report.Gap) bool {
		return g.Reason == snapshot.ReasonNotFound && !o.wide() // a server that does not have a kind has none of it to show
	})
	if len(missing) > 0 {
		p.blank()
		p.para(0, 2, styled(yellow, "could not be read"), text(", so the answer may lack something:"))
		type gap struct {
			what   []string
			reason string
		}
		var gaps []gap
		for _, g := range missing {
			what := string(g.Kind)
			if g.Name != "" {
				what += " " + g.Name
			}
			if g.Namespace != "" {
				what += " in namespace " + g.Namespace
			}
			reason := g.Reason
			if g.Detail != "" {
				bound := evidenceBound
				if o.wide() {
					bound = evidenceBoundFull
				}
				reason += ": " + boundMiddle(g.Detail, bound)
			}
			if n := len(gaps); n > 0 && gaps[n-1].reason == reason {
				gaps[n-1].what = append(gaps[n-1].what, what)
				continue
			}
			gaps = append(gaps, gap{[]string{what}, reason})
		}
		const most = 6
		for i, g := range gaps {
			if i == most && !o.wide() {
				p.para(2, 4, text(fmt.Sprintf("… and %d more: -o wide", len(gaps)-i)))
				break
			}
			n := most
			if o.wide() {
				n = 0
			}
			p.para(2, 4, text(some(g.what, n)+": "), styled(dim, g.reason))
		}
	}
	if len(r.Skipped) > 0 {
		var reasons []string
		by := map[string][]string{}
		for _, s := range r.Skipped {
			reason := s.Reason
			if !o.wide() {
				reason, _, _ = strings.Cut(reason, ": ") // what follows stands among the gaps
			}
			if by[reason] == nil {
				reasons = append(reasons, reason)
			}
			by[reason] = append(by[reason], string(s.Code))
		}
		p.blank()
		p.para(0, 2, text(count(len(r.Skipped), "cause")+" not tried, or not everywhere:"))
		const most = 4
		for i, reason := range reasons {
			if i == most && !o.wide() {
				p.para(2, 4, text(fmt.Sprintf("… and %s: -o wide", count(len(reasons)-i, "more reason"))))
				return
			}
			n := 8
			if o.wide() {
				n = 0
			}
			p.para(2, 4, text(some(by[reason], n)+": "), styled(dim, reason))
		}
	}
}
