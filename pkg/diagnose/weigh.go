package diagnose

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// logSlack is how much older than what is stuck a line may be and still tell why it is: a process hangs, or a server goes, and the
// first pod that needs it is deleted or made a while later.
const logSlack = 15 * time.Minute

// LogsSince is from when on the logs of a node may tell why its pods are stuck: a while before the first of them was to start or was asked to end;
// zero where nothing is stuck there.
func LogsSince(d *Diagnosis, node string) time.Time {
	var first time.Time
	for _, p := range stuckOn(d, node) {
		t := p.Since
		if p.State == stuck.Terminating && p.Object != nil && p.Object.DeletionGracePeriodSeconds != nil {
			t = t.Add(-time.Duration(max(*p.Object.DeletionGracePeriodSeconds, 0)) * time.Second)
		}
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		return first
	}
	return first.Add(-logSlack)
}

// TooOld tells whether what a log says ended, at last, before it could tell why something is stuck now.
func TooOld(since, last time.Time) bool {
	return !since.IsZero() && !last.IsZero() && last.Before(since)
}

// Weigh adds to a diagnosis what the logs of one node say, and weighs the one against the other. It changes nothing of what it is given.
//
//   - A fact of a finding's own cause makes the finding surer by a step. For certain that takes a line that says it for certain, or likely ones that
//     name every pod it explains, while no line speaks for an alternative.
//   - A fact of an alternative that a finding names, while no line speaks for the finding itself, makes the finding no more than possible, and
//     the alternative becomes a finding about the same pods.
//   - A fact of which the API said nothing becomes a finding about the node. It explains the stuck pods that its lines name, or whose volume or
//     server they name; if they name none, and the cause is one of nodes, those that wait for the node and for which nothing is certain.
//
// Where two incomplete pieces of evidence leave one cause that fits both, that cause is likely. Lines older than what is stuck tell nothing, lines
// without a time and old ones that name a pod a degree less, and lines about other pods do not explain these. What lines make no more than possible is never put before
// what the API says. The scope stays as it is: it is the arithmetic of what the API shows.
func Weigh(s *snapshot.Snapshot, d Diagnosis, node string, facts []LogFact, causes []Cause) Diagnosis {
	return WeighSince(s, d, node, LogsSince(&d, node), facts, causes)
}

// WeighSince is Weigh for lines from a moment on that somebody chose: a server that went a day ago may have been complained about only then.
func WeighSince(s *snapshot.Snapshot, d Diagnosis, node string, since time.Time, facts []LogFact, causes []Cause) Diagnosis {
	w := &weigher{s: s, d: &d, node: node, pods: map[snapshot.Ref]stuck.Pod{}, named: map[string]snapshot.Ref{}, code: map[string]Code{}, cause: map[Code]Cause{}, facts: map[Code][]LogFact{}}
	for _, c := range causes {
		w.code[c.Slug], w.cause[c.Code] = c.Code, c
	}
	for _, p := range stuckOn(&d, node) {
		w.pods[p.Ref], w.order = p, append(w.order, p.Ref)
		w.named[p.Ref.Namespace+"/"+p.Ref.Name] = p.Ref
		if p.Ref.UID != "" {
			w.named[string(p.Ref.UID)] = p.Ref
		}
	}
	var codes []Code
	for _, f := range facts {
		if _, ok := w.cause[f.Code]; !ok || TooOld(since, f.Last) {
			continue
		}
		if len(w.facts[f.Code]) == 0 {
			codes = append(codes, f.Code)
		}
		w.facts[f.Code] = append(w.facts[f.Code], w.timed(f))
	}
	out := d
	out.Unexplained = maps.Clone(d.Unexplained)
	for _, f := range d.Findings {
		w.finding(f)
	}
	for _, add := range w.pending { // when all that the API said is there to be added to
		add()
	}
	for _, c := range codes {
		w.unmentioned(c)
	}
	out.Findings = w.ranked()
	out.index()
	for _, p := range w.order {
		if len(out.byPod[p]) > 0 {
			delete(out.Unexplained, p)
		}
	}
	return out
}

