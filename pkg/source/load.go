package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// defaultConcurrency bounds the requests under way at once. An API server's default for a user's requests in
// flight is in the hundreds, so this leaves it to others; more is no faster, because the answers are large.
const defaultConcurrency = 8

// limits bound what is read and kept, so that memory and time stay bounded in a cluster of any size. What a
// limit leaves out is counted by the census and named in a gap.
type limits struct {
	small      int // up to so many pods, everything is read: one request is cheaper than choosing
	request    int // what one more request costs, in pods that could be listed instead
	pending    int // pods without a node
	candidates int // pods that may be stuck
	witnesses  int // healthy pods on the nodes in question, which tell one pod from the whole node
	nodes      int // nodes read one by one where their total is not known, or where nothing on them looks stuck
	gets       int // objects of a kind read one by one, before lists are cheaper
	lists      int // namespaces listed one by one, before one list of all is cheaper
	volumes    int // VolumeAttachments kept whole
	events     int // events of one namespace
	eventGets  int // objects whose events are asked for one by one
	roomPods   int // pods of all nodes up to which, and of one namespace, they are read for Query.Room
	roomNodes  int // nodes read for Query.Room where there are more
}

func defaultLimits() limits {
	return limits{
		small: 500, request: 20, pending: 5000, candidates: 10000, witnesses: 3000, nodes: 200,
		gets: 60, lists: 60, volumes: 5000, events: 5000, eventGets: 40,
		roomPods: 20000, roomNodes: 60,
	}
}

// Load reads what the query needs and makes a snapshot of it.
//
// It fails only where there is no answer at all: the backend cannot be opened, the context ends, or the pods
// themselves cannot be listed (*ForbiddenError where that is for want of rights). Every other failure is a gap
// in the snapshot.
func Load(ctx context.Context, b Backend, q Query) (*snapshot.Snapshot, error) {
	return load(ctx, b, q, defaultLimits())
}

func load(ctx context.Context, b Backend, q Query, l limits) (*snapshot.Snapshot, error) {
	if len(q.Names) > 0 && q.Namespace == "" {
		return nil, errors.New("pods were named without a namespace")
	}
	origin, now, err := b.Open(ctx)
	if err != nil {
		return nil, err
	}
	p := newPlan(b, q, l, now)
	if err := p.survey(ctx); err != nil {
		return nil, err
	}
	p.all(func() { p.readPods(ctx) }, func() { p.readObjects(ctx) })
	p.readRoom(ctx)
	p.readReferences(ctx)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading the cluster: %w", context.Cause(ctx))
	}
	p.builder.SetOrigin(origin)
	return p.build()
}

// plan is one run of Load. Its fields are written under mu while requests are under way.
type plan struct {
	backend Backend
	query   Query
	limits  limits
	now     time.Time
	needs   map[snapshot.Kind]bool
	slots   chan struct{}
	pods    *podSet

	mu      sync.Mutex
	builder *snapshot.Builder
	gaps    gapLog
	refused map[refusal]bool
	census  snapshot.Census
	suspect map[string]int          // node → census rows on it that may be stuck
	words   map[string]bool         // STATUS words among the pods looked for
	nodes   map[string]*corev1.Node // as listed
	renewed map[string]time.Time    // node → when its lease was renewed
	deleted names                   // pods in a terminal phase that are being deleted
	named   []*corev1.Pod           // the pods that were asked for by name
	read    map[string]bool         // nodes whose pods were asked for
	unbound bool                    // some pods that may be stuck have no node
	closed  bool                    // pods of other namespaces are forbidden
	beats   bool                    // the heartbeats of all nodes were read
	leaders leaders

	shortages map[snapshot.Kind]shortage // workloads that look short of pods
	webhooks  bool                       // a workload that cannot create its pods speaks of a webhook
}

type refusal struct {
	kind      snapshot.Kind
	namespace string
}

