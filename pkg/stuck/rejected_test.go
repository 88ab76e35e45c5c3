package stuck_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// refusedPod is one that its node's kubelet refused to run.
func refusedPod(name string, age time.Duration, changes ...change) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: ago(age)},
		Spec:       corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "app"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodFailed, Reason: "UnexpectedAdmissionError", Message: "Pod was rejected: Allocate failed due to no healthy devices present"},
	}
	for _, c := range changes {
		c(p)
	}
	return p
}

func owned(p *corev1.Pod) {
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "train", UID: "rs", Controller: &yes}}
}

func TestAPodThatAKubeletRefusedIsStuckWhereNobodyMakesAnother(t *testing.T) {
	ran := func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", ContainerID: "containerd://1"}}
	}
	runs := func(p *corev1.Pod) {
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	}
	undecided := func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} }
	elsewhere := func(p *corev1.Pod) { p.Spec.NodeName = "worker-2" }
	daemon := func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" }
	stateful := func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "StatefulSet" }
	evicted := func(p *corev1.Pod) {
		p.Status.Reason, p.Status.Message = "Evicted", "The node was low on resource: memory."
	}
	for _, c := range []struct {
		name  string
		pods  []*corev1.Pod
		named string
		stuck int
	}{
		{"without a controller", []*corev1.Pod{refusedPod("a", time.Hour)}, "", 1},
		{"with a controller, once", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned)}, "", 0},
		{"with a controller, again and again", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned), refusedPod("b", 3*time.Minute, owned)}, "", 2},
		{"with a controller, long ago", []*corev1.Pod{refusedPod("a", time.Hour, owned), refusedPod("b", time.Hour, owned)}, "", 0},
		{"without a controller, over a weekend", []*corev1.Pod{refusedPod("a", 60*time.Hour)}, "", 1},
		{"without a controller, for weeks", []*corev1.Pod{refusedPod("a", 28*24*time.Hour)}, "", 0},
		{"without a controller, for weeks, asked for by name", []*corev1.Pod{refusedPod("a", 28*24*time.Hour)}, "a", 1},
		{"with a controller, again and again, until one was taken in", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned), refusedPod("b", 4*time.Minute, owned), refusedPod("c", 3*time.Minute, owned, runs)}, "", 0},
		{"with a controller, again and again, asked for by name", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned), refusedPod("b", 4*time.Minute, owned), refusedPod("c", 3*time.Minute, owned, runs)}, "b", 1},
		{"with a controller, again and again, after one that runs", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned, runs), refusedPod("b", 4*time.Minute, owned), refusedPod("c", 3*time.Minute, owned)}, "", 2},
		{"with a controller, again and again, and one on its way", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned), refusedPod("b", 4*time.Minute, owned), refusedPod("c", 10*time.Second, owned, undecided)}, "", 2},
		{"of a DaemonSet, while it runs on another node", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned, daemon), refusedPod("b", 4*time.Minute, owned, daemon), refusedPod("c", 3*time.Minute, owned, daemon, runs, elsewhere)}, "", 2},
		{"of a DaemonSet, before it runs on the same node", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned, daemon), refusedPod("b", 4*time.Minute, owned, daemon), refusedPod("c", 3*time.Minute, owned, daemon, runs)}, "", 0},
		{"of a StatefulSet, while a younger one of another name runs", []*corev1.Pod{refusedPod("a", 5*time.Minute, owned, stateful), refusedPod("b", 4*time.Minute, owned, stateful), refusedPod("c", 3*time.Minute, owned, stateful, runs)}, "", 2},
		{"asked for by name", []*corev1.Pod{refusedPod("a", time.Hour, owned)}, "a", 1},
		{"it ran once", []*corev1.Pod{refusedPod("a", time.Hour, ran)}, "", 0},
		{"evicted", []*corev1.Pod{refusedPod("a", time.Hour, evicted)}, "a", 0},
	} {
		b := snapshot.NewBuilder()
		for _, p := range c.pods {
			b.Add(p)
		}
		s, err := b.Build(now)
		if err != nil {
			t.Fatal(err)
		}
		r := stuck.Find(s, stuck.Options{Named: func(p snapshot.Ref) bool { return p.Name == c.named }})
		if len(r.Stuck) != c.stuck {
			t.Errorf("%s: %d are stuck, want %d: %+v", c.name, len(r.Stuck), c.stuck, r.Stuck)
		}
		for _, p := range r.Stuck {
			if p.State != stuck.Rejected {
				t.Errorf("%s: state %s", c.name, p.State)
			}
		}
	}
}
