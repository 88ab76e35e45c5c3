package storage

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// controllerTakes is how long a working controller may leave a request without either a result or an error.
const controllerTakes = 3 * time.Minute

// provisionerAnnotation says which provisioner a claim waits for (pkg/controller/volume/persistentvolume: AnnStorageProvisioner).
const provisionerAnnotation = "volume.kubernetes.io/storage-provisioner"

func csiControllerDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST305", Slug: "csi-controller-down", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.CSINode, snapshot.Event, snapshot.Lease, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "The controller of a CSI driver does not act on requests",
			Symptom: "Volumes are neither made nor attached: a claim stays Pending at \"Waiting for a volume to be created\", or a VolumeAttachment stays at attached=false without an error.",
			Mechanism: "Making and attaching volumes is the work of the driver's controller pods (external-provisioner, external-attacher). When they are down, " +
				"wait to be elected, or cannot pull their image, requests stay without an answer, and no error is written anywhere.",
			Confirm: []string{
				"kubectl get volumeattachments",
				"kubectl get pvc -n {namespace}",
				"kubectl get csidrivers",
				"kubectl get pods -A -o wide",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-csi-controller", Risk: diagnose.RiskLow, Text: "Find the driver's controller Deployment or StatefulSet (driver {subject}) and why it has no ready pod. Everything goes on by itself after that.", Command: "kubectl get pods -A -o wide"},
				{ID: "restart-csi-controller", Risk: diagnose.RiskLow, Text: "If it runs: read the logs of its provisioner and attacher containers, and restart it. Volumes in use do not notice."},
			},
			Refs: []string{
				"https://kubernetes-csi.github.io/docs/external-attacher.html",
				"https://kubernetes-csi.github.io/docs/external-provisioner.html",
				"kubernetes: pkg/volume/csi/csi_attacher.go",
			},
		},
		Pod: findIdleController,
		Log: []diagnose.LogMatch{
			{Text: noAnswer, Alternatives: []string{"volume-attach-limit"}, Decide: "Whether the controller pods of the driver run, and what their external-attacher logs."},
			{
				Text:       diagnose.Text{All: []string{"leader_election.go", "stopped leading"}}, // of csi-lib-utils; client-go's own file has another name
				Confidence: diagnose.Possible, Alternatives: []string{"control-plane-down"},
				Decide: "Whether the API server answered at that time, and whether the pod leads again: kubectl get leases -A.",
			},
			{
				Text:       diagnose.Text{Any: []string{"Volume not attached according to node status", "is not attached for volume attachment"}},
				Confidence: diagnose.Possible, Alternatives: []string{"multi-attach-node-down", "volume-attach-limit", "volume-attach-fails", "volumeattachment-stale"},
				Decide: "What the VolumeAttachment of the volume and the node says: kubectl get volumeattachments.",
			},
			{
				Text:       diagnose.Text{All: []string{"Lost connection to CSI driver"}},
				Confidence: diagnose.Possible, Alternatives: []string{"csi-driver-not-registered"},
				Decide: "Whether the line is of a pod of the driver's controller or of its node plugin, and whether its driver container was restarted.",
			},
		},
	}
}

// noAnswer are the words of the CSI plugin in the attach-detach controller for an attachment that the driver's external-attacher leaves as it is
// (pkg/volume/csi/csi_attacher.go; until 1.20 "attachment timeout").
var noAnswer = diagnose.Text{Any: []string{"timed out waiting for external-attacher", "attachment timeout for volume", "attachdetachment timeout"}}

func findIdleController(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.State == stuck.Unschedulable {
		return unprovisioned(s, p)
	}
	if !mounting(p) {
		return diagnose.Finding{}, false
	}
	timeouts := diagnose.Said(s, p, noAnswer)
	for _, v := range volume.Of(s, p.Object) {
		here, _ := volume.Attachments(s, v.VolumeName(), p.Node)
		d := v.DriverOn(s.CSINode(p.Node))
		if d == "" && here != nil {
			d = here.Spec.Attacher
		}
		if here == nil || d == "" || here.Status.Attached || here.Status.AttachError != nil || here.DeletionTimestamp != nil {
			continue
		}
		age := s.Now().Sub(here.CreationTimestamp.Time)
		if age < controllerTakes {
			continue
		}
		f := diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.CSIDriver, Name: d}, Confidence: diagnose.Likely,
			Message: fmt.Sprintf("Driver %s has been asked for %s to attach volume %s to node %s, and has given neither a result nor an error.", d, scope.Short(age), v.VolumeName(), p.Node),
			Evidence: append(timeouts, diagnose.Evidence{
				Object: "volumeattachment " + here.Name, Field: "status", Value: fmt.Sprintf("attached: false, no attachError, %s after it was made", scope.Short(age)),
			}),
			Alternatives: []string{"volume-attach-limit"},
			Decide:       "Whether the controller pods of driver {subject} run, and what their external-attacher logs.",
		}
		settleLeader(s, &f, d, snapshot.RoleAttacher)
		return f, true
	}
	return unattached(s, p)
}

