package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func kubeletRestartVolumeReconstruct() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST313", Slug: "kubelet-restart-volume-reconstruct", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "After its restart the kubelet cannot tell what a pod had mounted",
			Symptom:   "Pods that were deleted while the kubelet was down stay Terminating after it is back; its log says \"Could not construct volume information\".",
			Mechanism: "The kubelet rebuilds what is mounted from the directories on disk. Where it cannot make sense of one, it neither unmounts the volume nor considers it gone.",
			Confirm:   []string{"kubectl get --raw \"/api/v1/nodes/{node}/proxy/logs/?query=kubelet&pattern=construct\"", "kubectl get pod {pod} -n {namespace} -o yaml"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Restart the kubelet once more, after its volume plugins and drivers are up."},
				{ID: "unmount-on-node", Risk: diagnose.RiskHigh, Text: "On the node: umount the pod's mounts below /var/lib/kubelet/pods/<uid>. Data in flight may be lost. Never rm -rf there: that empties volumes that are still mounted."},
			},
			Refs: []string{"https://github.com/kubernetes/kubernetes/issues/72604"},
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"Could not construct volume information", "Cleaning up mounts for volume that could not be reconstructed", "reconstructVolume.New", "failed to reconstruct volume for plugin",
				"Could not add volume information to actual state of world", "ConstructVolumeSpec failed loading volume data", "ConstructBlockVolumeSpec failed loading volume data",
			}}},
			{Text: diagnose.Text{Any: []string{"unmounter failed to load volume data file", "unmapper failed to load volume data file"}}},
			{Text: diagnose.Text{All: []string{"vol_data.json", "no such file or directory"}, None: []string{"failed to load volume data file", "failed loading volume data"}}},
		},
	}
}
