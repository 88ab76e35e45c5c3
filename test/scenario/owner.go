package scenario

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// The pods of FinalizerOwners, and the finalizers that hold them.
const (
	OwnersNamespace = "rendering"
	OwnerGonePod    = "frame-queued"
	OwnerGone       = "kueue.x-k8s.io/managed"
	OwnerAlivePod   = "frame-recorded"
	OwnerAlive      = "workflows.argoproj.io/status"
)

// FinalizerOwners are two pods that are held by finalizers of others: the owner of the one was scaled to nothing, that of the other runs and does
// not do its work.
func FinalizerOwners() Scenario {
	const node, gone, alive = "worker-b1", "kueue-controller-manager", "workflow-controller"
	queued := workload{namespace: OwnersNamespace, name: OwnerGonePod, node: node, edit: withGrace(2)}
	recorded := workload{namespace: OwnersNamespace, name: OwnerAlivePod, node: node, edit: withGrace(2)}
	stopped := workload{namespace: OwnersNamespace, name: gone}
	running := workload{namespace: OwnersNamespace, name: alive, replicas: 1}
	return Scenario{
		Name: "finalizer-owners",
		Doc:  "Two deleted pods are held by finalizers of other projects: the controller of the one has no replicas, that of the other runs and does nothing.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := all(queued.podRunning(ctx, c), recorded.podRunning(ctx, c), stopped.deploy(ctx, c), running.deployRunning(ctx, c)); err != nil {
				return err
			}
			if err := staleLease(ctx, c, OwnersNamespace, "c1f6bfd2.kueue.x-k8s.io", gone+"-6d9c8b7f5-x7k2p_1"); err != nil {
				return err
			}
			for pod, finalizer := range map[string]string{OwnerGonePod: OwnerGone, OwnerAlivePod: OwnerAlive} {
				patch := fmt.Appendf(nil, `{"metadata":{"finalizers":[%q]}}`, finalizer)
				if _, err := c.Client().CoreV1().Pods(OwnersNamespace).Patch(ctx, pod, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "manager"}); err != nil {
					return fmt.Errorf("add a finalizer to pod %s/%s: %w", OwnersNamespace, pod, err)
				}
			}
			return all(queued.deletePods(ctx, c), recorded.deletePods(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			d, err := c.Client().AppsV1().Deployments(OwnersNamespace).Get(ctx, alive, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get Deployment %s/%s: %w", OwnersNamespace, alive, err)
			}
			if d.Status.AvailableReplicas == 0 {
				return fmt.Errorf("Deployment %s/%s is not available", OwnersNamespace, alive)
			}
			return enough(ctx, c, OwnersNamespace, "frame-", 2, phase(corev1.PodSucceeded, corev1.PodFailed), heldByFinalizersOnly)
		},
		Want: []Want{
			{Namespace: OwnersNamespace, Prefix: OwnerGonePod, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachPod, ReachShared}, Causes: []string{"foreign-finalizer-controller-gone"}},
			{Namespace: OwnersNamespace, Prefix: OwnerAlivePod, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachPod, ReachShared}, Causes: []string{"foreign-finalizer-controller-gone"}},
			{Namespace: OwnersNamespace, Prefix: alive, State: Running, AtLeast: 1, NotStuck: true},
		},
	}
}

// staleLease makes a Lease of a leader that was last heard of two hours ago.
func staleLease(ctx context.Context, c *bed.Cluster, namespace, name, holder string) error {
	seconds, renewed := int32(15), metav1.NewMicroTime(time.Now().Add(-2*time.Hour))
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}
	if _, err := c.Client().CoordinationV1().Leases(namespace).Create(ctx, lease, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Lease %s/%s: %w", namespace, name, err)
	}
	return nil
}
