package dump

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	sigsjson "sigs.k8s.io/json"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// The values of snapshot.Origin.Clock.
const (
	clockRecorded = "recorded in the dump"
	clockAsOf     = "--as-of"
	clockNewest   = "newest timestamp in the dump"
)

// Backend answers from files that Open indexed. It is safe for concurrent use. The files must stay as they are while it is used: one
// that changes makes reads from it fail.
type Backend struct {
	x        *index
	covered  map[kindID]map[string]bool
	byKind   [][]int32          // entries by namespace and name
	byNode   map[string][]int32 // pods
	byObject map[key][]int32    // events, by the object they are about
	origin   snapshot.Origin
	now      time.Time
	skipped  Skipped
}

var _ source.Backend = (*Backend)(nil)

// backend ends the building of the index.
func (x *index) backend(paths string, skipped Skipped, o Options) (*Backend, error) {
	skipped.Objects = x.passed
	skipped.Kinds = slices.Sorted(maps.Keys(x.foreign))
	if len(x.entries) == 0 && len(x.lists) == 0 && x.meta == nil {
		return nil, fmt.Errorf("%s: %w; %d files and %d objects of other kinds were passed over", paths, ErrNothing, skipped.Files, skipped.Objects)
	}
	b := &Backend{x: x, skipped: skipped, byNode: map[string][]int32{}, byObject: map[key][]int32{}}
	b.origin = snapshot.Origin{Path: paths}
	switch {
	case x.meta != nil:
		b.origin = x.meta.Origin
		b.origin.Path, b.origin.Clock = paths, clockRecorded
		b.now = x.meta.TakenAt
		dir := x.metaIn.dir
		x.lists = slices.DeleteFunc(x.lists, func(l *list) bool { return l.file.dir == dir })
	case !o.AsOf.IsZero():
		b.now, b.origin.Clock = o.AsOf, clockAsOf
	case !x.newest.IsZero():
		b.now, b.origin.Clock = x.newest, clockNewest
	default:
		return nil, fmt.Errorf("%s: no timestamp tells when this was saved; give the time with --as-of", paths)
	}
	b.covered = x.coverage()
	if x.meta != nil {
		for k, spaces := range x.meta.Coverage.Complete {
			id, ok := x.kinds.byK[k]
			if !ok {
				continue
			}
			for _, ns := range spaces {
				b.covered[id][ns] = true
			}
		}
	}
	b.byKind = make([][]int32, len(x.kinds.infos))
	for i := range x.entries {
		b.byKind[x.entries[i].kind] = append(b.byKind[x.entries[i].kind], int32(i))
	}
	for _, ids := range b.byKind {
		slices.SortFunc(ids, func(i, j int32) int {
			a, c := &x.entries[i], &x.entries[j]
			return cmp.Or(cmp.Compare(a.namespace, c.namespace), cmp.Compare(a.name, c.name))
		})
	}
	for _, i := range b.byKind[x.kinds.byK[snapshot.Pod]] {
		n := x.entries[i].pod.node
		b.byNode[n] = append(b.byNode[n], i)
	}
	for _, i := range b.byKind[x.kinds.byK[snapshot.Event]] {
		if e := x.entries[i].event; e != nil {
			k := key{e.namespace, e.name}
			b.byObject[k] = append(b.byObject[k], i)
		}
	}
	return b, nil
}

// Skipped says what Open passed over.
func (b *Backend) Skipped() Skipped { return b.skipped }

// Open tells where the data is from and when it was saved: the time that a dump of ours recorded, else Options.AsOf, else the newest
// timestamp in it. The origin's Clock says which.
func (b *Backend) Open(context.Context) (snapshot.Origin, time.Time, error) {
	return b.origin, b.now, nil
}

