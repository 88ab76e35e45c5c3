package diagnose

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Diagnosis is everything that is known of what is stuck.
type Diagnosis struct {
	Scope scope.Result
	// Findings are merged by cause and subject, the surest first.
	Findings []Finding
	Skips    []Skip
	// Unexplained holds the stuck pods, and other objects, for which no cause spoke.
	Unexplained map[snapshot.Ref]Unexplained

	byPod map[snapshot.Ref][]int // indexes of Findings
}

// Unexplained says what was looked at in vain, and what could not be.
type Unexplained struct {
	LookedAt []string
	Missing  []string
}

// Of returns the findings that explain a pod, or another object that is stuck, the best first.
func (d *Diagnosis) Of(p snapshot.Ref) []Finding {
	var out []Finding
	for _, i := range d.byPod[p] {
		out = append(out, d.Findings[i])
	}
	v := d.Scope.Pods[p]
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Rank() != b.Rank() {
			return a.Rank() > b.Rank()
		}
		// Of equally sure ones, what spans what the verdict says is the cause, and the other a consequence.
		return a.Reach == v.Reach && b.Reach != v.Reach
	})
	return out
}

// OfNode returns the findings that concern a node: about it, or about a stuck pod on it.
func (d *Diagnosis) OfNode(node string) []Finding {
	concerned := map[int]bool{}
	for _, g := range d.Scope.Groups {
		if g.Node != node {
			continue
		}
		for _, p := range g.Stuck {
			for _, i := range d.byPod[p.Ref] {
				concerned[i] = true
			}
		}
	}
	var out []Finding
	for i, f := range d.Findings {
		if concerned[i] || node != "" && f.Subject.Kind == snapshot.Node && f.Subject.Name == node {
			out = append(out, f)
		}
	}
	return out
}

// Run applies the causes. What single pods and the cluster say comes first, because a pod with a reason of its own is no
// evidence against its node; then the nodes are judged; then causes speak about nodes, knowing the verdict.
// nodes are looked at even where nothing on them is stuck.
func Run(s *snapshot.Snapshot, found stuck.Result, causes []Cause, nodes ...string) Diagnosis {
	e := engine{s: s}
	var usable []Cause
	for _, c := range causes {
		if kind, why := unread(s, c.Needs); why != "" {
			e.skips = append(e.skips, Skip{Code: c.Code, Slug: c.Slug, Reason: fmt.Sprintf("%s could not be read: %s", kind, why)})
			continue
		}
		if blind := allUnread(s, c.Optional); len(c.Needs) == 0 && blind != "" {
			e.skips = append(e.skips, Skip{Code: c.Code, Slug: c.Slug, Reason: fmt.Sprintf("%s could not be read: it went by the pods alone", blind)})
		}
		usable = append(usable, c)
	}
	for _, c := range usable {
		for _, p := range found.Stuck {
			e.pod(c, p)
		}
		for _, o := range found.Objects {
			e.object(c, o)
		}
	}
	d := Diagnosis{Scope: scope.Decide(s, found, e.explained())}
	for _, c := range usable {
		e.cluster(c, d.Scope)
	}
	// A pod that something of the cluster holds back, a webhook for one, is no evidence against its node either.
	d.Scope = scope.Decide(s, found, e.explained())
	for _, c := range usable {
		e.nodes(c, d.Scope, nodes)
	}
	d.Findings = e.settle()
	d.Skips = e.skips
	d.Unexplained = map[snapshot.Ref]Unexplained{}
	d.index()
	for _, p := range found.Stuck {
		if len(d.byPod[p.Ref]) == 0 {
			d.Unexplained[p.Ref] = unexplained(s, p)
		}
	}
	for _, o := range found.Objects {
		if len(d.byPod[o.Ref]) == 0 {
			d.Unexplained[o.Ref] = unexplainedObject(s, o)
		}
	}
	return d
}

// index notes which findings explain which pod.
func (d *Diagnosis) index() {
	d.byPod = map[snapshot.Ref][]int{}
	for i, f := range d.Findings {
		for _, r := range f.Explains {
			d.byPod[r] = append(d.byPod[r], i)
		}
	}
}

// unread names the first of the kinds of which nothing could be read, and why.
func unread(s *snapshot.Snapshot, needs []snapshot.Kind) (snapshot.Kind, string) {
	for _, k := range needs {
		err := s.Gap(k)
		if err == nil || s.Complete(k, "") || len(s.Objects(k)) > 0 || k == snapshot.Event && len(s.AllEvents()) > 0 {
			continue
		}
		return k, err.Error()
	}
	return "", ""
}

// maxEvidence is how many facts a finding keeps. A node with hundreds of stuck pods says the same thing of each.
const maxEvidence = 24

