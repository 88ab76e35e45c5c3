package snapshot

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ClaimOf names the claim behind a volume of a pod; empty where it has none.
func ClaimOf(p *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return p.Name + "-" + v.Name // pkg/controller/volume/ephemeral names claims so
	default:
		return ""
	}
}

// Server is what serves a volume over the network, so that volumes of one server can be told to have it in common.
type Server struct {
	Kind string // "NFS", "SMB", "Ceph", "GlusterFS", "iSCSI", "Lustre"; empty where the volume has no server that is named
	Host string // a host, an address, a portal, or what stands for a cluster of servers
	Path string // the export, share or target; empty where it is not told
}

// ServerOf tells which server is behind a volume, which is given by its entry in the pod, or by its PersistentVolume, or both.
func ServerOf(v *corev1.Volume, pv *corev1.PersistentVolume) Server {
	if v != nil {
		if s := inlineServer(v); s.Kind != "" {
			return s
		}
	}
	if pv == nil {
		return Server{}
	}
	switch src := &pv.Spec.PersistentVolumeSource; {
	case src.NFS != nil:
		return Server{"NFS", src.NFS.Server, src.NFS.Path}
	case src.CSI != nil:
		return csiServer(src.CSI.Driver, src.CSI.VolumeHandle, src.CSI.VolumeAttributes)
	case src.CephFS != nil && len(src.CephFS.Monitors) > 0:
		return Server{"Ceph", src.CephFS.Monitors[0], src.CephFS.Path}
	case src.RBD != nil && len(src.RBD.CephMonitors) > 0:
		return Server{"Ceph", src.RBD.CephMonitors[0], src.RBD.RBDPool + "/" + src.RBD.RBDImage}
	case src.ISCSI != nil:
		return Server{"iSCSI", src.ISCSI.TargetPortal, src.ISCSI.IQN}
	case src.Glusterfs != nil:
		return Server{"GlusterFS", src.Glusterfs.EndpointsName, src.Glusterfs.Path}
	default:
		return Server{}
	}
}

func inlineServer(v *corev1.Volume) Server {
	switch {
	case v.NFS != nil:
		return Server{"NFS", v.NFS.Server, v.NFS.Path}
	case v.CSI != nil:
		return csiServer(v.CSI.Driver, "", v.CSI.VolumeAttributes)
	case v.CephFS != nil && len(v.CephFS.Monitors) > 0:
		return Server{"Ceph", v.CephFS.Monitors[0], v.CephFS.Path}
	case v.RBD != nil && len(v.RBD.CephMonitors) > 0:
		return Server{"Ceph", v.RBD.CephMonitors[0], v.RBD.RBDPool + "/" + v.RBD.RBDImage}
	case v.ISCSI != nil:
		return Server{"iSCSI", v.ISCSI.TargetPortal, v.ISCSI.IQN}
	case v.Glusterfs != nil:
		return Server{"GlusterFS", v.Glusterfs.EndpointsName, v.Glusterfs.Path}
	default:
		return Server{}
	}
}

// csiServer reads what CSI drivers call their server: csi-driver-nfs server and share, csi-driver-smb source, Amazon EFS the handle, Amazon FSx dnsname,
// Google Filestore ip and volume, Azure Files the storage account in the handle, Ceph the cluster's ID.
func csiServer(driver, handle string, a map[string]string) Server {
	switch {
	case driver == "efs.csi.aws.com":
		if host, path, _ := strings.Cut(handle, ":"); host != "" {
			return Server{"NFS", host, path}
		}
	case strings.HasSuffix(driver, "cephfs.csi.ceph.com"), strings.HasSuffix(driver, "rbd.csi.ceph.com"):
		if c := a["clusterID"]; c != "" {
			return Server{"Ceph", c, firstNonEmpty(a["rootPath"], a["subvolumeName"], a["imageName"])}
		}
	case driver == "fsx.csi.aws.com" && a["dnsname"] != "":
		return Server{"Lustre", a["dnsname"], a["mountname"]}
	case driver == "filestore.csi.storage.gke.io" && a["ip"] != "":
		return Server{"NFS", a["ip"], a["volume"]}
	case driver == "file.csi.azure.com":
		// The handle is group#account#share#… (azurefile-csi-driver); protocol says which of two it speaks.
		if p := strings.Split(handle, "#"); len(p) >= 3 && p[1] != "" {
			kind := "SMB"
			if strings.EqualFold(a["protocol"], "nfs") {
				kind = "NFS"
			}
			return Server{kind, p[1] + ".file.core.windows.net", p[2]}
		}
	}
	if h := a["server"]; h != "" {
		return Server{"NFS", h, firstNonEmpty(a["share"], a["path"])}
	}
	if rest, ok := strings.CutPrefix(a["source"], "//"); ok {
		host, path, _ := strings.Cut(rest, "/")
		return Server{"SMB", host, path}
	}
	return Server{}
}

