package report_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func TestOwnersOfFinalizersAreNamedForPodsThatAreDeletedAlone(t *testing.T) {
	none := int32(0)
	owner := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kueue-system", Name: "kueue-controller-manager"}}
	owner.Spec.Replicas = &none
	b := snapshot.NewBuilder()
	b.Add(owner)
	b.Add(running("held", "", "held", func(p *corev1.Pod) {
		deleting(p)
		p.Finalizers = []string{"batch.kubernetes.io/job-tracking", "kueue.x-k8s.io/managed"}
	}))
	b.Add(running("free", "", "free", deleting))
	b.Add(running("new", "", "new", func(p *corev1.Pod) {
		p.Finalizers = []string{"kueue.x-k8s.io/managed"}
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}}}
		p.CreationTimestamp = ago(3600e9)
	}))
	for _, i := range snapshot.Kinds() {
		b.SetComplete(i.Kind, "")
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	r := report.Build(s, found, diagnose.Run(s, found, nil), report.Options{})
	got := map[string][]report.FinalizerOwner{}
	for _, g := range r.Groups {
		for _, p := range g.Pods {
			got[p.Name] = p.FinalizerOwners
		}
	}
	if len(got) != 3 || len(got["free"]) != 0 || len(got["new"]) != 0 {
		t.Errorf("%+v", got)
	}
	o := got["held"]
	if len(o) != 2 || o[0].Owner != "Job controller" || o[0].Alive != finalizer.Unknown || o[1].Alive != finalizer.Gone || o[1].Controller == nil || o[1].Why == "" || o[1].Leaks == "" || o[1].Confidence != diagnose.Certain {
		t.Errorf("%+v", o)
	}
}
