package room

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// world is the cluster without the node that goes, as the scheduler would have it in its cache.
type world struct {
	s     *snapshot.Snapshot
	node  string
	hosts []*host
	// candidates counts the hosts that take pods, looked those of them whose pods were all read.
	candidates, looked int
	allNodes           bool // every node was read
	allPods            bool // of every host
	rests              []string
	said               map[string]bool
}

// host is a node and the pods that it has.
type host struct {
	node   *corev1.Node
	all    bool // every pod that is bound to it was read
	size   amounts
	used   amounts
	guests []*guest
}

// guest is a pod on a host, or one that looks for one.
type guest struct {
	pod  *corev1.Pod
	asks amounts
	anti []term
	// fresh tells that it is made anew: it is not being deleted, whatever the pod is that it stands for.
	fresh bool
}

// amounts are resources in their base units; those of CPU in thousandths.
type amounts map[corev1.ResourceName]int64

func amountsOf(list corev1.ResourceList) amounts {
	out := make(amounts, len(list))
	for name, q := range list {
		if name == corev1.ResourceCPU {
			out[name] = q.MilliValue()
		} else {
			out[name] = q.Value()
		}
	}
	return out
}

// newWorld gathers the hosts. Pods that have ended take no room; those that move are taken away wherever they are.
func newWorld(s *snapshot.Snapshot, node string, moving []*corev1.Pod) *world {
	w := &world{s: s, node: node, allNodes: s.Complete(snapshot.Node, ""), allPods: true, said: map[string]bool{}}
	goes := map[types.NamespacedName]bool{}
	for _, p := range moving {
		if p != nil {
			goes[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] = true
		}
	}
	for _, n := range s.Nodes() {
		if n.Name == node {
			continue
		}
		pods, all := s.PodsOnNode(n.Name)
		h := &host{node: n, all: all, size: amountsOf(n.Status.Allocatable), used: amounts{}}
		for _, p := range pods {
			if !snapshot.IsTerminal(p) && !goes[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] {
				h.add(guestOf(p))
			}
		}
		w.hosts = append(w.hosts, h)
		w.allPods = w.allPods && all
		if takesPods(n) {
			w.candidates++
			if all {
				w.looked++
			}
		}
	}
	waiting := 0
	pods, _ := s.PodsOnNode("")
	for _, p := range pods {
		if !snapshot.IsTerminal(p) && p.DeletionTimestamp == nil && len(p.Spec.SchedulingGates) == 0 {
			waiting++
		}
	}
	if waiting > 0 {
		w.rest(fmt.Sprintf("%d pods wait for a node already, and may take the room first", waiting))
	}
	return w
}

// takesPods tells whether a node takes pods at all, whatever they tolerate.
func takesPods(n *corev1.Node) bool {
	return !n.Spec.Unschedulable && len(well(nil, &host{node: n}).reasons) == 0
}

// guestOf reads what a bound pod takes: its requests as resized in place, as the scheduler counts them (pkg/scheduler/framework: CalculateResource).
func guestOf(p *corev1.Pod) *guest {
	return &guest{pod: p, anti: requiredAntiAffinity(p), asks: amountsOf(resource.PodRequests(p, resource.PodResourcesOptions{
		UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true,
	}))}
}

func (h *host) add(g *guest) {
	h.guests = append(h.guests, g)
	for name, n := range g.asks {
		h.used[name] += n
	}
}

// withoutBelow is the host without its pods of a lower priority.
func (h *host) withoutBelow(priority int32) *host {
	out := &host{node: h.node, all: h.all, size: h.size, used: amounts{}}
	for _, g := range h.guests {
		if corev1helpers.PodPriority(g.pod) >= priority {
			out.add(g)
		}
	}
	return out
}

// left is how much of CPU and memory the host would have left with the pod, in percent, as the scheduler's LeastAllocated has it.
func (h *host) left(m *mover) float64 {
	sum := 0.0
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if size := h.size[name]; size > 0 {
			sum += 50 * max(0, float64(size-h.used[name]-m.asks[name])/float64(size))
		}
	}
	return sum
}

// mover is a pod that looks for a host, and what it asks of one.
type mover struct {
	*guest
	controller string
	affinity   nodeaffinity.RequiredNodeAffinity
	ports      []corev1.ContainerPort
	near       []term // required pod affinity
	volumes    []disk
	spread     []constraint
	tally      tally
	// unknown says why nothing can be told of it, and stop what the scheduler says before it looks at a node.
	unknown, stop string
	// hint is added to why it stays Pending, and notes to what the answer rests on.
	hint  string
	notes []string
}

// mover reads what a pod asks. What is asked is its spec alone: a new pod has no status.
func (w *world) mover(p *corev1.Pod) *mover {
	m := &mover{
		guest:      &guest{pod: p, anti: requiredAntiAffinity(p), asks: amountsOf(resource.PodRequests(p, resource.PodResourcesOptions{}))},
		controller: controllerOf(p), affinity: nodeaffinity.GetRequiredNodeAffinity(p), ports: hostPorts(p), near: requiredAffinity(p), spread: constraintsOf(p),
	}
	switch name := p.Spec.SchedulerName; {
	case name != "" && name != corev1.DefaultSchedulerName:
		m.unknown = fmt.Sprintf("its scheduler is %q, whose rules are not known here", name)
	case len(p.Spec.SchedulingGates) > 0:
		m.unknown = fmt.Sprintf("its scheduling gate %q keeps it from being scheduled until somebody removes it", p.Spec.SchedulingGates[0].Name)
	case len(p.Spec.ResourceClaims) > 0 || p.Status.ExtendedResourceClaimStatus != nil:
		m.unknown = "it asks for devices by resource claims, and which nodes have them free is not computed here"
	case p.Spec.SchedulingGroup != nil:
		m.unknown = "it is scheduled together with its group, and whether all of it fits is not computed here"
	}
	w.readVolumes(m)
	if len(m.spread) > 0 {
		m.notes = append(m.notes, "a cordoned node counts in topology spread constraints as long as its Node object is there: pods that have some may stay Pending until then")
	}
	return m
}

// rest adds a statement, once.
func (w *world) rest(text string) {
	if !w.said[text] {
		w.said[text] = true
		w.rests = append(w.rests, text)
	}
}

func (w *world) statements() []string {
	out := []string{"that the scheduler has its default configuration: other profiles, plugins and extenders may decide otherwise"}
	if unread := w.candidates - w.looked; unread > 0 {
		out = append(out, fmt.Sprintf("the pods of %d of %d nodes were not read: what room they have, and whether their pods keep others away, is not known", unread, w.candidates))
	}
	return slices.Concat(out, w.rests)
}

// podsKnown tells whether all pods of a namespace that are on hosts were read.
func (w *world) podsKnown(namespace string) bool {
	return w.allPods || w.s.Complete(snapshot.Pod, namespace)
}