func stuckOn(d *Diagnosis, node string) []stuck.Pod {
	for _, g := range d.Scope.Groups {
		if g.Node == node && node != "" {
			return g.Stuck
		}
	}
	return nil
}

// timed is the fact as sure as it can be: what carries no time may be of any, and what is past may have been made good since.
func (w *weigher) timed(f LogFact) LogFact {
	old := w.past(f)
	if old && f.Decide == "" {
		f.Decide = "Whether it goes on: the last line that says so is " + scope.Short(max(w.s.Now().Sub(f.Last), 0)) + " old. Look for a newer one, or for one that says that it was made good."
	}
	switch {
	case f.Confidence == "":
		f.Confidence = Possible
	case !f.Last.IsZero() && !old:
	case f.Confidence == Certain:
		f.Confidence = Likely
	case f.Confidence == Likely:
		f.Confidence = Possible
	}
	return f
}

// past tells whether lines that name stuck pods of the node are too old to leave no doubt: older than an event may be (see Fresh), or from before any
// of these pods was to start or was asked to end. What is done for a pod is tried, and complained of, again and again. Lines that name no pod are often
// said once, as the kernel says that a server is gone, and stay true.
func (w *weigher) past(f LogFact) bool {
	about := w.about(f)
	if f.Last.IsZero() || len(about) == 0 {
		return false
	}
	return w.s.Now().Sub(f.Last) > eventFresh || !slices.ContainsFunc(about, func(r snapshot.Ref) bool {
		p := w.pods[r]
		return p.Object == nil || !f.Last.Before(beginning(p))
	})
}

type weigher struct {
	s     *snapshot.Snapshot
	d     *Diagnosis
	node  string
	pods  map[snapshot.Ref]stuck.Pod
	order []snapshot.Ref          // of pods
	named map[string]snapshot.Ref // by "namespace/name" and by UID
	code  map[string]Code         // by slug
	cause map[Code]Cause
	facts map[Code][]LogFact
	kept  []Finding // what the API said, as it stands after the logs were heard
	made  []Finding // what only the logs say

	pending []func() // additions to made
}

// ranked puts everything in order. What only logs say, and only possibly, comes last.
func (w *weigher) ranked() []Finding {
	all := rank(append(slices.Clone(w.kept), w.made...))
	guess := func(f Finding) bool {
		return f.Confidence == Possible && slices.ContainsFunc(w.made, func(m Finding) bool { return m.Code == f.Code && m.Subject == f.Subject })
	}
	var last []Finding
	for _, f := range all {
		if guess(f) {
			last = append(last, f)
		}
	}
	return append(slices.DeleteFunc(all, guess), last...)
}

// here are those of the pods that are stuck on the node.
func (w *weigher) here(refs []snapshot.Ref) []snapshot.Ref {
	return slices.DeleteFunc(slices.Clone(refs), func(r snapshot.Ref) bool { _, ok := w.pods[r]; return !ok })
}

