package source

import (
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func driverObjects() []runtime.Object {
	holder := "controller-0"
	lease := func(name string, holder *string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: holder}}
	}
	other := "somebody-0"
	return []runtime.Object{
		newNode("node-a", corev1.ConditionTrue), newNode("node-b", corev1.ConditionTrue),
		lease("external-attacher-leader-disk-example-com", &holder), lease("unrelated", &other),
		newPod("storage", "controller-0", "node-b"), newPod("storage", "somebody-0", "node-b"),
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1"}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-1"}, Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: "vol-1"}},
		}},
	}
}

func claims(name string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
	}
}

const leaderLeases = "list Lease in  where metadata.namespace!=kube-node-lease"

func TestTheControllerOfAVolumesDriverIsRead(t *testing.T) {
	m := newMemory(append(driverObjects(), newPod("shop", "db-0", "node-a", creating, claims("data")))...)
	s := mustLoad(t, m, Query{Namespace: "shop", Names: []string{"db-0"}, Needs: allKinds()})
	if s.Lease("storage", "external-attacher-leader-disk-example-com") == nil || s.Pod("storage", "controller-0") == nil {
		t.Error("the leader of the driver's attacher was not read")
	}
	if s.Pod("storage", "somebody-0") != nil {
		t.Error("who leads something else was read too")
	}
	if n := len(m.requests(leaderLeases)); n != 1 {
		t.Errorf("%d lists of leases, want 1: %v", n, m.asked)
	}
}

func TestNobodyAsksForLeadersWithoutADriver(t *testing.T) {
	for name, c := range map[string]struct {
		pod runtime.Object
		q   Query
	}{
		"no volume":         {newPod("shop", "db-0", "node-a", creating), Query{Needs: allKinds()}},
		"no cause looks":    {newPod("shop", "db-0", "node-a", creating, claims("data")), Query{}},
		"nothing is stuck":  {newPod("shop", "db-0", "node-a", claims("data")), Query{Needs: allKinds()}},
		"a volume of files": {newPod("shop", "db-0", "node-a", creating, claims("files")), Query{Needs: allKinds()}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(append(driverObjects(), c.pod,
				&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "files"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-2"}},
				&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-2"}, Spec: corev1.PersistentVolumeSpec{
					PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/"}},
				}})...)
			mustLoad(t, m, c.q)
			if got := m.requests(leaderLeases); len(got) > 0 {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestLeadersThatMayNotBeReadAreAGap(t *testing.T) {
	m := newMemory(append(driverObjects(), newPod("shop", "db-0", "node-a", creating, claims("data")))...)
	m.refuse = func(k snapshot.Kind, namespace, name string, _ ListRequest) error {
		if k == snapshot.Lease && namespace == "" && name == "" {
			return forbidden(k, name)
		}
		return nil
	}
	s := mustLoad(t, m, Query{Needs: allKinds()})
	if s.Gap(snapshot.Lease) == nil || len(s.Pods()) == 0 {
		t.Errorf("gaps: %v", s.Gaps())
	}
}

func TestClaimsOfPodsThatStartedLatelyAreRead(t *testing.T) {
	at := func(ago time.Duration) podOption {
		return func(p *corev1.Pod) {
			st := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(-ago))
			p.Status.StartTime = &st
		}
	}
	objects := append(driverObjects(), newPod("shop", "db-0", "node-a", creating, claims("data")))
	for i := range 2 * witnessClaims {
		name := fmt.Sprintf("fine-%02d", i)
		objects = append(objects, newPod("shop", name, "node-a", claims(name), at(time.Duration(i)*time.Minute)),
			&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	for name, o := range map[string][]podOption{"old": {claims("old"), at(3 * time.Hour)}, "away": {claims("away"), at(time.Minute)}} {
		node := "node-a"
		if name == "away" {
			node = "node-b"
		}
		objects = append(objects, newPod("shop", name, node, o...), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	s := mustLoad(t, newMemory(objects...), Query{Needs: allKinds()})
	for name, want := range map[string]bool{"data": true, "fine-00": true, "fine-19": true, "fine-20": false, "old": false, "away": false} {
		if got := s.PVC("shop", name) != nil; got != want {
			t.Errorf("claim %s: read %t, want %t", name, got, want)
		}
	}
}
