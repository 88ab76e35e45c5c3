package source

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// leaders are the Leases by which controllers elect their leaders: those of all namespaces, without the heartbeats of nodes. They are
// listed once, and only if somebody asks: for drivers of volumes, or for the owners of finalizers.
type leaders struct {
	once   sync.Once
	leases []*coordinationv1.Lease
}

// readLeaderLeases lists the Leases of all namespaces but kube-node-lease, which the survey reads, and keeps them in the snapshot. It may be
// called from several places and at the same time; one request is made. Without the right to list those of all namespaces it is a gap, and
// those of the one namespace in question are what there is.
func (p *plan) readLeaderLeases(ctx context.Context) []*coordinationv1.Lease {
	p.leaders.once.Do(func() {
		read := func(namespace, fieldSelector string) error {
			var got []runtime.Object
			err := p.list(ctx, ListRequest{Kind: snapshot.Lease, Namespace: namespace, FieldSelector: fieldSelector}, func(o runtime.Object) {
				if l, ok := o.(*coordinationv1.Lease); ok {
					p.leaders.leases = append(p.leaders.leases, l)
					got = append(got, l)
				}
			})
			p.add(got...)
			if err != nil {
				p.gap(snapshot.Lease, namespace, "", err)
			}
			return err
		}
		if read("", "metadata.namespace!="+corev1.NamespaceNodeLease) != nil {
			if p.query.Namespace == "" {
				return
			}
			p.leaders.leases = nil
			if read(p.query.Namespace, "") == nil {
				p.mu.Lock()
				p.builder.SetComplete(snapshot.Lease, p.query.Namespace)
				p.mu.Unlock()
			}
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.beats {
			p.builder.SetComplete(snapshot.Lease, "")
		}
		for _, l := range p.leaders.leases {
			p.builder.SetComplete(snapshot.Lease, l.Namespace)
		}
	})
	return p.leaders.leases
}

// readHolders reads the pods that hold the Leases. Who holds one writes its host name, which for a pod is its own name, alone or before an underscore
// and a random part (client-go/tools/leaderelection, csi-lib-utils). Nothing tells a pod's name from another one, so what is not found is no gap.
func (p *plan) readHolders(ctx context.Context, leases []*coordinationv1.Lease) {
	wanted := names{}
	for _, l := range leases {
		if h := l.Spec.HolderIdentity; h != nil && *h != "" {
			name, _, _ := strings.Cut(*h, "_")
			wanted[types.NamespacedName{Namespace: l.Namespace, Name: name}] = true
		}
	}
	// Bounded: whoever depends on more drivers or controllers than that has another problem.
	list := make([]types.NamespacedName, 0, len(wanted))
	for n := range wanted {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	chosen := names{}
	for _, n := range list[:min(len(list), p.limits.gets)] {
		chosen[n] = true
	}
	for _, o := range p.fetch(ctx, snapshot.Pod, chosen) {
		if pod, ok := o.(*corev1.Pod); ok {
			p.pods.addNamed(pod)
		}
	}
}
