package report

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// Options limit the report to what was asked for. Reach is always decided on everything that could be read.
type Options struct {
	Asked Asked
	// Select tells which stuck and waiting pods to show; nil shows all.
	Select func(stuck.Pod) bool
	// Overview adds a line for every node that has something wrong.
	Overview bool
	// Stories are the nodes to tell the whole story of.
	Stories []string
	// Logs is what was read of the logs of nodes.
	Logs map[string]*NodeLogs
}

// Build makes the document.
func Build(s *snapshot.Snapshot, found stuck.Result, d diagnose.Diagnosis, o Options) *Report {
	r := &Report{
		APIVersion: APIVersion, Kind: Kind, TakenAt: s.Now().UTC(), Origin: s.Origin(), Asked: o.Asked,
		Groups: []Group{}, Shared: []Shared{}, Waiting: []Pod{}, Gaps: []Gap{}, Skipped: []Skip{},
		Objects: []Object{},
	}
	b := builder{s: s, d: &d, o: o}
	if b.o.Select == nil {
		b.o.Select = func(stuck.Pod) bool { return true }
	}
	shown := map[snapshot.Ref]bool{}
	for _, g := range d.Scope.Groups {
		group := b.group(g)
		if len(group.Pods) == 0 {
			continue
		}
		r.Groups = append(r.Groups, group)
		for _, p := range g.Stuck {
			shown[p.Ref] = b.o.Select(p)
		}
		r.Summary.StuckPods += len(group.Pods)
		if g.Node != "" {
			r.Summary.StuckNodes++
		}
		switch g.Reach {
		case scope.ReachNode:
			r.Summary.NodeWide++
		case scope.ReachShared, scope.ReachCluster:
			r.Summary.Shared++
		case scope.ReachUndecided:
			r.Summary.Undecided++
		}
	}
	for _, sh := range d.Scope.Shared {
		if slices.ContainsFunc(sh.Pods, func(p snapshot.Ref) bool { return shown[p] }) {
			r.Shared = append(r.Shared, sharedOf(sh))
		}
	}
	for _, p := range found.Waiting {
		if b.o.Select(p) {
			r.Waiting = append(r.Waiting, b.pod(p))
		}
	}
	r.Objects = b.objects(found)
	r.Summary.StuckObjects = len(r.Objects)
	r.Well = b.well(found)
	r.Gaps = append(r.Gaps, s.Gaps()...)
	r.Skipped = append(r.Skipped, d.Skips...)
	census := s.Census()
	r.Summary.Pods, r.Summary.Nodes, r.Summary.Waiting = max(census.Pods(), len(s.Pods())), d.Scope.Nodes, len(r.Waiting)
	for _, g := range d.Scope.Groups {
		if g.Node != "" && r.Summary.Nodes > 0 && g.Facts.Exists == snapshot.Absent {
			r.Summary.Nodes++ // it has pods, if no Node object
		}
	}
	if r.Summary.Nodes == 0 {
		r.Summary.Nodes = len(census.NodeNames())
	}
	r.Summary.Complete = !census.Partial && !slices.ContainsFunc(r.Gaps, func(g Gap) bool { return g.Reason != notServed })
	switch {
	case len(o.Stories) > 0:
		for _, n := range o.Stories {
			r.Nodes = append(r.Nodes, b.story(n, found))
		}
	case o.Overview:
		r.Nodes = b.overview(found)
	}
	b.logs(r)
	return r
}

// well lists the pods that were named and have nothing wrong.
func (b *builder) well(found stuck.Result) []PodLine {
	var out []PodLine
	for _, name := range b.o.Asked.Names {
		p := b.s.Pod(b.o.Asked.Namespace, name)
		is := func(q stuck.Pod) bool { return q.Object == p }
		if p == nil || slices.ContainsFunc(found.Stuck, is) || slices.ContainsFunc(found.Waiting, is) {
			continue
		}
		out = append(out, b.line(p))
	}
	return out
}

// notServed is the reason of a gap that is no fault: the API server does not have the kind.
const notServed = "NotFound"

type builder struct {
	s *snapshot.Snapshot
	d *diagnose.Diagnosis
	o Options
	// chain is what the API server asks, made for the first pod that is being deleted.
	chain *admission.Chain
	// volumeChains follows the volumes of the pods; made for the first.
	volumeChains *volume.Follower
}

func (b *builder) group(g scope.Group) Group {
	out := Group{
		Node: g.Node, Reach: g.Reach, Confidence: g.Confidence, Why: g.Why, Decide: g.Decide,
		Total: g.Total, Healthy: g.Healthy, Stuck: len(g.Stuck), Findings: []Finding{}, Pods: []Pod{},
	}
	if g.Node != "" {
		f := factsOf(g.Facts)
		out.Facts = &f
	}
	for _, p := range g.Stuck {
		if b.o.Select(p) {
			out.Pods = append(out.Pods, b.pod(p))
		}
	}
	if len(out.Pods) == 0 {
		return out
	}
	shown := make(map[snapshot.Ref]bool, len(out.Pods))
	for _, p := range out.Pods {
		shown[p.ref()] = true
	}
	for _, f := range b.d.OfNode(g.Node) {
		if f.Subject.Kind == snapshot.Node || slices.ContainsFunc(f.Explains, func(r snapshot.Ref) bool { return shown[r] }) {
			out.Findings = append(out.Findings, b.finding(f))
		}
	}
	sortForReach(out.Findings, g.Reach)
	out.Next = b.next(out)
	return out
}