// about are the stuck pods of the node that the lines name.
func (w *weigher) about(f LogFact) []snapshot.Ref {
	var out []snapshot.Ref
	for _, name := range f.Pods {
		if r, ok := w.named[name]; ok && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// of are those of the pods that a fact speaks of: those that it names, or all where it names none.
func (w *weigher) of(f LogFact, pods []snapshot.Ref) []snapshot.Ref {
	if len(f.Pods) == 0 {
		return pods
	}
	about := w.about(f)
	return slices.DeleteFunc(slices.Clone(pods), func(r snapshot.Ref) bool { return !slices.Contains(about, r) })
}

// namesAll tells whether the lines name every one of the pods.
func (w *weigher) namesAll(f LogFact, pods []snapshot.Ref) bool {
	about := w.about(f)
	return len(pods) > 0 && !slices.ContainsFunc(pods, func(r snapshot.Ref) bool { return !slices.Contains(about, r) })
}

// sureOf is how sure a fact is of its cause, given what else a finding could be: lines that fit several causes, of which the
// finding's evidence fits only this one, make it likely.
func (w *weigher) sureOf(f LogFact, with Finding) Confidence {
	if f.Confidence != Possible || f.Last.IsZero() || w.past(f) || len(f.Alternatives) == 0 {
		return f.Confidence
	}
	fits := append([]string{with.Slug}, with.Alternatives...)
	if len(fits) == 1 || slices.ContainsFunc(f.Alternatives, func(slug string) bool { return slices.Contains(fits, slug) }) {
		return Possible
	}
	return Likely
}

// finding weighs one finding of the API's.
func (w *weigher) finding(f Finding) {
	about := w.here(f.Explains)
	onNode := f.Subject.Kind == snapshot.Node && f.Subject.Name == w.node
	if len(about) == 0 && !onNode {
		w.kept = append(w.kept, f)
		return
	}
	own := w.speaking(f.Code, about, onNode)
	rivals := w.rivals(f, about, onNode)
	if len(own) > 0 {
		w.kept = append(w.kept, w.strengthened(f, about, own, len(rivals) > 0))
	}
	if f.Confidence == Certain && len(own) == 0 {
		w.kept = append(w.kept, f) // it leaves no alternative
		return
	}
	var lost []snapshot.Ref
	for _, code := range rivals {
		lost = append(lost, w.alternative(f, code, about, len(rivals) == 1)...)
	}
	switch {
	case len(own) > 0:
	case len(rivals) == 0:
		w.kept = append(w.kept, f)
	default:
		w.weakened(f, rivals, lost)
	}
}

// speaking are the facts of a cause that speak of the pods, the surest first; of a finding that explains no pod, those that name none.
func (w *weigher) speaking(c Code, pods []snapshot.Ref, onNode bool) []LogFact {
	var out []LogFact
	for _, fact := range w.facts[c] {
		if len(w.of(fact, pods)) > 0 || onNode && len(pods) == 0 && len(fact.Pods) == 0 {
			out = append(out, fact)
		}
	}
	slices.SortStableFunc(out, func(a, b LogFact) int {
		if d := b.Confidence.Rank() - a.Confidence.Rank(); d != 0 {
			return d
		}
		return len(w.of(b, pods)) - len(w.of(a, pods))
	})
	return out
}

// rivals are the causes, among the alternatives of a finding, for which lines speak that make them at least likely.
func (w *weigher) rivals(f Finding, pods []snapshot.Ref, onNode bool) []Code {
	var out []Code
	for _, slug := range f.Alternatives {
		code, ok := w.code[slug]
		if !ok || code == f.Code || slices.Contains(out, code) {
			continue
		}
		if slices.ContainsFunc(w.speaking(code, pods, onNode), func(fact LogFact) bool { return w.sureOf(fact, f).Rank() >= Likely.Rank() }) {
			out = append(out, code)
		}
	}
	return out
}

// strengthened is a finding for which lines of its own cause speak.
func (w *weigher) strengthened(f Finding, about []snapshot.Ref, own []LogFact, rival bool) Finding {
	best := own[0]
	sure := w.sureOf(best, f)
	all := len(about) == len(f.Explains) // a node's log says nothing for certain of the pods of another
	proof := all && !rival && !w.past(best) && (best.Confidence == Certain && (f.Rank() >= Likely.Rank() && w.tied(best, f) || w.namesAll(best, about)) ||
		best.Confidence == Likely && f.Rank() >= Likely.Rank() && w.namesAll(best, about))
	f.Evidence = slices.Clone(f.Evidence)
	switch {
	case f.Confidence == Certain:
		// A line that may be about something else adds nothing to what is certain of this.
		own = slices.DeleteFunc(slices.Clone(own), func(fact LogFact) bool { return !w.tied(fact, f) })
	case proof:
		f.Confidence, f.Alternatives, f.Decide = Certain, nil, ""
	case sure.Rank() >= Likely.Rank():
		f.Confidence = Likely
		f.Alternatives = slices.DeleteFunc(slices.Clone(f.Alternatives), func(slug string) bool {
			return !slices.Contains(best.Alternatives, slug) && len(w.speaking(w.code[slug], about, false)) == 0
		})
		if len(f.Alternatives) == 0 {
			f.Decide = ""
		}
	}
	f.Evidence = w.evidence(f.Evidence, own)
	return f
}

// shortestName is the least length of an object's name by which a line is said to mean it.
const shortestName = 4

// tied tells whether a fact is about what the finding is about: the node whose log it is, the pod that lines name, or another object that the
// sample names.
func (w *weigher) tied(fact LogFact, f Finding) bool {
	name := f.Subject.Name
	return f.Reach == scope.ReachNode || f.Subject.Kind == snapshot.Pod && len(fact.Pods) > 0 || len(name) >= shortestName && strings.Contains(fact.Sample, name)
}

// weakened keeps a finding whose alternatives the logs speak for, as a possibility for the pods concerned, and as it was for the others.
func (w *weigher) weakened(f Finding, rivals []Code, lost []snapshot.Ref) {
	rest := slices.DeleteFunc(slices.Clone(f.Explains), func(r snapshot.Ref) bool { return slices.Contains(lost, r) })
	var slugs []string
	for _, c := range rivals {
		slugs = append(slugs, w.cause[c].Slug)
	}
	if len(rest) > 0 {
		whole := f
		whole.Explains = rest
		w.kept = append(w.kept, whole)
		if len(lost) == 0 {
			return
		}
	}
	f.Explains = slices.DeleteFunc(slices.Clone(f.Explains), func(r snapshot.Ref) bool { return !slices.Contains(lost, r) })
	f.Confidence = Possible
	f.Message = strings.TrimSpace(f.Message + fmt.Sprintf(" The log of the node says nothing of this, and speaks for %s.", strings.Join(slugs, ", ")))
	w.kept = append(w.kept, f)
}

// alternative makes a finding of a cause that another finding named as one that fits as well, unless it is found already. It returns the pods for
// which the lines speak.
func (w *weigher) alternative(f Finding, code Code, about []snapshot.Ref, alone bool) []snapshot.Ref {
	facts := w.speaking(code, about, true)
	var pods []snapshot.Ref
	for _, fact := range facts {
		if w.sureOf(fact, f).Rank() < Likely.Rank() {
			continue
		}
		for _, r := range w.of(fact, about) {
			if !slices.Contains(pods, r) {
				pods = append(pods, r)
			}
		}
	}
	open := slices.DeleteFunc(slices.Clone(pods), func(r snapshot.Ref) bool { return w.has(w.d.Of(r), code) })
	if len(open) == 0 && len(about) > 0 || len(about) == 0 && w.has(w.d.OfNode(w.node), code) {
		return pods
	}
	sure := Likely
	if alone && facts[0].Confidence == Certain && w.namesAll(facts[0], open) {
		sure = Certain
	}
	w.pending = append(w.pending, func() { w.add(code, facts, open, sure, f.Evidence, f.Subject) })
	return pods
}

func (w *weigher) has(fs []Finding, code Code) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Code == code })
}

