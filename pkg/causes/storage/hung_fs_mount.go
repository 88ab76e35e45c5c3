package storage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
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
		Log: []diagnose.LogMatch{
			{Text: inProgress, Pattern: `volume|mount|csi|rpc error|stag(e|ing)|publish|pvc-`}, // snapd and NetworkManager have things in progress as well
			{Text: unanswered},
			{
				// The kernel's Ceph client, and what the ceph tools say of it.
				Text:    diagnose.Text{Any: []string{"libceph: mon", "libceph: osd", "libceph: mds", "ceph: mds"}},
				Pattern: `(libceph|ceph): (mon|osd|mds)\d+ .*(session lost|hunting for new mon|socket (closed|error)|connect error|hung|caps stale|reconnect (start|denied)|closed our session|down|bad crc|timeout)`,
			},
			{Text: diagnose.Text{All: []string{"session recovery timed out"}}},
			{Text: diagnose.Text{Any: []string{"iscsid: Kernel reported iSCSI connection", "detected conn error", "ping timeout of"}}},
			{Text: diagnose.Text{Any: []string{"remaining active paths: 0", "multipath: Failing path"}}},
			{
				Text:       diagnose.Text{All: []string{"blocked for more than"}},
				Pattern:    `task \(?(u?mount|mount\.nfs4?|umount\.nfs4?|df|ls|stat|fsfreeze|xfsaild|jbd2|kworker[^ ]*(nfs|rpciod|ceph|rbd|xfs|ext4|writeback)|nfsv4|ceph|rbd)[^ ]*:\d+ blocked`,
				Confidence: diagnose.Possible, Alternatives: []string{"nfs-server-unreachable", "d-state-process", "volume-io-error"},
				Decide: "What the stack below the line names: nfs and rpc, ceph, or a block device; and whether the kernel says \"not responding\" of a server.",
			},
			{
				Text:         diagnose.Text{Any: []string{"MountVolume", "MapVolume", "UnmountVolume", "UnmountDevice"}, All: []string{"DeadlineExceeded"}, None: []string{"external-attacher", "mount.nfs", "already exists"}},
				Alternatives: []string{"nfs-server-unreachable"},
				Decide:       "Whether the volume's server answers from the node, and what the driver's node plugin logs.",
			},
			{
				Text:       diagnose.Text{Any: []string{"some volumes have not been cleaned up", "volumes not yet removed"}},
				Confidence: diagnose.Possible, Alternatives: cleanupAlternatives(),
				Decide: "What the kubelet logs of UnmountVolume.TearDown for the same pod; no line at all means that the call itself hangs.",
			},
			{
				Text:       diagnose.Text{Any: []string{"Unable to attach or mount volumes", "Unable to mount volumes for pod", "unmounted volumes=["}, None: []string{"not found", "not registered", "failed to sync", "conflicting SELinux", "is being deleted", "not bound"}},
				Confidence: diagnose.Possible, Alternatives: timeoutAlternatives(),
				Decide: "What the kubelet logs of the very volume in other lines (MountVolume, AttachVolume), and what stands behind it.",
			},
		},
	}
}

// inProgress are the words of drivers for a call that they refuse because an earlier one for the same volume has not returned: the common ones of
// csi drivers, those of Amazon's, of Azure's and of Google's.
var inProgress = diagnose.Text{
	Any: []string{
		"an operation with the given volume", "operation for the volume", "operation already in progress", "operation is already in progress", "is already in progress",
		"operation with the given volume id", "Request to mount volume already in progress",
	},
	None: []string{"a resize", "snapshot with the given"},
}

// unanswered are the words for a backend that gives no answer: Ceph's mount and rbd, SMB's mount, open-iscsi.
var unanswered = diagnose.Text{Any: []string{
	"rbd: map failed", "rbd: couldn't connect to the cluster", "couldn't connect to the cluster", "mount error 110", "mount error(110)", "error(110)", "mount error(112)", "mount error(113)",
	"mount error(115)", "mount error: no mds server is up", "no mds server is up", "unable to get monitor info", "failed to connect to monitor", "cannot make connection to",
	"failed to sendtargets to portal", "initiator reported error (8", "host is down", "rados: ret=-110", "error connecting to the cluster", "connection timed out (110)",
	"mount point is not ready in", // JuiceFS
}}

