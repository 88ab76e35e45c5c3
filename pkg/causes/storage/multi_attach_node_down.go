package storage

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func multiAttachNodeDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST301", Slug: "multi-attach-node-down", Reach: scope.ReachShared,
		Needs:    []snapshot.Kind{snapshot.Node},
		Optional: []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
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
				return heldByUserOnDownNode(s, p)
			}
			node := h.va.Spec.NodeName
			state, down := downNode(s, node)
			if !down {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{
				Subject: h.ref(p.Ref.Namespace), Confidence: h.sure(s),
				Message:   fmt.Sprintf("Volume %s (claim %s) is still attached to node %s, %s.", h.volumeName(), h.claim, node, state),
				Evidence:  append(h.said, attachmentEvidence(h.va)),
				ClearsWhy: forcedDetach,
			}
			if gone(s, node, p.Ref.Namespace, h.claim) {
				f.ClearsBy = s.Now().Add(maxWaitForUnmount)
			}
			return f, true
		},
		Log: []string{"Multi-Attach error for volume"},
	}
}

// downNode words the state of a node that is known not to be well.
func downNode(s *snapshot.Snapshot, node string) (state string, down bool) {
	if !unwell(s, node) {
		return "", false
	}
	n := s.Node(node)
	if n == nil {
		return "which does not exist any more", true
	}
	if c := snapshot.NodeCondition(n, corev1.NodeReady); c != nil && !c.LastTransitionTime.IsZero() {
		return fmt.Sprintf("which is not ready (%s) for %s", c.Status, scope.Short(max(s.Now().Sub(c.LastTransitionTime.Time), 0))), true
	}
	return "which is not ready", true
}

// heldByUserOnDownNode goes by the pod that uses the claim, where no VolumeAttachment could be read.
func heldByUserOnDownNode(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	r, ok := refusedElsewhere(s, p)
	if !ok || r.user == nil {
		return diagnose.Finding{}, false
	}
	state, down := downNode(s, r.user.Spec.NodeName)
	if !down {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: r.ref(p), Confidence: diagnose.Likely,
		Message: fmt.Sprintf("The volume of claim %s is attached to another node; pod %s/%s uses it on node %s, %s.", r.claim, r.user.Namespace, r.user.Name, r.user.Spec.NodeName, state),
		Evidence: append(r.said,
			diagnose.Evidence{Object: snapshot.RefOf(r.user).String(), Field: "spec.volumes", Value: "claim " + r.claim + ", on node " + r.user.Spec.NodeName}),
		ClearsWhy: forcedDetach,
	}, true
}

// maxWaitForUnmount is how long the attach-detach controller waits for an unhealthy node to unmount before it detaches by force
// (pkg/controller/volume/attachdetach DefaultTimerConfig, ReconcilerMaxWaitForUnmountDuration).
const maxWaitForUnmount = 6 * time.Minute

const forcedDetach = "the attach-detach controller detaches by force six minutes after the old pod's object is gone, as long as the node is unhealthy and unless that is disabled"

// gone tells whether no pod on the node uses the claim any more, so that the controller's clock is running.
func gone(s *snapshot.Snapshot, node, namespace, claim string) bool {
	pods, all := s.PodsOnNode(node)
	return all && !slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		return p.Namespace == namespace && slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
			return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
		})
	})
}
