package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// What is stuck without a pod to show it: workloads whose pods cannot be created, and namespaces that do not go.
//
// A cluster has tens of thousands of workloads, and most of them want no more pods than they have. So they are counted from Tables without objects,
// as pods are, and only those that look short of pods are read in full. Their events are read only where their status leaves the question open.

// objectNames is how many short workloads of a kind are asked for by name, each with a list across namespaces that the server answers from its watch
// cache; beyond that one list of all is cheaper. objectList is how many objects of a kind are listed without choosing.
const (
	objectNames = 20
	objectList  = 50
)

// objectsKept is how many short workloads of a kind are kept; a cluster in which more are short has one reason for most of them.
const objectsKept = 300

// objectsAsked is how many of them have their ReplicaSets and events asked for one by one.
const objectsAsked = 40

// RightsOfObjects lists the kinds that a Query with Objects reads.
func RightsOfObjects() []snapshot.Kind { return append(snapshot.Workloads(), snapshot.Namespace) }

// shortage is what the count of one kind of workload says.
type shortage struct {
	total int
	names map[string]bool // that look short of pods, without their namespaces
	begun map[string]bool // of Jobs: those of them with which some pods have ended well
}

// objectsWanted tells whether the question is about everything, rather than about chosen pods.
func (p *plan) objectsWanted() bool {
	q := p.query
	return q.Objects && len(q.Names) == 0 && q.LabelSelector == "" && q.FieldSelector == ""
}

// countWorkloads is the cheap part, done while pods are counted.
func (p *plan) countWorkloads(ctx context.Context) {
	if !p.objectsWanted() {
		return
	}
	found := map[snapshot.Kind]shortage{}
	var mu sync.Mutex
	tasks := []func(){func() { p.readGoing(ctx) }}
	for _, k := range snapshot.Workloads() {
		r := ListRequest{Kind: k, Namespace: p.query.Namespace}
		if k == snapshot.ReplicaSet { // those of Deployments are looked at through them; there are ten old ones of each
			r.LabelSelector = "!" + appsv1.DefaultDeploymentUniqueLabelKey
		}
		tasks = append(tasks, func() {
			s := shortage{names: map[string]bool{}, begun: map[string]bool{}}
			err := p.tally(ctx, r, func(t *Tally) {
				s.total++
				if t.Short() {
					s.names[t.Name] = true
				}
				if t.Short() && t.Have > 0 {
					s.begun[t.Name] = true
				}
			})
			if err != nil {
				p.gap(k, r.Namespace, "", fmt.Errorf("counting: %w", err))
			}
			mu.Lock()
			found[k] = s
			mu.Unlock()
		})
	}
	p.all(tasks...)
	p.shortages = found
}

func (p *plan) tally(ctx context.Context, r ListRequest, row func(*Tally)) error {
	release, err := p.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return p.backend.Counts(ctx, r, row)
}

// readGoing reads the namespaces that are being deleted. The API server selects namespaces by their phase (pkg/registry/core/namespace).
func (p *plan) readGoing(ctx context.Context) {
	if ns := p.query.Namespace; ns != "" {
		p.fetch(ctx, snapshot.Namespace, clusterNames(ns))
		return
	}
	var got []runtime.Object
	err := p.list(ctx, ListRequest{Kind: snapshot.Namespace, FieldSelector: "status.phase=" + string(corev1.NamespaceTerminating)}, func(o runtime.Object) {
		got = append(got, o)
	})
	p.add(got...)
	if err != nil {
		p.gap(snapshot.Namespace, "", "", err)
	}
}

// readObjects reads the workloads that looked short of pods, and what is said of them.
func (p *plan) readObjects(ctx context.Context) {
	if !p.objectsWanted() {
		return
	}
	short := map[snapshot.Kind][]runtime.Object{}
	var mu sync.Mutex
	var tasks []func()
	for _, k := range snapshot.Workloads() {
		s := p.shortages[k]
		if len(s.names) == 0 {
			continue
		}
		tasks = append(tasks, func() {
			got := p.readShort(ctx, k, s)
			mu.Lock()
			short[k] = got
			mu.Unlock()
		})
	}
	p.all(tasks...)
	var open []runtime.Object // those whose status does not settle it
	for _, k := range snapshot.Workloads() {
		p.add(short[k]...)
		for _, o := range short[k] {
			if d, ok := o.(*appsv1.Deployment); !ok || stalled(d) {
				open = append(open, o)
			}
		}
	}
	if len(open) == 0 {
		return
	}
	p.say("reading what %d workloads without pods wait for", len(open))
	p.readSaid(ctx, open)
}

// readShort reads the workloads in full, and keeps those that are short of pods.
func (p *plan) readShort(ctx context.Context, k snapshot.Kind, s shortage) []runtime.Object {
	var mu sync.Mutex
	var kept []runtime.Object
	lost := 0
	keep := func(o runtime.Object) {
		wanted, created, ok := snapshot.PodsOf(o)
		if !ok || created >= wanted || !s.names[nameOf(o).Name] {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if len(kept) == objectsKept {
			lost++
			return
		}
		kept = append(kept, o)
	}
	read := func(fieldSelector string) {
		err := p.list(ctx, ListRequest{Kind: k, Namespace: p.query.Namespace, FieldSelector: fieldSelector}, keep)
		if err != nil && !errors.Is(err, ErrPartInDump) { // of which the count made a gap already
			p.gap(k, p.query.Namespace, "", err)
		}
	}
	byName := func(of map[string]bool) (tasks []func()) {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			tasks = append(tasks, func() { read("metadata.name=" + name) })
		}
		return tasks
	}
	switch {
	case s.total <= objectList:
		read("")
	case len(s.names) <= objectNames:
		p.all(byName(s.names)...)
	case k == snapshot.Job && len(s.begun) <= objectNames:
		// Every Job that runs looks short. Those that are over are the most by far, and are left out by what the API server selects Jobs by.
		p.all(append(byName(s.begun), func() { read("status.successful=0") })...)
	default:
		read("")
	}
	if lost > 0 {
		p.gap(k, p.query.Namespace, "", fmt.Errorf("%d more that are short of pods were left out: %w", lost, ErrTruncated))
	}
	slices.SortFunc(kept, func(a, b runtime.Object) int { return compareNames(nameOf(a), nameOf(b)) })
	return kept
}

