package scenario

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// SandboxCreationFails is a CNI plugin whose credentials have expired on one
// node.
func SandboxCreationFails() Scenario {
	const node, namespace = "worker-a5", "orders"
	api := workload{namespace: namespace, name: "orders-api", replicas: 2, node: node}
	mailer := workload{namespace: namespace, name: "order-mailer", replicas: 1, node: node}
	const unauthorized = "error getting ClusterInformation: connection is unauthorized: Unauthorized"
	return Scenario{
		Name:  "sandbox-creation-fails",
		Doc:   "The CNI plugin of one node is not let in by the API server any more: no network can be made for new pods, none taken down for old ones.",
		Nodes: []NodeSpec{{Name: node, Zone: "eu-central-1a"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := all(api.deployRunning(ctx, c), mailer.deployRunning(ctx, c)); err != nil {
				return err
			}
			err := addFaults(ctx, c, node,
				fault.Rule{ID: "cni-add", Call: fault.RunPodSandbox, Action: fault.Fail,
					Message: `failed to setup network for sandbox "{id}": plugin type="calico" failed (add): ` + unauthorized},
				fault.Rule{ID: "cni-del", Call: fault.StopPodSandbox, Action: fault.Fail,
					Message: `failed to destroy network for sandbox "{id}": plugin type="calico" failed (delete): ` + unauthorized})
			if err != nil {
				return err
			}
			return all(api.deletePods(ctx, c), mailer.deletePods(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, node, corev1.ConditionTrue),
				event(ctx, c, namespace, api.name, "FailedKillPod", "KillPodSandboxError", unauthorized),
				event(ctx, c, namespace, api.name, "FailedCreatePodSandBox", "failed to setup network for sandbox", unauthorized),
				event(ctx, c, namespace, mailer.name, "FailedKillPod", unauthorized),
				enough(ctx, c, namespace, api.name, 2, overdue),
				enough(ctx, c, namespace, mailer.name, 1, overdue),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: api.name, State: Terminating, AtLeast: 2, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"cni-token-expired"}},
			{Namespace: namespace, Prefix: api.name, State: Starting, AtLeast: 2, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"cni-token-expired"}},
			{Namespace: namespace, Prefix: mailer.name, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"cni-token-expired"}},
			{Namespace: namespace, Prefix: mailer.name, State: Starting, AtLeast: 1, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"cni-token-expired"}},
		},
	}
}

// NetworkPluginLost is a node without any CNI configuration.
func NetworkPluginLost() Scenario {
	const node, namespace = "worker-b6", "notifications"
	push := workload{namespace: namespace, name: "push", replicas: 2, node: node}
	return Scenario{
		Name:  "network-plugin-lost",
		Doc:   "The CNI configuration of a node has vanished: the node turns NotReady, and a pod bound to it just before waits for a network.",
		Nodes: []NodeSpec{{Name: node, Zone: "eu-central-1b"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := push.deployRunning(ctx, c); err != nil {
				return err
			}
			if err := c.Node(node).Faults().SetConditions(ctx, fault.NetworkLost()); err != nil {
				return err
			}
			err := bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
				return nodeReady(ctx, c, node, corev1.ConditionFalse)
			})
			if err != nil {
				return err
			}
			// The scheduler keeps off a NotReady node; a pod that names its node
			// does not ask it.
			digest := workload{namespace: namespace, name: "digest", edit: func(spec *corev1.PodSpec) {
				spec.NodeName = node
				spec.Tolerations = append(spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
			}}
			return digest.pod(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, node, corev1.ConditionFalse, "NetworkReady=false", "cni plugin not initialized"),
				event(ctx, c, namespace, "digest", "NetworkNotReady", "cni plugin not initialized"),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: "digest", State: Starting, AtLeast: 1, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"cni-not-initialized"}},
		},
	}
}
