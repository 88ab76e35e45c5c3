package control

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The leases of the two controllers whose work stuck pods wait for, in namespace kube-system.
const (
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
)

// staleLease tells for how long nobody has renewed a control-plane lease. ok is false where it was not read, was
// renewed in time, or where the picture's clock cannot be trusted: if no lease at all is fresh, time stood still.
//
// Leader election renews every 2s and gives up after 15s (component-base RecommendedDefaultLeaderElectionConfiguration);
// a minute, or four times the lease's own duration, leaves room for a change of leaders.
func staleLease(s *snapshot.Snapshot, name string) (l *coordinationv1.Lease, age time.Duration, ok bool) {
	l = s.Lease(metav1.NamespaceSystem, name)
	if l == nil || l.Spec.RenewTime == nil {
		return nil, 0, false
	}
	limit := time.Minute
	if d := l.Spec.LeaseDurationSeconds; d != nil && time.Duration(*d)*4*time.Second > limit {
		limit = time.Duration(*d) * 4 * time.Second
	}
	age = s.Now().Sub(l.Spec.RenewTime.Time)
	if age <= limit {
		return l, age, false
	}
	fresh, others := false, false
	for _, o := range s.Objects(snapshot.Lease) {
		x, is := o.(*coordinationv1.Lease)
		if !is || x.Spec.RenewTime == nil || x.Namespace == metav1.NamespaceSystem && (x.Name == controllerManager || x.Name == scheduler) {
			continue
		}
		others = true
		if s.Now().Sub(x.Spec.RenewTime.Time) <= limit {
			fresh = true
		}
	}
	return l, age, fresh || !others
}

// freshLease tells whether the lease was read and is being renewed.
func freshLease(s *snapshot.Snapshot, name string) bool {
	l := s.Lease(metav1.NamespaceSystem, name)
	return l != nil && l.Spec.RenewTime != nil && s.Now().Sub(l.Spec.RenewTime.Time) <= time.Minute
}
