package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// mostNodes is how many lines the overview of nodes has at most.
const mostNodes = 40

// overview writes a line for every node that has something wrong.
func (p *page) overview(r *report.Report, o Options) error {
	p.headline(r)
	p.shared(r, o)
	p.blank()
	if len(r.Nodes) == 0 {
		if r.Summary.StuckNodes == 0 {
			p.para(0, 2, text("No node has a stuck pod, and none that could be read is in trouble itself."))
		} else {
			p.para(0, 2, text("Nothing could be read of the nodes themselves."))
		}
		p.limits(r, o)
		return nil
	}
	nodes := r.Nodes
	limit := mostNodes
	switch {
	case o.MaxGroups > 0:
		limit = o.MaxGroups
	case o.MaxGroups < 0 || o.wide():
		limit = len(nodes)
	}
	if len(nodes) > limit {
		nodes = nodes[:limit]
	}
	cols := []column{
		{head: "NODE", weight: 9},
		{head: "READY", weight: 6},
		{head: "LEASE", weight: 3},
		{head: "PODS", weight: 2},
		{head: "STUCK", weight: 8},
		{head: "REACH", weight: 7},
		{head: causeHead, weight: 4, min: 16},
	}
	if o.wide() {
		for _, h := range []string{"HEALTHY", "WAITING", "ROLES", "KUBELET", "RUNTIME", "KERNEL", "ZONE", "TAINTS"} {
			cols = append(cols, column{head: h, weight: 1})
		}
	}
	for _, n := range nodes {
		row := []string{
			n.Name, ready(n.Facts), lease(n.Facts), fmt.Sprint(n.Total), fmt.Sprint(n.Stuck), reach(n), overviewCause(n),
		}
		if o.wide() {
			row = append(row, fmt.Sprint(n.Healthy), fmt.Sprint(n.Waiting), orNone(strings.Join(n.Roles, ",")), orNone(n.Facts.Kubelet),
				orNone(n.Facts.Runtime), orNone(n.Facts.Kernel), orNone(n.Facts.Zone), orNone(strings.Join(n.Facts.Taints, ",")))
		}
		for i := range cols {
			cols[i].cells = append(cols[i].cells, row[i])
		}
	}
	cols = slices.DeleteFunc(cols, func(c column) bool { return c.weight < keep && blankColumn(c) })
	if err := p.table(0, cols, o.wide()); err != nil {
		return err
	}
	if n := len(r.Nodes) - len(nodes); n > 0 {
		p.para(0, 2, text(fmt.Sprintf("… and %s: -o wide", count(n, "more node"))))
	}
	p.blank()
	next := nodes[0].Next
	if next == "" {
		next = "kubectl stuck node " + nodes[0].Name
	}
	p.command(0, "next: ", next)
	p.limits(r, o)
	return nil
}

// ready is what kubectl prints as the status of a node.
func ready(f report.NodeFacts) string {
	s := f.Ready
	switch {
	case !f.Exists:
		return "no such node"
	case s == "":
		s = "not read"
	}
	if f.Cordoned {
		s += ",cordoned"
	}
	return s
}

func lease(f report.NodeFacts) string {
	switch {
	case f.LeaseAgeSeconds == nil && f.LeaseStale:
		return "stale"
	case f.LeaseAgeSeconds == nil:
		return none
	case f.LeaseStale:
		return seconds(*f.LeaseAgeSeconds) + " stale"
	default:
		return seconds(*f.LeaseAgeSeconds)
	}
}

func reach(n report.NodeStory) string {
	if n.Reach == "" {
		return none
	}
	return string(n.Reach) + sure(n.Confidence)
}

// overviewCause is the cause of a node in one line. Where it is undecided, what was found explains some pods at most.
func overviewCause(n report.NodeStory) string {
	if n.Reach == scope.ReachUndecided && len(n.Findings) > 0 {
		return "some pods: " + strings.Join(codes(n.Findings), ", ")
	}
	return causeTitle(n.Findings)
}

