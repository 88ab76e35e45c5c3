package storage

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// volume is one volume of a pod and what stands behind it, as far as that was read.
type volume struct {
	name  string // in spec.volumes
	src   *corev1.Volume
	claim string
	pvc   *corev1.PersistentVolumeClaim
	pv    *corev1.PersistentVolume
}

// claimOf names the claim behind a volume; empty where it has none.
func claimOf(p *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return p.Name + "-" + v.Name // pkg/controller/volume/ephemeral names claims so
	default:
		return ""
	}
}

// volumesOf resolves the volumes of a pod down to their PersistentVolumes.
func volumesOf(s *snapshot.Snapshot, p *corev1.Pod) []volume {
	var out []volume
	for i := range p.Spec.Volumes {
		v := volume{name: p.Spec.Volumes[i].Name, src: &p.Spec.Volumes[i]}
		if v.claim = claimOf(p, v.src); v.claim != "" {
			if v.pvc = s.PVC(p.Namespace, v.claim); v.pvc != nil && v.pvc.Spec.VolumeName != "" {
				v.pv = s.PV(v.pvc.Spec.VolumeName)
			}
		}
		out = append(out, v)
	}
	return out
}

// volumeName is the name of the PersistentVolume, which the claim tells even where the PV itself was not read.
func (v volume) volumeName() string {
	if v.pvc == nil {
		return ""
	}
	return v.pvc.Spec.VolumeName
}

// ref names what is broken when the volume is: the PersistentVolume, else the claim.
func (v volume) ref(namespace string) snapshot.Ref {
	switch {
	case v.volumeName() != "":
		return snapshot.Ref{Kind: snapshot.PersistentVolume, Name: v.volumeName()}
	case v.claim != "":
		return snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: namespace, Name: v.claim}
	default:
		return snapshot.Ref{}
	}
}

// driver is the CSI driver of the volume; empty for other kinds.
func (v volume) driver() string {
	switch {
	case v.pv != nil && v.pv.Spec.CSI != nil:
		return v.pv.Spec.CSI.Driver
	case v.src.CSI != nil:
		return v.src.CSI.Driver
	default:
		return ""
	}
}

// nfs is the host of the volume's NFS server; empty for other kinds.
func (v volume) nfs() string {
	if v.src.NFS != nil {
		return v.src.NFS.Server
	}
	if v.src.CSI != nil && strings.HasPrefix(v.src.CSI.Driver, "nfs.") {
		return v.src.CSI.VolumeAttributes["server"]
	}
	if v.pv == nil {
		return ""
	}
	if v.pv.Spec.NFS != nil {
		return v.pv.Spec.NFS.Server
	}
	c := v.pv.Spec.CSI
	switch {
	case c == nil:
		return ""
	case strings.HasPrefix(c.Driver, "nfs."), strings.HasSuffix(c.Driver, ".nfs.csi.k8s.io"):
		return c.VolumeAttributes["server"] // csi-driver-nfs
	case c.Driver == "efs.csi.aws.com":
		host, _, _ := strings.Cut(c.VolumeHandle, ":")
		return host
	default:
		return ""
	}
}

// canHang tells whether the volume rests on something whose silence hangs those who use it: a server, a device, a
// daemon, or a directory of the host that may be a mount itself.
func (v volume) canHang() bool {
	s := v.src
	return v.claim != "" || s.NFS != nil || s.CSI != nil || s.HostPath != nil || s.CephFS != nil || s.RBD != nil || s.ISCSI != nil ||
		s.FC != nil || s.Glusterfs != nil || s.FlexVolume != nil || s.AzureFile != nil
}

// describe words what the volume is.
func (v volume) describe() string {
	switch {
	case v.nfs() != "":
		return v.name + " (NFS " + v.nfs() + ")"
	case v.driver() != "":
		return v.name + " (CSI " + v.driver() + ")"
	case v.claim != "":
		return v.name + " (claim " + v.claim + ")"
	case v.src.HostPath != nil:
		return v.name + " (hostPath " + v.src.HostPath.Path + ")"
	default:
		return v.name
	}
}

// exclusive tells whether only one node at a time may have the volume attached.
func (v volume) exclusive() bool {
	if v.pvc == nil {
		return false
	}
	return !slices.ContainsFunc(v.pvc.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
	})
}
