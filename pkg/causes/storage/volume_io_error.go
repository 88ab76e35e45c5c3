package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// damaged are the words of mount, fsck and the kernel for a device that does not deliver, or whose file system is broken.
var damaged = diagnose.Text{Any: []string{
	"'fsck' found errors", "structure needs cleaning", "can't read superblock", "unexpected inconsistency", "input/output error", "superblock could not be read", "bad magic number in super-block",
}}

func volumeIOError() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST331", Slug: "volume-io-error", Reach: scope.ReachShared,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The volume's device gives I/O errors, or its file system is damaged",
			Symptom: "Mounting fails with \"'fsck' found errors\", \"structure needs cleaning\", \"can't read superblock\" or \"input/output error\"; the kernel logs I/O errors of the device, or shuts the file system down.",
			Mechanism: "A disk that breaks, a path to it that was lost (iSCSI, Fibre Channel, NVMe), or a volume that two nodes wrote to leaves a file system that the kernel refuses to mount, or stops. " +
				"What is mounted already answers every access with an error, or turns read-only.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host dmesg",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-backend", Risk: diagnose.RiskNone, Text: "See in the storage system whether the disk is well and reachable from node {node}. Errors that stop once a path is back need a new mount and nothing else.", Command: "kubectl debug node/{node} -it --image=busybox -- chroot /host dmesg"},
				{ID: "recreate-pod", Risk: diagnose.RiskLow, Text: "Where the device is well again and the old mount still fails: delete the pod, so that the volume is unmounted and mounted anew.", Command: "kubectl delete pod {pod} -n {namespace}"},
				{ID: "repair-file-system", Risk: diagnose.RiskDataLoss, Text: "Scale the workload to nothing, take a snapshot or copy of the volume, attach it to one machine only, and run fsck or xfs_repair there. Repair can lose files; without the copy they are gone."},
			},
			Refs: []string{"kubernetes: mount-utils/mount_linux.go", "linux: xfs_repair(8), e2fsck(8)"},
		},
		Signature: &diagnose.Signature{
			Events: []diagnose.EventMatch{
				{Reasons: []string{"FailedMount", "FailedMapVolume", "FailedAttachVolume", "FailedKillPod", "Failed", "FailedSync"}, Text: damaged},
			},
			Waiting:      []diagnose.WaitingMatch{{Text: damaged}},
			Confidence:   diagnose.Likely,
			Say:          "A volume of pod {namespace}/{pod} gives node {node} I/O errors, or its file system is damaged.",
			Alternatives: []string{"hung-fs-mount"},
			Decide:       "What the kernel of the node logs of the device: dmesg.",
		},
		Log: []diagnose.LogMatch{
			{Text: damaged, Alternatives: []string{"hung-fs-mount"}, Decide: "What the kernel logs of the device at that time: dmesg."},
			{
				Text: diagnose.Text{
					Any:  []string{"Buffer I/O error", "blk_update_request: I/O error", "I/O error, dev ", "EXT4-fs error", "Remounting filesystem read-only", "metadata I/O error", "Metadata corruption detected"},
					None: []string{"dev fd0", "dev sr", "dev loop", "device fd0", "device sr", "device loop"}, // drives without a medium, and snaps
				},
				Alternatives: []string{"node-disk-failing"}, Decide: "Whether the device that the line names is a volume's, or the node's own: lsblk.",
			},
			{Text: diagnose.Text{All: []string{"XFS ("}, Any: []string{"shutting down filesystem", "Filesystem has been shut down", "log I/O error"}}},
		},
	}
}
