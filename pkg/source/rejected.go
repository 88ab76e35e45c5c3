package source

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// maxFailed is how many pods in phase Failed are looked through for those that a kubelet refused: enough for a node that refuses all, and little
// beside the thousands of evicted ones that a cluster may keep.
const maxFailed = 500

// readRejected reads the pods that a kubelet refused to run. They are in phase Failed, so nothing else looks for them; the census tells whether
// there are any.
func (p *plan) readRejected(ctx context.Context) {
	if !p.anyWord(snapshot.RejectionReason) || len(p.query.Names) > 0 {
		return
	}
	r := ListRequest{
		Kind: snapshot.Pod, Namespace: p.query.Namespace, LabelSelector: p.query.LabelSelector, Limit: maxFailed,
		FieldSelector: and(p.query.FieldSelector, "status.phase=Failed"),
	}
	err := p.list(ctx, r, func(o runtime.Object) {
		if pod, ok := o.(*corev1.Pod); ok && snapshot.Rejected(pod) {
			p.pods.add(pod)
		}
	})
	if err != nil && !errors.Is(err, ErrTruncated) {
		p.gap(snapshot.Pod, p.query.Namespace, "", err)
	}
}
