package storage

import (
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// noHelper are the words of mount, of its helpers, of modprobe and of the kubelet for a kind of file system that the node does not know.
func noHelper() []diagnose.Text {
	return []diagnose.Text{
		{All: []string{"/sbin/mount.", "helper program"}},
		{All: []string{"missing codepage or helper program"}, Any: []string{"-t nfs", "-t cifs", "-t ceph", "-t glusterfs", "-t efs", "-t lustre"}},
		{Any: []string{"unknown filesystem type", "no volume plugin matched", "failed to get plugin from volumeSpec", "rpc.statd is not running", "an incorrect mount option was specified"}},
		{All: []string{"executable file not found"}, Any: []string{"mount.", "iscsiadm", "mkfs.", "fsck", "rbd", "multipath", "\"mount\"", "lvm", "ceph", "nfs", "cryptsetup"}, None: []string{"runc", "OCI runtime", "containerd task", "StartError", "container init"}},
		{All: []string{"modprobe"}, Any: []string{"not found", "fatal"}, None: []string{"br_netfilter", "overlay", "ip_vs", "nf_conntrack"}},
		{All: []string{"mount", "unknown fs"}, Any: []string{"nfs", "ceph", "cifs"}},
		{All: []string{"mount error(19)"}}, // cifs: No such device, which is the module
		{All: []string{"mount error 22"}, Any: []string{"ceph"}},
	}
}

func missingMountHelper() diagnose.Cause {
	g := diagnose.Signature{
		Confidence: diagnose.Likely,
		Say:        "Node {node} lacks the program, kernel module or plugin that mounts a volume of pod {namespace}/{pod}, or does not know an option of it.",
	}
	for _, t := range noHelper() {
		g.Events = append(g.Events, diagnose.EventMatch{Text: t})
	}
	return diagnose.Cause{
		Code: "ST323", Slug: "missing-mount-helper", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The node cannot mount this kind of file system",
			Symptom:   "FailedMount \"bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program\", or \"unknown filesystem type\".",
			Mechanism: "The kubelet calls mount on the host. For NFS, SMB, Ceph, GlusterFS and iSCSI that needs a helper program or a kernel module that the node's image does not have. A plugin of the kubelet's own is gone after an upgrade: GlusterFS in 1.26, Ceph (rbd and cephfs) in 1.31.",
			Confirm:   []string{"kubectl describe pod {pod} -n {namespace}", "kubectl get node {node} -o wide"},
			Remedies: []diagnose.Remedy{
				{ID: "install-helper", Risk: diagnose.RiskLow, Text: "Install the client package on the nodes (nfs-common or nfs-utils, cifs-utils, ceph-common, open-iscsi), and in the node image. The kubelet tries again by itself."},
				{ID: "use-csi-driver", Risk: diagnose.RiskMedium, Text: "Or use a CSI driver that brings the client along."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/storage/volumes/#nfs", "kubernetes: mount-utils/mount_linux.go", "kubernetes: pkg/volume/plugins.go"},
		},
		Signature: &g,
		Log:       helperLines(),
	}
}

func helperLines() []diagnose.LogMatch {
	var out []diagnose.LogMatch
	for _, t := range noHelper() {
		m := diagnose.LogMatch{Text: diagnose.Text{All: t.All, Any: t.Any, None: append([]string{"skip loading plugin", "skip plugin", "mkfs.erofs"}, t.None...)}} // containerd's, at its start
		if slices.Contains(t.All, "modprobe") {
			// At the start of a machine many modules are tried in vain.
			m.Pattern = `mountvolume|mountdevice|\b(rbd|ceph|nfs|nfsv?[34]|cifs|iscsi_tcp|ib_iser|dm[-_](multipath|crypt|thin[-_]pool|snapshot)|nvme[-_](tcp|rdma|fabrics)|drbd|nbd|lustre|xfs)\b`
		}
		out = append(out, m)
	}
	return out
}
