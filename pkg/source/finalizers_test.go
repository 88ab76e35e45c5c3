package source

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// foreign takes every finalizer of example.com for one of somebody else, and every workload with "owner" in its name for that somebody.
func foreign(held []metav1.Object, _ []*metav1.PartialObjectMetadata) func(runtime.Object) bool {
	if !slices.ContainsFunc(held, func(o metav1.Object) bool {
		return slices.ContainsFunc(o.GetFinalizers(), func(f string) bool { return strings.HasPrefix(f, "example.com/") })
	}) {
		return nil
	}
	return func(o runtime.Object) bool { return strings.Contains(nameOf(o).Name, "owner") }
}

func holdsOn(finalizer string, since time.Duration) podOption {
	return func(p *corev1.Pod) {
		at, none := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(-since)), int64(0)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds, p.Finalizers = &at, &none, []string{finalizer}
		p.Status.Phase = corev1.PodFailed
	}
}

func workloads() []runtime.Object {
	out := []runtime.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "the-owner"}},
		&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "agent"}},
		&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "leader"}},
		&metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "CustomResourceDefinition"}, ObjectMeta: metav1.ObjectMeta{Name: "things.example.com"}},
	}
	for i := range 30 {
		out = append(out, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("web-%d", i)}},
			&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("db-%d", i)}})
	}
	return out
}

func TestOwnersOfFinalizersAreReadAndOthersAreNotKept(t *testing.T) {
	m := newMemory(append(workloads(), newPod("shop", "held", "node-a", holdsOn("example.com/x", time.Hour)), newNode("node-a", corev1.ConditionTrue))...)
	s := mustLoad(t, m, Query{Needs: allKinds(), Owners: foreign})
	if s.Deployment("infra", "the-owner") == nil {
		t.Error("the owner was not kept")
	}
	if n := len(s.Deployments()) + len(s.StatefulSets()); n != 1 {
		t.Errorf("%d workloads were kept, want the owner alone", n)
	}
	for _, k := range []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet} {
		if !s.Complete(k, snapshot.FinalizerOwners) {
			t.Errorf("%s: all that may be owners were read, and the picture does not know it", k)
		}
	}
	for _, k := range []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet} {
		if s.Has(k, "shop", "web-1") == snapshot.Absent || s.Complete(k, "") {
			t.Errorf("%s that were not kept count as absent", k)
		}
	}
	if s.Lease("infra", "leader") == nil || len(s.CRDs()) != 1 || !s.Complete(snapshot.CustomResourceDefinition, "") {
		t.Errorf("leases %d, definitions %d", len(s.Leases()), len(s.CRDs()))
	}
}

func TestNobodyIsLookedForWithoutNeed(t *testing.T) {
	for name, c := range map[string]struct {
		pods []runtime.Object
		q    Query
	}{
		"a healthy cluster": {nil, Query{Needs: allKinds(), Owners: foreign}},
		"Kubernetes' own finalizer": {
			[]runtime.Object{newPod("shop", "held", "node-a", holdsOn("batch.kubernetes.io/job-tracking", time.Hour))}, Query{Needs: allKinds(), Owners: foreign},
		},
		"just deleted":                   {[]runtime.Object{newPod("shop", "held", "node-a", holdsOn("example.com/x", 3*time.Second))}, Query{Needs: allKinds(), Owners: foreign}},
		"nobody asks":                    {[]runtime.Object{newPod("shop", "held", "node-a", holdsOn("example.com/x", time.Hour))}, Query{Needs: allKinds()}},
		"no cause looks":                 {[]runtime.Object{newPod("shop", "held", "node-a", holdsOn("example.com/x", time.Hour))}, Query{Owners: foreign}},
		"it starts, and has a finalizer": {[]runtime.Object{newPod("shop", "new", "node-a", creating, func(p *corev1.Pod) { p.Finalizers = []string{"example.com/x"} })}, Query{Needs: allKinds(), Owners: foreign}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(append(append(workloads(), newNode("node-a", corev1.ConditionTrue)), c.pods...)...)
			s := mustLoad(t, m, c.q)
			for _, r := range []string{"list Deployment in ", "list StatefulSet in ", "list CustomResourceDefinition in "} {
				if got := m.requests(r); len(got) > 0 {
					t.Errorf("asked %v", got)
				}
			}
			if s.Complete(snapshot.Deployment, snapshot.FinalizerOwners) {
				t.Error("nobody was looked for, and all count as read")
			}
		})
	}
}

func TestOwnersThatCannotBeReadAreNotGone(t *testing.T) {
	m := newMemory(append(workloads(), newPod("shop", "held", "node-a", holdsOn("example.com/x", time.Hour)), newNode("node-a", corev1.ConditionTrue))...)
	m.refuse = func(k snapshot.Kind, namespace, name string, _ ListRequest) error {
		if (k == snapshot.Deployment || k == snapshot.CustomResourceDefinition) && namespace == "" {
			return forbidden(k, name)
		}
		return nil
	}
	s := mustLoad(t, m, Query{Namespace: "shop", Needs: allKinds(), Owners: foreign})
	if s.Complete(snapshot.Deployment, snapshot.FinalizerOwners) || s.Complete(snapshot.CustomResourceDefinition, "") {
		t.Error("what could not be read counts as read in full")
	}
	for _, k := range []snapshot.Kind{snapshot.Deployment, snapshot.CustomResourceDefinition} {
		if _, ok := gapWith(s, k, snapshot.ReasonForbidden); !ok {
			t.Errorf("%s: no gap: %v", k, s.Gaps())
		}
	}
	if len(m.requests("list Deployment in shop")) == 0 {
		t.Error("the one namespace that may be read was not")
	}
}

func TestTooManyThatMayBeOwnersAreNotAllOfThem(t *testing.T) {
	objects := []runtime.Object{newPod("shop", "held", "node-a", holdsOn("example.com/x", time.Hour)), newNode("node-a", corev1.ConditionTrue)}
	for i := range ownersKept + 5 {
		objects = append(objects, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: fmt.Sprintf("owner-%d", i)}})
	}
	s := mustLoad(t, newMemory(objects...), Query{Needs: allKinds(), Owners: foreign})
	if len(s.Deployments()) != ownersKept || s.Complete(snapshot.Deployment, snapshot.FinalizerOwners) {
		t.Errorf("%d kept, complete: %t", len(s.Deployments()), s.Complete(snapshot.Deployment, snapshot.FinalizerOwners))
	}
	if _, ok := gapWith(s, snapshot.Deployment, snapshot.ReasonTruncated); !ok {
		t.Errorf("no gap says so: %v", s.Gaps())
	}
}
