package scope_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// TestOneFileServerBehindManyNodesIsFound mixes pods that start and pods that end, on nodes that are well, all with volumes of one server.
func TestOneFileServerBehindManyNodesIsFound(t *testing.T) {
	inTree := func(host, path string) *corev1.PersistentVolumeSource {
		return &corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: host, Path: path}}
	}
	csi := func(driver, handle string, a map[string]string) *corev1.PersistentVolumeSource {
		return &corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle, VolumeAttributes: a}}
	}
	for name, c := range map[string]struct {
		// volume makes the n-th pod's volume; nil means that it stands in the pod itself.
		volume func(n int) *corev1.PersistentVolumeSource
		inline *corev1.VolumeSource
		want   string
	}{
		"volumes of the kubelet's own plugin, with paths of their own": {volume: func(n int) *corev1.PersistentVolumeSource { return inTree("files.example.com", fmt.Sprint("/srv/", n)) }, want: "NFS files.example.com"},
		"in the pods themselves":              {inline: &corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/srv"}}, want: "NFS files.example.com"},
		"in the pods themselves, by a driver": {inline: &corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "nfs.csi.k8s.io", VolumeAttributes: map[string]string{"server": "files.example.com", "share": "/a"}}}, want: "NFS files.example.com"},
		"csi-driver-nfs": {volume: func(n int) *corev1.PersistentVolumeSource {
			return csi("nfs.csi.k8s.io", fmt.Sprint(n), map[string]string{"server": "files.example.com", "share": "/", "subdir": fmt.Sprint(n)})
		}, want: "NFS files.example.com"},
		"Amazon EFS, each with an access point": {volume: func(n int) *corev1.PersistentVolumeSource {
			return csi("efs.csi.aws.com", fmt.Sprintf("fs-0123::fsap-%d", n), nil)
		}, want: "NFS fs-0123"},
		"SMB": {volume: func(n int) *corev1.PersistentVolumeSource {
			return csi("smb.csi.k8s.io", fmt.Sprint(n), map[string]string{"source": "//files.example.com/share"})
		}, want: "SMB files.example.com"},
		"CephFS of one cluster": {volume: func(n int) *corev1.PersistentVolumeSource {
			return csi("rook-ceph.cephfs.csi.ceph.com", fmt.Sprint(n), map[string]string{"clusterID": "rook-ceph"})
		}, want: "Ceph rook-ceph"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t)
			for i := range 3 {
				node := fmt.Sprint("n", i)
				cl.node(node, corev1.ConditionTrue, time.Second)
				for j := range 4 { // others there are well
					cl.pod(node, fmt.Sprint("well", j), well(time.Hour))
				}
				for j, state := range []func(*corev1.Pod){starting(20 * time.Minute), ending(19 * time.Minute)} {
					n := 2*i + j
					claim := fmt.Sprint("files-", n)
					cl.pod(node, fmt.Sprint("app", n), func(p *corev1.Pod) {
						state(p)
						v := corev1.Volume{Name: "files"}
						if c.inline != nil {
							v.VolumeSource = *c.inline
						} else {
							v.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}
						}
						p.Spec.Volumes = []corev1.Volume{v}
					})
					if c.volume == nil {
						continue
					}
					cl.add(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: claim}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-" + claim}})
					cl.add(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + claim}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: *c.volume(n)}})
				}
			}
			r := cl.decide(nil)
			if len(r.Shared) == 0 || r.Shared[0].Name != c.want || len(r.Shared[0].Nodes) != 3 || len(r.Shared[0].Pods) != 6 {
				t.Fatalf("shared: %+v, want %s of 6 pods on 3 nodes", r.Shared, c.want)
			}
			for _, g := range r.Groups {
				if g.Reach != scope.ReachShared {
					t.Errorf("node %s: %s, want shared: %v", g.Node, g.Reach, g.Why)
				}
			}
		})
	}
}
