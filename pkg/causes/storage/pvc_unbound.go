package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func pvcUnbound() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST319", Slug: "pvc-unbound", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.StorageClass},
		Doc: diagnose.Doc{
			Title:   "A claim of the pod has no volume",
			Symptom: "The pod is Pending with \"unbound immediate PersistentVolumeClaims\", \"persistentvolumeclaim … not found\" or \"didn't find available persistent volumes to bind\".",
			Mechanism: "The scheduler places a pod only when its claims are bound, or can be bound for a node. A claim stays unbound when its StorageClass does not " +
				"exist, none is set and there is no default, the provisioner fails or does not run, or no existing volume fits. A claim of a class with " +
				"WaitForFirstConsumer is rightly unbound until its pod is placed.",
			Confirm: []string{
				"kubectl get pvc -n {namespace}",
				"kubectl describe pvc {subject} -n {namespace}",
				"kubectl get storageclass",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-claim-events", Risk: diagnose.RiskNone, Text: "Read what the claim's events say: the provisioner's error is there.", Command: "kubectl describe pvc {subject} -n {namespace}"},
				{ID: "provide-volume", Risk: diagnose.RiskLow, Text: "Create what is missing: the claim, the StorageClass it names, a default class, or a volume that fits its size, mode and class."},
				{ID: "recreate-claim", Risk: diagnose.RiskMedium, Text: "The class of a claim cannot be changed: where it is wrong, delete the claim that was never bound, and create it anew.", Command: "kubectl delete pvc {subject} -n {namespace}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding",
				"https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode",
				"kubernetes: pkg/scheduler/framework/plugins/volumebinding/volume_binding.go",
			},
		},
		Pod: findUnbound,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"unbound immediate PersistentVolumeClaims", "failed to provision volume with StorageClass", "no persistent volumes available for this claim"}}},
			{Text: diagnose.Text{All: []string{"error processing PVC"}, None: []string{"is being deleted"}}},
		},
	}
}

// The scheduler's words for claims that it cannot use (pkg/scheduler/framework/plugins/volumebinding).
var unboundClaim = diagnose.Text{Any: []string{
	"unbound immediate persistentvolumeclaims", "didn't find available persistent volumes to bind", "bound to non-existent pv",
	"bound to non-existent persistentvolume", "did not have enough free storage", "to create the persistentvolumeclaim", "unbound persistentvolumeclaims", "persistentvolumeclaim is not bound",
	"one or more pvc(s) bound to non-existent",
}}

// unprovided are the words that a claim's own events have, of the PersistentVolume controller and of the external-provisioner, and the kubelet's for a pod
// that was given to it nevertheless.
var unprovided = diagnose.Text{
	Any: []string{
		"failed to provision volume with StorageClass", "no persistent volumes available for this claim", "error processing PVC", "PVC is not bound", "no volume plugin matched",
		"waiting for first consumer to be created before binding", "storageclass.storage.k8s.io", "Cannot bind to requested volume", "lost its PersistentVolume", "lost reference to PersistentVolume",
		"does not point to claim.UID",
	},
	None: []string{"is being deleted"},
}

var missingClaim = diagnose.Text{All: []string{"persistentvolumeclaim \"", "not found"}}

