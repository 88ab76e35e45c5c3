package storage

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// detachTakes is how long a detach may take before it is worth a word: cloud disks take up to a minute or two.
const detachTakes = 3 * time.Minute

func volumeattachmentStale() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST303", Slug: "volumeattachment-stale", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Lease, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
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
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"volume attachment is being deleted", "has deletion timestamp, will not continue to wait for attachment"}}},
			{
				Text: diagnose.Text{All: []string{"is marked for deletion"}, Any: []string{"PersistentVolume", "VolumeAttachment"}},
			},
			{
				Text:       diagnose.Text{Any: []string{"DetachVolume.Detach failed", "error detaching", "failed to detach: ", "UnmountDevice failed for volume"}, None: []string{"already been deleted", "mounted by other references", "device or resource busy", "target is busy", "registered CSI drivers", "Stale file handle", "stale NFS file handle"}},
				Confidence: diagnose.Possible, Alternatives: []string{"csi-controller-down", "hung-fs-mount"},
				Decide: "What the VolumeAttachment says in status.detachError, and whether its driver's external-attacher runs: kubectl get volumeattachments.",
			},
		},
	}
}

func findStaleAttachment(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	h, ok := heldElsewhere(s, p)
	if !ok {
		return heldSomewhere(s, p)
	}
	node := h.va.Spec.NodeName
	users, all := volume.UsersOn(s, node, p.Ref.Namespace, h.Claim)
	if len(users) > 0 {
		return diagnose.Finding{}, false
	}
	where := "where no pod uses it"
	if !all {
		where = "where no pod uses it among those that could be read"
	}
	f := diagnose.Finding{
		Subject: snapshot.Ref{Kind: snapshot.VolumeAttachment, Name: h.va.Name}, Evidence: append(h.said, volume.AttachmentEvidence(h.va)),
		Message:      fmt.Sprintf("Volume %s (claim %s) is attached to node %s, %s.", h.VolumeName(), h.Claim, node, where),
		Alternatives: []string{"csi-controller-down"},
		Decide:       "Whether the driver's external-attacher runs and what it logs about {subject}.",
	}
	words, ev := leaders(s, h.va.Spec.Attacher, snapshot.RoleAttacher)
	f.Message += words
	f.Evidence = append(f.Evidence, ev...)
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

// heldSomewhere speaks where nothing that was read names the other node, and every node is well; and where somebody says that an attachment is on
// its way out.
func heldSomewhere(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if f, ok := leavingAttachment(s, p); ok {
		return f, true
	}
	r, ok := refusedElsewhere(s, p)
	if !ok || r.user != nil || r.used {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: r.ref(p), Confidence: diagnose.Possible, Evidence: r.said,
		Message:      fmt.Sprintf("A volume of pod %s/%s is still attached to another node although no node is down.", p.Ref.Namespace, p.Ref.Name),
		Alternatives: []string{"multi-attach-node-down", "multi-attach-rolling-update"},
		Decide:       "Which node the VolumeAttachment of the volume names, and whether a pod there uses the volume: kubectl get volumeattachments.",
	}
	if r.node != "" {
		f.Message = fmt.Sprintf("The volume of claim %s is still attached to node %s, where no pod that could be read uses it.", r.claim, r.node)
		return f, !unwell(s, r.node)
	}
	return f, s.Complete(snapshot.Node, "") && len(downNodes(s, p.Node)) == 0
}

// leaving are the words of the CSI plugin and of the external-attacher for an attachment, or a volume, that is being deleted while a pod waits for it
// (pkg/volume/csi/csi_attacher.go; external-attacher pkg/controller).
var leaving = diagnose.Text{Any: []string{"volume attachment is being deleted", "volume attachment has been deleted", "is marked for deletion"}}

func leavingAttachment(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if !mounting(p) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Confidence: diagnose.Likely, Evidence: diagnose.Said(s, p, leaving)}
	for _, v := range volume.Of(s, p.Object) {
		here, _ := volume.Attachments(s, v.VolumeName(), p.Node)
		if here == nil {
			continue
		}
		switch e := here.Status.AttachError; {
		case here.DeletionTimestamp != nil && s.Now().Sub(here.DeletionTimestamp.Time) > detachTakes:
			f.Message = fmt.Sprintf("The VolumeAttachment of volume %s on node %s was deleted %s and stays; the pod can only be attached anew once it is gone.", v.VolumeName(), p.Node, scope.Ago(s.Now().Sub(here.DeletionTimestamp.Time)))
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "volumeattachment " + here.Name, Field: "metadata.finalizers", Value: strings.Join(here.Finalizers, ", ")})
		case e != nil && leaving.Match(e.Message) && !here.Status.Attached:
			f.Message = fmt.Sprintf("Volume %s is not attached to node %s, because it is being deleted.", v.VolumeName(), p.Node)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "volumeattachment " + here.Name, Field: "status.attachError", Value: e.Message})
		default:
			continue
		}
		f.Subject = snapshot.Ref{Kind: snapshot.VolumeAttachment, Name: here.Name}
		f.Alternatives, f.Decide = []string{"csi-controller-down"}, "Whether the driver's external-attacher runs and what it logs about {subject}."
		return f, true
	}
	if len(f.Evidence) == 0 || !blind(s) {
		return f, false
	}
	f.Message = fmt.Sprintf("The attachment of a volume of pod %s/%s to node %s is being deleted, and has not gone.", p.Ref.Namespace, p.Ref.Name, p.Node)
	f.Alternatives = []string{"csi-controller-down"}
	f.Decide = "Which VolumeAttachment has a deletionTimestamp, and whether its driver's external-attacher runs: kubectl get volumeattachments."
	return f, true
}
