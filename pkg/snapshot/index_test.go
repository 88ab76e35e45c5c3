package snapshot_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func attachment(name, pv, driver, node string, attached bool) *storagev1.VolumeAttachment {
	va := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: name}}
	va.Spec.Attacher, va.Spec.NodeName, va.Status.Attached = driver, node, attached
	if pv != "" {
		va.Spec.Source.PersistentVolumeName = &pv
	}
	return va
}

func claimUser(namespace, name string, claims ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, c := range claims {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "v-" + c, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c},
		}})
	}
	return p
}

func TestAnIndexAnswersWhatTheListsWould(t *testing.T) {
	b := snapshot.NewBuilder()
	for _, va := range []*storagev1.VolumeAttachment{
		attachment("c", "pv-1", "disk", "n1", true), attachment("a", "pv-1", "disk", "n2", false),
		attachment("b", "pv-2", "disk", "n1", true), attachment("d", "", "other", "n1", true),
	} {
		b.Add(va)
	}
	for _, p := range []*corev1.Pod{claimUser("y", "b", "data", "data"), claimUser("y", "a", "data", "logs"), claimUser("z", "a", "data"), claimUser("y", "c")} {
		b.Add(p)
	}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "y", Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}}
	b.Add(slice)
	whole, err := b.Build(time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, reads := whole.Recorded()

	if got := s.AttachmentsOf("pv-1"); len(got) != 2 || got[0].Name != "a" || got[1].Name != "c" {
		t.Errorf("attachments of pv-1: %v, want a and c, by name", got)
	}
	if k := reads.Kinds(); len(k) != 1 || k[0] != snapshot.VolumeAttachment {
		t.Errorf("recorded as read: %v, want VolumeAttachment", k)
	}
	if got := s.AttachmentsOf(""); got != nil {
		t.Errorf("attachments of no volume: %v", got)
	}
	for _, c := range []struct {
		driver, node string
		want         int
	}{{"disk", "n1", 2}, {"disk", "n2", 0}, {"other", "n1", 1}, {"other", "n3", 0}} {
		if got := s.AttachedOn(c.driver, c.node); got != c.want {
			t.Errorf("attached by %s on %s: %d, want %d", c.driver, c.node, got, c.want)
		}
	}
	if got := s.PodsUsing("y", "data"); len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Errorf("pods that use y/data: %d, want a and b, each once", len(got))
	}
	if got := s.EndpointSlices("y", "web"); len(got) != 1 || len(s.EndpointSlices("z", "web")) != 0 {
		t.Errorf("slices of y/web: %v", got)
	}
}

func TestAppendingToAListDoesNotChangeIt(t *testing.T) {
	b := snapshot.NewBuilder()
	for _, n := range []string{"a", "b", "c"} {
		b.Add(attachment(n, "pv", "disk", n, true))
	}
	s, err := b.Build(time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, get := range []func() []*storagev1.VolumeAttachment{s.VolumeAttachments, func() []*storagev1.VolumeAttachment { return s.AttachmentsOf("pv") }} {
		first := append(get(), attachment("x", "", "", "", false))
		second := append(get(), attachment("y", "", "", "", false))
		if len(get()) != 3 || first[3].Name != "x" || second[3].Name != "y" {
			t.Errorf("two callers that append write over each other: %s, %s", first[3].Name, second[3].Name)
		}
	}
}
