package source

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// maxPodsPerNode is the kubelet's default --max-pods, to estimate what reading a node costs where the
// pods of other namespaces were not counted.
const maxPodsPerNode = 110

// candidate tells whether a pod may be stuck, and errs on the side of yes: package stuck decides. A pod that
// is over and not being deleted is a leftover.
func candidate(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return true
	}
	return !snapshot.IsTerminal(pod) && suspicious(snapshot.StatusOf(pod).Word) || snapshot.Rejected(pod)
}

// readPods reads the pods of the suspect nodes, and the pods in a terminal phase that are being deleted.
func (p *plan) readPods(ctx context.Context) {
	suspects := p.suspects()
	p.budget(suspects)
	p.all(
		func() { p.readSuspects(ctx, suspects) },
		func() { p.readRejected(ctx) },
		func() {
			if p.unbound { // by spec.nodeName, of which the watch cache has an index
				p.readWaiting(ctx, "spec.nodeName=")
			}
		},
	)
	// A pod that only its finalizers or its node's cleanup hold can be on a node that looked healthy.
	var late []string
	for _, pod := range p.readDeleted(ctx) {
		if n := pod.Spec.NodeName; n != "" && p.suspect[n] == 0 {
			late = append(late, n)
		}
		p.suspect[pod.Spec.NodeName]++
	}
	delete(p.suspect, "")
	slices.Sort(late)
	late = slices.Compact(late)
	if len(late) > p.limits.nodes {
		p.gap(snapshot.Pod, "", "", fmt.Errorf("%d nodes have pods that are over and being deleted; the other pods of %d of them were counted and not read: %w", len(late), len(late)-p.limits.nodes, ErrTruncated))
		late = late[:p.limits.nodes]
	}
	p.pods.want(late, -1)
	p.readNodePods(ctx, late)
}

// suspects lists the suspect nodes, most suspicious first.
func (p *plan) suspects() []string {
	names := slices.Sorted(maps.Keys(p.suspect))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(p.suspect[b], p.suspect[a]) })
	return names
}

// budget decides how many pods of each suspect node are kept.
func (p *plan) budget(suspects []string) {
	pods, stuck := 0, 0
	for _, n := range suspects {
		c := p.census.Of(n)
		pods += c.Pods
		stuck += p.suspect[n]
	}
	if p.query.Namespace != "" {
		pods = max(pods, len(suspects)*maxPodsPerNode)
	}
	witnesses := -1
	if pods-stuck > p.limits.witnesses {
		witnesses = max(3, p.limits.witnesses/max(1, len(suspects)))
	}
	p.pods.want(suspects, witnesses)
	if stuck > p.limits.candidates {
		p.pods.capCandidates(max(3, p.limits.candidates/max(1, len(suspects))))
	}
}

// readSuspects reads the pods of the nodes by the cheaper plan: a list for each node, or one list of all.
func (p *plan) readSuspects(ctx context.Context, suspects []string) {
	if len(suspects) == 0 {
		return
	}
	onNodes, total := 0, p.census.Pods()
	for _, n := range suspects {
		onNodes += p.census.Of(n).Pods + p.limits.request
	}
	switch {
	case p.query.Namespace == "" && (total <= p.limits.small || onNodes >= total):
		p.say("reading %d pods", total)
		p.readWide(ctx, "", total <= p.limits.small)
	case p.query.Namespace != "" && len(suspects) > p.limits.nodes:
		p.say("reading the pods of namespace %s", p.query.Namespace)
		p.readWide(ctx, p.query.Namespace, false)
		p.gap(snapshot.Pod, "", "", fmt.Errorf("%d nodes are in question; the pods of other namespaces were read on %d of them: %w", len(suspects), p.limits.nodes, ErrTruncated))
		p.readNodePods(ctx, suspects[:p.limits.nodes])
	default:
		p.say("reading the pods of %d nodes", len(suspects))
		p.readNodePods(ctx, suspects)
	}
}

