package sourcetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// Opener makes the backend under test hold exactly the objects. stored are the objects as they are there now; nil where they did
// not change on the way. An API server gives them UIDs, versions and defaults.
type Opener func(t *testing.T, objects []runtime.Object) (b source.Backend, stored []runtime.Object)

// Run checks that the backend keeps the contract of source.Backend: it answers like the reference, Memory, and source.Load makes
// the same snapshot of both.
func Run(t *testing.T, open Opener) {
	t.Helper()
	objects := Cluster()
	b, stored := open(t, objects)
	if stored == nil {
		stored = objects
	}
	ctx := context.Background()
	_, now, err := b.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	reference := &Memory{Objects: stored, Now: now}

	t.Run("load", func(t *testing.T) {
		for name, q := range Queries() {
			t.Run(name, func(t *testing.T) {
				want, err := source.Load(ctx, reference, q)
				if err != nil {
					t.Fatal(err)
				}
				got, err := source.Load(ctx, b, q)
				if err != nil {
					t.Fatal(err)
				}
				atTheSameTime(t, want, got)
			})
		}
	})
	t.Run("list", func(t *testing.T) {
		for _, r := range requests() {
			t.Run(describe(r), func(t *testing.T) { sameList(ctx, t, reference, b, r) })
		}
	})
	t.Run("a list that is cut", func(t *testing.T) {
		n := 0
		err := b.List(ctx, source.ListRequest{Kind: snapshot.Pod, Limit: 2}, func(runtime.Object) { n++ })
		if err == nil || !strings.Contains(err.Error(), source.ErrTruncated.Error()) || n < 2 {
			t.Errorf("got %d pods and error %v, want about 2 and ErrTruncated", n, err)
		}
	})
	t.Run("census", func(t *testing.T) {
		for _, c := range [][3]string{{}, {"shop"}, {"nowhere"}, {"", "app=cart"}, {"", "", "status.phase=Failed"}, {"shop", "app!=cart", "spec.nodeName!=node-a"}} {
			count := func(b source.Backend) (rows []source.Row) {
				if err := b.Census(ctx, c[0], c[1], c[2], func(r *source.Row) { rows = append(rows, *r) }); err != nil {
					t.Errorf("%q: %v", c, err)
				}
				slices.SortFunc(rows, func(a, b source.Row) int { return strings.Compare(show(a), show(b)) })
				return rows
			}
			if want, got := count(reference), count(b); !slices.Equal(want, got) {
				t.Errorf("%q: want %s, got %s", c, show(want), show(got))
			}
		}
	})
	t.Run("counts", func(t *testing.T) { sameCounts(ctx, t, reference, b) })
	t.Run("get", func(t *testing.T) {
		for _, o := range stored {
			m, k := accessor(o), kindOf(o)
			want, err := reference.Get(ctx, k, m.GetNamespace(), m.GetName())
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Get(ctx, k, m.GetNamespace(), m.GetName())
			if err != nil {
				t.Errorf("%s %s: %v", k, m.GetName(), err)
			} else if !sameObject(want, got) {
				t.Errorf("%s %s: want %s, got %s", k, m.GetName(), show(want), show(got))
			}
		}
		for _, info := range snapshot.Kinds() {
			namespace := ""
			if info.Namespaced {
				namespace = "shop"
			}
			if _, err := b.Get(ctx, info.Kind, namespace, "nobody"); !apierrors.IsNotFound(err) {
				t.Errorf("%s that does not exist: got error %v, want NotFound", info.Kind, err)
			}
		}
	})
	t.Run("bad requests", func(t *testing.T) {
		for _, r := range []source.ListRequest{
			{Kind: snapshot.Pod, FieldSelector: "spec.nonsense=1"},
			{Kind: snapshot.Node, FieldSelector: "spec.nodeName=x"},
			{Kind: snapshot.Pod, LabelSelector: "a in"},
		} {
			if err := b.List(ctx, r, func(runtime.Object) {}); !apierrors.IsBadRequest(err) {
				t.Errorf("%+v: got error %v, want BadRequest", r, err)
			}
		}
	})
}

