package storage

import (
	"fmt"

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
	ev := said(s, p, multiAttach, attachReasons()...)
	for _, v := range volumesOf(s, p.Object) {
		if v.volumeName() == "" || !v.exclusive() {
			continue
		}
		here, elsewhere := attachments(s, v.volumeName(), p.Node)
		if len(elsewhere) == 0 || here != nil && here.Status.Attached {
			continue
		}
		return held{volume: v, va: elsewhere[0], said: ev}, true
	}
	return held{}, false
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
