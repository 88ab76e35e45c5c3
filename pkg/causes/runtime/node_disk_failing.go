package runtime

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func nodeDiskFailing() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST227", Slug: "node-disk-failing", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "A disk of the node fails, or its file system turned read-only",
			Symptom: "On one node nothing is made or removed any more: \"read-only file system\", \"input/output error\" or \"structure needs cleaning\" on paths of the kubelet or the runtime.",
			Mechanism: "After an error of the disk ext4 goes read-only and XFS shuts down, so that kubelet and runtime cannot write. Everything on the node that needs the disk " +
				"then fails or hangs, while the node may stay Ready.",
			Confirm: []string{
				"kubectl describe node {node}",
				"kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={node}",
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-kernel-log", Risk: diagnose.RiskNone, Text: "On the node: journalctl -k; the line names the device. Where it is a volume of a pod and not the node's disk, only that pod is concerned."},
				{ID: "cordon", Risk: diagnose.RiskLow, Text: "Keep new pods away.", Command: "kubectl cordon {node}"},
				{ID: "replace-node", Risk: diagnose.RiskMedium, Text: "Drain what still ends, and replace the disk or the machine. Check the file system before it is mounted for writing again.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{"node-problem-detector: config/kernel-monitor.json", "node-problem-detector: config/readonly-monitor.json", "https://kubernetes.io/docs/tasks/debug/debug-cluster/monitor-node-health/"},
		},
		Pod:  findDiskByPod,
		Node: findDiskByNode,
		Log: append(
			diagnose.LikelyLines(
				diagnose.Saying("Remounting filesystem read-only"), onDisk("EXT4-fs error"), onDisk("Buffer I/O error"), onDisk("blk_update_request: I/O error"),
				onDisk("I/O error, dev "), diagnose.Saying("critical medium error"), diagnose.Saying("structure needs cleaning"), diagnose.Saying("metadata I/O error"),
				diagnose.Text{All: []string{"XFS ", "Shutting down filesystem"}}, diagnose.Text{All: []string{"XFS ", "Corruption of in-memory data"}},
				podDirectory("read-only file system", "input/output error", "structure needs cleaning"),
			),
			diagnose.FittingLines([]string{"kernel-hung-task"}, "Which memory or bus the line is about, and whether the machine's own event log counts more of them.",
				diagnose.Saying("CE memory read error"), diagnose.Saying("Machine check events logged"), diagnose.Saying("Hardware Error"))...,
		),
	}
}

// onDisk is an error of a device that is no floppy, no drive for compact discs and no file: those without a medium, and the snaps of Ubuntu, always have some.
func onDisk(says string) diagnose.Text {
	return diagnose.Text{All: []string{says}, None: []string{"dev fd0", "dev sr", "dev loop", "device fd0", "device sr", "device loop"}}
}

// findDiskByPod goes by what kubelet and runtime say when they cannot write where they keep their own things.
func findDiskByPod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Subject: nodeRef(p.Node), Confidence: diagnose.Likely}
	if p.Node == "" || !waitsForRuntime(p) {
		return f, false
	}
	for _, path := range []string{"/var/lib/kubelet", "/var/lib/containerd", "/var/lib/docker", "/var/lib/containers", "/var/log/pods", "/run/containerd", "/var/lib/cni"} {
		f.Evidence = append(f.Evidence, diagnose.Said(s, p, diagnose.Text{
			All: []string{path}, Any: []string{"read-only file system", "input/output error", "structure needs cleaning"},
			None: []string{"/volumes/", "/volume-subpaths/", "/plugins/", "globalmount", "rootfs"},
		}, "Failed", "FailedCreatePodSandBox", "FailedCreatePodContainer", "FailedKillPod", "FailedMount", "FailedSync", "FailedPodSandBoxStatus")...)
	}
	f.Evidence = append(f.Evidence, diagnose.Said(s, p, podDirectory("read-only file system", "input/output error", "structure needs cleaning"), "FailedMount")...)
	if len(f.Evidence) > 0 {
		f.Message = fmt.Sprintf("Kubelet or runtime of node %s cannot write to or read from the node's own disk.", p.Node)
		return f, true
	}
	f.Evidence = diagnose.Said(s, p, podDirectory("not a directory", "permission denied", "operation not permitted"), "FailedMount")
	f.Confidence, f.Alternatives = diagnose.Possible, []string{"volume-mount-fails"}
	f.Message = fmt.Sprintf("The kubelet of node %s cannot make a directory for a volume where it keeps its pods.", p.Node)
	f.Decide = "On node {node}: what the path in the message is (ls -ldZ, lsattr -d), what is mounted there, and whether the kernel log has errors of that file system."
	return f, len(f.Evidence) > 0
}

// podDirectory is what the kubelet says when it cannot make the directory of a volume among those of its pods, whatever its root directory is: that is on the
// node's disk, and nothing is mounted there yet.
func podDirectory(errors ...string) diagnose.Text {
	return diagnose.Text{All: []string{"MountVolume.SetUp failed", " : mkdir /", "/pods/", "/volumes/"}, Any: errors, None: []string{"rpc error"}}
}

// findDiskByNode goes by what node-problem-detector says of the kernel's log.
func findDiskByNode(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	pods := filter(g, waitsForRuntime)
	f := diagnose.Finding{Explains: names(pods), Confidence: diagnose.Possible}
	n := s.Node(g.Node)
	if n == nil || len(pods) == 0 {
		return f, false
	}
	for _, t := range []corev1.NodeConditionType{"ReadonlyFilesystem", "XfsShutdown"} {
		if c := snapshot.NodeCondition(n, t); c != nil && c.Status == corev1.ConditionTrue {
			f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
			f.Confidence = diagnose.Likely
		}
	}
	f.Evidence = append(f.Evidence, nodeSaid(s, g.Node, s.Now().Add(-minRecent), "Ext4Error", "IOError", "FilesystemIsReadOnly", "XfsHasShutdown")...)
	f.Message = fmt.Sprintf("The kernel of node %s reports errors of a disk or a file system, with %s stuck there.", g.Node, count(len(pods), "pod"))
	f.Alternatives = []string{"kernel-hung-task", "d-state-process"}
	f.Decide = "Which device the kernel log of node {node} names: the node's own disk, or the volume of one pod."
	return f, len(f.Evidence) > 0
}
