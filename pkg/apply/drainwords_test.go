package apply

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func TestTheDrainLibrarySpeaksOfEachPod(t *testing.T) {
	yes := true
	owned := func(kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: "u", Controller: &yes}}
	}
	pod := func(name string, edit func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
		edit(p)
		return p
	}
	b := snapshot.NewBuilder()
	b.Add(&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "agent", UID: "u"}})
	b.SetAbsent(snapshot.DaemonSet, "shop", "orphaned")
	s, err := b.Build(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want func(remedy.DrainWord) bool
	}{
		"of a ReplicaSet": {pod("a", func(p *corev1.Pod) { p.OwnerReferences = owned("ReplicaSet", "a") }), func(w remedy.DrainWord) bool { return w.Deletes && w.Refuses == "" }},
		"bare":            {pod("b", func(*corev1.Pod) {}), func(w remedy.DrainWord) bool { return strings.Contains(w.Refuses, "declare no controller") }},
		"emptyDir": {pod("c", func(p *corev1.Pod) {
			p.OwnerReferences = owned("ReplicaSet", "a")
			p.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}), func(w remedy.DrainWord) bool { return strings.Contains(w.Refuses, "local storage") }},
		"of a DaemonSet":              {pod("d", func(p *corev1.Pod) { p.OwnerReferences = owned("DaemonSet", "agent") }), func(w remedy.DrainWord) bool { return !w.Deletes && strings.Contains(w.Warns, "DaemonSet") }},
		"of a DaemonSet that is gone": {pod("e", func(p *corev1.Pod) { p.OwnerReferences = owned("DaemonSet", "orphaned") }), func(w remedy.DrainWord) bool { return w.Refuses != "" }},
		"of a DaemonSet nobody read":  {pod("f", func(p *corev1.Pod) { p.OwnerReferences = owned("DaemonSet", "elsewhere") }), func(w remedy.DrainWord) bool { return w.Unread != "" && !w.Deletes }},
		"mirror":                      {pod("g", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }), func(w remedy.DrainWord) bool { return !w.Deletes && w.Refuses == "" }},
		"that has ended":              {pod("h", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), func(w remedy.DrainWord) bool { return w.Deletes && w.Refuses == "" }},
	} {
		if got := Drainer(context.Background(), s, "n")(c.pod); !c.want(got) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