// readWide reads the pods of a namespace ("" = all) in one list, and keeps those of the suspect nodes; or all.
func (p *plan) readWide(ctx context.Context, namespace string, everything bool) {
	if everything {
		p.pods.wantAll()
	}
	dropped := map[string]bool{}
	err := p.list(ctx, ListRequest{Kind: snapshot.Pod, Namespace: namespace}, func(o runtime.Object) {
		if pod, ok := o.(*corev1.Pod); ok && !p.pods.add(pod) {
			dropped[pod.Spec.NodeName] = true
		}
	})
	if err != nil {
		p.gap(snapshot.Pod, namespace, "", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(dropped) == 0 {
		p.builder.SetComplete(snapshot.Pod, namespace)
	}
	if namespace != "" {
		return
	}
	for n := range p.suspect {
		p.read[n] = true
		if !dropped[n] {
			p.builder.SetNodeComplete(n)
		}
	}
}

// readNodePods reads the pods of each node, of all namespaces where that is allowed.
func (p *plan) readNodePods(ctx context.Context, nodes []string) {
	if len(nodes) == 0 {
		return
	}
	if p.query.Namespace != "" {
		p.readNode(ctx, nodes[0]) // alone, because it tells whether the others may be read
		nodes = nodes[1:]
		if p.closed {
			p.readWide(ctx, p.query.Namespace, p.census.Pods() <= p.limits.small)
			return
		}
	}
	tasks := make([]func(), len(nodes))
	for i, n := range nodes {
		tasks[i] = func() { p.readNode(ctx, n) }
	}
	p.all(tasks...)
}

// podsOf asks for the pods of a node, by the one field that the watch cache has an index of.
func podsOf(node string) ListRequest {
	return ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.nodeName=" + node}
}

func (p *plan) readNode(ctx context.Context, node string) {
	p.mu.Lock()
	skip := p.read[node] || p.closed
	p.read[node] = true
	p.mu.Unlock()
	if skip {
		return
	}
	complete := true
	err := p.list(ctx, podsOf(node), func(o runtime.Object) {
		if pod, ok := o.(*corev1.Pod); ok && !p.pods.add(pod) {
			complete = false
		}
	})
	switch {
	case apierrors.IsForbidden(err):
		p.mu.Lock()
		p.closed = true
		p.census.Partial = true
		p.mu.Unlock()
		p.gap(snapshot.Pod, "", "", fmt.Errorf("the pods of other namespaces on the nodes in question: %w", err))
	case err != nil:
		p.gap(snapshot.Pod, "", "", fmt.Errorf("the pods of node %s: %w", node, err))
	case complete:
		p.mu.Lock()
		p.builder.SetNodeComplete(node)
		p.mu.Unlock()
	}
}

// findDeleted looks for pods in a terminal phase that are being deleted: their STATUS word hides it. It does not wait for
// the census, which could tell that there are none: an API server makes the whole Table before it sends the first row.
func (p *plan) findDeleted(ctx context.Context) {
	if len(p.query.Names) > 0 {
		return
	}
	r := p.terminal()
	r.MetadataOnly = true
	found := names{}
	err := p.list(ctx, r, func(o runtime.Object) {
		if m, ok := o.(metav1.Object); ok && m.GetDeletionTimestamp() != nil {
			found[nameOf(o)] = true
		}
	})
	p.mu.Lock()
	p.deleted = found
	p.mu.Unlock()
	if err != nil {
		p.gap(snapshot.Pod, p.query.Namespace, "", fmt.Errorf("pods in phase Failed or Succeeded that are being deleted: %w", err))
	}
}

// terminal asks for the pods in a terminal phase: in one list, because every selector by phase walks all pods.
func (p *plan) terminal() ListRequest {
	return ListRequest{
		Kind: snapshot.Pod, Namespace: p.query.Namespace, LabelSelector: p.query.LabelSelector,
		FieldSelector: and(p.query.FieldSelector, "status.phase!=Running,status.phase!=Pending"),
	}
}

// readDeleted reads those pods in full that were not read with their node, and returns them.
func (p *plan) readDeleted(ctx context.Context) []*corev1.Pod {
	deleted := p.deleted
	for n := range deleted {
		if p.pods.has(n) {
			delete(deleted, n)
		}
	}
	if len(deleted) == 0 {
		return nil
	}
	var pods []*corev1.Pod
	keep := func(o runtime.Object) {
		pod, ok := o.(*corev1.Pod)
		if !ok || !deleted[nameOf(pod)] || len(pods) >= p.limits.candidates {
			return
		}
		if p.pods.add(pod) {
			pods = append(pods, pod)
		}
	}
	if len(deleted) <= p.limits.gets {
		for _, o := range p.fetch(ctx, snapshot.Pod, deleted) {
			keep(o)
		}
		return pods
	}
	if err := p.list(ctx, p.terminal(), keep); err != nil {
		p.gap(snapshot.Pod, p.query.Namespace, "", err)
	}
	return pods
}

// podSet holds the pods that are kept. It is safe for concurrent use. What it keeps of one node depends only
// on that node's pods and their order, so the same cluster gives the same pods.
type podSet struct {
	limits limits

	mu        sync.Mutex
	pods      map[types.NamespacedName]*corev1.Pod
	nodes     map[string]*nodePods
	everyNode bool
	maxStuck  int // candidates kept of each node; -1 = all
}

type nodePods struct {
	maxWitnesses   int  // healthy pods kept; -1 = all
	whole          bool // whatever the bounds are, all of its pods are kept: see readRoom
	candidates     int
	witnesses      []*corev1.Pod
	lostCandidates int
	lostWitnesses  int
}

func newPodSet(l limits) *podSet {
	return &podSet{limits: l, pods: map[types.NamespacedName]*corev1.Pod{}, nodes: map[string]*nodePods{}, maxStuck: -1}
}

// want makes healthy pods of the nodes worth keeping: witnesses of each, or all of them for -1.
func (s *podSet) want(nodes []string, witnesses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range nodes {
		s.node(n).maxWitnesses = witnesses
	}
}

// wantWhole makes every pod of the nodes worth keeping, whatever the bounds are.
func (s *podSet) wantWhole(nodes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range nodes {
		pods := s.node(n)
		pods.whole, pods.lostCandidates, pods.lostWitnesses = true, 0, 0
	}
}

// wantAll makes every pod worth keeping.
func (s *podSet) wantAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.everyNode = true
}

func (s *podSet) capCandidates(perNode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxStuck = perNode
}

func (s *podSet) node(name string) *nodePods {
	n := s.nodes[name]
	if n == nil {
		n = &nodePods{}
		s.nodes[name] = n
	}
	return n
}

func (s *podSet) has(n types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pods[n] != nil
}

// keep keeps a pod without asking whether it is worth it, unless it is there already.
func (s *podSet) keep(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := nameOf(pod); s.pods[key] == nil {
		s.pods[key] = pod
	}
}

// forget makes nothing of what was lost, because all of it is read again.
func (s *podSet) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		n.lostCandidates, n.lostWitnesses = 0, 0
	}
}