// Load makes the snapshot that the query asks for. A dump of ours already is a snapshot: it comes back as it was written, whatever
// the query, with a gap where the query asks for more than was looked at then. From other files source.Load makes one.
func (b *Backend) Load(ctx context.Context, q source.Query) (*snapshot.Snapshot, error) {
	if b.x.meta == nil {
		return source.Load(ctx, b, q)
	}
	m := b.x.meta
	s := snapshot.NewBuilder()
	s.SetOrigin(b.origin)
	s.SetCensus(m.Census)
	for _, g := range m.Gaps {
		s.AddGap(g)
	}
	if ns := m.Census.Namespace; ns != "" && q.Namespace != ns {
		s.AddGap(snapshot.Gap{Kind: snapshot.Pod, Namespace: q.Namespace, Reason: snapshot.ReasonNotInDump,
			Detail: fmt.Sprintf("the dump was made for namespace %s; pods of other namespaces were not looked for", ns)})
	}
	for _, n := range q.Nodes {
		if !slices.Contains(m.Coverage.Nodes, n) && b.whole(snapshot.Pod, "") != nil {
			s.AddGap(snapshot.Gap{Kind: snapshot.Pod, Reason: snapshot.ReasonNotInDump,
				Detail: fmt.Sprintf("the pods of node %s were counted when the dump was made, and not all were written", n)})
		}
	}
	for id := range b.byKind {
		err := b.List(ctx, source.ListRequest{Kind: b.x.kinds.infos[id].Kind}, func(o runtime.Object) { s.Add(o) })
		if err != nil && !errors.Is(err, source.ErrNotInDump) && !errors.Is(err, errPartial) {
			return nil, err
		}
	}
	m.Coverage.Apply(s)
	return s.Build(b.now)
}

// Census calls row for each pod that is in the dump. Of a dump of ours, which counts more pods than it holds, the rows of those that it
// does not hold have no name; selectors pass over them.
func (b *Backend) Census(ctx context.Context, namespace, labelSelector, fieldSelector string, row func(*source.Row)) error {
	sel, err := newSelector(snapshot.Pod, labelSelector, fieldSelector)
	if err != nil {
		return err
	}
	held := map[[2]string]int{}
	var r source.Row
	err = b.each(ctx, snapshot.Pod, namespace, sel, func(e *entry) error {
		if ok, err := b.matchesLate(e, sel); !ok || err != nil {
			return err
		}
		r = source.Row{Name: e.name, Status: e.pod.word, Ready: int(e.pod.ready), Containers: int(e.pod.containers), Node: e.pod.node}
		held[[2]string{r.Node, r.Status}]++
		row(&r)
		return nil
	})
	if err != nil {
		return err
	}
	if m := b.x.meta; m != nil && sel.empty() && (namespace == "" || namespace == m.Census.Namespace) {
		for node, c := range m.Census.Nodes {
			for word, n := range c.Status {
				for range n - held[[2]string{node, word}] {
					r = source.Row{Status: word, Ready: 1, Containers: 1, Node: node}
					row(&r)
				}
			}
		}
	}
	return b.whole(snapshot.Pod, namespace)
}

// Counts calls row for each workload of the kind that is in the dump.
func (b *Backend) Counts(ctx context.Context, r source.ListRequest, row func(*source.Tally)) error {
	return b.List(ctx, r, func(o runtime.Object) {
		if t, ok := source.TallyOf(o); ok {
			row(&t)
		}
	})
}

// List calls each for every object of the kind in the dump that the request matches, by namespace and name. Where the dump does not hold
// all of them, an error after the last one says so: source.ErrNotInDump if it holds nothing of the kind. Objects that cannot be decoded are left out, and make the error
// after the last one an *InputError.
func (b *Backend) List(ctx context.Context, r source.ListRequest, each func(runtime.Object)) error {
	sel, err := newSelector(r.Kind, r.LabelSelector, r.FieldSelector)
	if err != nil {
		return err
	}
	var broken []error
	n := 0
	err = b.each(ctx, r.Kind, r.Namespace, sel, func(e *entry) error {
		var o runtime.Object
		ok, err := b.matchesLate(e, sel)
		if ok {
			o, err = b.decode(e, r.MetadataOnly)
		}
		switch {
		case err != nil:
			broken = append(broken, err)
			if len(broken) == maxBroken {
				return someOf(broken)
			}
			return nil
		case !ok:
			return nil
		}
		if r.Limit > 0 && n >= r.Limit {
			return source.ErrTruncated
		}
		n++
		each(o)
		return nil
	})
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return someOf(broken)
	}
	if node, ok := sel.exact["spec.nodeName"]; ok && r.Kind == snapshot.Pod && b.x.meta != nil && slices.Contains(b.x.meta.Coverage.Nodes, node) {
		return nil
	}
	return b.whole(r.Kind, r.Namespace)
}