// cleanupAlternatives are what a pod in its clean-up can hang in as well.
func cleanupAlternatives() []string {
	return []string{"csi-driver-not-registered", "mount-leaked-into-other-namespace", "nfs-stale-file-handle", "fuse-endpoint-dead", "kubelet-restart-volume-reconstruct"}
}

// timeoutAlternatives are the causes that end in the same words of the kubelet when nothing else is said.
func timeoutAlternatives() []string {
	return []string{
		"nfs-server-unreachable", "csi-controller-down", "volume-attach-limit", "fsgroup-recursive-chown", "selinux-recursive-relabel", "csi-driver-not-registered",
		"multi-attach-node-down", "configmap-or-secret-missing",
	}
}

func findHungMount(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if unwell(s, p.Node) {
		return diagnose.Finding{}, false
	}
	var can []volume.Chain
	network := false
	for _, v := range volume.Of(s, p.Object) {
		if v.CanHang() {
			can = append(can, v)
			network = network || v.NFS() != ""
		}
	}
	if len(can) == 0 && !blind(s) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{}
	if len(can) == 1 {
		f.Subject = can[0].Ref(p.Ref.Namespace)
	}
	for _, v := range can {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "spec.volumes[" + v.Name + "]", Value: v.Describe()})
	}
	switch {
	case cleaning(p) && len(can) > 0:
		return hungUnmount(s, p, f, can, network), true
	case mounting(p):
		return hungMount(s, p, f, can)
	default:
		return f, false
	}
}

func hungUnmount(s *snapshot.Snapshot, p stuck.Pod, f diagnose.Finding, can []volume.Chain, network bool) diagnose.Finding {
	f.Confidence = diagnose.Possible
	f.Message = fmt.Sprintf("All containers of pod %s/%s ended, and %s past its deadline node %s has not released its volumes: %s.", p.Ref.Namespace, p.Ref.Name, scope.Short(p.For), p.Node, describe(can))
	if !ready(s, p.Node) {
		f.Message += " Whether the node is well could not be read."
		f.Alternatives = []string{"node-lost"}
	}
	f.Alternatives = append(f.Alternatives, cleanupAlternatives()...)
	if network {
		f.Alternatives = append([]string{"nfs-server-unreachable"}, f.Alternatives...)
	}
	for _, v := range can {
		if words, ev, bad := plugins(s, v.Driver(), p); bad || strings.Contains(words, "restarted") {
			f.Message += " " + words
			f.Evidence = append(f.Evidence, ev...)
			break
		}
	}
	f.Decide = "The kubelet's log on node {node}: \"UnmountVolume.TearDown failed\" with device or resource busy, Stale file handle or transport endpoint; or no line at all, which means that the call itself hangs."
	f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.phase", Value: string(p.Object.Status.Phase) + ", every container terminated"})
	return f
}

