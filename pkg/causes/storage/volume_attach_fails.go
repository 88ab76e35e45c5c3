package storage

import (
	"fmt"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func volumeAttachFails() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST329", Slug: "volume-attach-fails", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "The storage driver answers the attach with an error",
			Symptom: "The pod stays ContainerCreating, FailedAttachVolume repeats an error of the driver, and the VolumeAttachment has it in status.attachError.",
			Mechanism: "The attach-detach controller makes a VolumeAttachment for the volume and the node. The driver's external-attacher asks the storage system, and writes an error back: " +
				"the volume or the machine does not exist there, the driver's credentials do not suffice, a quota is used up, or another machine has the volume. It tries again, with growing pauses of up to 5 minutes.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get volumeattachments -o custom-columns=NAME:.metadata.name,VOLUME:.spec.source.persistentVolumeName,NODE:.spec.nodeName,ATTACHED:.status.attached,ERROR:.status.attachError.message",
				"kubectl get persistentvolume {subject} -o yaml",
			},
			Remedies: []diagnose.Remedy{
				{ID: "ask-storage-system", Risk: diagnose.RiskNone, Text: "Look the volume up in the storage system by its handle (spec.csi.volumeHandle of the PersistentVolume): whether it exists, where it is attached, in which zone it is. The driver tries again by itself once that is right.", Command: "kubectl get persistentvolume {subject} -o yaml"},
				{ID: "mend-rights", Risk: diagnose.RiskLow, Text: "Where it says unauthorized, forbidden or access denied: renew the credentials of the driver's controller, or give its role the right to attach. Where it names a quota: raise it, or free some of it."},
				{ID: "move-pod", Risk: diagnose.RiskMedium, Text: "Where the node is what the storage system does not know or accept: cordon it and delete the pod, so that it starts on another node. Wrong while another pod still uses the volume here.", Command: "kubectl cordon {node}"},
				{ID: "restore-data", Risk: diagnose.RiskDataLoss, Text: "Where the volume is gone from the storage system: make a new claim and restore the data from a backup. Deleting the claim first also deletes what may be left of the volume, if its reclaim policy is Delete."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/",
				"https://github.com/kubernetes-csi/external-attacher",
				"kubernetes: pkg/volume/csi/csi_attacher.go",
			},
		},
		Pod: findAttachError,
		Log: []diagnose.LogMatch{{Text: attachFailed}},
	}
}

func findAttachError(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if !mounting(p) {
		return diagnose.Finding{}, false
	}
	ev := slices.DeleteFunc(diagnose.Said(s, p, attachFailed), func(e diagnose.Evidence) bool { return staysAttaching.Match(e.Value) })
	asked := false
	for _, v := range volume.Of(s, p.Object) {
		here, _ := volume.Attachments(s, v.VolumeName(), p.Node)
		asked = asked || here != nil
		if here == nil || here.Status.Attached || here.DeletionTimestamp != nil {
			continue
		}
		e := here.Status.AttachError
		if e == nil || e.Message == "" || tooMany.Match(e.Message) || leaving.Match(e.Message) {
			continue
		}
		f := attachError(e.Message)
		f.Subject, f.Confidence = v.Ref(p.Ref.Namespace), errorAge(s, e)
		f.Message = fmt.Sprintf("Driver %s cannot attach volume %s (claim %s) to node %s: %s", here.Spec.Attacher, v.VolumeName(), v.Claim, p.Node, f.Message)
		f.Evidence = append([]diagnose.Evidence{{Object: "volumeattachment " + here.Name, Field: "status.attachError", Value: e.Message}}, about(ev, v.VolumeName())...)
		return f, true
	}
	// Where there is no VolumeAttachment to ask, or none could be read, the attach-detach controller's event tells.
	if len(ev) == 0 || asked {
		return diagnose.Finding{}, false
	}
	f := attachError(ev[len(ev)-1].Value)
	f.Subject, f.Confidence, f.Evidence = p.Ref, diagnose.Likely, ev
	f.Message = fmt.Sprintf("A volume of pod %s/%s cannot be attached to node %s: %s", p.Ref.Namespace, p.Ref.Name, p.Node, f.Message)
	return f, true
}

// attachFailed is the attach-detach controller's wording around the error of a driver (pkg/volume/util/operationexecutor), without what other
// causes know better: a volume that another node has, too many of them, and a driver that gives no answer.
var attachFailed = diagnose.Text{
	Any: []string{"AttachVolume.Attach failed for volume", "Failed to attach volume \""}, // the latter until 1.5
	None: append([]string{
		"timed out waiting", "DeadlineExceeded", "context deadline exceeded", "but was attach", "waiting for external-attacher", "attachment timeout", "does not contain driver", "no NodeID annotation", "is marked for deletion", "is being deleted", "already in progress", "operation with the given",
	}, append(append([]string(nil), multiAttach.Any...), tooMany.Any...)...),
}

// errorAge is how sure an error is to be the one of today. A driver that succeeds takes it away, and one that does not writes it again.
func errorAge(s *snapshot.Snapshot, e *storagev1.VolumeError) diagnose.Confidence {
	return diagnose.Fresh(s, diagnose.Certain, []diagnose.Evidence{{Count: 1, Last: e.Time.Time}})
}

// attachError words what the commonest errors mean, before the error itself.
func attachError(message string) diagnose.Finding {
	has := func(subs ...string) bool { return diagnose.Text{Any: subs}.Match(message) }
	f := diagnose.Finding{}
	meaning := ""
	switch {
	case has("unauthorized", "UnauthorizedOperation", "AccessDenied", "access denied", "forbidden", "PermissionDenied", "permission denied", "not authorized", "AuthorizationFailed", "InvalidClientTokenId", "ExpiredToken"):
		meaning = "its credentials do not suffice; "
	case has("quota", "LimitExceeded"):
		meaning = "a quota is used up; "
	case has("AttachDiskWhileBeingDetached", "currently being detached", "already attached", "must be 'available'", "in use", "VolumeInUse", "being used by", "attached to another"):
		meaning = "the storage system says that something else has the volume; "
		f.Alternatives = []string{"volumeattachment-stale"}
		f.Decide = "What the storage system shows as the machine that has the volume, and whether a pod there still uses it."
	case has("not found", "NotFound", "does not exist", "no such"):
		meaning = "the storage system does not know the volume or the machine; "
	}
	f.Message = meaning + cut(strings.TrimRight(innermost(message), ". ")) + "."
	return f
}

// innermost is the error that a driver's answer ends with, behind gRPC's words.
func innermost(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if i := strings.LastIndex(message, " desc = "); i >= 0 {
		return message[i+len(" desc = "):]
	}
	if _, rest, ok := strings.Cut(message, "AttachVolume.Attach failed for volume "); ok {
		if _, cause, ok := strings.Cut(rest, " : "); ok {
			return cause
		}
	}
	return message
}