// atTheSameTime reports the differences beside the time, which goes on in a living cluster.
func atTheSameTime(t *testing.T, want, got *snapshot.Snapshot) {
	t.Helper()
	for _, d := range Diff(want, got) {
		if !strings.HasPrefix(d, "now: ") {
			t.Error(d)
		}
	}
	if len(want.Pods()) == 0 && want.Census().Pods() > 0 {
		t.Error("no pod was read, so this compares nothing")
	}
}

// Queries are the questions that snapshots are loaded for, by name.
func Queries() map[string]source.Query {
	var all []snapshot.Kind
	for _, i := range snapshot.Kinds() {
		all = append(all, i.Kind)
	}
	return map[string]source.Query{
		"everything":               {Needs: all},
		"the trunk":                {},
		"a namespace":              {Namespace: "shop", Needs: all},
		"named pods":               {Namespace: "shop", Names: []string{"cart-0", "nobody"}, Needs: all},
		"by labels":                {LabelSelector: "app=cart", Needs: all},
		"by fields":                {FieldSelector: "spec.nodeName=node-b", Needs: all},
		"a healthy node":           {Nodes: []string{"node-a"}, Needs: all},
		"a node whose pods move":   {Room: []string{"node-a"}, Needs: all},
		"objects":                  {Objects: true, Needs: all},
		"objects of one namespace": {Namespace: "shop", Objects: true, Needs: all},
	}
}

func requests() []source.ListRequest {
	var out []source.ListRequest
	for _, i := range snapshot.Kinds() {
		out = append(out, source.ListRequest{Kind: i.Kind}, source.ListRequest{Kind: i.Kind, FieldSelector: "metadata.name!=cart-0"})
		if i.Namespaced {
			out = append(out, source.ListRequest{Kind: i.Kind, Namespace: "shop"})
		}
	}
	return append(out,
		source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.nodeName=node-b"},
		source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.nodeName="},
		source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.nodeName=node-b,status.phase!=Running"},
		source.ListRequest{Kind: snapshot.Pod, FieldSelector: "status.phase=Succeeded", MetadataOnly: true},
		source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.restartPolicy=Never"},
		source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.restartPolicy=Never", MetadataOnly: true},
		source.ListRequest{Kind: snapshot.Pod, Namespace: "shop", FieldSelector: "metadata.name=cart-0"},
		source.ListRequest{Kind: snapshot.Pod, LabelSelector: "app in (cart,web),tier!=back"},
		source.ListRequest{Kind: snapshot.Pod, LabelSelector: "!app"},
		source.ListRequest{Kind: snapshot.Event, Namespace: "shop", FieldSelector: "involvedObject.kind=Pod,involvedObject.name=cart-0"},
		source.ListRequest{Kind: snapshot.Event, FieldSelector: "involvedObject.kind=Node,type=Warning"},
		source.ListRequest{Kind: snapshot.Event, FieldSelector: "reason!=FailedMount"},
		source.ListRequest{Kind: snapshot.EndpointSlice, Namespace: "shop", LabelSelector: "kubernetes.io/service-name=policy"},
	)
}

func describe(r source.ListRequest) string {
	s := string(r.Kind)
	for _, p := range []string{r.Namespace, r.LabelSelector, r.FieldSelector} {
		if p != "" {
			s += " " + p
		}
	}
	if r.MetadataOnly {
		s += " metadata"
	}
	return s
}

func sameList(ctx context.Context, t *testing.T, reference, b source.Backend, r source.ListRequest) {
	t.Helper()
	read := func(b source.Backend) map[string]runtime.Object {
		var all []runtime.Object
		if err := b.List(ctx, r, func(o runtime.Object) { all = append(all, o) }); err != nil {
			t.Errorf("%T: %v", b, err)
		}
		m := byName(all)
		if len(m) != len(all) {
			t.Errorf("%T: an object came twice", b)
		}
		return m
	}
	want, got := read(reference), read(b)
	for name, o := range want {
		if got[name] == nil {
			t.Errorf("%s is missing", name)
		} else if !sameObject(o, got[name]) {
			t.Errorf("%s: want %s, got %s", name, show(o), show(got[name]))
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s should not be there", name)
		}
	}
}