// allUnread names the kinds if of none of them anything could be read. A kind that this server does not have is not missed.
func allUnread(s *snapshot.Snapshot, kinds []snapshot.Kind) string {
	var names []string
	for _, k := range kinds {
		if notServed(s, k) {
			continue
		}
		if _, why := unread(s, []snapshot.Kind{k}); why == "" {
			return ""
		}
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// notServed tells whether the API server does not have the kind at all: it is older than the kind, or newer.
func notServed(s *snapshot.Snapshot, k snapshot.Kind) bool {
	return slices.ContainsFunc(s.Gaps(), func(g snapshot.Gap) bool { return g.Kind == k && g.Reason == snapshot.ReasonNotFound })
}

type engine struct {
	s        *snapshot.Snapshot
	findings []Finding
	skips    []Skip
}

// guard runs one rule. A rule that panics loses its answer and nothing else, and is reported.
func (e *engine) guard(c Cause, about string, rule func()) {
	defer func() {
		if r := recover(); r != nil {
			e.skips = append(e.skips, Skip{Code: c.Code, Slug: c.Slug, Reason: fmt.Sprintf("the rule failed on %s (a fault of this tool): %v", about, r)})
		}
	}()
	rule()
}

func (e *engine) pod(c Cause, p stuck.Pod) {
	if g := c.Signature; g != nil {
		e.guard(c, p.Ref.String(), func() {
			if ev := g.match(e.s, p); len(ev) > 0 {
				f := Finding{
					Subject: p.Ref, Confidence: Fresh(e.s, g.Confidence, ev), Evidence: ev,
					Alternatives: g.Alternatives, Decide: g.Decide,
				}
				if g.OnNode && p.Node != "" {
					f.Subject = snapshot.Ref{Kind: snapshot.Node, Name: p.Node}
				}
				f.Message = fill(g.Say, p, p.Node, f.Subject)
				e.add(c, f, p)
			}
		})
	}
	if c.Pod != nil {
		e.guard(c, p.Ref.String(), func() {
			if f, ok := c.Pod(e.s, p); ok {
				e.add(c, f, p)
			}
		})
	}
}

func (e *engine) add(c Cause, f Finding, p stuck.Pod) {
	if f.Subject.IsZero() {
		f.Subject = p.Ref
	}
	if len(f.Explains) == 0 {
		f.Explains = []snapshot.Ref{p.Ref}
	}
	f.Code, f.Slug, f.Title, f.Reach = c.Code, c.Slug, c.Doc.Title, reachOr(f.Reach, c.Reach)
	if f.Confidence == "" {
		f.Confidence = Possible
	}
	f.Remedies = make([]Remedy, len(c.Doc.Remedies))
	for i, r := range c.Doc.Remedies {
		r.Text = fill(r.Text, p, p.Node, f.Subject)
		r.Command = fill(r.Command, p, p.Node, f.Subject)
		f.Remedies[i] = r
	}
	f.Decide = fill(f.Decide, p, p.Node, f.Subject)
	e.findings = append(e.findings, f)
}

// explained is what the causes said of single pods: the surest of them for each.
func (e *engine) explained() map[snapshot.Ref]scope.Explanation {
	best := map[snapshot.Ref]Confidence{}
	out := map[snapshot.Ref]scope.Explanation{}
	for _, f := range e.findings {
		for _, r := range f.Explains {
			if f.Rank() > best[r].Rank() {
				best[r] = f.Confidence
				out[r] = scope.Explanation{Reach: f.Reach, Via: f.Subject, Certain: f.Confidence == Certain, Likely: f.Rank() >= Likely.Rank()}
			}
		}
	}
	return out
}

// nodes asks a cause about each node with stuck pods, and about those that were named.
func (e *engine) nodes(c Cause, r scope.Result, named []string) {
	if c.Node == nil {
		return
	}
	groups := slices.Clone(r.Groups)
	for _, n := range named {
		if !slices.ContainsFunc(groups, func(g scope.Group) bool { return g.Node == n }) {
			groups = append(groups, scope.Group{Node: n, Facts: scope.Facts(e.s, n)})
		}
	}
	for _, g := range groups {
		if g.Node == "" {
			continue
		}
		e.guard(c, "node "+g.Node, func() {
			f, ok := c.Node(e.s, g)
			if !ok {
				return
			}
			if f.Subject.IsZero() {
				f.Subject = snapshot.Ref{Kind: snapshot.Node, Name: g.Node}
			}
			if len(f.Explains) == 0 {
				f.Explains = onNode(r, g)
			}
			e.add(c, f, first(g))
		})
	}
}

// cluster asks a cause about everything that is stuck.
func (e *engine) cluster(c Cause, r scope.Result) {
	if c.Cluster == nil {
		return
	}
	e.guard(c, "the cluster", func() {
		for _, f := range c.Cluster(e.s, r) {
			if f.Subject.IsZero() || len(f.Explains) == 0 {
				e.skips = append(e.skips, Skip{Code: c.Code, Slug: c.Slug, Reason: "a finding about the cluster names no subject, or explains no pod (a fault of this tool)"})
				continue
			}
			e.add(c, f, stuck.Pod{Ref: f.Explains[0], Node: nodeOf(r, f.Explains[0])})
		}
	})
}

// onNode lists the group's pods that wait for the node.
func onNode(r scope.Result, g scope.Group) []snapshot.Ref {
	var out []snapshot.Ref
	for _, p := range g.Stuck {
		if v := r.Pods[p.Ref].Reach; v != scope.ReachPod && p.Stage != stuck.FinalizersOnly {
			out = append(out, p.Ref)
		}
	}
	return out
}

func first(g scope.Group) stuck.Pod {
	if len(g.Stuck) > 0 {
		return g.Stuck[0]
	}
	return stuck.Pod{Node: g.Node}
}

func nodeOf(r scope.Result, p snapshot.Ref) string {
	for _, g := range r.Groups {
		for _, q := range g.Stuck {
			if q.Ref == p {
				return g.Node
			}
		}
	}
	return ""
}

// settle merges findings of one cause and one subject, drops guesses about pods for which something is certain, and
// puts the rest in order.
func (e *engine) settle() []Finding {
	type id struct {
		code    Code
		subject snapshot.Ref
	}
	type link struct {
		finding int
		ref     snapshot.Ref
	}
	var merged []Finding
	at := map[id]int{}
	linked := map[link]bool{}
	for _, f := range e.findings {
		k := id{f.Code, f.Subject}
		i, ok := at[k]
		if !ok {
			at[k] = len(merged)
			for _, ref := range f.Explains {
				linked[link{len(merged), ref}] = true
			}
			merged = append(merged, f)
			continue
		}
		m := &merged[i]
		for _, ref := range f.Explains {
			if !linked[link{i, ref}] {
				linked[link{i, ref}] = true
				m.Explains = append(m.Explains, ref)
			}
		}
		for _, ev := range f.Evidence {
			if len(m.Evidence) < maxEvidence && !slices.Contains(m.Evidence, ev) {
				m.Evidence = append(m.Evidence, ev)
			}
		}
		if f.Rank() > m.Rank() {
			m.Confidence, m.Message, m.Alternatives, m.Decide = f.Confidence, f.Message, f.Alternatives, f.Decide
		}
		if m.ClearsBy.IsZero() {
			m.ClearsBy, m.ClearsWhy = f.ClearsBy, f.ClearsWhy
		}
	}
	return rank(merged)
}

// rank drops guesses about pods for which something is certain, and puts the rest in order, the surest first.
func rank(merged []Finding) []Finding {
	certain := map[snapshot.Ref]bool{}
	for _, f := range merged {
		if f.Confidence == Certain {
			for _, ref := range f.Explains {
				certain[ref] = true
			}
		}
	}
	out := merged[:0]
	for _, f := range merged {
		if f.Confidence == Possible {
			had := len(f.Explains)
			f.Explains = slices.DeleteFunc(f.Explains, func(ref snapshot.Ref) bool { return certain[ref] })
			if had > 0 && len(f.Explains) == 0 {
				continue
			}
		}
		out = append(out, f)
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		switch {
		case a.Rank() != b.Rank():
			return a.Rank() > b.Rank()
		case len(a.Explains) != len(b.Explains):
			return len(a.Explains) > len(b.Explains)
		case a.Code != b.Code:
			return a.Code < b.Code
		default:
			return a.Subject.String() < b.Subject.String()
		}
	})
	return out
}

// unexplained gathers what there is on a pod that no cause recognised.
func unexplained(s *snapshot.Snapshot, p stuck.Pod) Unexplained {
	var u Unexplained
	events := s.Events(p.Ref)
	switch {
	case len(events) > 0:
		last := events[len(events)-1]
		u.LookedAt = append(u.LookedAt, fmt.Sprintf("%d events about it, the last one %s: %s", len(events), last.Reason, last.Message))
	case Hear(s, p) == HearingGone:
		u.LookedAt = append(u.LookedAt, "events about it: gone, because the API server keeps them for about an hour")
	case s.Gap(snapshot.Event) == nil:
		u.LookedAt = append(u.LookedAt, "events about it: there are none")
	}
	if p.Word != "" {
		u.LookedAt = append(u.LookedAt, fmt.Sprintf("its status: phase %s, STATUS %s", p.Object.Status.Phase, p.Word))
	}
	if p.Stage != stuck.NotDeleting {
		u.LookedAt = append(u.LookedAt, fmt.Sprintf("the stage of its deletion: %s", p.Stage))
	}
	if p.Node != "" {
		u.LookedAt = append(u.LookedAt, fmt.Sprintf("node %s: %s", p.Node, scope.Facts(s, p.Node)))
	}
	if n := len(p.Object.Spec.Volumes); n > 0 {
		u.LookedAt = append(u.LookedAt, fmt.Sprintf("its %d volumes and what they refer to", n))
	}
	if len(p.Object.Finalizers) > 0 {
		u.LookedAt = append(u.LookedAt, "its finalizers: "+strings.Join(p.Object.Finalizers, ", "))
	}
	for _, g := range s.Gaps() {
		if g.Reason != snapshot.ReasonNotFound && (g.Namespace == "" || g.Namespace == p.Ref.Namespace) {
			u.Missing = append(u.Missing, g.Error())
		}
	}
	return u
}
