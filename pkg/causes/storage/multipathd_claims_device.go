package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func multipathdClaimsDevice() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST315", Slug: "multipathd-claims-device", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "Something on the node has taken the volume's device",
			Symptom:   "The volume is attached, and mounting its device fails with \"already mounted or mount point busy\" or \"apparently in use by the system\".",
			Mechanism: "multipathd builds a map over every new block device unless it is told not to, and then holds that device. An older mount of the same device that was left over does the same.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host lsblk",
			},
			Remedies: []diagnose.Remedy{
				{ID: "blacklist-multipath", Risk: diagnose.RiskLow, Text: "On the node: if lsblk shows an mpath map over the device, blacklist such devices in /etc/multipath.conf and restart multipathd."},
				{ID: "unmount-leftover", Risk: diagnose.RiskMedium, Text: "If findmnt shows an older mount of the device that no pod uses: umount it."},
			},
			Refs: []string{"https://github.com/longhorn/longhorn/issues/1210"},
		},
		Signature: &diagnose.Signature{
			Events: []diagnose.EventMatch{
				{Text: diagnose.Text{Any: []string{"already mounted or mount point busy", "apparently in use by the system", "is already mounted or", "will not make a filesystem here"}}},
			},
			Confidence: diagnose.Likely,
			Say:        "The device of a volume of pod {namespace}/{pod} is attached to node {node} and taken there already, most often by multipathd.",
			Decide:     "Lsblk on node {node}: an mpath map over the device means multipathd, a mount point means a mount that was left over.",
		},
		Log: diagnose.Lines("already mounted or mount point busy", "apparently in use by the system", "is already mounted or", "will not make a filesystem here"),
	}
}
