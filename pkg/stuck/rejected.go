package stuck

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// rejectedLately is for how long a pod that a kubelet refused speaks of what goes on now, where a controller has made another one since. A number
// of this tool's own.
const rejectedLately = 15 * time.Minute

// refused tells whether the pod is one that a kubelet refused to run, and more than a leftover: nobody makes another one; or its controller
// does, and the next one was refused as well; or it was asked for.
func refused(s *snapshot.Snapshot, p *corev1.Pod, o Options) bool {
	if !snapshot.Rejected(p) {
		return false
	}
	owner := metav1.GetControllerOf(p)
	if owner == nil || o.Named != nil && o.Named(snapshot.RefOf(p)) {
		return true
	}
	late := func(q *corev1.Pod) bool { return s.Now().Sub(q.CreationTimestamp.Time) <= rejectedLately }
	if !late(p) {
		return false
	}
	for _, q := range s.Pods() {
		if q == p || q.Namespace != p.Namespace || !late(q) || !snapshot.Rejected(q) {
			continue
		}
		if c := metav1.GetControllerOf(q); c != nil && c.UID == owner.UID {
			return true
		}
	}
	return false
}
