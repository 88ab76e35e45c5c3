package volume

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Chain is one volume of a pod and what stands behind it, as far as that was read.
type Chain struct {
	Name   string // in spec.volumes
	Source *corev1.Volume
	// Claim is the name of the claim; empty where the volume has none. Its PVC and PV are nil where they do not exist or were not read.
	Claim string
	PVC   *corev1.PersistentVolumeClaim
	PV    *corev1.PersistentVolume
}

// Of resolves the volumes of a pod down to their PersistentVolumes.
func Of(s *snapshot.Snapshot, p *corev1.Pod) []Chain {
	if p == nil {
		return nil
	}
	out := make([]Chain, 0, len(p.Spec.Volumes))
	for i := range p.Spec.Volumes {
		c := Chain{Name: p.Spec.Volumes[i].Name, Source: &p.Spec.Volumes[i]}
		if c.Claim = snapshot.ClaimOf(p, c.Source); c.Claim != "" {
			if c.PVC = s.PVC(p.Namespace, c.Claim); c.PVC != nil && c.PVC.Spec.VolumeName != "" {
				c.PV = s.PV(c.PVC.Spec.VolumeName)
			}
		}
		out = append(out, c)
	}
	return out
}

// VolumeName is the name of the PersistentVolume, which the claim tells even where the PV itself was not read.
func (c Chain) VolumeName() string {
	if c.PVC == nil {
		return ""
	}
	return c.PVC.Spec.VolumeName
}

// Ref names what is broken when the volume is: the PersistentVolume, else the claim. It is zero for a volume that has neither.
func (c Chain) Ref(namespace string) snapshot.Ref {
	switch {
	case c.VolumeName() != "":
		return snapshot.Ref{Kind: snapshot.PersistentVolume, Name: c.VolumeName()}
	case c.Claim != "":
		return snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: namespace, Name: c.Claim}
	default:
		return snapshot.Ref{}
	}
}

// Driver is the CSI driver that the volume names; empty for other kinds.
func (c Chain) Driver() string {
	switch {
	case c.PV != nil && c.PV.Spec.CSI != nil:
		return c.PV.Spec.CSI.Driver
	case c.Source.CSI != nil:
		return c.Source.CSI.Driver
	default:
		return ""
	}
}

// DriverOn is the CSI driver that serves the volume on the node: the one that it names, or the one that stands in for a plugin of the kubelet's own
// where the CSINode says that this plugin is migrated there.
func (c Chain) DriverOn(n *storagev1.CSINode) string {
	if d := c.Driver(); d != "" || n == nil {
		return d
	}
	driver, plugin := snapshot.MigratedDriver(c.Source, c.PV)
	if plugin != "" && slices.Contains(strings.Split(n.Annotations[corev1.MigratedPluginsAnnotationKey], ","), plugin) {
		return driver
	}
	return ""
}

// Handle is the volume's name in the storage system, for a CSI volume.
func (c Chain) Handle() string {
	if c.PV != nil && c.PV.Spec.CSI != nil {
		return c.PV.Spec.CSI.VolumeHandle
	}
	return ""
}

// Server is what serves the volume over the network; its Kind is empty where none is named.
func (c Chain) Server() snapshot.Server { return snapshot.ServerOf(c.Source, c.PV) }

// NFS is the host of the volume's NFS server; empty for other kinds.
func (c Chain) NFS() string {
	if s := c.Server(); s.Kind == "NFS" {
		return s.Host
	}
	return ""
}

// Path is the directory of the node that the volume is; empty for other kinds.
func (c Chain) Path() string {
	switch {
	case c.Source.HostPath != nil:
		return c.Source.HostPath.Path
	case c.PV != nil && c.PV.Spec.HostPath != nil:
		return c.PV.Spec.HostPath.Path
	case c.PV != nil && c.PV.Spec.Local != nil:
		return c.PV.Spec.Local.Path
	default:
		return ""
	}
}