func hungMount(s *snapshot.Snapshot, p stuck.Pod, f diagnose.Finding, can []volume.Chain) (diagnose.Finding, bool) {
	repeated := diagnose.Said(s, p, inProgress)
	dead := diagnose.Said(s, p, unanswered)
	late := diagnose.Said(s, p, diagnose.Text{
		Any:  []string{"MountVolume.MountDevice failed", "MountVolume.SetUp failed", "MapVolume", "NodeStageVolume", "NodePublishVolume"},
		All:  []string{"DeadlineExceeded"},
		None: []string{"external-attacher", "mount.nfs"},
	})
	what := describe(can)
	if what == "" {
		what = "a volume of pod " + p.Ref.Namespace + "/" + p.Ref.Name
	}
	said := slices.Concat(repeated, dead, late)
	switch {
	case len(repeated) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The driver on node %s is still at work on an earlier call to mount %s, and refuses to begin anew.", p.Node, what)
		if attaching(repeated) {
			f.Message = fmt.Sprintf("The driver is still at work on an earlier call to attach %s to node %s, and refuses to begin anew.", what, p.Node)
		}
	case len(dead) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The storage behind %s gives node %s no answer.", what, p.Node)
	case len(late) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("Mounting %s on node %s does not end in time.", what, p.Node)
	case len(can) > 0 && p.State == stuck.ContainerCreating && p.For >= silentMount && ready(s, p.Node) && diagnose.Silent(s, p) && !pulled(s, p) && !waitsForAttach(s, p, can):
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("Nothing has been said for %s of pod %s/%s, which waits on node %s before its sandbox is made; it mounts %s.", scope.Short(p.For), p.Ref.Namespace, p.Ref.Name, p.Node, what)
		f.Alternatives = []string{"runtime-hung", "csi-controller-down", "fsgroup-recursive-chown"}
		f.Decide = "Whether a pod without volumes starts on node {node}: if it does, it is the volume."
	default:
		if said = onlyTimeouts(s, p); len(said) == 0 || p.For < silentMount || waitsForAttach(s, p, can) || mayChown(p) {
			return f, false
		}
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("The kubelet of node %s waits for %s, and nobody says why it does not come.", p.Node, what)
		f.Alternatives = timeoutAlternatives()
		f.Decide = "What the kubelet logs of the volume (MountVolume, AttachVolume), whether its VolumeAttachment is attached, and whether its server answers from node {node}."
	}
	if w := lastStep(said); w != "" {
		f.Message += " The call is " + w + "."
	}
	f.Evidence = append(said, f.Evidence...)
	if len(said) > 0 && len(can) == 1 {
		split(s, p, can[0], &f)
	}
	return f, true
}

// attaching tells whether the words are about a call to attach, which is the controller's and not the node plugin's.
func attaching(ev []diagnose.Evidence) bool {
	return strings.Contains(strings.ToLower(ev[len(ev)-1].Value), "attachvolume.attach")
}

// split adds what tells the volume, the driver on the node and the backend apart: whether the driver mounts others there, how its own pods fare, and
// who else waits for the same volume or the same driver.
func split(s *snapshot.Snapshot, p stuck.Pod, v volume.Chain, f *diagnose.Finding) {
	d := v.Driver()
	if d == "" {
		return
	}
	words, ev, bad := plugins(s, d, p)
	if o := workedSince(s, d, p); o != nil {
		f.Message += fmt.Sprintf(" The driver has mounted another volume on that node since, for pod %s/%s, so it is this volume.", o.Namespace, o.Name)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: snapshot.RefOf(o).String(), Field: "status.containerStatuses", Value: "started since, with a volume of driver " + d})
		return
	}
	if bad || strings.Contains(words, "restarted") {
		f.Message += " " + words
		f.Evidence = append(f.Evidence, ev...)
	}
	const enough = 50 // pods to count: more tell no more
	same, nodes := 0, map[string]bool{p.Node: true}
	for _, o := range s.Pods() {
		if same == enough {
			break
		}
		if o == p.Object || o.Spec.NodeName == "" || o.Status.Phase != corev1.PodPending {
			continue
		}
		for _, c := range volume.Of(s, o) {
			if c.Driver() == d {
				same++
				nodes[o.Spec.NodeName] = true
				break
			}
		}
	}
	switch {
	case same > 0 && len(nodes) > 1:
		f.Message += fmt.Sprintf(" %s more of that driver wait too, on %s in all: look at its backend.", count(same, "pod"), count(len(nodes), "node"))
	case same > 0:
		f.Message += fmt.Sprintf(" %s more of that driver wait on the same node: look at its node plugin there.", count(same, "pod"))
	}
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

func describe(l []volume.Chain) string {
	var out []string
	for _, v := range l {
		out = append(out, v.Describe())
	}
	return strings.Join(out, ", ")
}

// waitsForAttach tells whether a volume has yet to be attached to the pod's node, before which nothing can be mounted.
func waitsForAttach(s *snapshot.Snapshot, p stuck.Pod, l []volume.Chain) bool {
	for _, v := range l {
		here, elsewhere := volume.Attachments(s, v.VolumeName(), p.Node)
		if here != nil && !here.Status.Attached || here == nil && len(elsewhere) > 0 {
			return true
		}
	}
	return false
}
