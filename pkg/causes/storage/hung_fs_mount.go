package storage

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// silentMount is how long a pod with volumes may wait in silence before a mount that hangs is worth naming: the
// kubelet itself complains of volumes after about two minutes, where it can still look.
const silentMount = 4 * time.Minute

func hungFsMount() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST310", Slug: "hung-fs-mount", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "Mounting or unmounting the volume hangs",
			Symptom: "Starting: FailedMount DeadlineExceeded, then \"an operation with the given Volume ID … already exists\". Ending: all containers have ended, phase Succeeded or Failed, STATUS may read Completed, and the pod stays in silence.",
			Mechanism: "A mount or unmount call waits in the kernel or in the driver's node plugin for a file system or device that does not answer (CephFS, RBD, iSCSI, " +
				"FUSE, a local disk). Retries meet the first call and are refused. The kubelet writes no event when an unmount fails, so a deletion that hangs there shows nothing.",
			Confirm: []string{
				"kubectl get pod {pod} -n {namespace} -o yaml",
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl get --raw \"/api/v1/nodes/{node}/proxy/logs/?query=kubelet&pattern=Volume\"",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-backend", Risk: diagnose.RiskNone, Text: "Bring the storage backend or the network to it back. The hanging call then returns, and the pod goes on by itself."},
				{ID: "restart-node-plugin", Risk: diagnose.RiskMedium, Text: "Restart the driver's node plugin pod on node {node}, where the call hangs in it and not in the kernel. FUSE mounts of that driver on the node die with it."},
				{ID: "unmount-on-node", Risk: diagnose.RiskHigh, Text: "On the node: umount -l the mounts below /var/lib/kubelet/pods/<uid>. Data in flight may be lost. Never rm -rf there: that empties volumes that are still mounted."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskHigh, Text: "If the call hangs in the kernel, only a reboot ends it. What the pods of the node have not written yet is lost.", Command: "kubectl drain {node} --ignore-daemonsets"},
				{ID: "force-delete-pod", Risk: diagnose.RiskDataLoss, Text: "Takes the pod out of the API and leaves the mount: its processes are dead, but the volume may be attached elsewhere while it is still mounted here.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{
				"kubernetes: pkg/kubelet/kubelet.go (SyncTerminatedPod)",
				"https://github.com/rook/rook/issues/6280",
				"https://kubernetes-csi.github.io/docs/developing.html",
			},
		},
		Pod: findHungMount,
		Log: []string{"an operation with the given Volume ID", "some volumes have not been cleaned up", "rbd: map failed"},
	}
}

func findHungMount(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if unwell(s, p.Node) {
		return diagnose.Finding{}, false
	}
	var can []volume
	network := false
	for _, v := range volumesOf(s, p.Object) {
		if v.canHang() {
			can = append(can, v)
			network = network || v.nfs() != ""
		}
	}
	if len(can) == 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{}
	if len(can) == 1 {
		f.Subject = can[0].ref(p.Ref.Namespace)
	}
	for _, v := range can {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "spec.volumes[" + v.name + "]", Value: v.describe()})
	}
	switch {
	case cleaning(p):
		return hungUnmount(s, p, f, can, network), true
	case mounting(p):
		return hungMount(s, p, f, can)
	default:
		return f, false
	}
}

func hungUnmount(s *snapshot.Snapshot, p stuck.Pod, f diagnose.Finding, can []volume, network bool) diagnose.Finding {
	f.Confidence = diagnose.Possible
	f.Message = fmt.Sprintf("All containers of pod %s/%s ended, and %s past its deadline node %s has not released its volumes: %s.", p.Ref.Namespace, p.Ref.Name, scope.Short(p.For), p.Node, describe(can))
	if !ready(s, p.Node) {
		f.Message += " Whether the node is well could not be read."
		f.Alternatives = []string{"node-lost"}
	}
	f.Alternatives = append(f.Alternatives, "csi-driver-not-registered", "mount-leaked-into-other-namespace", "nfs-stale-file-handle", "fuse-endpoint-dead", "kubelet-restart-volume-reconstruct")
	if network {
		f.Alternatives = append([]string{"nfs-server-unreachable"}, f.Alternatives...)
	}
	f.Decide = "The kubelet's log on node {node}: \"UnmountVolume.TearDown failed\" with device or resource busy, Stale file handle or transport endpoint; or no line at all, which means that the call itself hangs."
	f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.phase", Value: string(p.Object.Status.Phase) + ", every container terminated"})
	return f
}

func hungMount(s *snapshot.Snapshot, p stuck.Pod, f diagnose.Finding, can []volume) (diagnose.Finding, bool) {
	repeated := diagnose.Said(s, p, diagnose.Text{All: []string{"operation", "already exists"}, Any: []string{"given volume id", "for the volume", "volume id"}}, mountReasons()...)
	late := diagnose.Said(s, p, diagnose.Text{
		Any:  []string{"MountVolume.MountDevice failed", "MountVolume.SetUp failed", "MapVolume"},
		All:  []string{"DeadlineExceeded"},
		None: []string{"external-attacher", "mount.nfs"},
	}, mountReasons()...)
	switch {
	case len(repeated) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The driver on node %s is still at work on an earlier call to mount %s, and refuses to begin anew.", p.Node, describe(can))
	case len(late) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("Mounting %s on node %s does not end in time.", describe(can), p.Node)
	case p.State == stuck.ContainerCreating && p.For >= silentMount && ready(s, p.Node) && diagnose.Silent(s, p) && !pulled(s, p) && !waitsForAttach(s, p, can):
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("Nothing has been said for %s of pod %s/%s, which waits on node %s before its sandbox is made; it mounts %s.", scope.Short(p.For), p.Ref.Namespace, p.Ref.Name, p.Node, describe(can))
		f.Alternatives = []string{"runtime-hung", "csi-controller-down", "fsgroup-recursive-chown"}
		f.Decide = "Whether a pod without volumes starts on node {node}: if it does, it is the volume."
	default:
		return f, false
	}
	f.Evidence = append(append(repeated, late...), f.Evidence...)
	return f, true
}

// pulled tells whether an image was asked for, which comes after the volumes.
func pulled(s *snapshot.Snapshot, p stuck.Pod) bool {
	for _, e := range diagnose.Events(s, p) {
		if e.Reason == "Pulling" || e.Reason == "Pulled" || e.Reason == "Created" {
			return true
		}
	}
	return false
}

func describe(l []volume) string {
	var out []string
	for _, v := range l {
		out = append(out, v.describe())
	}
	return strings.Join(out, ", ")
}

// waitsForAttach tells whether a volume has yet to be attached to the pod's node, before which nothing can be mounted.
func waitsForAttach(s *snapshot.Snapshot, p stuck.Pod, l []volume) bool {
	for _, v := range l {
		here, elsewhere := attachments(s, v.volumeName(), p.Node)
		if here != nil && !here.Status.Attached || here == nil && len(elsewhere) > 0 {
			return true
		}
	}
	return false
}