func causeTitle(fs []report.Finding) string {
	if len(fs) == 0 {
		return none
	}
	return string(fs[0].Code) + " " + fs[0].Title
}

// stories tells everything about the nodes that were asked for.
func (p *page) stories(r *report.Report, o Options) error {
	if len(r.Nodes) == 0 {
		p.para(0, 2, text("No node was found."))
	}
	for _, n := range r.Nodes {
		if err := p.story(r, n, o); err != nil {
			return err
		}
	}
	p.blank()
	p.para(0, 2, styled(dim, taken(r)))
	p.limits(r, o)
	return nil
}

func (p *page) story(r *report.Report, n report.NodeStory, o Options) error {
	p.blank()
	spans := []span{styled(bold, "node "+n.Name), text(" · ")}
	if n.Reach == "" {
		spans = append(spans, text("nothing is stuck on it"))
	} else {
		spans = append(spans, styled(reachStyle(n.Reach), reachWords(n.Reach, n.Stuck)), text(sure(n.Confidence)))
	}
	counts := fmt.Sprintf(" · %s: %d stuck, %d healthy", count(n.Total, "pod"), n.Stuck, n.Healthy)
	if n.Waiting > 0 {
		counts += fmt.Sprintf(", %d on the way", n.Waiting)
	}
	if len(n.Roles) > 0 {
		counts += " · " + strings.Join(n.Roles, ", ")
	}
	p.para(0, 2, append(spans, text(counts))...)
	for _, w := range n.Why {
		p.para(2, 4, text(w))
	}
	if n.Decide != "" {
		p.para(2, 4, styled(yellow, "to decide: "), text(n.Decide))
	}
	if len(n.Findings) > 0 {
		p.title("Cause")
		for i, f := range n.Findings {
			switch {
			case o.wide():
				p.finding(2, f, true)
			case i == 0:
				p.quote(2, f, whole, evidenceBoundFull)
			default:
				p.finding(2, f, false)
			}
		}
	}
	if err := p.logs(n.Logs, o); err != nil {
		return err
	}
	if err := p.nodeState(n); err != nil {
		return err
	}
	for _, g := range r.Groups {
		if g.Node != n.Name {
			continue
		}
		p.title("Stuck, by workload")
		if err := p.byOwner(r, g, n); err != nil {
			return err
		}
		if o.wide() {
			if err := p.table(2, podColumns(r, g, g.Pods, o, p), true); err != nil {
				return err
			}
		}
		g.Findings = n.Findings
		p.notes(r, g, o, map[string]bool{})
	}
	p.others(r, n, o)
	if err := p.nodeStorage(r, n, o); err != nil {
		return err
	}
	p.nodeEvents(n, o)
	if len(n.IfDeleted) > 0 {
		p.title("If the node object were deleted")
		for _, s := range n.IfDeleted {
			p.para(2, 4, text(s))
		}
	}
	if rs := remedies(n.Findings); len(rs) > 0 {
		p.title("What to do, least dangerous first")
		p.ladder(2, rs)
	}
	p.blank()
	p.command(0, "next: ", n.Next)
	return nil
}

// remedies are those of all findings, each once.
func remedies(fs []report.Finding) []report.Remedy {
	var out []report.Remedy
	for _, f := range fs {
		for _, r := range f.Remedies {
			if !slices.ContainsFunc(out, func(o report.Remedy) bool { return o.ID == r.ID && o.Command == r.Command }) {
				out = append(out, r)
			}
		}
	}
	return out
}

