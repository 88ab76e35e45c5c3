package room_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// BenchmarkFit asks for the pods of one node in a cluster of 1,000 nodes with 20,000 pods, which is the largest that is read whole.
func BenchmarkFit(b *testing.B) {
	var objects []runtime.Object
	for i := range 1000 {
		n := fmt.Sprintf("node-%04d", i)
		objects = append(objects, node(n, zone(string(rune('a'+i%3)))))
		for j := range 20 {
			objects = append(objects, pod(fmt.Sprintf("%s-%d", n, j), n, app(fmt.Sprint("app-", i%50)), asks("cpu", "100m"), away(term(corev1.LabelHostname, fmt.Sprint("other-", j)))))
		}
	}
	var movers []*corev1.Pod
	for i := range 110 {
		movers = append(movers, pod(fmt.Sprintf("m-%d", i), gone, app(fmt.Sprint("app-", i%50)), asks("cpu", "100m"), spread(corev1.LabelTopologyZone), away(term(corev1.LabelHostname, fmt.Sprint("app-", i%50)))))
	}
	builder := snapshot.NewBuilder()
	for _, i := range snapshot.Kinds() {
		builder.SetComplete(i.Kind, "")
	}
	for _, o := range objects {
		builder.Add(o)
	}
	s, err := builder.Build(now())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if r := room.Fit(s, gone, movers); len(r.Unknown) > 0 {
			b.Fatal(r.Unknown)
		}
	}
}
