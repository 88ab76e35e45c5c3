package snapshot

import (
	"fmt"
	"sort"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

type key struct{ namespace, name string }

type data struct {
	now      time.Time
	origin   Origin
	census   Census
	objects  map[Kind]map[key]runtime.Object
	ordered  map[Kind][]runtime.Object
	renewed  time.Time // when the freshest node lease was renewed
	events   []EventRecord
	byObject map[key][]int // events by regarded namespace/name
	byNode   map[string][]*corev1.Pod
	pods     []*corev1.Pod
	complete map[Kind]map[string]bool // kind → namespaces read in full ("" = all)
	absent   map[Kind]map[key]bool
	fullNode map[string]bool
	gaps     []Gap
	index    index
	lists    lists
}

// Builder gathers what a source reads. It is not safe for concurrent use.
type Builder struct {
	d    *data
	seen map[string]bool // event namespace/name, so that one event read twice counts once
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder {
	return &Builder{
		d: &data{
			objects: map[Kind]map[key]runtime.Object{}, complete: map[Kind]map[string]bool{},
			absent: map[Kind]map[key]bool{}, fullNode: map[string]bool{},
		},
		seen: map[string]bool{},
	}
}

// Add takes an object over; the caller must not change it afterwards. Adding the same object again
// replaces it. It reports whether a snapshot can hold an object of this kind.
// managedFields and the last-applied annotation are dropped: they are large and decide nothing here,
// except on objects with finalizers, where managedFields tell who wrote them.
func (b *Builder) Add(obj runtime.Object) bool {
	switch e := obj.(type) {
	case *corev1.Event:
		b.addEvent(fromCore(e))
		return true
	case *eventsv1.Event:
		b.addEvent(fromEvents(e))
		return true
	}
	k := kindOf(obj)
	if _, ok := InfoOf(k); !ok {
		return false
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return false
	}
	if len(m.GetFinalizers()) == 0 {
		m.SetManagedFields(nil)
	}
	if a := m.GetAnnotations(); a[corev1.LastAppliedConfigAnnotation] != "" {
		delete(a, corev1.LastAppliedConfigAnnotation)
	}
	if b.d.objects[k] == nil {
		b.d.objects[k] = map[key]runtime.Object{}
	}
	b.d.objects[k][key{m.GetNamespace(), m.GetName()}] = obj
	return true
}

func (b *Builder) addEvent(e EventRecord) {
	id := e.Namespace + "/" + e.Name
	if b.seen[id] {
		return
	}
	b.seen[id] = true
	b.d.events = append(b.d.events, e)
}

// Has tells whether the object was added already.
func (b *Builder) Has(k Kind, namespace, name string) bool {
	_, ok := b.d.objects[k][key{namespace, name}]
	return ok
}

// SetComplete records that every object of the kind in the namespace was read ("" = in all namespaces,
// or a cluster-scoped kind), so that one that was not added does not exist.
func (b *Builder) SetComplete(k Kind, namespace string) {
	if b.d.complete[k] == nil {
		b.d.complete[k] = map[string]bool{}
	}
	b.d.complete[k][namespace] = true
}

// SetAbsent records that the object was asked for and does not exist.
func (b *Builder) SetAbsent(k Kind, namespace, name string) {
	if b.d.absent[k] == nil {
		b.d.absent[k] = map[key]bool{}
	}
	b.d.absent[k][key{namespace, name}] = true
}

// SetNodeComplete records that every pod bound to the node was added.
func (b *Builder) SetNodeComplete(node string) { b.d.fullNode[node] = true }

// AddGap records something that could not be read.
func (b *Builder) AddGap(g Gap) { b.d.gaps = append(b.d.gaps, g) }

// SetCensus records the counts.
func (b *Builder) SetCensus(c Census) { b.d.census = c }

// SetOrigin records where the snapshot is from.
func (b *Builder) SetOrigin(o Origin) { b.d.origin = o }

// Build ends the building: the builder must not be used afterwards. now is when the picture was taken.
func (b *Builder) Build(now time.Time) (*Snapshot, error) {
	if now.IsZero() {
		return nil, fmt.Errorf("snapshot: the time at which it was taken is not known")
	}
	d := b.d
	b.d = nil
	d.now = now
	sort.Slice(d.events, func(i, j int) bool {
		a, c := d.events[i], d.events[j]
		if !a.Last.Equal(c.Last) {
			return a.Last.Before(c.Last)
		}
		return a.Namespace+"/"+a.Name < c.Namespace+"/"+c.Name
	})
	d.byObject = map[key][]int{}
	for i, e := range d.events {
		k := key{e.Regarding.Namespace, e.Regarding.Name}
		d.byObject[k] = append(d.byObject[k], i)
	}
	d.ordered = map[Kind][]runtime.Object{}
	for k, objects := range d.objects {
		d.ordered[k] = sorted(objects)
	}
	d.index = indexOf(d.ordered)
	for _, o := range d.ordered[Lease] {
		l, ok := o.(*coordinationv1.Lease)
		if ok && l.Namespace == corev1.NamespaceNodeLease && l.Spec.RenewTime != nil && l.Spec.RenewTime.After(d.renewed) {
			d.renewed = l.Spec.RenewTime.Time
		}
	}
	d.byNode = map[string][]*corev1.Pod{}
	for _, o := range d.ordered[Pod] {
		p, ok := o.(*corev1.Pod)
		if !ok {
			continue
		}
		d.pods = append(d.pods, p)
		d.byNode[p.Spec.NodeName] = append(d.byNode[p.Spec.NodeName], p)
	}
	sort.SliceStable(d.gaps, func(i, j int) bool { return d.gaps[i].Error() < d.gaps[j].Error() })
	return &Snapshot{d: d}, nil
}

func sorted(m map[key]runtime.Object) []runtime.Object {
	keys := make([]key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].namespace != keys[j].namespace {
			return keys[i].namespace < keys[j].namespace
		}
		return keys[i].name < keys[j].name
	})
	out := make([]runtime.Object, len(keys))
	for i, k := range keys {
		out[i] = m[k]
	}
	return out
}

// kindOf names the kind of a typed object by its Go type, because typed clients and protobuf leave
// TypeMeta empty. Metadata-only objects carry it.
func kindOf(obj runtime.Object) Kind {
	if p, ok := obj.(*metav1.PartialObjectMetadata); ok {
		return Kind(p.Kind)
	}
	if k := obj.GetObjectKind().GroupVersionKind().Kind; k != "" {
		return Kind(k)
	}
	return goKind(obj)
}
