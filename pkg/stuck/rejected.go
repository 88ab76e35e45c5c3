package stuck

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// For how long a pod that a kubelet refused speaks of what goes on now. The numbers are this tool's own.
const (
	rejectedLately = 15 * time.Minute // where a controller has made another one since
	rejectedLast   = 5 * time.Minute  // how old the last of them may be: controllers make the next one at once, or within minutes
	rejectedBare   = 72 * time.Hour   // where nobody has: who has not missed it over a weekend does not wait for it
)

// refused tells whether the pod is one that a kubelet refused to run, and more than a leftover: nobody makes another one; or its controller
// does, the next one was refused as well, lately, and none is known to have been taken in since; or it was asked for.
func refused(s *snapshot.Snapshot, p *corev1.Pod, o Options) bool {
	if !snapshot.Rejected(p) {
		return false
	}
	owner := metav1.GetControllerOf(p)
	if o.Named != nil && o.Named(snapshot.RefOf(p)) {
		return true
	}
	if owner == nil {
		return p.CreationTimestamp.IsZero() || s.Now().Sub(p.CreationTimestamp.Time) <= rejectedBare
	}
	late := func(q *corev1.Pod) bool { return s.Now().Sub(q.CreationTimestamp.Time) <= rejectedLately }
	if !late(p) {
		return false
	}
	again, last := false, p.CreationTimestamp.Time
	for _, q := range s.Pods() {
		if q == p || q.Namespace != p.Namespace || !late(q) {
			continue
		}
		if c := metav1.GetControllerOf(q); c == nil || c.UID != owner.UID {
			continue
		}
		switch {
		case snapshot.Rejected(q):
			again = true
			if q.CreationTimestamp.After(last) {
				last = q.CreationTimestamp.Time
			}
		case q.CreationTimestamp.After(p.CreationTimestamp.Time) && admitted(q) && instead(owner.Kind, p, q):
			return false
		}
	}
	return again && s.Now().Sub(last) <= rejectedLast
}

// admitted tells whether a kubelet took the pod in: it has said something of its containers.
func admitted(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning || len(p.Status.ContainerStatuses)+len(p.Status.InitContainerStatuses) > 0
}

// instead tells whether a younger pod of the same controller may stand for the one that was refused: in a DaemonSet only on the same node, in a
// StatefulSet only under the same name.
func instead(kind string, refused, younger *corev1.Pod) bool {
	switch snapshot.Kind(kind) {
	case snapshot.DaemonSet:
		return younger.Spec.NodeName == refused.Spec.NodeName
	case snapshot.StatefulSet:
		return younger.Name == refused.Name
	default:
		return true
	}
}