// nodeState is what the API says of the node itself.
func (p *page) nodeState(n report.NodeStory) error {
	p.title("The node itself")
	f := n.Facts
	switch {
	case !f.Exists:
		p.para(2, 4, text("The node object does not exist."))
	case f.Ready == "":
		p.para(2, 4, text("It could not be read."))
	}
	if len(n.Conditions) > 0 {
		cols := []column{{head: "CONDITION", weight: 9}, {head: "STATUS", weight: 8}, {head: "OK", weight: 7}, {head: "SINCE", weight: 6}, {head: "REASON", weight: 3, min: 10}}
		conditions := slices.Clone(n.Conditions)
		slices.SortStableFunc(conditions, func(a, b report.NodeCondition) int {
			switch {
			case a.Bad == b.Bad:
				return 0
			case a.Bad:
				return -1
			default:
				return 1
			}
		})
		for _, c := range conditions {
			ok := "yes"
			if c.Bad {
				ok = "NO"
			}
			since := none
			if !c.Since.IsZero() {
				since = p.when(c.Since)
			}
			for i, s := range []string{c.Type, c.Status, ok, since, orNone(c.Reason)} {
				cols[i].cells = append(cols[i].cells, s)
			}
		}
		if err := p.table(2, cols, false); err != nil {
			return err
		}
		for _, c := range conditions {
			if c.Bad && c.Message != "" {
				p.para(2, 4, text(c.Type+": "+boundMiddle(c.Message, evidenceBound)))
			}
		}
	} else if f.Ready != "" {
		p.para(2, 4, text("Ready="+f.Ready))
	}
	if f.LeaseAgeSeconds != nil {
		s := "lease renewed " + p.when(p.now.Add(-time.Duration(*f.LeaseAgeSeconds)*time.Second))
		if f.LeaseStale {
			s += ": STALE, kubelet does not renew it"
		}
		p.para(2, 4, text(s))
	} else if f.LeaseStale {
		p.para(2, 4, text("lease: STALE"))
	}
	if f.Cordoned {
		p.para(2, 4, text("cordoned: nothing new is scheduled to it"))
	}
	if len(f.Taints) > 0 {
		p.para(2, 4, text("taints: "+strings.Join(f.Taints, ", ")))
	}
	var versions []string
	for _, v := range [][2]string{{"kubelet ", f.Kubelet}, {"runtime ", f.Runtime}, {"kernel ", f.Kernel}, {"", f.OSImage}, {"zone ", f.Zone}} {
		if v[1] != "" {
			versions = append(versions, v[0]+v[1])
		}
	}
	if len(versions) > 0 {
		p.para(2, 4, text(strings.Join(versions, " · ")))
	}
	return nil
}

// byOwner sums up the stuck pods of a node by workload and state.
func (p *page) byOwner(r *report.Report, g report.Group, n report.NodeStory) error {
	type line struct {
		owner, namespace, state, cause string
		pods                           int
		least, most                    int64
	}
	var lines []*line
	for _, pod := range g.Pods {
		who := owner(pod.Owner)
		if pod.Owner == nil {
			who = "pod/" + pod.Name
		}
		state := string(pod.State)
		if s := stage(pod); s != none {
			state += ", " + s
		}
		c := cause(pod, report.Group{Findings: n.Findings})
		i := slices.IndexFunc(lines, func(l *line) bool {
			return l.owner == who && l.namespace == pod.Namespace && l.state == state && l.cause == c
		})
		if i < 0 {
			lines = append(lines, &line{owner: who, namespace: pod.Namespace, state: state, cause: c, least: pod.StuckForSeconds})
			i = len(lines) - 1
		}
		l := lines[i]
		l.pods++
		l.least, l.most = min(l.least, pod.StuckForSeconds), max(l.most, pod.StuckForSeconds)
	}
	slices.SortStableFunc(lines, func(a, b *line) int { return cmp.Compare(b.pods, a.pods) })
	cols := []column{{head: "WORKLOAD", weight: 9}, {head: "NAMESPACE", weight: 8}, {head: "PODS", weight: 8}, {head: "STATE", weight: 7, min: 17}, {head: "FOR", weight: 6}, {head: "CAUSE", weight: 6}}
	for _, l := range lines {
		d := seconds(l.most)
		if s := seconds(l.least); s != d {
			d = s + " to " + d
		}
		for i, s := range []string{l.owner, orNone(l.namespace), fmt.Sprint(l.pods), l.state, d, l.cause} {
			cols[i].cells = append(cols[i].cells, s)
		}
	}
	if r.Asked.Namespace != "" {
		cols = slices.Delete(cols, 1, 2)
	}
	return p.table(2, cols, false)
}

