package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func missingMountHelper() diagnose.Cause {
	texts := []diagnose.Text{
		{All: []string{"/sbin/mount.", "helper program"}},
		{All: []string{"missing codepage or helper program"}, Any: []string{"-t nfs", "-t cifs", "-t ceph", "-t glusterfs"}},
		{Any: []string{"unknown filesystem type"}},
		{All: []string{"executable file not found"}, Any: []string{"mount.", "iscsiadm", "mkfs.", "fsck"}},
	}
	g := diagnose.Signature{
		Confidence: diagnose.Likely,
		Say:        "Node {node} lacks the program or kernel module that mounts a volume of pod {namespace}/{pod}.",
	}
	for _, t := range texts {
		g.Events = append(g.Events, diagnose.EventMatch{Reasons: mountReasons(), Text: t})
	}
	return diagnose.Cause{
		Code: "ST323", Slug: "missing-mount-helper", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The node cannot mount this kind of file system",
			Symptom:   "FailedMount \"bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program\", or \"unknown filesystem type\".",
			Mechanism: "The kubelet calls mount on the host. For NFS, SMB, Ceph, GlusterFS and iSCSI that needs a helper program or a kernel module that the node's image does not have.",
			Confirm:   []string{"kubectl describe pod {pod} -n {namespace}", "kubectl get node {node} -o wide"},
			Remedies: []diagnose.Remedy{
				{ID: "install-helper", Risk: diagnose.RiskLow, Text: "Install the client package on the nodes (nfs-common or nfs-utils, cifs-utils, ceph-common, open-iscsi), and in the node image. The kubelet tries again by itself."},
				{ID: "use-csi-driver", Risk: diagnose.RiskMedium, Text: "Or use a CSI driver that brings the client along."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/storage/volumes/#nfs", "kubernetes: mount-utils/mount_linux.go"},
		},
		Signature: &g,
		Log:       []string{"you might need a /sbin/mount"},
	}
}
