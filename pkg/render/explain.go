package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// explain tells the whole story of each pod, or node, that was asked for.
func (p *page) explain(r *report.Report, o Options) error {
	if len(r.Nodes) > 0 {
		return p.stories(r, o)
	}
	told := 0
	for _, g := range r.Groups {
		for _, pod := range g.Pods {
			if err := p.explainPod(r, g, pod, o); err != nil {
				return err
			}
			told++
		}
	}
	for _, pod := range r.Waiting {
		if err := p.explainPod(r, report.Group{}, pod, o); err != nil {
			return err
		}
		told++
	}
	told += p.well(r)
	if told == 0 {
		p.headline(r)
	} else {
		p.blank()
		p.para(0, 2, styled(dim, taken(r)))
	}
	p.limits(r, o)
	return nil
}

// well says of pods that were named that nothing is wrong with them.
func (p *page) well(r *report.Report) int {
	for _, pod := range r.Well {
		said := "is not stuck: STATUS " + pod.Status
		if pod.ReadySince != nil {
			said += ", Ready since " + p.when(*pod.ReadySince)
		}
		p.blank()
		p.para(0, 2, styled(bold, "pod "+pod.Namespace+"/"+pod.Name), text(" "+said))
	}
	return len(r.Well)
}

func (p *page) explainPod(r *report.Report, g report.Group, pod report.Pod, o Options) error {
	p.blank()
	name := pod.Name
	if pod.Namespace != "" {
		name = pod.Namespace + "/" + name
	}
	isStuck := len(g.Pods) > 0
	spans := []span{styled(bold, "pod "+name), text(" · " + string(pod.State))}
	if pod.StuckForSeconds > 0 {
		spans = append(spans, text(" for "+seconds(pod.StuckForSeconds)))
	}
	switch {
	case !isStuck:
		spans = append(spans, text(" · on the way, not stuck"))
	case pod.Reach != "":
		spans = append(spans, text(" · "), styled(reachStyle(pod.Reach), reachWords(pod.Reach, 1)), text(sure(pod.Confidence)))
	}
	p.para(0, 2, spans...)
	for _, s := range []string{stateWords(pod.State), stageWords(pod.Stage)} {
		if s != "" {
			p.para(2, 2, text(s))
		}
	}
	p.clears(2, pod)

	p.title("Timeline (UTC)")
	p.timeline(pod)

	p.title("The pod")
	for _, l := range [][2]string{
		{"status as kubectl prints it: ", pod.Status}, {"node: ", orNone(pod.Node)}, {"owner: ", owner(pod.Owner)},
		{"finalizers: ", orNone(strings.Join(pod.Finalizers, ", "))}, {"uid: ", orNone(pod.UID)},
		{"events: ", hearing(pod.Events)},
	} {
		if l[1] != none && l[1] != "" {
			p.para(2, 4, styled(dim, l[0]), text(l[1]))
		}
	}
	p.holders(pod.FinalizerOwners)
	p.removal(pod.Removal)
	p.storage(pod.Volumes)
	if isStuck && g.Node != "" {
		p.title("Is it the pod or the node?")
		p.para(2, 4, text("node "+g.Node+": "), styled(reachStyle(g.Reach), reachWords(g.Reach, g.Stuck)), text(sure(g.Confidence)))
		for _, w := range g.Why {
			p.para(2, 4, text(w))
		}
		if g.Facts != nil {
			p.facts(2, g.Facts, g.Why, true)
		}
		if g.Decide != "" {
			p.para(2, 4, styled(yellow, "to decide: "), text(g.Decide))
		}
	}
	findings := slices.Clone(pod.Findings)
	for _, f := range g.Findings {
		if f.Reach != "" && f.Reach == g.Reach && !slices.ContainsFunc(findings, func(o report.Finding) bool { return key(o) == key(f) }) && cause(pod, g) == string(f.Code) {
			findings = append(findings, f)
		}
	}
	if len(findings) > 0 {
		p.title("Why, most likely first")
		for i, f := range findings {
			if i > 0 {
				p.blank()
			}
			p.finding(2, f, true)
		}
	}
	if pod.Unexplained != nil {
		p.blank()
		p.unexplained(2, pod.Unexplained)
	}
	if err := p.logs(g.Logs, o); err != nil {
		return err
	}
	if rs := remedies(findings); len(rs) > 0 {
		p.title("What to do, least dangerous first")
		p.ladder(2, rs)
	}
	if !isStuck {
		return nil
	}
	next := g.Next
	if g.Reach == scope.ReachPod {
		next = fixCommand(r, pod) // the group's next command is this one, or one about another pod
	}
	if next == "" {
		return nil
	}
	p.blank()
	p.command(0, "next: ", next)
	return nil
}

// fixCommand is the command that tells what can be done about a pod. It changes nothing as it stands.
func fixCommand(r *report.Report, pod report.Pod) string {
	c := "kubectl stuck fix pod " + quoted(pod.Name)
	if pod.Namespace != "" {
		c += " -n " + quoted(pod.Namespace)
	}
	if r.Origin.Path != "" {
		c += " --from " + quoted(r.Origin.Path)
	}
	return c
}

// timeline puts what is known to have happened in order of time.
func (p *page) timeline(pod report.Pod) {
	type moment struct {
		at   time.Time
		what string
	}
	began := "the state began"
	switch {
	case pod.State == stuck.Terminating:
		began = "deletion deadline (metadata.deletionTimestamp: it includes the grace period)"
	case pod.State == stuck.NodeLost:
		began = "its node stopped answering"
	}
	moments := []moment{{pod.Since, began}}
	if pod.ThresholdSeconds > 0 && !pod.Since.IsZero() {
		d := time.Duration(pod.ThresholdSeconds) * time.Second
		moments = append(moments, moment{pod.Since.Add(d), "from here on it counts as stuck (" + age(d) + ")"})
	}
	for _, f := range pod.Findings {
		for _, e := range f.Evidence {
			if e.Last.IsZero() {
				continue
			}
			s := e.Field + " (" + e.Object + ")"
			if e.Count > 1 {
				s = fmt.Sprintf("%s, the last of %d (%s)", e.Field, e.Count, e.Object)
			}
			if m := (moment{e.Last, s}); !slices.Contains(moments, m) {
				moments = append(moments, m)
			}
		}
	}
	moments = append(moments, moment{p.now, "this picture was taken"})
	if pod.ClearsBy != nil {
		moments = append(moments, moment{*pod.ClearsBy, "by then it clears by itself, if it does"})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range moments {
		when := p.when(m.at)
		if m.at.Equal(p.now) {
			when = p.clock(m.at)
		}
		p.para(2, 4, styled(dim, when+": "), text(m.what))
	}
}
