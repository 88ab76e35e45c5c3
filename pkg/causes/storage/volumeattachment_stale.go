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

// detachTakes is how long a detach may take before it is worth a word: cloud disks take up to a minute or two.
const detachTakes = 3 * time.Minute

func volumeattachmentStale() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST303", Slug: "volumeattachment-stale", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "A VolumeAttachment is left over and keeps the volume on another node",
			Symptom: "A pod waits for its volume, no pod uses that volume on the node to which it is attached, and the VolumeAttachment stays or does not finish its deletion.",
			Mechanism: "Detaching is the work of the CSI driver's external-attacher, which takes its finalizer off the VolumeAttachment when the driver has " +
				"detached. When the attacher is down, the driver refuses, or the kubelet still reports the volume as in use after a force delete, the object stays.",
			Confirm: []string{
				"kubectl get volumeattachments",
				"kubectl get volumeattachment {subject} -o yaml",
				"kubectl describe pod {pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "revive-csi-controller", Risk: diagnose.RiskLow, Text: "See that the driver's controller pods run, and what their external-attacher container logs.", Command: "kubectl get volumeattachment {subject} -o yaml"},
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Where the old node still lists the volume in status.volumesInUse though nothing is mounted there: restart its kubelet."},
				{ID: "delete-volumeattachment", Risk: diagnose.RiskDataLoss, Text: "Only after a look at the storage system and at the old node that the volume is neither attached nor mounted there. Otherwise two machines write to it, and its file system is damaged.", Command: "kubectl delete volumeattachment {subject}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/",
				"https://github.com/kubernetes-csi/external-attacher/issues/66",
			},
		},
		Pod: findStaleAttachment,
	}
}

func findStaleAttachment(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	h, ok := heldElsewhere(s, p)
	if !ok {
		return heldSomewhere(s, p)
	}
	node := h.va.Spec.NodeName
	users, all := usersOn(s, node, p.Ref.Namespace, h.claim)
	if len(users) > 0 {
		return diagnose.Finding{}, false
	}
	where := "where no pod uses it"
	if !all {
		where = "where no pod uses it among those that could be read"
	}
	f := diagnose.Finding{
		Subject: snapshot.Ref{Kind: snapshot.VolumeAttachment, Name: h.va.Name}, Evidence: append(h.said, attachmentEvidence(h.va)),
		Message:      fmt.Sprintf("Volume %s (claim %s) is attached to node %s, %s.", h.volumeName(), h.claim, node, where),
		Alternatives: []string{"csi-controller-down"},
		Decide:       "Whether the driver's external-attacher runs and what it logs about {subject}.",
	}
	if e := h.va.Status.DetachError; e != nil && e.Message != "" {
		f.Confidence = diagnose.Certain
		f.Message += fmt.Sprintf(" Detaching it fails: %q.", e.Message)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "volumeattachment " + h.va.Name, Field: "status.detachError", Value: e.Message})
		f.Alternatives, f.Decide = nil, ""
		return f, true
	}
	if unwell(s, node) {
		return f, false // then it is the node that keeps it (multi-attach-node-down)
	}
	switch d := h.va.DeletionTimestamp; {
	case d != nil && s.Now().Sub(d.Time) > detachTakes:
		f.Confidence = diagnose.Likely
		f.Message += fmt.Sprintf(" Its detach was asked for %s, and is not done.", scope.Ago(s.Now().Sub(d.Time)))
		f.Evidence = append(f.Evidence, diagnose.Evidence{
			Object: "volumeattachment " + h.va.Name, Field: "metadata.finalizers", Value: strings.Join(h.va.Finalizers, ", "),
		})
	case len(h.said) > 0 && p.For > detachTakes:
		f.Confidence = diagnose.Possible
		if all && ready(s, node) {
			f.Confidence = diagnose.Likely
		}
	default:
		return f, false
	}
	return f, true
}

// heldSomewhere speaks where the attach-detach controller says that a volume of the pod is attached to another node, and nothing that could be
// read tells to which, or who uses it there.
func heldSomewhere(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	r, ok := refusedElsewhere(s, p)
	if !ok || r.user != nil {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: r.ref(p), Confidence: diagnose.Possible, Evidence: r.said,
		Message:      fmt.Sprintf("A volume of pod %s/%s is still attached to another node; to which one, and who uses it there, could not be read.", p.Ref.Namespace, p.Ref.Name),
		Alternatives: []string{"multi-attach-node-down", "multi-attach-rolling-update"},
		Decide:       "Which node the VolumeAttachment of the volume names, whether that node is well, and whether a pod there uses the volume: kubectl get volumeattachments.",
	}, true
}
