package room

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// preemptionLooks bounds on how many nodes it is tried whether others could give way: the scheduler, too, tries at most 100 of them, or a tenth
// (DefaultPreemptionArgs: minCandidateNodesAbsolute, minCandidateNodesPercentage).
const preemptionLooks = 100

// Fit tells where each of these pods of the node would go on the other nodes, if all of them were made anew and the node were gone. They are placed one
// after the other as the scheduler's queue has them, by priority and then by age, and each counts for the next. The node itself and its other pods do
// not count; pods of other nodes do until they are gone, even while they are being deleted.
//
// A node that passes the filters of the default scheduler (Kubernetes 1.37) is taken by how much it has left and how few pods of the same controller it
// has. Which node it is in the end is the scheduler's choice; that there is one is what is told here.
func Fit(s *snapshot.Snapshot, node string, pods []*corev1.Pod) Result {
	w := newWorld(s, node, pods)
	r := Result{Candidates: w.candidates, Looked: w.looked}
	queue := slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return p == nil })
	slices.SortStableFunc(queue, func(a, b *corev1.Pod) int {
		return cmp.Or(
			cmp.Compare(corev1helpers.PodPriority(b), corev1helpers.PodPriority(a)),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name),
		)
	})
	for _, pod := range queue {
		m := w.mover(pod)
		a := w.judge(m)
		switch out := (Unplaced{Pod: snapshot.RefOf(pod), Why: a.why, Preempts: a.preempts}); {
		case a.host != nil:
			r.Places = append(r.Places, Place{Pod: out.Pod, Node: a.host.node.Name})
			m.fresh = true
			a.host.add(m.guest)
		case a.open:
			r.Unknown = append(r.Unknown, out)
		default:
			r.Pending = append(r.Pending, out)
		}
		for _, n := range m.notes {
			w.rest(n)
		}
	}
	if len(queue) > 0 {
		r.Rests = w.statements()
	}
	return r
}

// answer is what is found for one pod: a host, or why there is none. open means that it cannot be told.
type answer struct {
	host     *host
	why      string
	open     bool
	preempts bool
}

// verdict is what one node says to one pod. No reasons and no doubt is room.
type verdict struct {
	reasons []string
	// final reasons stay, whoever gives way on the node (UnschedulableAndUnresolvable in the scheduler).
	final bool
	// doubt is what would have to be known to tell.
	doubt string
}

func (v verdict) fits() bool { return len(v.reasons) == 0 && v.doubt == "" }

// judge finds the best host for a pod.
func (w *world) judge(m *mover) answer {
	if m.unknown != "" {
		return answer{open: true, why: m.unknown}
	}
	if m.stop != "" { // the scheduler says it before it looks at any node
		return answer{why: fmt.Sprintf("0/%d nodes are available: %s.", len(w.hosts), m.stop) + m.hint}
	}
	w.count(m)
	var fits []*host
	var tell []*host // that others could make room on
	reasons, doubts := map[string]int{}, map[string]int{}
	for _, h := range w.hosts {
		v := w.ask(m, h)
		switch {
		case v.fits():
			fits = append(fits, h)
		case len(v.reasons) == 0:
			doubts[v.doubt]++
		default:
			for _, reason := range v.reasons {
				reasons[reason]++
			}
			if h.all && !v.final {
				tell = append(tell, h)
			}
		}
	}
	if len(fits) > 0 {
		return answer{host: w.best(m, fits)}
	}
	refused := fmt.Sprintf("0/%d nodes are available", len(w.hosts))
	if list := histogram(reasons); list != "" {
		refused += ": " + list
	}
	open := histogram(doubts)
	if !w.allNodes {
		open = strings.TrimPrefix(open+", not all nodes were read", ", ")
	}
	if open == "" {
		return answer{why: refused + "." + m.hint, preempts: w.preempts(m, tell)}
	}
	why := "it cannot be told: " + open
	if list := histogram(reasons); list != "" {
		why += "; of the others: " + list
	}
	return answer{open: true, why: why}
}

// histogram words counted reasons as the scheduler does: sorted as strings, each with its number before it.
func histogram(reasons map[string]int) string {
	out := make([]string, 0, len(reasons))
	for reason, n := range reasons {
		out = append(out, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// ask runs the filters in the order of the default profile. The first that refuses is the one that is told.
func (w *world) ask(m *mover, h *host) verdict {
	filters := []func(*mover, *host) verdict{
		unschedulable, untolerated, affine, portsFree, resourcesFree, volumesFree, w.attachable, volumeNode, volumeZone, w.spreads, w.affinity, well,
	}
	var doubt string
	for _, filter := range filters {
		v := filter(m, h)
		if len(v.reasons) > 0 {
			return v
		}
		if doubt == "" {
			doubt = v.doubt
		}
	}
	if doubt == "" && !h.all {
		doubt = "node(s) of which the pods were not read"
	}
	return verdict{doubt: doubt}
}

func refuse(final bool, reasons ...string) verdict { return verdict{reasons: reasons, final: final} }

// best takes the host by what it has left (LeastAllocated) and by how few pods of the same controller it has (PodTopologySpread, which weighs twice); a
// taint PreferNoSchedule that is not tolerated weighs three times. Equals are taken by name.
func (w *world) best(m *mover, fits []*host) *host {
	siblings, most := make([]int, len(fits)), 0
	for i, h := range fits {
		for _, g := range h.guests {
			if m.controller != "" && controllerOf(g.pod) == m.controller {
				siblings[i]++
			}
		}
		most = max(most, siblings[i])
	}
	var top *host
	var topScore float64
	for i, h := range fits {
		score := h.left(m)
		if most > 0 {
			score += 200 * float64(most-siblings[i]) / float64(most)
		}
		if snapshot.Untolerated(h.node, m.pod, corev1.TaintEffectPreferNoSchedule) == nil {
			score += 300
		}
		if top == nil || score > topScore {
			top, topScore = h, score
		}
	}
	return top
}

// preempts tells whether the pod would fit on one of the hosts without the pods there of a lower priority.
func (w *world) preempts(m *mover, hosts []*host) bool {
	if p := m.pod.Spec.PreemptionPolicy; p != nil && *p == corev1.PreemptNever {
		return false
	}
	for i, h := range hosts {
		if i == preemptionLooks {
			break
		}
		kept := h.withoutBelow(corev1helpers.PodPriority(m.pod))
		if len(kept.guests) == len(h.guests) {
			continue
		}
		other := *w
		other.hosts = slices.Clone(w.hosts)
		other.hosts[slices.Index(w.hosts, h)] = kept
		n := *m
		other.count(&n)
		if other.ask(&n, kept).fits() {
			return true
		}
	}
	return false
}

func controllerOf(p *corev1.Pod) string {
	if c := metav1.GetControllerOf(p); c != nil {
		return p.Namespace + "/" + c.Kind + "/" + c.Name
	}
	return ""
}
