package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// multiAttach is the wording of the attach-detach controller for a volume that another node has
// (pkg/controller/volume/attachdetach/reconciler): the older one, and that of 1.37.
var multiAttach = diagnose.Text{Any: []string{
	"multi-attach error", "already exclusively attached to one node", "waiting for detach", "volume is already used by",
}}

// attachment finds the VolumeAttachments of a volume, the pod's own node apart.
func attachments(s *snapshot.Snapshot, pv, node string) (here *storagev1.VolumeAttachment, elsewhere []*storagev1.VolumeAttachment) {
	if pv == "" {
		return nil, nil
	}
	for _, va := range s.VolumeAttachments() {
		if n := va.Spec.Source.PersistentVolumeName; n == nil || *n != pv {
			continue
		}
		if va.Spec.NodeName == node {
			here = va
		} else {
			elsewhere = append(elsewhere, va)
		}
	}
	return here, elsewhere
}

// held is a volume of a starting pod that another node still has.
type held struct {
	volume
	va   *storagev1.VolumeAttachment // on the other node
	said []diagnose.Evidence
}

// heldElsewhere finds the first volume of a starting pod that is attached to another node and not to its own.
func heldElsewhere(s *snapshot.Snapshot, p stuck.Pod) (held, bool) {
	if !mounting(p) {
		return held{}, false
	}
	ev := diagnose.Said(s, p, multiAttach, attachReasons()...)
	for _, v := range volumesOf(s, p.Object) {
		if v.volumeName() == "" || !v.exclusive() {
			continue
		}
		here, elsewhere := attachments(s, v.volumeName(), p.Node)
		if len(elsewhere) == 0 || here != nil && here.Status.Attached {
			continue
		}
		return held{volume: v, va: elsewhere[0], said: about(ev, v.volumeName())}, true
	}
	return held{}, false
}

// about keeps the evidence that names the volume.
func about(ev []diagnose.Evidence, volume string) []diagnose.Evidence {
	return slices.DeleteFunc(slices.Clone(ev), func(e diagnose.Evidence) bool { return !strings.Contains(e.Value, volume) })
}

// sure is how sure it is that another node holds the volume: beyond doubt where the attach-detach controller says so now.
func (h held) sure(s *snapshot.Snapshot) diagnose.Confidence {
	if len(h.said) == 0 {
		return diagnose.Likely
	}
	return diagnose.Fresh(s, diagnose.Certain, h.said)
}

// refused is what is left of held where claims or VolumeAttachments could not be read: the attach-detach controller says that a volume of the
// pod is attached elsewhere, and perhaps a pod that was read uses one of its claims on another node.
type refused struct {
	claim string // the pod's only claim, or the one that user has too
	user  *corev1.Pod
	said  []diagnose.Evidence
}

func refusedElsewhere(s *snapshot.Snapshot, p stuck.Pod) (refused, bool) {
	if !mounting(p) || !unread(s, snapshot.VolumeAttachment) && !unread(s, snapshot.PersistentVolumeClaim) {
		return refused{}, false
	}
	r := refused{said: diagnose.Said(s, p, multiAttach, attachReasons()...)}
	if len(r.said) == 0 {
		return r, false
	}
	claims := 0
	for i := range p.Object.Spec.Volumes {
		claim := claimOf(p.Object, &p.Object.Spec.Volumes[i])
		if claim == "" {
			continue
		}
		claims++
		if u := userElsewhere(s, p, claim); u != nil {
			r.claim, r.user = claim, u
			return r, true
		}
		if r.claim = claim; claims > 1 {
			r.claim = ""
		}
	}
	return r, true
}

func (r refused) ref(p stuck.Pod) snapshot.Ref {
	if r.claim == "" {
		return p.Ref
	}
	return snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: r.claim}
}

// userElsewhere finds a pod on another node that uses the claim and has not ended.
func userElsewhere(s *snapshot.Snapshot, p stuck.Pod, claim string) *corev1.Pod {
	for _, o := range s.Pods() {
		if o.Namespace != p.Ref.Namespace || o.Spec.NodeName == "" || o.Spec.NodeName == p.Node || snapshot.IsTerminal(o) && o.DeletionTimestamp == nil {
			continue
		}
		for i := range o.Spec.Volumes {
			if claimOf(o, &o.Spec.Volumes[i]) == claim {
				return o
			}
		}
	}
	return nil
}

// unread tells whether nothing of the kind could be read.
func unread(s *snapshot.Snapshot, k snapshot.Kind) bool {
	return s.Gap(k) != nil && !s.Complete(k, "") && len(s.Objects(k)) == 0
}

func attachmentEvidence(va *storagev1.VolumeAttachment) diagnose.Evidence {
	return diagnose.Evidence{
		Object: "volumeattachment " + va.Name, Field: "spec.nodeName",
		Value: fmt.Sprintf("%s (attached: %t)", va.Spec.NodeName, va.Status.Attached),
	}
}

// usersOn lists the pods on the node that use the claim and have not ended. all tells whether every pod there was read.
func usersOn(s *snapshot.Snapshot, node, namespace, claim string) (users []*corev1.Pod, all bool) {
	pods, all := s.PodsOnNode(node)
	for _, p := range pods {
		if p.Namespace != namespace || snapshot.IsTerminal(p) && p.DeletionTimestamp == nil {
			continue
		}
		for i := range p.Spec.Volumes {
			if claimOf(p, &p.Spec.Volumes[i]) == claim {
				users = append(users, p)
				break
			}
		}
	}
	return users, all
}