// stalled tells whether the Deployment says that it does not get on, so that its ReplicaSets are worth a look. A rollout that is under way says
// nothing of the kind.
func stalled(d *appsv1.Deployment) bool {
	for _, c := range d.Status.Conditions {
		switch c.Type {
		case appsv1.DeploymentReplicaFailure:
			if c.Status == corev1.ConditionTrue {
				return true
			}
		case appsv1.DeploymentProgressing:
			if c.Status == corev1.ConditionFalse {
				return true
			}
		}
	}
	return d.Status.ObservedGeneration == 0
}

// readSaid reads the ReplicaSets of Deployments, the events about them all, and what those speak of: quotas, and webhooks.
func (p *plan) readSaid(ctx context.Context, objects []runtime.Object) {
	if n := len(objects) - objectsAsked; n > 0 {
		p.gap(snapshot.Event, "", "", fmt.Errorf("the events of %d workloads that are short of pods were not read: %w", n, ErrTruncated))
		objects = objects[:objectsAsked]
	}
	var mu sync.Mutex
	about := map[string]map[types.NamespacedName]bool{} // kind → objects to read the events of
	note := func(kind snapshot.Kind, n types.NamespacedName) {
		mu.Lock()
		defer mu.Unlock()
		if about[string(kind)] == nil {
			about[string(kind)] = names{}
		}
		about[string(kind)][n] = true
	}
	quota, hook := map[string]bool{}, false // namespaces in which a quota is spoken of; whether a webhook is
	heard := func(namespace, message string) {
		m := strings.ToLower(message)
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(m, "quota") {
			quota[namespace] = true
		}
		// A call that ran out of time may have spent it in a webhook (see package admission).
		hook = hook || strings.Contains(m, "webhook") || strings.Contains(m, "request did not complete")
	}
	var tasks []func()
	namespaces := map[string]bool{}
	for _, o := range objects {
		n := nameOf(o)
		namespaces[n.Namespace] = true
		d, ok := o.(*appsv1.Deployment)
		if !ok {
			note(kindOfWorkload(o), n)
			continue
		}
		note(snapshot.Deployment, n)
		for _, c := range d.Status.Conditions {
			heard(n.Namespace, c.Message)
		}
		tasks = append(tasks, func() {
			for _, rs := range p.replicaSetsOf(ctx, d) {
				note(snapshot.ReplicaSet, nameOf(rs))
				for _, c := range rs.Status.Conditions {
					heard(n.Namespace, c.Message)
				}
			}
		})
	}
	tasks = append(tasks, func() { p.fetch(ctx, snapshot.Namespace, clusterNames(slices.Collect(maps.Keys(namespaces))...)) })
	p.all(tasks...)
	tasks = nil
	for _, kind := range slices.Sorted(maps.Keys(about)) {
		for _, n := range slices.SortedFunc(maps.Keys(about[kind]), compareNames) {
			r := ListRequest{Namespace: n.Namespace, FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + n.Name}
			tasks = append(tasks, func() {
				p.events(ctx, r, func(e *corev1.Event) bool { heard(n.Namespace, e.Message); return true })
			})
		}
	}
	p.all(tasks...)
	tasks = nil
	if p.needs[snapshot.ResourceQuota] {
		for ns := range quota {
			tasks = append(tasks, func() { p.readAll(ctx, snapshot.ResourceQuota, ns) })
		}
	}
	p.webhooks = hook
	p.all(tasks...)
}

// replicaSetsOf reads the ReplicaSets of a Deployment and keeps those that want pods. Where the Deployment's selector is of no use there are none.
func (p *plan) replicaSetsOf(ctx context.Context, d *appsv1.Deployment) []*appsv1.ReplicaSet {
	if d.Spec.Selector == nil || len(d.Spec.Selector.MatchLabels)+len(d.Spec.Selector.MatchExpressions) == 0 {
		return nil
	}
	sel, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil
	}
	var out []*appsv1.ReplicaSet
	err = p.list(ctx, ListRequest{Kind: snapshot.ReplicaSet, Namespace: d.Namespace, LabelSelector: sel.String()}, func(o runtime.Object) {
		rs, ok := o.(*appsv1.ReplicaSet)
		if !ok {
			return
		}
		c := metav1.GetControllerOf(rs)
		if wanted, created, ok := snapshot.PodsOf(rs); c != nil && c.Name == d.Name && ok && wanted > 0 && created < wanted {
			out = append(out, rs)
		}
	})
	if err != nil {
		p.gap(snapshot.ReplicaSet, d.Namespace, "", err)
	}
	for _, rs := range out {
		p.add(rs)
	}
	return out
}

func kindOfWorkload(o runtime.Object) snapshot.Kind {
	for _, k := range snapshot.Workloads() {
		if fmt.Sprintf("%T", snapshot.New(k)) == fmt.Sprintf("%T", o) {
			return k
		}
	}
	return ""
}