func findUnbound(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.State != stuck.Unschedulable {
		return unboundOnNode(s, p)
	}
	ev := append(append(scheduling(s, p, unboundClaim), scheduling(s, p, missingClaim)...), scheduling(s, p, unprovided)...)
	waited := scheduling(s, p, bindingTookTooLong())
	if len(ev) == 0 {
		ev = waited
	}
	if len(ev) == 0 {
		return diagnose.Finding{}, false
	}
	for _, v := range volume.Of(s, p.Object) {
		if v.Claim == "" || v.PVC != nil && v.PVC.Status.Phase == corev1.ClaimBound && s.Has(snapshot.PersistentVolume, "", v.PVC.Spec.VolumeName) != snapshot.Absent {
			continue
		}
		ref := snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: v.Claim}
		f := diagnose.Finding{Subject: ref, Confidence: diagnose.Certain, Evidence: ev}
		if v.PVC == nil {
			if s.Has(snapshot.PersistentVolumeClaim, p.Ref.Namespace, v.Claim) != snapshot.Absent {
				continue
			}
			f.Message = fmt.Sprintf("Claim %s/%s, which the pod's volume %s names, does not exist.", p.Ref.Namespace, v.Claim, v.Name)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: ref.String(), Field: "metadata", Value: "does not exist"})
			return f, true
		}
		why, more := whyUnbound(s, v)
		phase := strings.ToLower(string(v.PVC.Status.Phase))
		if phase == "" {
			phase = "not bound"
		}
		f.Message = fmt.Sprintf("Claim %s/%s is %s: %s.", p.Ref.Namespace, v.Claim, phase, why)
		f.Evidence = append(append(f.Evidence, diagnose.Evidence{Object: ref.String(), Field: "status.phase", Value: string(v.PVC.Status.Phase)}), more...)
		return f, true
	}
	if !volume.Unread(s, snapshot.PersistentVolumeClaim) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: p.Ref, Confidence: diagnose.Likely, Evidence: ev,
		Message: fmt.Sprintf("The scheduler does not place pod %s/%s, because a claim that it names is missing or has no volume; the claims could not be read.", p.Ref.Namespace, p.Ref.Name),
	}
	if len(waited) > 0 {
		f.Message = fmt.Sprintf("The scheduler chose a node for pod %s/%s and waited in vain for its claims to be bound there; the claims could not be read.", p.Ref.Namespace, p.Ref.Name)
		f.Alternatives = []string{"csi-controller-down"}
		f.Decide = "What the claims' events say: kubectl describe pvc -n {namespace}. An error of the provisioner is there; silence means that it does not run."
	}
	return f, true
}

// unboundOnNode speaks for a pod that has a node and meets a claim without a volume there, as one of a DaemonSet or one with a node's name can.
func unboundOnNode(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if !mounting(p) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: p.Ref, Confidence: diagnose.Likely, Evidence: diagnose.Said(s, p, diagnose.Text{
		All: unprovided.All, Any: slices.DeleteFunc(slices.Clone(unprovided.Any), func(s string) bool { return s == "no volume plugin matched" }), None: unprovided.None,
	})}
	if len(f.Evidence) == 0 {
		return f, false
	}
	for _, v := range volume.Of(s, p.Object) {
		if v.PVC != nil && v.PVC.Spec.VolumeName == "" {
			f.Subject = snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: v.Claim}
			f.Message = fmt.Sprintf("Claim %s/%s has no volume, and the pod is on node %s already.", p.Ref.Namespace, v.Claim, p.Node)
			return f, true
		}
	}
	f.Message = fmt.Sprintf("A claim of pod %s/%s has no volume, and the pod is on node %s already.", p.Ref.Namespace, p.Ref.Name, p.Node)
	return f, blind(s)
}

// whyUnbound looks for the reason why a claim has no volume.
func whyUnbound(s *snapshot.Snapshot, v volume.Chain) (string, []diagnose.Evidence) {
	if name := v.VolumeName(); name != "" && s.Has(snapshot.PersistentVolume, "", name) == snapshot.Absent {
		return fmt.Sprintf("its volume %s does not exist any more", name), nil
	}
	ref := snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: v.PVC.Namespace, Name: v.PVC.Name, UID: v.PVC.UID}
	var said *snapshot.EventRecord
	for _, e := range s.Events(ref) {
		if slices.Contains([]string{"ProvisioningFailed", "FailedBinding", "ExternalProvisioning"}, e.Reason) && (said == nil || e.Reason != "ExternalProvisioning" || said.Reason == "ExternalProvisioning") {
			said = &e
		}
	}
	class := v.PVC.Spec.StorageClassName
	switch {
	case class != nil && *class != "" && s.Has(snapshot.StorageClass, "", *class) == snapshot.Absent:
		return fmt.Sprintf("StorageClass %s does not exist", *class), []diagnose.Evidence{{Object: "storageclass " + *class, Field: "metadata", Value: "does not exist"}}
	case said != nil && said.Reason == "ExternalProvisioning":
		return "the provisioner was asked and has not answered", []diagnose.Evidence{diagnose.EventEvidence(*said)}
	case said != nil:
		return fmt.Sprintf("%s says %q", said.Reason, cut(said.Message)), []diagnose.Evidence{diagnose.EventEvidence(*said)}
	case class == nil:
		return "it names no StorageClass, and there was no default one", nil
	case *class == "":
		return "it asks for an existing volume without a class, and none fits", nil
	default:
		if c := s.StorageClass(*class); c != nil && c.VolumeBindingMode != nil && *c.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
			return fmt.Sprintf("its StorageClass %s binds when the pod is placed, and no node has or can get a volume that fits", *class), nil
		}
		return fmt.Sprintf("StorageClass %s has given it no volume", *class), nil
	}
}