// Kind words what the volume is, as people call it: "NFS", "CSI", "local", "hostPath", "AWS EBS" …; empty for what is made of objects of the
// cluster alone (ConfigMap, Secret, projected, emptyDir, downwardAPI) and where the PersistentVolume was not read.
func (c Chain) Kind() string {
	v := c.Source
	p := &corev1.PersistentVolumeSource{}
	if c.PV != nil {
		p = &c.PV.Spec.PersistentVolumeSource
	}
	switch {
	case v.NFS != nil || p.NFS != nil:
		return "NFS"
	case v.CSI != nil || p.CSI != nil:
		return "CSI"
	case p.Local != nil:
		return "local"
	case v.HostPath != nil || p.HostPath != nil:
		return "hostPath"
	case v.CephFS != nil || p.CephFS != nil:
		return "CephFS"
	case v.RBD != nil || p.RBD != nil:
		return "RBD"
	case v.ISCSI != nil || p.ISCSI != nil:
		return "iSCSI"
	case v.FC != nil || p.FC != nil:
		return "Fibre Channel"
	case v.Glusterfs != nil || p.Glusterfs != nil:
		return "GlusterFS"
	case v.FlexVolume != nil || p.FlexVolume != nil:
		return "FlexVolume"
	case v.AWSElasticBlockStore != nil || p.AWSElasticBlockStore != nil:
		return "AWS EBS"
	case v.GCEPersistentDisk != nil || p.GCEPersistentDisk != nil:
		return "GCE disk"
	case v.AzureDisk != nil || p.AzureDisk != nil:
		return "Azure disk"
	case v.AzureFile != nil || p.AzureFile != nil:
		return "Azure file"
	case v.Cinder != nil || p.Cinder != nil:
		return "Cinder"
	case v.VsphereVolume != nil || p.VsphereVolume != nil:
		return "vSphere"
	case v.PortworxVolume != nil || p.PortworxVolume != nil:
		return "Portworx"
	case v.GitRepo != nil:
		return "gitRepo"
	case v.Image != nil:
		return "image"
	default:
		return ""
	}
}

// FUSE tells whether the volume's file system lives in a process of the driver on the node, as far as the driver is known for it: when that ends,
// what it had mounted is dead.
func (c Chain) FUSE() bool {
	if c.Source.Glusterfs != nil || c.PV != nil && c.PV.Spec.Glusterfs != nil {
		return true
	}
	switch d := c.Driver(); d {
	case "blob.csi.azure.com", "gcsfuse.csi.storage.gke.io", "s3.csi.aws.com", "ru.yandex.s3.csi", "ch.ctrox.csi.s3-driver", "csi.juicefs.com",
		"fuse.csi.fluid.io", "seaweedfs-csi-driver", "cvmfs.csi.cern.ch", "ossplugin.csi.alibabacloud.com", "org.gluster.glusterfs":
		return true
	}
	return false
}

// CanHang tells whether the volume rests on something whose silence hangs those who use it: a server, a device, a daemon, or a directory of the
// host that may be a mount itself.
func (c Chain) CanHang() bool {
	switch c.Kind() {
	case "":
		return c.Claim != ""
	case "gitRepo", "image":
		return false
	default:
		return true
	}
}

// Describe words what the volume is, with its name in the pod.
func (c Chain) Describe() string {
	srv := c.Server()
	switch {
	case srv.Kind == "NFS":
		return c.Name + " (NFS " + srv.Host + ")"
	case c.Driver() != "":
		return c.Name + " (CSI " + c.Driver() + ")"
	case srv.Kind != "":
		return c.Name + " (" + c.Kind() + " " + srv.Host + ")"
	case c.Source.HostPath != nil:
		return c.Name + " (hostPath " + c.Source.HostPath.Path + ")"
	case c.Claim != "":
		return c.Name + " (claim " + c.Claim + ")"
	case c.Kind() != "":
		return c.Name + " (" + c.Kind() + ")"
	default:
		return c.Name
	}
}

// AccessModes are those that the claim asks for, else those of the PersistentVolume.
func (c Chain) AccessModes() []corev1.PersistentVolumeAccessMode {
	switch {
	case c.PVC != nil && len(c.PVC.Spec.AccessModes) > 0:
		return c.PVC.Spec.AccessModes
	case c.PV != nil:
		return c.PV.Spec.AccessModes
	default:
		return nil
	}
}

// Exclusive tells whether only one node at a time may have the volume attached. A volume whose claim was not read is not said to be.
func (c Chain) Exclusive() bool {
	if c.PVC == nil {
		return false
	}
	return !slices.ContainsFunc(c.AccessModes(), func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
	})
}

// ReadOnly tells whether the pod asked for the volume to be mounted read-only.
func (c Chain) ReadOnly() bool {
	v := c.Source
	return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly || v.NFS != nil && v.NFS.ReadOnly ||
		v.CSI != nil && v.CSI.ReadOnly != nil && *v.CSI.ReadOnly
}

// Named tells whether a text speaks of the volume: by its name in the pod in the kubelet's lists ("unmounted volumes=[data]") or behind
// `for volume "…"`, by its PersistentVolume, by its handle or by its claim.
func (c Chain) Named(text string) bool {
	for _, n := range []string{c.VolumeName(), c.Handle()} {
		if len(n) > 2 && strings.Contains(text, n) {
			return true
		}
	}
	return strings.Contains(text, `for volume "`+c.Name+`"`) || c.Claim != "" && strings.Contains(text, `"`+c.Claim+`"`)
}