// mentions tells whether a finding is about the cause, or names it as what fits as well.
func (w *weigher) mentions(f Finding, c Cause) bool {
	return f.Code == c.Code || slices.Contains(f.Alternatives, c.Slug)
}

// unmentioned makes a finding about the node of a cause of which the API said nothing.
func (w *weigher) unmentioned(code Code) {
	c := w.cause[code]
	broken := scope.Facts(w.s, w.node).Broken()
	for _, fact := range w.speakingAtAll(code) {
		pods, sure := w.explained(fact, c)
		mentioned := func(r snapshot.Ref) bool {
			return slices.ContainsFunc(w.d.Of(r), func(f Finding) bool { return w.mentions(f, c) })
		}
		open := slices.DeleteFunc(slices.Clone(pods), mentioned)
		switch {
		case len(open) > 0:
			w.add(code, []LogFact{fact}, open, sure, nil, snapshot.Ref{})
		case len(pods) > 0, c.Reach != scope.ReachNode, len(fact.Pods) > 0:
			// Either said already, or nothing that is stuck is explained by it.
		case fact.Confidence != Certain && !broken, len(w.pods) == 0 && !broken:
			// Nothing is left to be explained.
		case slices.ContainsFunc(w.d.OfNode(w.node), func(f Finding) bool { return w.mentions(f, c) }):
		default:
			w.add(code, []LogFact{fact}, nil, aside(fact.Confidence), nil, snapshot.Ref{})
		}
	}
}

