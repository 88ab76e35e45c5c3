package storage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func multiAttachNodeDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST301", Slug: "multi-attach-node-down", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
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
				Subject: h.Ref(p.Ref.Namespace), Confidence: h.sure(s),
				Message:   fmt.Sprintf("Volume %s (claim %s) is still attached to node %s, %s.", h.VolumeName(), h.Claim, node, state),
				Evidence:  append(h.said, volume.AttachmentEvidence(h.va)),
				ClearsWhy: forcedDetach,
			}
			if gone(s, node, p.Ref.Namespace, h.Claim) && !p.Since.IsZero() && h.va.DeletionTimestamp == nil {
				// The clock began when the old pod's object was gone, which is hardly later than when this pod began to wait for its volume.
				switch by := p.Since.Add(maxWaitForUnmount); {
				case by.After(s.Now()):
					f.ClearsBy = by
				default:
					f.Message += " No pod there uses it any more, and the forced detach is overdue, unless the old pod's object went only lately: " +
						"it is disabled (--disable-force-detach-on-timeout), or kube-controller-manager does not get to it."
					f.ClearsWhy = forcedDetach + "; counted from when this pod began to wait, that is overdue"
				}
			}
			return f, true
		},
		Log: []diagnose.LogMatch{
			{
				Text:       diagnose.Text{Any: []string{"Multi-Attach error for volume", "already exclusively attached", "volume is already exclusively"}, None: []string{"already used by"}},
				Confidence: diagnose.Possible, Alternatives: []string{"multi-attach-rolling-update", "volumeattachment-stale"},
				Decide: "Which node the VolumeAttachment of the volume names, whether that node is well, and whether a pod there uses the volume: kubectl get volumeattachments.",
			},
			{
				Text:         diagnose.Text{All: []string{"rbd image", "is still being used"}},
				Confidence:   diagnose.Possible,
				Alternatives: []string{"volumeattachment-stale", "volume-mount-fails"},
				Decide:       "Who watches the image (rbd status): a machine that is down, or one on which a pod still uses it.",
			},
			{Text: diagnose.Text{Any: []string{"is not safe to detach, but maxWaitForUnmountDuration", "node has out-of-service taint, force detaching"}}},
		},
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

// heldByUserOnDownNode goes by the words of the attach-detach controller and what else was read, where no VolumeAttachment names the other node. It
// speaks for all three causes of those words where nothing tells them apart.
func heldByUserOnDownNode(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	r, ok := refusedElsewhere(s, p)
	if !ok {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: r.ref(p), Evidence: r.evidence(), ClearsWhy: forcedDetach}
	if r.node != "" {
		state, down := downNode(s, r.node)
		if !down {
			return f, false
		}
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The volume of claim %s is attached to node %s, %s.", r.claim, r.node, state)
		if r.user != nil {
			f.Message = fmt.Sprintf("The volume of claim %s is attached to another node; pod %s/%s uses it on node %s, %s.", r.claim, r.user.Namespace, r.user.Name, r.node, state)
		}
		return f, true
	}
	down := downNodes(s, p.Node)
	switch {
	case len(down) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("A volume of pod %s/%s is still attached to another node, and of the other nodes not ready is %s.", p.Ref.Namespace, p.Ref.Name, someOf(down))
		for _, n := range down[:min(len(down), 3)] {
			state, _ := downNode(s, n)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + n, Field: "status.conditions[Ready]", Value: "a node " + state})
		}
	case r.used:
		return f, false // pods use it, and no node is known to be down: see multi-attach-rolling-update
	case s.Complete(snapshot.Node, ""):
		return f, false // no node is down: see volumeattachment-stale
	default:
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("A volume of pod %s/%s is still attached to another node, most often one that is down; which one it is, and who uses it there, could not be read.", p.Ref.Namespace, p.Ref.Name)
	}
	f.Alternatives = []string{"multi-attach-rolling-update", "volumeattachment-stale"}
	f.Decide = "Which node the VolumeAttachment of the volume names, whether that node is well, and whether a pod there uses the volume: kubectl get volumeattachments."
	return f, true
}

// someOf names the first few of a list.
func someOf(l []string) string {
	if len(l) > 3 {
		return strings.Join(l[:3], ", ") + fmt.Sprintf(" and %d more", len(l)-3)
	}
	return strings.Join(l, ", ")
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
