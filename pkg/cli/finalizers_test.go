package cli

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
)

// TestADumpTellsTheSameOfTheOwnersOfFinalizers holds what is said of each owner against what a dump says of it, and a redacted one: there, names are
// replaced, and an owner that lives must not look as if it were gone.
func TestADumpTellsTheSameOfTheOwnersOfFinalizers(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at, none := metav1.NewTime(now.Add(-30*time.Minute)), int64(0)
	held := func(name, f, manager string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, DeletionTimestamp: &at, DeletionGracePeriodSeconds: &none, Finalizers: []string{f}}}
		if manager != "" {
			p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: manager, Operation: "Update", Time: &at, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:finalizers":{"v:\"` + f + `\"":{}}}}`)}}
		}
		return p
	}
	deployment := func(namespace, name string, replicas int32) *appsv1.Deployment {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{"meta.helm.sh/release-name": "r-" + name, "meta.helm.sh/release-namespace": namespace}}}
		d.Spec.Replicas, d.Status.AvailableReplicas = &replicas, replicas
		return d
	}
	lease := func(namespace, name, holder string, age time.Duration) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &metav1.MicroTime{Time: now.Add(-age)}}}
	}
	pods := []*corev1.Pod{
		held("lives", "kueue.x-k8s.io/managed", "kueue"), held("gone", "workflows.argoproj.io/status", "workflow-controller"), held("own", "batch.kubernetes.io/job-tracking", ""),
		held("private", "hold.qux.example/x", "qux-operator"), held("private-gone", "hold.quux.example/x", "quux-operator"), held("says-nothing", "hold.corge.example/x", "manager"),
	}
	objects := []runtime.Object{
		deployment("kueue-system", "kueue-controller-manager", 1), deployment("argo", "workflow-controller", 0), deployment("infra", "qux-operator", 1), deployment("infra", "quux-operator", 0),
		lease("kueue-system", "c1f6bfd2.kueue.x-k8s.io", "kueue-controller-manager-1_2", time.Second), lease("kube-system", "kube-controller-manager", "a", time.Second), lease("kube-node-lease", "n", "n", time.Second),
		&metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}, ObjectMeta: metav1.ObjectMeta{
			Name: "things.corge.example", Annotations: map[string]string{"meta.helm.sh/release-name": "corge", "meta.helm.sh/release-namespace": "corge"},
		}},
	}
	b := snapshot.NewBuilder()
	for _, p := range pods {
		b.Add(p)
	}
	for _, o := range objects {
		b.Add(o)
	}
	for _, k := range []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet} {
		b.SetComplete(k, snapshot.FinalizerOwners)
	}
	for _, k := range []snapshot.Kind{snapshot.Pod, snapshot.Lease, snapshot.CustomResourceDefinition} {
		b.SetComplete(k, "")
	}
	whole, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	say := func(s *snapshot.Snapshot) []string {
		var out []string
		for _, p := range s.Pods() {
			for _, o := range finalizer.OfAll(s, snapshot.RefOf(p), p) {
				out = append(out, string(o.Alive)+" "+string(o.Sure)+" "+o.How)
			}
		}
		slices.Sort(out) // redacted names are in another order
		return out
	}
	want := say(whole)
	if !slices.Contains(want, "slow certain table") || !slices.Contains(want, "gone certain table") || !slices.Contains(want, "slow likely writer") || !slices.Contains(want, "unknown possible crd-group") {
		t.Fatalf("the picture shows too little: %q", want)
	}
	for _, redact := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "dump")
		if err := dump.Write(t.Context(), path, whole, dump.WriteOptions{Redact: redact, Keep: finalizer.Words()}); err != nil {
			t.Fatal(err)
		}
		files, err := dump.Open(t.Context(), []string{path}, dump.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := files.Load(t.Context(), source.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if got := say(s); !slices.Equal(got, want) {
			t.Errorf("redacted: %t\n got %q\nwant %q", redact, got, want)
		}
	}
}
