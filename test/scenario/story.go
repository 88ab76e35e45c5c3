package scenario

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// The node of NodeStory, and the namespace of its pods.
const (
	StoryNode      = "worker-a3"
	StoryNamespace = "booking"
)

// NodeStory is a node with a hung runtime that carries what is lost with its Node object: a role, a label, a taint and an annotation that people gave it.
func NodeStory() Scenario {
	const label = "shop.example.com/rack"
	seats := workload{namespace: StoryNamespace, name: "seats", replicas: 2, node: StoryNode, edit: withGrace(5)}
	prices := workload{namespace: StoryNamespace, name: "prices", replicas: 1, node: StoryNode, edit: withGrace(5)}
	agent := workload{namespace: StoryNamespace, name: "agent", replicas: 1, edit: both(withGrace(2), func(spec *corev1.PodSpec) {
		spec.NodeSelector = map[string]string{poolLabel: StoryNode}
		spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	})}
	node := "kubectl stuck node " + StoryNode
	return Scenario{
		Name:  "node-story",
		Doc:   "A node's runtime hangs with two workloads and an agent on it: it is drained and deleted, its machine started again, and what people gave the node is put back.",
		Nodes: []NodeSpec{{Name: StoryNode, Zone: "eu-central-1a"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			patch := []byte(`{"metadata":{"labels":{"node-role.kubernetes.io/booking":"","` + label + `":"r7"},"annotations":{"shop.example.com/keeper":"team-booking"}}}`)
			for _, name := range []string{StoryNode, "worker-c1"} { // it is not the only one of its role
				if _, err := c.Client().CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-label"}); err != nil {
					return fmt.Errorf("label node %s: %w", name, err)
				}
			}
			if err := all(seats.deployRunning(ctx, c), prices.deployRunning(ctx, c), agent.daemonRunning(ctx, c)); err != nil {
				return err
			}
			if err := addFaults(ctx, c, StoryNode, fault.Rule{ID: "runtime-hung", Call: fault.Every, Action: fault.Hang}); err != nil {
				return err
			}
			return all(seats.deletePods(ctx, c), prices.deletePods(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, StoryNode, corev1.ConditionFalse, "container runtime is down"),
				enough(ctx, c, StoryNamespace, seats.name, 2, onNode(StoryNode), overdue, phase(corev1.PodRunning)),
				enough(ctx, c, StoryNamespace, prices.name, 1, onNode(StoryNode), overdue, phase(corev1.PodRunning)),
			)
		},
		Within: RuntimeHung().Within,
		Want: []Want{
			{Namespace: StoryNamespace, Prefix: seats.name, State: Terminating, AtLeast: 2, Node: StoryNode, Reach: []Reach{ReachNode}, Causes: runtimeHungCauses()},
			{Namespace: StoryNamespace, Prefix: prices.name, State: Terminating, AtLeast: 1, Node: StoryNode, Reach: []Reach{ReachNode}, Causes: runtimeHungCauses()},
		},
		Try: []string{
			node,
			node + " --drain-and-delete --dry-run=client",
			node + " --drain-and-delete",
			"echo reboot > $MACHINES/" + StoryNode,
			node + " --wait",
			node + " --restore",
			node + " --probe",
			"kubectl stuck history",
		},
	}
}

// daemonRunning makes the workload's namespace and a DaemonSet, and waits until as many pods as the workload has replicas run.
func (w workload) daemonRunning(ctx context.Context, c *bed.Cluster) error {
	if err := c.EnsureNamespace(ctx, w.namespace); err != nil {
		return err
	}
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: w.labels()},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: w.labels()}, Template: w.template()},
	}
	if _, err := c.Client().AppsV1().DaemonSets(w.namespace).Create(ctx, set, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create DaemonSet %s/%s: %w", w.namespace, w.name, err)
	}
	return w.running(ctx, c)
}
