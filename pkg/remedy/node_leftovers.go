package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Leftover is an object that stays after the Node object is gone.
type Leftover struct {
	Ref snapshot.Ref `json:"ref"`
	// Held says what holds it.
	Held string `json:"held"`
	// By says who will end it and until when, where somebody will.
	By string `json:"by,omitempty"`
	// Command deals with it, guarded.
	Command string `json:"command,omitempty"`
}

// Leftovers are what the deletion of a Node object left in the picture: pods that are still bound to it, and volumes that are still attached. first is the
// node as it was before; nil where that is not known. Where a kubelet registered the node again, only what is older than that is left over: its new pods
// are no concern of the deletion.
func Leftovers(c, first *NodeCase) []Leftover {
	var out []Leftover
	back := c.Facts.Exists != snapshot.Absent // or it could not be read, and then nothing is said to be bound to a Node that is gone
	was := map[types.UID]bool{}
	if first != nil {
		for _, p := range first.Pods {
			was[p.Case.Pod.Object.UID] = true
		}
	}
	used := map[string]bool{} // PersistentVolumes of pods that are no leftovers
	for _, p := range c.Pods {
		obj, ref := p.Case.Pod.Object, p.Case.Pod.Ref
		l := Leftover{Ref: ref}
		explain := fmt.Sprintf("kubectl stuck explain pod %s -n %s", quote(ref.Name), quote(ref.Namespace))
		switch {
		case p.Fate == Remains:
			continue
		case back && (!was[obj.UID] || obj.DeletionTimestamp == nil):
			for _, v := range p.Case.standing().Volumes {
				used[v.VolumeName()] = true
			}
			continue
		case len(obj.Finalizers) > 0 && (!back || finalDone(obj)):
			l.Held = "held by " + finalPhrase(obj.Finalizers)
			l.By = endedBy(p.Case.Owners)
			l.Command = fmt.Sprintf("kubectl stuck fix pod %s -n %s --finalizers", quote(ref.Name), quote(ref.Namespace))
		case back:
			l.Held = "was being deleted when the Node object was, and still is"
			l.By = "the kubelet, if the node is back: it ends the pod when it sees the deletion"
			l.Command = explain
		default:
			l.Held = "bound to the Node object that is gone"
			l.By = podGC
			l.Command = fmt.Sprintf("kubectl stuck fix pod %s -n %s --force", quote(ref.Name), quote(ref.Namespace))
		}
		out = append(out, l)
	}
	for _, va := range c.S.VolumeAttachments() {
		if va.Spec.NodeName != c.Ref.Name {
			continue
		}
		pv := ""
		if va.Spec.Source.PersistentVolumeName != nil {
			pv = *va.Spec.Source.PersistentVolumeName
		}
		if back && (used[pv] || c.Node == nil || !va.CreationTimestamp.Before(&c.Node.CreationTimestamp)) {
			continue
		}
		l := Leftover{Ref: refOf(snapshot.VolumeAttachment, va), Held: "a volume is attached to the node"}
		if pv != "" {
			l.Held = fmt.Sprintf("PersistentVolume %s is attached to the node", pv)
		}
		// reconciler.go of pkg/controller/volume/attachdetach waits maxWaitForUnmountDuration (6 minutes, attach_detach_controller.go) for a node that
		// does not say that it unmounted, unless the node has the taint of one that is out of service.
		l.By = "the attach-detach controller has it detached, at the latest 6 minutes after the last pod that used it is gone"
		if va.DeletionTimestamp != nil {
			l.By = fmt.Sprintf("the CSI attacher of %s is to finish it, and takes its finalizer off then", va.Spec.Attacher)
			if owners := finalizer.OfAll(c.S, l.Ref, va); len(owners) > 0 {
				l.By = endedBy(owners)
			}
			if va.Status.DetachError != nil {
				l.Held += ", and detaching failed: " + va.Status.DetachError.Message
			}
		}
		l.Command = fmt.Sprintf("kubectl get volumeattachment %s -o yaml", quote(va.Name))
		out = append(out, l)
	}
	if lease := c.S.NodeLease(c.Ref.Name); lease != nil && c.Facts.Exists == snapshot.Absent {
		out = append(out, Leftover{
			Ref: snapshot.Ref{Kind: snapshot.Lease, Namespace: corev1.NamespaceNodeLease, Name: lease.Name, UID: lease.UID}, Held: "the lease of the node is still there",
			By: "garbage collection, because the Node object owns it; a kubelet that still runs makes it again every 10s",
		})
	}
	return out
}

// endedBy says who is to take the finalizers off, and how that one is; of several the first that is gone.
func endedBy(owners []finalizer.Owner) (by string) {
	for _, o := range owners {
		by = fmt.Sprintf("%s of %s is %s: %s", o.Finalizer, orNone(o.Name), o.Alive, o.Why)
		if o.Alive == finalizer.Gone {
			if o.Controller != nil {
				by += fmt.Sprintf("; once %s runs again it does that by itself", o.Controller)
			}
			break
		}
	}
	return by
}
