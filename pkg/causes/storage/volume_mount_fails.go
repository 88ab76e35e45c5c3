package storage

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func volumeMountFails() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST330", Slug: "volume-mount-fails", Reach: scope.ReachShared,
		Needs:    []snapshot.Kind{snapshot.Event},
		Optional: []snapshot.Kind{snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The mount is answered with an error",
			Symptom: "The pod stays ContainerCreating, and FailedMount or FailedMapVolume repeats an error of mount, of the server or of the CSI driver.",
			Mechanism: "The volume is attached where it has to be, and the kubelet, or the driver's node plugin, tries to mount it. The server refuses the node or the credentials, does not have the path, " +
				"does not speak the version that is asked for, or something else still uses the image. It is tried again, with pauses that grow to about two minutes.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get pv {subject} -o yaml",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-error", Risk: diagnose.RiskNone, Text: "The end of the message is the answer of the server or the driver. Look the volume up where it is kept: its exports and who may mount them, the path, the credentials in the driver's Secret. The kubelet tries again by itself.", Command: "kubectl describe pod {pod} -n {namespace}"},
				{ID: "compare-node", Risk: diagnose.RiskLow, Text: "See whether a pod on another node mounts the same volume: if it does, the server refuses this node (its address is not in the export list, or its client differs).", Command: "kubectl get pods -A -o wide"},
				{ID: "correct-volume", Risk: diagnose.RiskMedium, Text: "Where server, path or options in the PersistentVolume are wrong: they cannot be changed. Make a new volume and claim with reclaim policy Retain on both, and move the workload to it."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/persistent-volumes/",
				"linux: nfs(5), mount.cifs(8)",
				"kubernetes: pkg/volume/util/operationexecutor/operation_generator.go",
			},
		},
		Pod: findMountError,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"access denied by server while mounting", "mount error(13)", "mount error 13", "mount error(2)", "failed to find device path", "device path not found"}, None: []string{"namespace", "finalizer"}}},
			{Text: diagnose.Text{All: []string{"mount.nfs"}, Any: []string{"No such file or directory", "Protocol not supported", "requested NFS version", "Permission denied", "Operation not permitted"}}},
			{
				Text:       diagnose.Text{All: []string{"wrong fs type, bad option, bad superblock"}, None: []string{"helper program", "/sbin/mount."}},
				Confidence: diagnose.Possible, Alternatives: []string{"volume-io-error", "missing-mount-helper"},
				Decide: "What dmesg says at that time, and what blkid finds on the device.",
			},
		},
	}
}

// mountFailed is the kubelet's wording around an error of mount or of a driver (pkg/volume/util/operationexecutor), without what other causes know better.
func mountFailed(message string) bool {
	if !(diagnose.Text{Any: []string{"MountVolume.SetUp failed", "MountVolume.MountDevice failed", "MapVolume.", "MountVolume.WaitForAttach failed", "Mounting command"}}).Match(message) {
		return false
	}
	others := []diagnose.Text{
		clearlyNoServer, inProgress, unanswered, unregistered, noSocket, multiAttach, noSecrets, noCache, conflicting, elsewhere, leaving, settingOwnership, damaged, relabel,
		{Any: []string{
			"DeadlineExceeded", "timed out", "stale file handle", "stale NFS file handle", "transport endpoint", "already mounted or", "apparently in use", "hostPath type check failed",
			"git-repo volume plugin", "non-existent config key", "non-existent secret key", "software caused connection abort", "not safe to", "cache:", "no route to host", "connection refused",
			"network is unreachable", "not attached", "registered CSI drivers", "volumesInUse", " : mkdir /", "/mount: connection refused",
		}},
		{All: []string{"initialization failed for volume", "does not exist"}},
	}
	for _, t := range append(others, noHelper()...) {
		if t.Match(message) {
			return false
		}
	}
	return !notFound.MatchString(message)
}

func findMountError(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Confidence: diagnose.Likely}
	if !mounting(p) {
		return f, false
	}
	for _, e := range diagnose.Events(s, p) {
		if !diagnose.OwnWords(e.Reason) && mountFailed(e.Message) {
			f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
		}
	}
	if len(f.Evidence) == 0 {
		return f, false
	}
	f.Evidence = f.Evidence[max(0, len(f.Evidence)-2):]
	message := f.Evidence[len(f.Evidence)-1].Value
	what := "a volume of pod " + p.Ref.Namespace + "/" + p.Ref.Name
	for _, v := range volume.Of(s, p.Object) {
		if v.Kind() != "" && v.Named(message) {
			what = v.Describe()
			f.Subject = v.Ref(p.Ref.Namespace)
			break
		}
	}
	meaning := refusal(message, &f)
	f.Message = fmt.Sprintf("Mounting %s on node %s fails: %s%s.", what, p.Node, meaning, cut(strings.TrimRight(lastWords(message), ". ")))
	if w := step(message); w != "" {
		f.Message += " The call is " + w + "."
	}
	return f, true
}

// refusal words what the commonest errors of a mount mean, before the error itself.
func refusal(message string, f *diagnose.Finding) string {
	has := func(subs ...string) bool { return diagnose.Text{Any: subs}.Match(message) }
	switch {
	case has("is still being used", "being used by", "in use by", "lock is held", "Device or resource busy"):
		f.Alternatives = []string{"multi-attach-node-down", "volumeattachment-stale", "multipathd-claims-device"}
		f.Decide = "Who has the volume open: what the storage system shows as its clients, and whether a pod there still uses it."
		return "something else still uses it; "
	case has("access denied", "permission denied", "mount error(13)", "mount error 13", "unauthenticated", "unauthorized", "authentication", "Operation not permitted", "forbidden"):
		return "the server refuses this node, or the credentials; "
	case has("requested NFS version", "protocol not supported"):
		return "the server does not speak the version that is asked for; "
	case has("wrong fs type, bad option, bad superblock"):
		f.Confidence = diagnose.Possible
		f.Alternatives = []string{"volume-io-error", "missing-mount-helper"}
		f.Decide = "What dmesg says on the node at that time, and what blkid finds on the device."
		return "what is on the device is not what is to be mounted; "
	case has("no such file or directory", "does not exist", "not found", "mount error(2)", "NotFound"):
		return "what is to be mounted is not there; "
	default:
		return ""
	}
}

// lastWords is the error that a message ends with: behind gRPC's words, behind mount's Output, or behind the volume's name.
func lastWords(message string) string {
	flat := strings.Join(strings.Fields(message), " ")
	if i := strings.LastIndex(flat, "Output: "); i >= 0 {
		return strings.Trim(flat[i+len("Output: "):], `"\`)
	}
	if i := strings.LastIndex(flat, " desc = "); i >= 0 {
		return flat[i+len(" desc = "):]
	}
	if _, rest, ok := strings.Cut(flat, " failed for volume "); ok {
		if _, cause, ok := strings.Cut(rest, " : "); ok {
			return cause
		}
	}
	return flat
}
