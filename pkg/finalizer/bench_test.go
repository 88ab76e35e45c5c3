package finalizer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// BenchmarkOf is one of thousands of pods of a big cluster that wait for the same owner.
func BenchmarkOf(b *testing.B) {
	w := (&world{}).beating()
	for i := range 400 {
		w.add(lease("ns", fmt.Sprintf("lease-%d", i), "holder", time.Second), crd(fmt.Sprintf("things.group%d.example.com", i), nil))
	}
	w.add(deployment("kueue-system", "kueue-controller-manager", 0, 0))
	s := w.snapshot(b)
	p := held("kueue.x-k8s.io/managed", "kueue")
	b.ReportAllocs()
	for b.Loop() {
		finalizer.Of(s, snapshot.RefOf(p), p, "kueue.x-k8s.io/managed")
	}
}