// aside is how sure a log may make a finding that explains no stuck pod: it would have to explain why the node is in trouble, and does not say so.
func aside(c Confidence) Confidence {
	if c == Certain {
		return Likely
	}
	return Possible
}

// speakingAtAll are the facts of a cause, those that name stuck pods first.
func (w *weigher) speakingAtAll(code Code) []LogFact {
	out := slices.Clone(w.facts[code])
	slices.SortStableFunc(out, func(a, b LogFact) int { return len(w.about(b)) - len(w.about(a)) })
	return out
}

// explained are the stuck pods that a fact alone explains, and how surely.
func (w *weigher) explained(f LogFact, c Cause) ([]snapshot.Ref, Confidence) {
	guess := f.Confidence == Possible
	pods := w.about(f)
	named := len(pods) > 0
	if len(f.Pods) == 0 {
		for _, r := range w.order {
			if w.quotes(f.Sample, w.pods[r]) {
				pods = append(pods, r)
			}
		}
	}
	sure := least(f.Confidence, Likely)
	switch {
	case named:
		sure = f.Confidence
	case len(pods) > 0 || len(f.Pods) > 0 || c.Reach != scope.ReachNode:
	default:
		var alone []snapshot.Ref
		for _, r := range w.order {
			switch v := w.d.Scope.Pods[r]; {
			case w.pods[r].Stage == stuck.FinalizersOnly || w.certain(r):
			case v.Reach != scope.ReachPod:
				pods = append(pods, r)
				if v.Reach == scope.ReachNode && v.Confidence.Rank() >= Likely.Rank() {
					sure = f.Confidence
				}
			case len(w.d.Of(r)) == 0:
				alone = append(alone, r)
			}
		}
		if len(pods) == 0 { // others on the node are well: a line about the node is no more than a hint
			pods, sure = alone, Possible
		}
	}
	if guess {
		pods = slices.DeleteFunc(pods, func(r snapshot.Ref) bool { return len(w.d.Of(r)) > 0 })
	}
	return pods, sure
}

func (w *weigher) certain(r snapshot.Ref) bool {
	return slices.ContainsFunc(w.d.Of(r), func(f Finding) bool { return f.Confidence == Certain })
}

// shortestHandle is the least length of a name by which a line is said to mean a pod's volume: "10.0.0.5", "pvc-…".
const shortestHandle = 7