// settleLeader adds what is known of the part of the driver's controller that should have answered. Where nobody leads it, or no pod of it is ready, there
// is no other explanation left.
func settleLeader(s *snapshot.Snapshot, f *diagnose.Finding, driver, role string) {
	words, ev := leaders(s, driver, role)
	if words == "" {
		return
	}
	f.Message += words
	f.Evidence = append(f.Evidence, ev...)
	f.Confidence, f.Alternatives, f.Decide = diagnose.Certain, nil, ""
}

// unattached goes by the attach-detach controller's word, where no VolumeAttachment could be read.
func unattached(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	waits, asked := diagnose.Said(s, p, provisionerAsked), false
	for _, v := range volume.Of(s, p.Object) {
		asked = asked || v.PVC != nil && v.PVC.Spec.VolumeName == ""
	}
	if len(waits) > 0 && (asked || blind(s)) {
		return diagnose.Finding{
			Subject: p.Ref, Confidence: diagnose.Likely, Evidence: waits,
			Message: fmt.Sprintf("A claim of pod %s/%s waits for its provisioner, which has neither begun nor refused.", p.Ref.Namespace, p.Ref.Name),
		}, true
	}
	if !blind(s) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: p.Ref, Confidence: diagnose.Possible,
		Message:      fmt.Sprintf("Attaching a volume of pod %s/%s to node %s ends in no answer, neither a result nor an error.", p.Ref.Namespace, p.Ref.Name, p.Node),
		Evidence:     diagnose.Said(s, p, noAnswer),
		Alternatives: []string{"volume-attach-limit"},
		Decide:       "Whether the controller pods of the volume's driver run, and what the VolumeAttachment says: kubectl get volumeattachments.",
	}
	if len(f.Evidence) > 0 {
		f.Confidence = diagnose.Likely
		return f, true
	}
	f.Evidence = diagnose.Said(s, p, diagnose.Text{Any: []string{"timed out waiting for the condition", "DeadlineExceeded", "context deadline exceeded"}}, "FailedAttachVolume")
	if len(f.Evidence) == 0 {
		f.Evidence = diagnose.Said(s, p, diagnose.Text{All: []string{"AttachVolume.Attach failed"}, Any: []string{"timed out waiting for the condition", "DeadlineExceeded", "context deadline exceeded"}})
	}
	f.Alternatives = []string{"volume-attach-limit", "volume-attach-fails"}
	return f, len(f.Evidence) > 0
}

// provisionerAsked are the words of the PersistentVolume controller for a claim that it has handed to a provisioner
// (pkg/controller/volume/persistentvolume: messages of ExternalProvisioning, before and since 1.28).
var provisionerAsked = diagnose.Text{
	All: []string{"waiting for a volume to be created"}, Any: []string{"external provisioner"},
}

// unprovisioned looks for a claim of a waiting pod that nobody works on.
func unprovisioned(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	for _, v := range volume.Of(s, p.Object) {
		if v.PVC == nil || v.PVC.Spec.VolumeName != "" {
			continue
		}
		ref := snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: v.Claim, UID: v.PVC.UID}
		var waits *snapshot.EventRecord
		failed := false
		for _, e := range s.Events(ref) {
			switch e.Reason {
			case "ExternalProvisioning":
				waits = &e
			case "ProvisioningFailed", "Provisioning", "ProvisioningSucceeded":
				failed = true // somebody does work on it
			}
		}
		if waits == nil || failed || s.Now().Sub(waits.First) < controllerTakes {
			continue
		}
		d := v.PVC.Annotations[provisionerAnnotation]
		if d == "" {
			d = "unknown"
		}
		f := diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.CSIDriver, Name: d}, Confidence: diagnose.Likely,
			Message:  fmt.Sprintf("Claim %s has waited %s for provisioner %s, which has neither begun nor refused.", v.Claim, scope.Short(s.Now().Sub(waits.First)), d),
			Evidence: []diagnose.Evidence{diagnose.EventEvidence(*waits)},
		}
		settleLeader(s, &f, d, snapshot.RoleProvisioner)
		return f, true
	}
	if waits := scheduling(s, p, provisionerAsked); len(waits) > 0 && volume.Unread(s, snapshot.PersistentVolumeClaim) {
		return diagnose.Finding{
			Subject: p.Ref, Confidence: diagnose.Likely, Evidence: waits,
			Message: fmt.Sprintf("A claim of pod %s/%s waits for its provisioner, which has neither begun nor refused.", p.Ref.Namespace, p.Ref.Name),
		}, true
	}
	return diagnose.Finding{}, false
}
