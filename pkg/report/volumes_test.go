package report_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func TestVolumesOfStuckPodsAreFollowed(t *testing.T) {
	pv, count := "pv-1", int32(3)
	starting := func(p *corev1.Pod) {
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}}}
		p.CreationTimestamp = ago(3600e9)
		p.Spec.Volumes = []corev1.Volume{
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "db-data", ReadOnly: true}}},
			{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
			{Name: "files", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/srv"}}},
		}
	}
	b := snapshot.NewBuilder()
	b.Add(running("db-0", "worker-1", "db", starting))
	b.Add(running("well", "worker-1", "well", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/srv"}}}}
	}))
	b.Add(&corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-data"},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: pv, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
	})
	b.Add(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: pv}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: "vol-1"}},
	}})
	b.Add(&storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "csi-1"}, Spec: storagev1.VolumeAttachmentSpec{Attacher: "disk.example.com", NodeName: "n1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv}},
		Status: storagev1.VolumeAttachmentStatus{Attached: true},
	})
	b.Add(&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: "disk.example.com", NodeID: "i-1", Allocatable: &storagev1.VolumeNodeResources{Count: &count}},
	}}})
	for _, i := range snapshot.Kinds() {
		b.SetComplete(i.Kind, "")
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	r := report.Build(s, found, diagnose.Run(s, found, nil), report.Options{})
	if len(r.Groups) != 1 || len(r.Groups[0].Pods) != 1 {
		t.Fatalf("%+v", r.Groups)
	}
	v := r.Groups[0].Pods[0].Volumes
	if len(v) != 2 {
		t.Fatalf("%d volumes, want the disk and the file server: %+v", len(v), v)
	}
	d := v[0]
	if d.Name != "data" || d.Claim != "db-data" || d.PV != pv || d.Kind != "CSI" || d.Driver != "disk.example.com" || d.Handle != "vol-1" || !d.ReadOnly || len(d.AccessModes) != 1 ||
		d.Attachment == nil || !d.Attachment.Attached || d.Registered == nil || !*d.Registered || d.Limit == nil || *d.Limit != 3 || d.Used != 1 || len(d.Notes) != 0 {
		t.Errorf("%+v", d)
	}
	if f := v[1]; f.Server != "NFS files.example.com" || f.Path != "/srv" || f.Driver != "" || f.Registered != nil {
		t.Errorf("%+v", f)
	}
	// Somebody who may read pods alone is told what could not be read, and no more.
	alone := snapshot.NewBuilder()
	alone.Add(running("db-0", "worker-1", "db", starting))
	if s, err = alone.Build(now); err != nil {
		t.Fatal(err)
	}
	found = stuck.Find(s, stuck.Options{})
	r = report.Build(s, found, diagnose.Run(s, found, nil), report.Options{})
	v = r.Groups[0].Pods[0].Volumes
	if len(v) != 2 || v[0].Registered != nil || v[0].Driver != "" || len(v[0].Notes) != 1 || v[0].Notes[0].Hop != volume.HopClaim {
		t.Errorf("%+v", v)
	}
}