func newPlan(b Backend, q Query, l limits, now time.Time) *plan {
	q.Nodes = slices.Concat(q.Nodes, q.Room)
	n := q.Concurrency
	if n <= 0 {
		n = defaultConcurrency
	}
	p := &plan{
		backend: b, query: q, limits: l, now: now, needs: map[snapshot.Kind]bool{},
		slots: make(chan struct{}, n), pods: newPodSet(l), builder: snapshot.NewBuilder(),
		refused: map[refusal]bool{}, suspect: map[string]int{}, words: map[string]bool{},
		nodes: map[string]*corev1.Node{}, renewed: map[string]time.Time{}, read: map[string]bool{}, deleted: names{},
	}
	if len(q.Room) > 0 {
		q.Needs = slices.Concat(q.Needs, RightsOfRoom())
		p.pods.wantWhole(q.Room)
	}
	for _, k := range slices.Concat(Trunk(), q.Needs) {
		p.needs[k] = true
	}
	p.needs[snapshot.ReplicaSet] = slices.Contains(q.Needs, snapshot.ReplicaSet) // see readOwners
	return p
}

// build makes the snapshot.
func (p *plan) build() (*snapshot.Snapshot, error) {
	for _, pod := range p.pods.all() {
		p.builder.Add(pod)
	}
	for name, n := range p.nodes {
		// The list of images is the largest part of a node (up to 50 by default, kubelet's
		// --node-status-max-images), and only tells something about a node that is looked at.
		if p.suspect[name] == 0 && !slices.Contains(p.query.Nodes, name) {
			n.Status.Images = nil
		}
		p.builder.Add(n)
	}
	p.pods.report(&p.gaps)
	for _, g := range p.gaps.list() {
		p.builder.AddGap(g)
	}
	p.builder.SetCensus(p.census)
	return p.builder.Build(p.now)
}

// all runs the tasks at the same time and waits for them.
func (p *plan) all(tasks ...func()) {
	var wg sync.WaitGroup
	for _, t := range tasks {
		wg.Go(t)
	}
	wg.Wait()
}

func (p *plan) say(format string, args ...any) {
	if p.query.Progress == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.query.Progress(fmt.Sprintf(format, args...))
}

