package sourcetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Diff says in which ways two snapshots answer differently: their time, census, gaps, coverage, objects and events. An empty result
// means that nothing that is decided on them can differ. Where they are from may differ, and so may the kind and apiVersion
// that typed objects carry, which is a matter of how they were decoded.
func Diff(want, got *snapshot.Snapshot) []string {
	var d []string
	add := func(format string, args ...any) {
		if len(d) < 50 {
			d = append(d, fmt.Sprintf(format, args...))
		}
	}
	if !want.Now().Equal(got.Now()) {
		add("now: want %s, got %s", want.Now(), got.Now())
	}
	if w, g := want.Census(), got.Census(); !sameCensus(w, g) {
		add("census: want %s, got %s", show(w), show(g))
	}
	if w, g := want.Gaps(), got.Gaps(); !slices.Equal(w, g) {
		add("gaps: want %s, got %s", show(w), show(g))
	}
	if w, g := want.Coverage(), got.Coverage(); !equality.Semantic.DeepEqual(w, g) {
		add("coverage: want %s, got %s", show(w), show(g))
	}
	for _, info := range snapshot.Kinds() {
		if info.Kind == snapshot.Event {
			continue
		}
		w, g := byName(want.Objects(info.Kind)), byName(got.Objects(info.Kind))
		for name, o := range w {
			if g[name] == nil {
				add("%s %s is missing", info.Kind, name)
			} else if !sameObject(o, g[name]) {
				add("%s %s: want %s, got %s", info.Kind, name, show(o), show(g[name]))
			}
		}
		for name := range g {
			if w[name] == nil {
				add("%s %s should not be there", info.Kind, name)
			}
		}
	}
	diffEvents(want.AllEvents(), got.AllEvents(), add)
	slices.Sort(d)
	return d
}

func diffEvents(want, got []snapshot.EventRecord, add func(string, ...any)) {
	w, g := map[string]snapshot.EventRecord{}, map[string]snapshot.EventRecord{}
	for _, e := range want {
		w[e.Namespace+"/"+e.Name] = e
	}
	for _, e := range got {
		g[e.Namespace+"/"+e.Name] = e
	}
	for name, e := range w {
		o, ok := g[name]
		if !ok {
			add("event %s is missing", name)
		} else if !e.First.Equal(o.First) || !e.Last.Equal(o.Last) {
			add("event %s: want from %s to %s, got from %s to %s", name, e.First, e.Last, o.First, o.Last)
		} else if o.First, o.Last = e.First, e.Last; e != o {
			add("event %s: want %s, got %s", name, show(e), show(o))
		}
	}
	for name := range g {
		if _, ok := w[name]; !ok {
			add("event %s should not be there", name)
		}
	}
}

func sameCensus(a, b snapshot.Census) bool {
	return a.Namespace == b.Namespace && a.Partial == b.Partial && equality.Semantic.DeepEqual(a.Nodes, b.Nodes)
}

func byName(objects []runtime.Object) map[string]runtime.Object {
	out := map[string]runtime.Object{}
	for _, o := range objects {
		if m, err := meta.Accessor(o); err == nil {
			out[strings.TrimPrefix(m.GetNamespace()+"/"+m.GetName(), "/")] = o
		}
	}
	return out
}

func sameObject(a, b runtime.Object) bool {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	a, b = a.DeepCopyObject(), b.DeepCopyObject()
	a.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	b.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return equality.Semantic.DeepEqual(a, b)
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
