package source

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// readResourceClaims reads the ResourceClaims that the pods wait for: those that they name, and those that were made from their templates
// (status.resourceClaimStatuses).
func (p *plan) readResourceClaims(ctx context.Context, pods []*corev1.Pod) {
	if !p.needs[snapshot.ResourceClaim] {
		return
	}
	wanted := names{}
	for _, pod := range pods {
		add := func(name *string) {
			if name != nil && *name != "" {
				wanted[types.NamespacedName{Namespace: pod.Namespace, Name: *name}] = true
			}
		}
		for i := range pod.Spec.ResourceClaims {
			add(pod.Spec.ResourceClaims[i].ResourceClaimName)
		}
		for i := range pod.Status.ResourceClaimStatuses {
			add(pod.Status.ResourceClaimStatuses[i].ResourceClaimName)
		}
	}
	if len(wanted) > 0 {
		p.fetch(ctx, snapshot.ResourceClaim, wanted)
	}
}
