package storage

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func multiAttachRollingUpdate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST302", Slug: "multi-attach-rolling-update", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "The volume is in use by another pod on another node",
			Symptom: "A new pod stays ContainerCreating with \"Volume is already used by pod(s) …\" while both nodes are well.",
			Mechanism: "A ReadWriteOnce volume is attached to one node. A rolling update starts the new pod before it ends the old one; when the scheduler " +
				"puts the new one elsewhere, each waits for the other. The same happens with more than one replica on one claim.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get pods -n {namespace} -o wide",
				"kubectl get pvc -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "delete-old-pod", Risk: diagnose.RiskLow, Text: "Delete the old pod that the message names, or scale the workload to one replica: the volume then moves.", Command: "kubectl get pods -n {namespace} -o wide"},
				{ID: "recreate-strategy", Risk: diagnose.RiskMedium, Text: "For good: strategy Recreate for that Deployment, or a StatefulSet, or a volume with ReadWriteMany. Recreate means a gap at each update.", Command: "kubectl get deployments -n {namespace}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes",
				"https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment",
				"kubernetes: pkg/controller/volume/attachdetach/reconciler/reconciler.go",
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			h, ok := heldElsewhere(s, p)
			if !ok {
				return heldByUser(s, p)
			}
			if unwell(s, h.va.Spec.NodeName) {
				return diagnose.Finding{}, false
			}
			users, _ := volume.UsersOn(s, h.va.Spec.NodeName, p.Ref.Namespace, h.Claim)
			if len(users) == 0 {
				return diagnose.Finding{}, false
			}
			u := users[0]
			f := diagnose.Finding{
				Subject: snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: h.Claim}, Confidence: h.sure(s),
				Message: fmt.Sprintf("Claim %s can be attached to one node only, and pod %s/%s uses it on node %s.", h.Claim, u.Namespace, u.Name, u.Spec.NodeName),
				Evidence: append(h.said, volume.AttachmentEvidence(h.va),
					diagnose.Evidence{Object: snapshot.RefOf(u).String(), Field: "spec.volumes", Value: "claim " + h.Claim + ", on node " + u.Spec.NodeName}),
			}
			unlessDown(s, u, &f)
			if u.DeletionTimestamp != nil {
				f.Message += " That pod is being deleted: what keeps it keeps this one."
			}
			return f, true
		},
		Log: []diagnose.LogMatch{{
			Text:         diagnose.Text{Any: []string{"volume is already used by", "volume is in use by pods"}},
			Alternatives: []string{"multi-attach-node-down"},
			Decide:       "Whether the node of the pod that the line names is well: kubectl get pods -A -o wide, kubectl get nodes.",
		}},
	}
}

// heldByUser goes by the words of the attach-detach controller, and by the pod that uses the claim, where no VolumeAttachment names the other node.
func heldByUser(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	r, ok := refusedElsewhere(s, p)
	if !ok || r.node != "" && unwell(s, r.node) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: r.ref(p), Confidence: diagnose.Likely, Evidence: r.evidence()}
	switch u := r.user; {
	case u != nil:
		f.Message = fmt.Sprintf("The volume of claim %s is attached to another node, and pod %s/%s uses that claim on node %s.", r.claim, u.Namespace, u.Name, u.Spec.NodeName)
		unlessDown(s, u, &f)
	case r.node != "", !r.used, len(downNodes(s, p.Node)) > 0:
		return f, false
	default:
		f.Message = fmt.Sprintf("A volume of pod %s/%s is attached to another node, where another pod uses it.", p.Ref.Namespace, p.Ref.Name)
		f.Alternatives = []string{"multi-attach-node-down"}
		f.Decide = "Whether the node of the pod that the message names is well: kubectl get pods -n {namespace} -o wide, kubectl get nodes."
		f.Decide = strings.ReplaceAll(f.Decide, "{namespace}", p.Ref.Namespace)
	}
	return f, true
}

// unlessDown takes back some of the certainty where it is not known whether the other pod's node is well.
func unlessDown(s *snapshot.Snapshot, u *corev1.Pod, f *diagnose.Finding) {
	if ready(s, u.Spec.NodeName) {
		return
	}
	f.Confidence = diagnose.Likely
	f.Alternatives = []string{"multi-attach-node-down"}
	f.Decide = fmt.Sprintf("Whether node %s is well, which could not be read: kubectl get node %s.", u.Spec.NodeName, u.Spec.NodeName)
}