// quotes tells whether a line names a volume of the pod, or the server it is on.
func (w *weigher) quotes(line string, p stuck.Pod) bool {
	if p.Object == nil {
		return false
	}
	in := func(handle string) bool { return len(handle) >= shortestHandle && strings.Contains(line, handle) }
	source := func(nfs *corev1.NFSVolumeSource, csi *corev1.CSIPersistentVolumeSource) bool {
		return nfs != nil && in(nfs.Server) || csi != nil && (in(csi.VolumeHandle) || in(csi.VolumeAttributes["server"]))
	}
	for i := range p.Object.Spec.Volumes {
		v := &p.Object.Spec.Volumes[i]
		if source(v.NFS, nil) {
			return true
		}
		if v.PersistentVolumeClaim == nil {
			continue
		}
		claim := w.s.PVC(p.Ref.Namespace, v.PersistentVolumeClaim.ClaimName)
		if claim == nil || claim.Spec.VolumeName == "" {
			continue
		}
		if in(claim.Spec.VolumeName) {
			return true
		}
		if pv := w.s.PV(claim.Spec.VolumeName); pv != nil && source(pv.Spec.NFS, pv.Spec.CSI) {
			return true
		}
	}
	return false
}

// add notes a finding that the logs alone speak for, or more to one that was made.
func (w *weigher) add(code Code, facts []LogFact, pods []snapshot.Ref, sure Confidence, also []Evidence, subject snapshot.Ref) {
	c := w.cause[code]
	if subject.Kind != snapshot.Pod || c.Reach != scope.ReachPod {
		subject = snapshot.Ref{Kind: snapshot.Node, Name: w.node}
	}
	best := facts[0]
	f := Finding{
		Subject: subject, Explains: pods, Confidence: sure, Message: said(w.node, facts), Evidence: w.evidence(nil, facts),
		Alternatives: best.Alternatives, Decide: best.Decide,
	}
	if sure == Certain {
		f.Alternatives, f.Decide = nil, ""
	}
	p := stuck.Pod{Node: w.node}
	if len(pods) > 0 {
		p = w.pods[pods[0]]
	}
	e := engine{s: w.s}
	e.add(c, f, p)
	f = e.findings[0]
	f.Explains = pods // the engine fills in the pod that it was given
	for _, list := range [][]Finding{w.kept, w.made} {
		for i := range list {
			o := &list[i]
			if o.Code != f.Code || o.Subject != f.Subject {
				continue
			}
			explains := slices.Clone(o.Explains)
			for _, r := range pods {
				if !slices.Contains(explains, r) {
					explains = append(explains, r)
				}
			}
			o.Explains, o.Evidence = explains, w.evidence(slices.Clone(o.Evidence), facts)
			if f.Rank() > o.Rank() {
				o.Confidence, o.Alternatives, o.Decide = f.Confidence, f.Alternatives, f.Decide
			}
			return
		}
	}
	for _, e := range also {
		if len(f.Evidence) < maxEvidence {
			f.Evidence = append(f.Evidence, e)
		}
	}
	w.made = append(w.made, f)
}

// said words what logs say: how often, until when, and where.
func said(node string, facts []LogFact) string {
	var lines int64
	var sources []string
	for _, f := range facts {
		lines += f.Count
		if !slices.Contains(sources, f.Source) {
			sources = append(sources, f.Source)
		}
	}
	noun := "lines say"
	if lines == 1 {
		noun = "line says"
	}
	return fmt.Sprintf("%d %s so in what node %s logged (%s).", lines, noun, node, strings.Join(sources, ", "))
}

// evidence adds the lines to other evidence, before it where that is full.
func (w *weigher) evidence(to []Evidence, facts []LogFact) []Evidence {
	var out []Evidence
	for _, f := range facts {
		e := Evidence{Object: f.Source, Field: fmt.Sprintf("line %d", f.Line), Value: f.Sample, Count: int32(min(f.Count, math.MaxInt32)), Last: f.Last}
		if !slices.Contains(to, e) && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	if room := maxEvidence - len(out); len(to) > max(room, 0) {
		to = to[:max(room, 0)]
	}
	return append(slices.Clone(to), out...)
}

func least(a, b Confidence) Confidence {
	if a.Rank() < b.Rank() {
		return a
	}
	return b
}