// slot waits for the right to send a request; the caller must call release if err is nil.
func (p *plan) slot(ctx context.Context) (release func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// list reads a list; each is called from one goroutine, without the lock.
func (p *plan) list(ctx context.Context, r ListRequest, each func(runtime.Object)) error {
	release, err := p.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return p.backend.List(ctx, r, each)
}

func (p *plan) count(ctx context.Context, fieldSelector, labelSelector string, row func(*Row)) error {
	release, err := p.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return p.backend.Census(ctx, p.query.Namespace, labelSelector, fieldSelector, row)
}

func (p *plan) get(ctx context.Context, k snapshot.Kind, namespace, name string) (runtime.Object, error) {
	release, err := p.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return p.backend.Get(ctx, k, namespace, name)
}

// gap records a failed read, once for each kind, namespace and reason.
func (p *plan) gap(k snapshot.Kind, namespace, name string, err error) {
	if errors.Is(err, context.Canceled) {
		return // the whole run ends with that error
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps.add(snapshot.Gap{Kind: k, Namespace: namespace, Name: name, Reason: gapReason(err), Detail: err.Error()})
}

// readAll lists a kind, keeps every object and records that they are all of them. It tells whether they are.
func (p *plan) readAll(ctx context.Context, k snapshot.Kind, namespace string) bool {
	var got []runtime.Object
	err := p.list(ctx, ListRequest{Kind: k, Namespace: namespace}, func(o runtime.Object) { got = append(got, o) })
	p.add(got...)
	if err != nil {
		p.gap(k, namespace, "", err)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.builder.SetComplete(k, namespace)
	return true
}

func (p *plan) add(objects ...runtime.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range objects {
		p.builder.Add(o)
	}
}

// fetch reads objects of one kind by their names: one by one where they are few, else from lists. What does
// not exist is recorded as absent. It returns what was found.
func (p *plan) fetch(ctx context.Context, k snapshot.Kind, wanted map[types.NamespacedName]bool) []runtime.Object {
	byNamespace := map[string][]types.NamespacedName{}
	for n := range wanted {
		byNamespace[n.Namespace] = append(byNamespace[n.Namespace], n)
	}
	for _, names := range byNamespace {
		slices.SortFunc(names, compareNames)
	}
	var mu sync.Mutex
	var found []runtime.Object
	keep := func(o runtime.Object) {
		mu.Lock()
		found = append(found, o)
		mu.Unlock()
	}
	var tasks []func()
	oneByOne := func(names []types.NamespacedName) {
		for _, n := range names {
			tasks = append(tasks, func() {
				if o, ok := p.fetchOne(ctx, k, n); ok {
					keep(o)
				}
			})
		}
	}
	info, _ := snapshot.InfoOf(k)
	switch {
	case len(wanted) <= p.limits.gets:
		for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
			oneByOne(byNamespace[ns])
		}
	case !info.Namespaced || (p.query.Namespace == "" && len(byNamespace) > p.limits.lists):
		tasks = append(tasks, func() { p.fetchList(ctx, k, "", wanted, keep) })
	default:
		for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
			if names := byNamespace[ns]; len(names) <= 3 {
				oneByOne(names)
			} else {
				tasks = append(tasks, func() { p.fetchList(ctx, k, ns, wanted, keep) })
			}
		}
	}
	p.all(tasks...)
	slices.SortFunc(found, func(a, b runtime.Object) int { return compareNames(nameOf(a), nameOf(b)) })
	p.add(found...)
	return found
}

func (p *plan) fetchOne(ctx context.Context, k snapshot.Kind, n types.NamespacedName) (runtime.Object, bool) {
	p.mu.Lock()
	skip := p.refused[refusal{k, n.Namespace}] || p.refused[refusal{k, ""}]
	p.mu.Unlock()
	if skip {
		return nil, false
	}
	o, err := p.get(ctx, k, n.Namespace, n.Name)
	if err == nil {
		return o, true
	}
	switch gapReason(err) {
	case snapshot.ReasonNotFound:
		if !errors.Is(err, ErrNotServed) {
			p.mu.Lock()
			p.builder.SetAbsent(k, n.Namespace, n.Name)
			p.mu.Unlock()
			return nil, false
		}
		p.refuse(k, "")
	case snapshot.ReasonNotInDump:
		if errors.Is(err, ErrNotInDump) { // where there are some of the kind, the next one may be among them
			p.refuse(k, "")
		}
	case snapshot.ReasonForbidden:
		p.refuse(k, n.Namespace)
		p.gap(k, n.Namespace, "", err) // the next of the kind would fare no better
		return nil, false
	}
	p.gap(k, n.Namespace, n.Name, err)
	return nil, false
}

func (p *plan) refuse(k snapshot.Kind, namespace string) {
	p.mu.Lock()
	p.refused[refusal{k, namespace}] = true
	p.mu.Unlock()
}

// fetchList lists a namespace ("" = all) and keeps what is wanted of it.
func (p *plan) fetchList(ctx context.Context, k snapshot.Kind, namespace string, wanted map[types.NamespacedName]bool, keep func(runtime.Object)) {
	seen := map[types.NamespacedName]bool{}
	err := p.list(ctx, ListRequest{Kind: k, Namespace: namespace}, func(o runtime.Object) {
		if n := nameOf(o); wanted[n] {
			seen[n] = true
			keep(o)
		}
	})
	if err != nil {
		p.gap(k, namespace, "", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := range wanted {
		if (namespace == "" || n.Namespace == namespace) && !seen[n] {
			p.builder.SetAbsent(k, n.Namespace, n.Name)
		}
	}
}

func nameOf(o runtime.Object) types.NamespacedName {
	m, ok := o.(metav1.Object)
	if !ok {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: m.GetNamespace(), Name: m.GetName()}
}

func compareNames(a, b types.NamespacedName) int {
	if a.Namespace != b.Namespace {
		return cmp.Compare(a.Namespace, b.Namespace)
	}
	return cmp.Compare(a.Name, b.Name)
}
