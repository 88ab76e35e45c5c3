package contract

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// Quiet leaves out what an API server without controllers changes by itself between two looks: the lease by which it makes itself known.
func Quiet(b source.Backend) source.Backend { return quiet{b} }

type quiet struct{ source.Backend }

func (q quiet) List(ctx context.Context, r source.ListRequest, each func(runtime.Object)) error {
	return q.Backend.List(ctx, r, func(o runtime.Object) {
		if !Restless(o) {
			each(o)
		}
	})
}

// Restless tells whether the API server itself rewrites the object every few seconds.
func Restless(o runtime.Object) bool {
	l, ok := o.(*coordinationv1.Lease)
	return ok && l.Namespace == metav1.NamespaceSystem && strings.HasPrefix(l.Name, "apiserver-")
}

// Settled waits until the API server has made what it makes by itself after its start: the Service kubernetes. (It makes no EndpointSlice
// for it here, because it serves on a loopback address.)
func Settled(ctx context.Context, c *bed.Cluster) error {
	return bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
		if _, err := c.Client().CoreV1().Services(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{}); err != nil {
			return fmt.Errorf("service default/kubernetes: %w", err)
		}
		return nil
	})
}