// maxBroken is how many objects that cannot be decoded end a list: then it is more than a slip.
const maxBroken = 100

// each calls f for the entries of the kind that can be told to match by the index.
func (b *Backend) each(ctx context.Context, k snapshot.Kind, namespace string, sel *selector, f func(*entry) error) error {
	id, ok := b.x.kinds.byK[k]
	if !ok {
		return fmt.Errorf("kind %s: %w", k, source.ErrNotInDump)
	}
	candidates := b.byKind[id]
	if node, ok := sel.exact["spec.nodeName"]; ok && k == snapshot.Pod {
		candidates = b.byNode[node]
	} else if name, ok := sel.exact["involvedObject.name"]; ok && k == snapshot.Event {
		if ns, ok := sel.exact["involvedObject.namespace"]; ok {
			candidates = b.byObject[key{ns, name}]
		}
	} else if name, ok := sel.exact["metadata.name"]; ok && namespace != "" {
		candidates = nil
		if i, ok := b.x.ids[id][key{namespace, name}]; ok {
			candidates = []int32{i}
		}
	}
	for n, i := range candidates {
		if n%1024 == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		e := &b.x.entries[i]
		if namespace != "" && e.namespace != namespace || !sel.matches(e) {
			continue
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

// matchesLate tells whether an object matches the fields that the index does not have.
func (b *Backend) matchesLate(e *entry, sel *selector) (bool, error) {
	if len(sel.late) == 0 {
		return true, nil
	}
	o, err := b.decode(e, false)
	if err != nil {
		return false, err
	}
	return sel.matchesObject(o), nil
}

// whole tells whether the dump holds all objects of the kind in the namespace; source.ErrNotInDump if not.
func (b *Backend) whole(k snapshot.Kind, namespace string) error {
	id := b.x.kinds.byK[k]
	spaces := b.covered[id]
	switch {
	case spaces[""] || spaces[namespace]:
		return nil
	case len(b.byKind[id]) == 0 && len(spaces) == 0:
		return source.ErrNotInDump
	case len(spaces) == 0:
		return fmt.Errorf("%w: there are %d single objects, and no List that tells how many there were", errPartial, len(b.byKind[id]))
	default:
		names := slices.Sorted(maps.Keys(spaces))
		if len(names) > 5 {
			names = append(names[:5:5], fmt.Sprintf("and %d more", len(spaces)-5))
		}
		return fmt.Errorf("%w: there are those of namespace %s", errPartial, strings.Join(names, ", "))
	}
}

// someOf joins the first few errors of a list and counts the others.
func someOf(broken []error) error {
	const most = 3
	if len(broken) > most {
		broken = append(broken[:most:most], fmt.Errorf("and %d more objects", len(broken)-most))
	}
	return errors.Join(broken...)
}

// errPartial is returned where some objects of the kind are in the dump and others may be missing. It is not source.ErrNotInDump, after
// which nobody asks for the kind any more.
var errPartial = source.ErrPartInDump

// Get returns one object. Where it is not in the dump, the error is NotFound if the dump holds all objects of the kind in that
// namespace, and source.ErrNotInDump if it holds nothing of the kind.
func (b *Backend) Get(_ context.Context, k snapshot.Kind, namespace, name string) (runtime.Object, error) {
	id, ok := b.x.kinds.byK[k]
	if !ok {
		return nil, fmt.Errorf("kind %s: %w", k, source.ErrNotInDump)
	}
	info := b.x.kinds.infos[id]
	if !info.Namespaced {
		namespace = ""
	}
	if i, ok := b.x.ids[id][key{namespace, name}]; ok {
		return b.decode(&b.x.entries[i], false)
	}
	notFound := apierrors.NewNotFound(info.GVR.GroupResource(), name)
	if b.x.absent[snapshot.Ref{Kind: k, Namespace: namespace, Name: name}] {
		return nil, notFound
	}
	if err := b.whole(k, namespace); err != nil {
		return nil, err
	}
	return nil, notFound
}

// decode reads an object in full.
func (b *Backend) decode(e *entry, metadataOnly bool) (runtime.Object, error) {
	data, err := b.read(e.at)
	if err != nil {
		return nil, e.at.file.errorAt(e.at.place, err)
	}
	info := b.x.kinds.infos[e.kind]
	var obj runtime.Object
	switch {
	case metadataOnly || info.MetadataOnly:
		obj, err = decodeMetadata(data, info)
	case e.group == groupEvents:
		e := &eventsv1.Event{}
		err = sigsjson.UnmarshalCaseSensitivePreserveInts(data, e)
		obj = coreEvent(e)
	default:
		obj = snapshot.New(info.Kind)
		err = sigsjson.UnmarshalCaseSensitivePreserveInts(data, obj)
	}
	if err != nil {
		return nil, e.at.file.errorAt(e.at.place, fmt.Errorf("%s %s: %w", strings.ToLower(string(info.Kind)), path.Join(e.namespace, e.name), err))
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, e.at.file.errorAt(e.at.place, err)
	}
	if m.GetName() != e.name || info.Namespaced && m.GetNamespace() != e.namespace {
		return nil, e.at.file.errorAt(e.at.place, errChanged)
	}
	if !info.Namespaced {
		m.SetNamespace("")
	}
	// It repeats the whole object, a Secret's data too.
	delete(m.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	fields := m.GetManagedFields()
	for i := range fields {
		if f := fields[i].FieldsV1; f != nil { // an API server sends it without white space
			f.SetRawBytes(compact(nil, f.GetRawBytes()))
		}
	}
	m.SetManagedFields(fields)
	if _, ok := obj.(*metav1.PartialObjectMetadata); !ok {
		// As a typed client leaves it.
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return obj, nil
}

// coreEvent turns an events.k8s.io/v1 event into the core/v1 one that it is stored as (pkg/apis/events/v1/conversion.go,
// Kubernetes 1.37).
func coreEvent(e *eventsv1.Event) *corev1.Event {
	out := &corev1.Event{
		ObjectMeta: e.ObjectMeta, InvolvedObject: e.Regarding, Related: e.Related, Reason: e.Reason, Message: e.Note, Type: e.Type,
		Source: e.DeprecatedSource, FirstTimestamp: e.DeprecatedFirstTimestamp, LastTimestamp: e.DeprecatedLastTimestamp,
		Count: e.DeprecatedCount, EventTime: e.EventTime, Action: e.Action,
		ReportingController: e.ReportingController, ReportingInstance: e.ReportingInstance,
	}
	if e.Series != nil {
		out.Series = &corev1.EventSeries{Count: e.Series.Count, LastObservedTime: e.Series.LastObservedTime}
	}
	return out
}

// decodeMetadata decodes an object's metadata and nothing else.
func decodeMetadata(data []byte, info snapshot.Info) (runtime.Object, error) {
	obj := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: info.GVR.GroupVersion().String(), Kind: string(info.Kind)}}
	c := cursor{b: data, max: 1 << 20}
	var err error
	c.object(func(key []byte) {
		if string(key) != "metadata" {
			c.skip()
			return
		}
		c.peek()
		start := c.i
		c.skip()
		if c.err == nil && err == nil {
			err = sigsjson.UnmarshalCaseSensitivePreserveInts(data[start:c.i], &obj.ObjectMeta)
		}
	})
	return obj, errors.Join(c.err, err)
}

var errChanged = errors.New("the file was changed after it was opened")

// read returns an object's bytes.
func (b *Backend) read(at location) ([]byte, error) {
	if at.block >= 0 {
		return b.x.pack.read(at)
	}
	f, err := os.Open(at.file.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != at.file.size || !info.ModTime().Equal(at.file.changed) {
		return nil, errChanged
	}
	data := make([]byte, at.length)
	if _, err := io.ReadFull(io.NewSectionReader(f, at.offset, int64(at.length)), data); err != nil {
		return nil, err
	}
	return data, nil
}