// The roles of a CSI driver's controller, each with its own leader.
const (
	RoleAttacher    = "attacher"
	RoleProvisioner = "provisioner"
	RoleResizer     = "resizer"
	RoleSnapshotter = "snapshotter"
)

// DriverLeases lists the names that the sidecars of a driver's controller give the Leases by which they elect their leaders, with the role of each
// (external-attacher, external-provisioner, external-resizer and external-snapshotter: the driver's name behind a prefix, and csi-lib-utils
// leaderelection: every character but letters, digits and hyphens made a hyphen, and an X after one at the end).
func DriverLeases(driver string) map[string]string {
	if driver == "" {
		return nil
	}
	return map[string]string{
		leaseName("external-attacher-leader-" + driver): RoleAttacher,
		leaseName(driver): RoleProvisioner, // the provisioner's has no prefix
		leaseName("external-provisioner-leader-" + driver): RoleProvisioner,
		leaseName("external-resizer-" + driver):            RoleResizer,
		leaseName("external-snapshotter-leader-" + driver): RoleSnapshotter,
	}
}

func leaseName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, s)
	if strings.HasSuffix(s, "-") {
		s += "X"
	}
	return s
}

// MigratedDriver names the CSI driver that stands in for a volume plugin of the kubelet's own, and that plugin, where the volume is of such a
// kind (k8s.io/csi-translation-lib/plugins). Both are empty for other volumes.
func MigratedDriver(v *corev1.Volume, pv *corev1.PersistentVolume) (driver, plugin string) {
	var aws, gce, disk, file, cinder, vsphere, portworx bool
	if v != nil {
		aws, gce, disk, file = v.AWSElasticBlockStore != nil, v.GCEPersistentDisk != nil, v.AzureDisk != nil, v.AzureFile != nil
		cinder, vsphere, portworx = v.Cinder != nil, v.VsphereVolume != nil, v.PortworxVolume != nil
	}
	if pv != nil {
		s := &pv.Spec.PersistentVolumeSource
		aws, gce, disk, file = aws || s.AWSElasticBlockStore != nil, gce || s.GCEPersistentDisk != nil, disk || s.AzureDisk != nil, file || s.AzureFile != nil
		cinder, vsphere, portworx = cinder || s.Cinder != nil, vsphere || s.VsphereVolume != nil, portworx || s.PortworxVolume != nil
	}
	switch {
	case aws:
		return "ebs.csi.aws.com", "kubernetes.io/aws-ebs"
	case gce:
		return "pd.csi.storage.gke.io", "kubernetes.io/gce-pd"
	case disk:
		return "disk.csi.azure.com", "kubernetes.io/azure-disk"
	case file:
		return "file.csi.azure.com", "kubernetes.io/azure-file"
	case cinder:
		return "cinder.csi.openstack.org", "kubernetes.io/cinder"
	case vsphere:
		return "csi.vsphere.vmware.com", "kubernetes.io/vsphere-volume"
	case portworx:
		return "pxd.portworx.com", "kubernetes.io/portworx-volume"
	default:
		return "", ""
	}
}