// addNamed keeps a pod that was asked for, whatever its state.
func (s *podSet) addNamed(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods[nameOf(pod)] = pod
}

// add keeps the pod if it is worth it, and tells whether nothing was lost: not this pod, and none for it.
func (s *podSet) add(pod *corev1.Pod) bool {
	stuck := candidate(pod)
	if len(pod.Finalizers) == 0 {
		pod.ManagedFields = nil // half of a pod; the snapshot would drop them later
	}
	key := nameOf(pod)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pods[key] != nil {
		return true
	}
	n := s.node(pod.Spec.NodeName)
	most := s.maxStuck
	if pod.Spec.NodeName == "" {
		most = s.limits.pending
	}
	switch {
	case stuck && (most < 0 || n.candidates < most || n.whole):
		n.candidates++
	case stuck:
		n.lostCandidates++
		return false
	case s.everyNode || n.whole || n.maxWitnesses < 0:
	case n.maxWitnesses == 0:
		return false // nobody asked for this node
	default:
		return s.addWitness(n, key, pod)
	}
	s.pods[key] = pod
	return true
}

// addWitness keeps the youngest: a pod that started after the others got stuck proves most.
func (s *podSet) addWitness(n *nodePods, key types.NamespacedName, pod *corev1.Pod) bool {
	if len(n.witnesses) < n.maxWitnesses {
		n.witnesses = append(n.witnesses, pod)
		s.pods[key] = pod
		return true
	}
	n.lostWitnesses++
	oldest := 0
	for i, w := range n.witnesses {
		if w.CreationTimestamp.Before(&n.witnesses[oldest].CreationTimestamp) {
			oldest = i
		}
	}
	if n.witnesses[oldest].CreationTimestamp.Before(&pod.CreationTimestamp) {
		delete(s.pods, nameOf(n.witnesses[oldest]))
		n.witnesses[oldest] = pod
		s.pods[key] = pod
	}
	return false
}

// all lists the pods in order.
func (s *podSet) all() []*corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*corev1.Pod, 0, len(s.pods))
	for _, n := range slices.SortedFunc(maps.Keys(s.pods), compareNames) {
		out = append(out, s.pods[n])
	}
	return out
}

// candidates lists the pods that may be stuck, in order.
func (s *podSet) candidates() []*corev1.Pod {
	return slices.DeleteFunc(s.all(), func(p *corev1.Pod) bool { return !candidate(p) })
}

// report records what was left out.
func (s *podSet) report(gaps *gapLog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes, stuck, healthy := 0, 0, 0
	for name, n := range s.nodes {
		if name == "" {
			if n.lostCandidates > 0 {
				gaps.add(snapshot.Gap{Kind: snapshot.Pod, Reason: snapshot.ReasonTruncated, Detail: fmt.Sprintf(
					"%d pods without a node were counted and not kept", n.lostCandidates)})
			}
			continue
		}
		stuck += n.lostCandidates
		healthy += n.lostWitnesses
		if n.lostCandidates+n.lostWitnesses > 0 {
			nodes++
		}
	}
	if stuck > 0 {
		gaps.add(snapshot.Gap{Kind: snapshot.Pod, Reason: snapshot.ReasonTruncated, Detail: fmt.Sprintf(
			"%d pods that look stuck, on %d nodes, were counted and not kept: at most %d of each node are", stuck, nodes, s.maxStuck)})
	}
	if healthy > 0 {
		gaps.add(snapshot.Gap{Kind: snapshot.Pod, Reason: snapshot.ReasonTruncated, Detail: fmt.Sprintf(
			"%d healthy pods on %d nodes were counted and not kept: the youngest of each node are", healthy, nodes)})
	}
}
