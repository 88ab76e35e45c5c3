package storage

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// controllerTakes is how long a working controller may leave a request without either a result or an error.
const controllerTakes = 3 * time.Minute

// provisionerAnnotation says which provisioner a claim waits for (pkg/controller/volume/persistentvolume: AnnStorageProvisioner).
const provisionerAnnotation = "volume.kubernetes.io/storage-provisioner"

func csiControllerDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST305", Slug: "csi-controller-down", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
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
		Log: []string{"timed out waiting for external-attacher of"},
	}
}

func findIdleController(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.State == stuck.Unschedulable {
		return unprovisioned(s, p)
	}
	if !mounting(p) {
		return diagnose.Finding{}, false
	}
	timeouts := diagnose.Said(s, p, diagnose.Text{All: []string{"timed out waiting for external-attacher"}}, attachReasons()...)
	for _, v := range volumesOf(s, p.Object) {
		here, _ := attachments(s, v.volumeName(), p.Node)
		d := v.driver()
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
		return diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.CSIDriver, Name: d}, Confidence: diagnose.Likely,
			Message: fmt.Sprintf("Driver %s has been asked for %s to attach volume %s to node %s, and has given neither a result nor an error.", d, scope.Short(age), v.volumeName(), p.Node),
			Evidence: append(timeouts, diagnose.Evidence{
				Object: "volumeattachment " + here.Name, Field: "status", Value: fmt.Sprintf("attached: false, no attachError, %s after it was made", scope.Short(age)),
			}),
			Alternatives: []string{"volume-attach-limit"},
			Decide:       "Whether the controller pods of driver {subject} run, and what their external-attacher logs.",
		}, true
	}
	return unattached(s, p)
}

// unattached goes by the attach-detach controller's word, where no VolumeAttachment could be read.
func unattached(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if !unread(s, snapshot.VolumeAttachment) && !unread(s, snapshot.PersistentVolumeClaim) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: p.Ref, Confidence: diagnose.Possible,
		Message:      fmt.Sprintf("Attaching a volume of pod %s/%s to node %s ends in no answer, neither a result nor an error.", p.Ref.Namespace, p.Ref.Name, p.Node),
		Evidence:     diagnose.Said(s, p, diagnose.Text{Any: []string{"timed out waiting for the condition", "timed out waiting for external-attacher"}}, "FailedAttachVolume"),
		Alternatives: []string{"volume-attach-limit"},
		Decide:       "Whether the controller pods of the volume's driver run, and what the VolumeAttachment says: kubectl get volumeattachments.",
	}
	return f, len(f.Evidence) > 0
}

// unprovisioned looks for a claim of a waiting pod that nobody works on.
func unprovisioned(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	for _, v := range volumesOf(s, p.Object) {
		if v.pvc == nil || v.pvc.Spec.VolumeName != "" {
			continue
		}
		ref := snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: v.claim, UID: v.pvc.UID}
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
		d := v.pvc.Annotations[provisionerAnnotation]
		if d == "" {
			d = "unknown"
		}
		return diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.CSIDriver, Name: d}, Confidence: diagnose.Likely,
			Message:  fmt.Sprintf("Claim %s has waited %s for provisioner %s, which has neither begun nor refused.", v.claim, scope.Short(s.Now().Sub(waits.First)), d),
			Evidence: []diagnose.Evidence{diagnose.EventEvidence(*waits)},
		}, true
	}
	return diagnose.Finding{}, false
}
