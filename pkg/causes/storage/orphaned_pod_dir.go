package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func orphanedPodDir() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST312", Slug: "orphaned-pod-dir", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "The directory of a pod that is gone was left on the node",
			Symptom:   "The kubelet logs \"Orphaned pod … found, but volume paths are still present on disk\" every two seconds. The API shows nothing.",
			Mechanism: "After a reboot or a force delete the kubelet finds directories of pods that it does not know, with volumes that it did not unmount itself, and leaves them alone so as not to delete data.",
			Confirm:   []string{"kubectl get --raw \"/api/v1/nodes/{node}/proxy/logs/?query=kubelet&pattern=Orphaned\"", "kubectl get pods -A --field-selector spec.nodeName={node}"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Restart the kubelet: newer versions rebuild what was mounted and clean up. Most often the message does no harm."},
				{ID: "unmount-then-remove", Risk: diagnose.RiskDataLoss, Text: "On the node: first umount everything below /var/lib/kubelet/pods/<uid>, look with findmnt that nothing is left, and only then remove the empty directories with rmdir. rm -rf on a volume that is still mounted deletes its data."},
			},
			Refs: []string{"https://github.com/kubernetes/kubernetes/issues/60987", "kubernetes: pkg/kubelet/kubelet_volumes.go"},
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"orphaned pod", "found, but"}, None: []string{"volumes not yet removed"}}},
			{Text: diagnose.Text{Any: []string{"Failed to remove orphaned pod"}}},
			{Text: diagnose.Text{Any: []string{"but volume paths are still present on disk", "occurred when trying to remove the volumes dir"}, None: []string{"orphaned pod"}}},
		},
	}
}
