package snapshot_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func TestTheServerBehindAVolumeIsRead(t *testing.T) {
	csi := func(driver, handle string, a map[string]string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle, VolumeAttributes: a},
		}}}
	}
	for name, c := range map[string]struct {
		v    *corev1.Volume
		pv   *corev1.PersistentVolume
		want snapshot.Server
	}{
		"NFS in the pod": {
			v:    &corev1.Volume{VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/srv"}}},
			want: snapshot.Server{Kind: "NFS", Host: "files.example.com", Path: "/srv"},
		},
		"NFS by its CSI driver, in the pod": {
			v:    &corev1.Volume{VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "nfs.csi.k8s.io", VolumeAttributes: map[string]string{"server": "files.example.com", "share": "/a"}}}},
			want: snapshot.Server{Kind: "NFS", Host: "files.example.com", Path: "/a"},
		},
		"NFS by its CSI driver":         {pv: csi("nfs.csi.k8s.io", "x", map[string]string{"server": "files.example.com", "share": "/a"}), want: snapshot.Server{Kind: "NFS", Host: "files.example.com", Path: "/a"}},
		"EFS":                           {pv: csi("efs.csi.aws.com", "fs-0123:/data:fsap-1", nil), want: snapshot.Server{Kind: "NFS", Host: "fs-0123", Path: "/data:fsap-1"}},
		"Filestore":                     {pv: csi("filestore.csi.storage.gke.io", "modeInstance/z/i/vol1", map[string]string{"ip": "10.0.0.2", "volume": "vol1"}), want: snapshot.Server{Kind: "NFS", Host: "10.0.0.2", Path: "vol1"}},
		"SMB":                           {pv: csi("smb.csi.k8s.io", "x", map[string]string{"source": "//files.example.com/share/a"}), want: snapshot.Server{Kind: "SMB", Host: "files.example.com", Path: "share/a"}},
		"Azure Files":                   {pv: csi("file.csi.azure.com", "group#account#share#", nil), want: snapshot.Server{Kind: "SMB", Host: "account.file.core.windows.net", Path: "share"}},
		"Azure Files over NFS":          {pv: csi("file.csi.azure.com", "group#account#share#", map[string]string{"protocol": "nfs"}), want: snapshot.Server{Kind: "NFS", Host: "account.file.core.windows.net", Path: "share"}},
		"Ceph of any operator":          {pv: csi("rook-ceph.cephfs.csi.ceph.com", "x", map[string]string{"clusterID": "rook-ceph", "subvolumeName": "csi-vol-1"}), want: snapshot.Server{Kind: "Ceph", Host: "rook-ceph", Path: "csi-vol-1"}},
		"a disk has none":               {pv: csi("disk.example.com", "vol-1", map[string]string{"type": "fast"})},
		"a handle that is cut":          {pv: csi("efs.csi.aws.com", "", nil)},
		"neither":                       {},
		"a volume without any source":   {v: &corev1.Volume{Name: "x"}, pv: &corev1.PersistentVolume{}},
		"Ceph without any monitor":      {v: &corev1.Volume{VolumeSource: corev1.VolumeSource{CephFS: &corev1.CephFSVolumeSource{}}}},
		"a share without a server":      {pv: csi("smb.csi.k8s.io", "x", map[string]string{"source": "share"})},
		"a driver that is not Ceph's":   {pv: csi("other.example.com", "x", map[string]string{"clusterID": "a"})},
		"a handle of Azure that is cut": {pv: csi("file.csi.azure.com", "group", nil)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := snapshot.ServerOf(c.v, c.pv); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTheLeasesOfADriverAreKnownByTheirNames(t *testing.T) {
	for lease, want := range map[string]string{
		"external-attacher-leader-disk-example-com":    snapshot.RoleAttacher,
		"disk-example-com":                             snapshot.RoleProvisioner,
		"external-resizer-disk-example-com":            snapshot.RoleResizer,
		"external-snapshotter-leader-disk-example-com": snapshot.RoleSnapshotter,
		"external-attacher-leader-other-example-com":   "",
		"kube-scheduler":                               "",
		"":                                             "",
	} {
		if got := snapshot.DriverLeases("disk.example.com")[lease]; got != want {
			t.Errorf("%s: %q, want %q", lease, got, want)
		}
	}
	if snapshot.DriverLeases("odd.")["odd-X"] != snapshot.RoleProvisioner {
		t.Error("a name that would end in a hyphen gets an X")
	}
	if len(snapshot.DriverLeases("")) > 0 {
		t.Error("no driver has no lease")
	}
}
