package storage

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func multiAttachNodeDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST301", Slug: "multi-attach-node-down", Reach: scope.ReachShared,
		Needs: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "The volume is still attached to a node that is down",
			Symptom: "The replacement pod stays ContainerCreating with a Multi-Attach error; the VolumeAttachment names a node that is NotReady or gone.",
			Mechanism: "A volume for one node at a time may move only when the old node has unmounted it, and a node that is down confirms nothing. " +
				"The attach-detach controller forces the detach six minutes after the old pod's deletion, if the node is unhealthy then and " +
				"--disable-force-detach-on-timeout is not set. While the old pod only waits to be deleted, those minutes do not begin.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get volumeattachments",
				"kubectl get nodes",
			},
			Remedies: []diagnose.Remedy{
				{ID: "bring-node-back", Risk: diagnose.RiskNone, Text: "Bring the old node back: it unmounts, and the volume moves."},
				{ID: "wait-force-detach", Risk: diagnose.RiskNone, Text: "Wait for the forced detach, six minutes after the old pod is gone from the API.", Command: "kubectl get volumeattachments -w"},
				{ID: "out-of-service", Risk: diagnose.RiskDataLoss, Text: "Only when the old machine is verified to be off: taint it as out of service; its pods go and its volumes are detached at once. The node is named in the finding's evidence. Remove the taint afterwards.", Command: "kubectl get volumeattachments"},
				{ID: "delete-volumeattachment", Risk: diagnose.RiskDataLoss, Text: "Last of all: delete the VolumeAttachment. If the old node still writes, the file system is damaged.", Command: "kubectl get volumeattachments -o wide"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown",
				"kubernetes: pkg/controller/volume/attachdetach/reconciler/reconciler.go",
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			h, ok := heldElsewhere(s, p)
			if !ok {
				return diagnose.Finding{}, false
			}
			node := h.va.Spec.NodeName
			state := ""
			switch n := s.Node(node); {
			case n == nil && s.Has(snapshot.Node, "", node) == snapshot.Absent:
				state = "which does not exist any more"
			case n == nil || ready(s, node):
				return diagnose.Finding{}, false
			default:
				state = "which is not ready"
				if c := snapshot.NodeCondition(n, corev1.NodeReady); c != nil {
					state = fmt.Sprintf("which is not ready (%s) for %s", c.Status, scope.Short(s.Now().Sub(c.LastTransitionTime.Time)))
				}
			}
			f := diagnose.Finding{
				Subject: h.ref(p.Ref.Namespace), Confidence: diagnose.Likely,
				Message:   fmt.Sprintf("Volume %s (claim %s) is still attached to node %s, %s.", h.volumeName(), h.claim, node, state),
				Evidence:  append(h.said, attachmentEvidence(h.va)),
				ClearsWhy: "the attach-detach controller forces the detach six minutes after the old pod's deletion, unless that is disabled",
			}
			if len(h.said) > 0 {
				f.Confidence = diagnose.Certain
			}
			return f, true
		},
		Log: []string{"Multi-Attach error for volume"},
	}
}