// sortForReach puts the findings that agree with the verdict before the others, keeping their order otherwise.
func sortForReach(f []Finding, reach scope.Reach) {
	slices.SortStableFunc(f, func(a, b Finding) int {
		x, y := a.Reach == reach, b.Reach == reach
		switch {
		case x && !y:
			return -1
		case y && !x:
			return 1
		default:
			return 0
		}
	})
}

// next is the command that tells most about the group.
func (b *builder) next(g Group) string {
	switch {
	case g.Node != "" && g.Reach != scope.ReachPod:
		return b.command("kubectl stuck node " + g.Node)
	case len(g.Pods) > 0:
		p := g.Pods[0]
		return b.command("kubectl stuck explain pod/" + p.Name + " -n " + p.Namespace)
	default:
		return ""
	}
}

// command names the dump again, where the report was made from one.
func (b *builder) command(c string) string {
	if p := b.s.Origin().Path; p != "" {
		c += " --from " + p
	}
	return c
}

func (p Pod) ref() snapshot.Ref {
	return snapshot.Ref{Kind: snapshot.Pod, Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID)}
}

func (b *builder) pod(p stuck.Pod) Pod {
	v := b.d.Scope.Pods[p.Ref]
	out := Pod{
		Namespace: p.Ref.Namespace, Name: p.Ref.Name, UID: string(p.Ref.UID), Node: p.Node,
		State: p.State, Status: p.Word, Stage: p.Stage, Reach: v.Reach, Confidence: v.Confidence,
		Since: p.Since.UTC(), StuckForSeconds: seconds(p.For), StuckFor: scope.Short(p.For), ThresholdSeconds: seconds(p.Threshold),
		ClearsWhy: p.ClearsWhy, Finalizers: p.Object.Finalizers, Events: diagnose.Hear(b.s, p), Findings: []Finding{},
	}
	if !p.ClearsBy.IsZero() {
		out.ClearsBy = utc(p.ClearsBy)
	}
	if !p.Owner.IsZero() {
		owner := p.Owner
		out.Owner = &owner
	}
	out.FinalizerOwners = b.finalizerOwners(p)
	out.Removal = b.removal(p)
	out.Volumes = b.podVolumes(p)
	for _, f := range b.d.Of(p.Ref) {
		switch {
		case out.ClearsBy == nil && f.ClearsBy.After(b.s.Now()):
			out.ClearsBy, out.ClearsWhy = utc(f.ClearsBy), f.ClearsWhy
		case out.ClearsWhy == "" && f.ClearsBy.IsZero():
			out.ClearsWhy = f.ClearsWhy
		}
		out.Findings = append(out.Findings, b.finding(f))
	}
	if u, ok := b.d.Unexplained[p.Ref]; ok {
		out.Unexplained = &Unexplained{LookedAt: u.LookedAt, Missing: u.Missing}
	}
	return out
}

func (b *builder) finding(f diagnose.Finding) Finding {
	out := Finding{
		Code: f.Code, Slug: f.Slug, Title: f.Title, Subject: f.Subject, Reach: f.Reach, Confidence: f.Confidence,
		Message: f.Message, Evidence: f.Evidence, Explains: f.Explains, Alternatives: f.Alternatives, Decide: f.Decide,
		Remedies: make([]Remedy, len(f.Remedies)),
	}
	if out.Evidence == nil {
		out.Evidence = []diagnose.Evidence{}
	}
	for i, r := range f.Remedies {
		out.Remedies[i] = Remedy(r)
	}
	return out
}

func sharedOf(s scope.Shared) Shared {
	return Shared{
		Kind: s.Kind, Name: s.Name, Pods: s.Pods, Nodes: append([]string{}, s.Nodes...), Owners: s.Owners, Healthy: s.Healthy,
		Confidence: s.Confidence, Why: s.Why,
	}
}

func factsOf(f scope.NodeFacts) NodeFacts {
	out := NodeFacts{
		Exists: f.Exists != snapshot.Absent, Ready: f.Ready, ReadyReason: f.ReadyReason, ReadyMessage: f.ReadyMessage,
		LeaseStale: f.LeaseStale, Cordoned: f.Cordoned, Taints: f.Taints,
		Kubelet: f.Kubelet, Runtime: f.Runtime, Kernel: f.Kernel, OSImage: f.OSImage, Zone: f.Zone,
	}
	if !f.ReadySince.IsZero() {
		out.ReadySince = utc(f.ReadySince)
	}
	if f.LeaseAge >= 0 {
		age := seconds(f.LeaseAge)
		out.LeaseAgeSeconds, out.LeaseAge = &age, scope.Short(f.LeaseAge)
	}
	return out
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func utc(t time.Time) *time.Time {
	t = t.UTC()
	return &t
}
