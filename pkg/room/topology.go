package room

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// pair is one place of a topology: a label of nodes, and its value.
type pair struct{ key, value string }

// term is one required term of pod affinity or anti-affinity, with its selectors read.
type term struct {
	key        string
	pods       labels.Selector
	namespaces map[string]bool
	spaces     labels.Selector // of namespaces, by their labels
}

func requiredAffinity(p *corev1.Pod) []term {
	if a := p.Spec.Affinity; a != nil && a.PodAffinity != nil {
		return termsOf(p, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	return nil
}

func requiredAntiAffinity(p *corev1.Pod) []term {
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		return termsOf(p, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	return nil
}

// termsOf reads terms. The API server has put matchLabelKeys into the label selector when it made the pod. A selector that cannot be read selects nothing.
func termsOf(p *corev1.Pod, list []corev1.PodAffinityTerm) []term {
	var out []term
	for i := range list {
		t := &list[i]
		x := term{key: t.TopologyKey, pods: selector(t.LabelSelector), spaces: selector(t.NamespaceSelector), namespaces: map[string]bool{}}
		for _, n := range t.Namespaces {
			x.namespaces[n] = true
		}
		if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
			x.namespaces[p.Namespace] = true
		}
		out = append(out, x)
	}
	return out
}

// selector reads a label selector: none selects nothing, an empty one everything.
func selector(s *metav1.LabelSelector) labels.Selector {
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return sel
}

// nothing tells whether a selector selects nothing whatever the labels.
func nothing(s labels.Selector) bool {
	_, selectable := s.Requirements()
	return !selectable
}

// matches tells whether the term speaks of the pod; known is false where that rests on a namespace's labels that were not read.
func (w *world) matches(t term, p *corev1.Pod) (match, known bool) {
	if !t.pods.Matches(labels.Set(p.Labels)) {
		return false, true
	}
	if t.namespaces[p.Namespace] || !nothing(t.spaces) && t.spaces.Empty() {
		return true, true
	}
	if nothing(t.spaces) {
		return false, true
	}
	ns := w.s.NamespaceOf(p.Namespace)
	if ns == nil {
		return false, false
	}
	return t.spaces.Matches(labels.Set(ns.Labels)), true
}

// termKnown tells whether all pods were read that a term may speak of.
func (w *world) termKnown(t term) bool {
	if w.allPods {
		return true
	}
	for n := range t.namespaces {
		if !w.podsKnown(n) {
			return false
		}
	}
	if nothing(t.spaces) {
		return true
	}
	if !w.s.Complete(snapshot.Namespace, "") {
		return false
	}
	for _, o := range w.s.Objects(snapshot.Namespace) {
		if ns, ok := o.(*corev1.Namespace); ok && t.spaces.Matches(labels.Set(ns.Labels)) && !w.podsKnown(ns.Name) {
			return false
		}
	}
	return true
}

// constraint is a topology spread constraint with whenUnsatisfiable: DoNotSchedule.
type constraint struct {
	key                       string
	pods                      labels.Selector
	maxSkew, minDomains       int
	honorAffinity, honorTaint bool
}

func constraintsOf(p *corev1.Pod) []constraint {
	var out []constraint
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		x := constraint{key: c.TopologyKey, pods: selector(c.LabelSelector), maxSkew: int(c.MaxSkew), minDomains: 1, honorAffinity: true}
		same := labels.Set{}
		for _, k := range c.MatchLabelKeys {
			if v, ok := p.Labels[k]; ok {
				same[k] = v
			}
		}
		if more, selectable := same.AsSelectorPreValidated().Requirements(); selectable && len(same) > 0 && !nothing(x.pods) {
			x.pods = x.pods.Add(more...)
		}
		if c.MinDomains != nil {
			x.minDomains = int(*c.MinDomains)
		}
		if c.NodeAffinityPolicy != nil {
			x.honorAffinity = *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor
		}
		if c.NodeTaintsPolicy != nil {
			x.honorTaint = *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
		}
		out = append(out, x)
	}
	return out
}

// tally is what the pods of all hosts mean for one mover.
type tally struct {
	spread   []map[string]int // of each constraint: place → pods that it selects
	doubt    string           // why the spread cannot be told
	near     map[pair]int     // pods that all terms of its affinity select
	away     map[pair]int     // pods that a term of its anti-affinity selects
	kept     map[pair]int     // pods with a term of anti-affinity that selects it
	unread   string           // why affinity cannot be told
	nearOpen bool             // not all pods were read that its affinity may speak of
	awayOpen []bool           // the same for each term of its anti-affinity
}

// count goes through all pods for what the mover asks of them.
func (w *world) count(m *mover) {
	m.tally = tally{near: map[pair]int{}, away: map[pair]int{}, kept: map[pair]int{}}
	t := &m.tally
	w.countSpread(m)
	match := func(x term, p *corev1.Pod) bool {
		ok, known := w.matches(x, p)
		if !known {
			t.unread = fmt.Sprintf("node(s) where affinity rests on the labels of namespace %s, which were not read", p.Namespace)
		}
		return ok
	}
	for _, h := range w.hosts {
		at := func(counts map[pair]int, key string) {
			if v, ok := h.node.Labels[key]; ok {
				counts[pair{key, v}]++
			}
		}
		for _, g := range h.guests {
			if m.nearby(g.pod, match) {
				for _, x := range m.near {
					at(t.near, x.key)
				}
			}
			for _, x := range m.anti {
				if match(x, g.pod) {
					at(t.away, x.key)
				}
			}
			for _, x := range g.anti {
				if match(x, m.pod) {
					at(t.kept, x.key)
				}
			}
		}
	}
	for _, x := range m.near {
		t.nearOpen = t.nearOpen || !w.termKnown(x)
	}
	for _, x := range m.anti {
		t.awayOpen = append(t.awayOpen, x.key != corev1.LabelHostname && !w.termKnown(x))
	}
}

// nearby tells whether all terms of the mover's affinity select the pod; false where it has none.
func (m *mover) nearby(p *corev1.Pod, match func(term, *corev1.Pod) bool) bool {
	for _, x := range m.near {
		if !match(x, p) {
			return false
		}
	}
	return len(m.near) > 0
}

func (w *world) countSpread(m *mover) {
	t := &m.tally
	if len(m.spread) == 0 {
		return
	}
	if !w.allNodes || !w.podsKnown(m.pod.Namespace) {
		t.doubt = fmt.Sprintf("node(s) whose topology spread rests on the pods of namespace %s, of which not all were read", m.pod.Namespace)
	}
	for range m.spread {
		t.spread = append(t.spread, map[string]int{})
	}
	for _, h := range w.hosts {
		if slices.ContainsFunc(m.spread, func(c constraint) bool { _, ok := h.node.Labels[c.key]; return !ok }) {
			continue
		}
		for i, c := range m.spread {
			if !c.counts(m, h) {
				continue
			}
			n := 0
			for _, g := range h.guests {
				if g.pod.Namespace == m.pod.Namespace && (g.fresh || g.pod.DeletionTimestamp == nil) && !c.pods.Empty() && c.pods.Matches(labels.Set(g.pod.Labels)) {
					n++
				}
			}
			t.spread[i][h.node.Labels[c.key]] += n
		}
	}
}

// counts tells whether the host is one of those over which the pods are to be spread.
func (c constraint) counts(m *mover, h *host) bool {
	if c.honorAffinity {
		if ok, err := m.affinity.Match(h.node); err == nil && !ok || err != nil {
			return false
		}
	}
	if c.honorTaint {
		if snapshot.Untolerated(h.node, m.pod, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute) != nil {
			return false
		}
	}
	return true
}

// spreads: the pods that a constraint selects in the place of the host, with the pod, less those of the emptiest place.
func (w *world) spreads(m *mover, h *host) verdict {
	for i, c := range m.spread {
		place, ok := h.node.Labels[c.key]
		if !ok {
			return refuse(true, "node(s) didn't match pod topology spread constraints (missing required label)")
		}
		if m.tally.doubt != "" {
			continue
		}
		counts := m.tally.spread[i]
		least := 0
		if len(counts) >= c.minDomains && len(counts) > 0 {
			least = slices.Min(slices.Collect(maps.Values(counts)))
		}
		self := 0
		if c.pods.Matches(labels.Set(m.pod.Labels)) {
			self = 1
		}
		if counts[place]+self-least > c.maxSkew {
			return refuse(false, "node(s) didn't match pod topology spread constraints")
		}
	}
	return verdict{doubt: m.tally.doubt}
}

// affinity: what the pod wants to be near of, what it wants to be away from, and who wants to be away from it.
func (w *world) affinity(m *mover, h *host) verdict {
	doubt := m.tally.unread
	for _, x := range m.near {
		if _, ok := h.node.Labels[x.key]; !ok {
			return refuse(true, "node(s) didn't match pod affinity rules")
		}
	}
	for _, x := range m.near {
		if m.tally.near[pair{x.key, h.node.Labels[x.key]}] > 0 {
			continue
		}
		own := m.nearby(m.pod, func(x term, p *corev1.Pod) bool { ok, _ := w.matches(x, p); return ok })
		switch {
		case len(m.tally.near) == 0 && own && !m.tally.nearOpen: // the first of its kind
		case m.tally.nearOpen || doubt != "":
			doubt = "node(s) near which may be pods of its affinity that were not read"
		default:
			return refuse(true, "node(s) didn't match pod affinity rules")
		}
		break
	}
	for _, x := range m.anti {
		if v, ok := h.node.Labels[x.key]; ok && m.tally.away[pair{x.key, v}] > 0 {
			return refuse(false, "node(s) didn't match pod anti-affinity rules")
		}
	}
	for p := range m.tally.kept {
		if v, ok := h.node.Labels[p.key]; ok && v == p.value {
			return refuse(false, "node(s) didn't satisfy existing pods anti-affinity rules")
		}
	}
	for i, x := range m.anti {
		if _, ok := h.node.Labels[x.key]; ok && m.tally.awayOpen[i] && doubt == "" {
			doubt = "node(s) near which may be pods of its anti-affinity that were not read"
		}
	}
	return verdict{doubt: doubt}
}
