package volume

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Attachments finds the VolumeAttachments of a PersistentVolume, that of the node apart.
func Attachments(s *snapshot.Snapshot, pv, node string) (here *storagev1.VolumeAttachment, elsewhere []*storagev1.VolumeAttachment) {
	if pv == "" {
		return nil, nil
	}
	for _, va := range s.AttachmentsOf(pv) {
		if va.Spec.NodeName == node {
			here = va
		} else {
			elsewhere = append(elsewhere, va)
		}
	}
	return here, elsewhere
}

// Attached counts the attachments of a driver's volumes on a node that are done.
func Attached(s *snapshot.Snapshot, driver, node string) int { return s.AttachedOn(driver, node) }

// Limit is how many volumes the driver says the node takes (CSINode.spec.drivers[].allocatable.count); negative where it does not say, or the
// CSINode was not read.
func Limit(n *storagev1.CSINode, driver string) int {
	if n == nil {
		return -1
	}
	for _, d := range n.Spec.Drivers {
		if d.Name == driver && d.Allocatable != nil && d.Allocatable.Count != nil {
			return int(*d.Allocatable.Count)
		}
	}
	return -1
}

// Registered tells whether the kubelet of the node has the driver. Unknown means that the CSINode was not read.
func Registered(s *snapshot.Snapshot, driver, node string) snapshot.Presence {
	n := s.CSINode(node)
	if n == nil {
		return s.Has(snapshot.CSINode, "", node)
	}
	for _, d := range n.Spec.Drivers {
		if d.Name == driver {
			return snapshot.Present
		}
	}
	return snapshot.Absent
}

// UsersOn lists the pods on the node that use the claim and have not ended. all tells whether every pod there was read.
func UsersOn(s *snapshot.Snapshot, node, namespace, claim string) (users []*corev1.Pod, all bool) {
	pods, all := s.PodsOnNode(node)
	for _, p := range pods {
		if p.Namespace == namespace && (!snapshot.IsTerminal(p) || p.DeletionTimestamp != nil) && uses(p, claim) {
			users = append(users, p)
		}
	}
	return users, all
}

// UserElsewhere finds a pod on another node than p's that uses the claim and has not ended.
func UserElsewhere(s *snapshot.Snapshot, p *corev1.Pod, claim string) *corev1.Pod {
	for _, o := range s.PodsUsing(p.Namespace, claim) {
		if o.Spec.NodeName != "" && o.Spec.NodeName != p.Spec.NodeName && (!snapshot.IsTerminal(o) || o.DeletionTimestamp != nil) {
			return o
		}
	}
	return nil
}

func uses(p *corev1.Pod, claim string) bool {
	for i := range p.Spec.Volumes {
		if snapshot.ClaimOf(p, &p.Spec.Volumes[i]) == claim {
			return true
		}
	}
	return false
}

// Unread tells whether nothing of the kind could be read.
func Unread(s *snapshot.Snapshot, k snapshot.Kind) bool {
	return s.Gap(k) != nil && !s.Complete(k, "") && len(s.Objects(k)) == 0
}

// AttachmentEvidence cites where an attachment holds a volume.
func AttachmentEvidence(va *storagev1.VolumeAttachment) diagnose.Evidence {
	return diagnose.Evidence{
		Object: "volumeattachment " + va.Name, Field: "spec.nodeName",
		Value: fmt.Sprintf("%s (attached: %t)", va.Spec.NodeName, va.Status.Attached),
	}
}