// others counts the pods of the node that are not stuck: the newest healthy one shows until when the node could
// still start something.
func (p *page) others(r *report.Report, n report.NodeStory, o Options) {
	if len(n.HealthyPods) > 0 {
		p.title("Healthy")
		healthy := slices.Clone(n.HealthyPods)
		slices.SortStableFunc(healthy, func(a, b report.PodLine) int { return readySince(b).Compare(readySince(a)) })
		s := count(max(n.Healthy, len(healthy)), "healthy pod")
		if t := readySince(healthy[0]); !t.IsZero() {
			s += "; the last to become Ready did so " + p.when(t) + ": " + podName(r, healthy[0].Namespace, healthy[0].Name)
		}
		p.para(2, 4, text(s))
		if o.wide() {
			var names []string
			for _, h := range healthy {
				names = append(names, podName(r, h.Namespace, h.Name))
			}
			p.para(2, 4, styled(dim, strings.Join(names, ", ")))
		}
	}
	if len(n.OtherPods) > 0 {
		var words []string
		by := map[string]int{}
		for _, h := range n.OtherPods {
			if by[h.Status]++; by[h.Status] == 1 {
				words = append(words, h.Status)
			}
		}
		for i, w := range words {
			words[i] = fmt.Sprintf("%d %s", by[w], w)
		}
		p.para(2, 4, text("neither healthy nor stuck: "+strings.Join(words, ", ")))
	}
}

func readySince(l report.PodLine) time.Time {
	if l.ReadySince == nil {
		return time.Time{}
	}
	return *l.ReadySince
}

func (p *page) nodeStorage(r *report.Report, n report.NodeStory, o Options) error {
	if len(n.Volumes) > 0 {
		p.title("Volumes")
		cols := []column{{head: "VOLUME", weight: 9}, {head: "DRIVER", weight: 4, min: 10}, {head: "ATTACHED", weight: 8}, {head: "PODS", weight: 3, min: 12}}
		for _, v := range n.Volumes {
			var pods []string
			for _, ref := range v.Pods {
				pods = append(pods, podName(r, ref.Namespace, ref.Name))
			}
			attached := "no"
			if v.Attached {
				attached = "yes"
			}
			for i, s := range []string{v.Name, orNone(v.Driver), attached, orNone(strings.Join(pods, ","))} {
				cols[i].cells = append(cols[i].cells, s)
			}
		}
		if err := p.table(2, cols, o.wide()); err != nil {
			return err
		}
		for _, v := range n.Volumes {
			if v.Detail != "" {
				p.para(2, 4, text(v.Name+": "+boundMiddle(v.Detail, evidenceBound)))
			}
		}
	}
	if len(n.Budgets) > 0 {
		p.title("Disruption budgets")
		for _, b := range n.Budgets {
			p.para(2, 4, text(fmt.Sprintf("%s covers %s here and allows %s", podName(r, b.Namespace, b.Name), count(b.Pods, "pod"), count(int(b.DisruptionsAllowed), "disruption"))))
		}
	}
	return nil
}

// nodeEvents writes the newest events about the node.
func (p *page) nodeEvents(n report.NodeStory, o Options) {
	if len(n.Events) == 0 {
		return
	}
	p.title("Events about the node")
	events := slices.Clone(n.Events)
	slices.SortStableFunc(events, func(a, b report.EventLine) int { return b.Last.Compare(a.Last) })
	const most = 6
	for i, e := range events {
		if i == most && !o.wide() {
			p.para(2, 4, styled(dim, fmt.Sprintf("%d older: -o wide", len(events)-i)))
			return
		}
		s := p.when(e.Last) + " " + e.Type + " " + e.Reason
		if e.Count > 1 {
			s += fmt.Sprintf(", %d times", e.Count)
		}
		p.para(2, 4, text(s+": "+boundMiddle(e.Message, evidenceBound)))
	}
}
