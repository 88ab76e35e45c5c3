package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// NodeLost is a machine that is gone while its pods' tolerations are short.
func NodeLost() Scenario {
	const node, namespace = "worker-a7", "payments"
	gateway := workload{namespace: namespace, name: "gateway", replicas: 2, node: node, edit: shortTolerations}
	risk := workload{namespace: namespace, name: "risk-scoring", replicas: 1, node: node, edit: shortTolerations}
	return Scenario{
		Name:  "node-lost",
		Doc:   "A node stops answering; the node controller deletes its pods, and nobody is there to confirm that they ended.",
		Nodes: []NodeSpec{{Name: node, Zone: "eu-central-1a"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			for _, w := range []workload{gateway, risk} {
				if err := w.deployRunning(ctx, c); err != nil {
					return err
				}
			}
			return freeze(c, node)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, node, corev1.ConditionUnknown, "Kubelet stopped posting node status."),
				enough(ctx, c, namespace, gateway.name, 2, onNode(node), overdue, phase(corev1.PodRunning)),
				enough(ctx, c, namespace, risk.name, 1, onNode(node), overdue, phase(corev1.PodRunning)),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: gateway.name, State: Terminating, AtLeast: 2, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"node-lost", "kubelet-dead-node-up"}},
			{Namespace: namespace, Prefix: risk.name, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachNode}, Causes: []string{"node-lost", "kubelet-dead-node-up"}},
		},
	}
}

func freeze(c *bed.Cluster, name string) error {
	n := c.Node(name)
	if n == nil {
		return fmt.Errorf("freeze node %s: it has not been started", name)
	}
	return n.Freeze()
}

// addFaults gives rules to a node.
func addFaults(ctx context.Context, c *bed.Cluster, name string, rules ...fault.Rule) error {
	n := c.Node(name)
	if n == nil {
		return fmt.Errorf("add faults to node %s: it has not been started", name)
	}
	if _, err := n.Faults().Add(ctx, rules...); err != nil {
		return fmt.Errorf("add faults to node %s: %w", name, err)
	}
	return nil
}

// addFaultsToHealthy gives rules about one namespace, image or server to all
// the nodes on which its pods may come to be.
func addFaultsToHealthy(ctx context.Context, c *bed.Cluster, rules ...fault.Rule) error {
	var errs []error
	for _, n := range HealthyNodes() {
		errs = append(errs, addFaults(ctx, c, n.Name, rules...))
	}
	return errors.Join(errs...)
}

// RuntimeHung is a container runtime that answers nothing any more.
func RuntimeHung() Scenario {
	const node, namespace = "worker-b4", "search"
	query := workload{namespace: namespace, name: "query", replicas: 2, node: node}
	indexer := workload{namespace: namespace, name: "indexer", replicas: 2, node: node}
	suggest := workload{namespace: namespace, name: "suggest", replicas: 1, node: node}
	return Scenario{
		Name:  "runtime-hung",
		Doc:   "The container runtime of a node hangs: every call waits for ever. At first the node stays Ready and there is no event at all.",
		Nodes: []NodeSpec{{Name: node, Zone: "eu-central-1b"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			for _, w := range []workload{query, indexer} {
				if err := w.deployRunning(ctx, c); err != nil {
					return err
				}
			}
			if err := addFaults(ctx, c, node, fault.Rule{ID: "runtime-hung", Call: fault.Every, Action: fault.Hang}); err != nil {
				return err
			}
			// Before the node is called NotReady, pods still come to it.
			return all(query.deletePods(ctx, c), indexer.deletePods(ctx, c), suggest.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, node, corev1.ConditionFalse, "container runtime is down"),
				enough(ctx, c, namespace, query.name, 2, onNode(node), overdue, phase(corev1.PodRunning)),
				enough(ctx, c, namespace, indexer.name, 2, onNode(node), overdue, phase(corev1.PodRunning)),
				enough(ctx, c, namespace, suggest.name, 1, onNode(node), inState(Starting)),
			)
		},
		Within: 5 * time.Minute,
		Want: []Want{
			{Namespace: namespace, Prefix: query.name, State: Terminating, AtLeast: 2, Node: node, Reach: []Reach{ReachNode}, Causes: runtimeHungCauses()},
			{Namespace: namespace, Prefix: indexer.name, State: Terminating, AtLeast: 2, Node: node, Reach: []Reach{ReachNode}, Causes: runtimeHungCauses()},
			{Namespace: namespace, Prefix: suggest.name, State: Starting, AtLeast: 1, Node: node, Reach: []Reach{ReachNode}, Causes: runtimeHungCauses()},
		},
	}
}

// runtimeHungCauses are what "container runtime is down" may be.
func runtimeHungCauses() []string {
	return []string{"runtime-hung", "pleg-unhealthy-one-pod", "pleg-unhealthy-load"}
}

// NodeOutOfProcesses is the story of the demo: a Ready node on which nothing
// can be started any more, a container's kill included.
func NodeOutOfProcesses() Scenario {
	const node, namespace = "worker-c3", "shop"
	cart := workload{namespace: namespace, name: "cart", replicas: 2, node: node}
	checkout := workload{namespace: namespace, name: "checkout", replicas: 2, node: node}
	recommendations := workload{namespace: namespace, name: "recommendations", replicas: 2, node: node}
	sessions := workload{namespace: namespace, name: "sessions", replicas: 2, node: node}
	storefront := workload{namespace: namespace, name: "storefront", replicas: 3}
	restarted := []workload{cart, checkout, recommendations}

	const again = "resource temporarily unavailable"
	rules := []fault.Rule{
		{ID: "no-fork-kill", Call: fault.StopContainer, Action: fault.Fail,
			Message: `failed to stop container "{id}": unknown error after kill: fork/exec /usr/bin/runc: ` + again},
		{ID: "no-fork-kill-sandbox", Call: fault.StopPodSandbox, Action: fault.Fail,
			Message: `failed to stop sandbox container "{id}" in "SANDBOX_READY" state: failed to kill sandbox container: unknown error after kill: fork/exec /usr/bin/runc: ` + again},
		{ID: "no-fork-sandbox", Call: fault.RunPodSandbox, Action: fault.Fail, Delay: 300 * time.Millisecond,
			Message: `failed to start sandbox "{id}": failed to create containerd task: failed to start shim: start failed: : fork/exec /usr/bin/containerd-shim-runc-v2: ` + again},
	}
	s := Scenario{
		Name:  "node-out-of-processes",
		Doc:   "A leaking process has used up a node's process limit: nothing can be started there, and no container killed, while the node stays Ready.",
		Nodes: []NodeSpec{{Name: node, Zone: "eu-central-1c"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			for _, w := range append(restarted, sessions, storefront) {
				if err := w.deploy(ctx, c); err != nil {
					return err
				}
			}
			for _, w := range append(restarted, sessions, storefront) {
				if err := w.running(ctx, c); err != nil {
					return err
				}
			}
			if err := addFaults(ctx, c, node, rules...); err != nil {
				return err
			}
			// Somebody restarts what seems slow.
			for _, w := range restarted {
				if err := w.deletePods(ctx, c); err != nil {
					return err
				}
			}
			return nil
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			errs := []error{
				nodeReady(ctx, c, node, corev1.ConditionTrue),
				enough(ctx, c, namespace, sessions.name, 2, onNode(node), inState(Running)),
			}
			for _, w := range restarted {
				errs = append(errs,
					enough(ctx, c, namespace, w.name, 2, onNode(node), overdue, phase(corev1.PodRunning)),
					enough(ctx, c, namespace, w.name, 2, onNode(node), inState(Starting)),
					event(ctx, c, namespace, w.name, "FailedKillPod", "KillContainerError", again),
					event(ctx, c, namespace, w.name, "FailedCreatePodSandBox", again),
				)
			}
			return all(errs...)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: sessions.name, State: Running, AtLeast: 2, Node: node, NotStuck: true},
			{Namespace: namespace, Prefix: storefront.name, State: Running, AtLeast: 3, NotStuck: true},
		},
	}
	for _, w := range restarted {
		for _, state := range []State{Terminating, Starting} {
			s.Want = append(s.Want, Want{
				Namespace: namespace, Prefix: w.name, State: state, AtLeast: 2, Node: node,
				Reach: []Reach{ReachNode}, Causes: []string{"pid-thread-exhaustion"},
			})
		}
	}
	return s
}

// ContainerIgnoresKill is one process that cannot be killed, on a node that is
// well.
func ContainerIgnoresKill() Scenario {
	const node, namespace = "worker-b1", "media"
	encoder := workload{namespace: namespace, name: "thumbnailer", replicas: 1, node: node, edit: withGrace(5)}
	other := workload{namespace: namespace, name: "uploader", replicas: 1, node: node}
	return Scenario{
		Name: "container-ignores-kill",
		Doc:  "One container's process hangs in the kernel and survives SIGKILL; the pod stays Terminating, everything else on the node is well.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := encoder.deployRunning(ctx, c); err != nil {
				return err
			}
			match := fault.Match{Namespace: namespace, Pod: encoder.name + "*"}
			err := addFaults(ctx, c, node,
				fault.Rule{ID: "unkillable-container", Call: fault.StopContainer, Match: match, Action: fault.Hang},
				fault.Rule{ID: "unkillable-sandbox", Call: fault.StopPodSandbox, Match: match, Action: fault.Hang})
			if err != nil {
				return err
			}
			if err := encoder.deletePods(ctx, c); err != nil {
				return err
			}
			// Another workload comes to the node after the first is overdue: that it starts is what acquits the node.
			err = bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
				return enough(ctx, c, namespace, encoder.name, 1, onNode(node), overdue)
			})
			if err != nil {
				return fmt.Errorf("wait until the pod is overdue: %w", err)
			}
			// Times in the API are whole seconds: what starts in the same one is not later.
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Second):
			}
			return other.deployRunning(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				enough(ctx, c, namespace, encoder.name, 1, onNode(node), overdue, phase(corev1.PodRunning)),
				event(ctx, c, namespace, encoder.name, "Killing"),
				// A replacement beside it proves that the node is well.
				enough(ctx, c, namespace, encoder.name, 1, inState(Running)),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: encoder.name, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachPod}, Causes: unkillableCauses()},
			{Namespace: namespace, Prefix: other.name, State: Running, AtLeast: 1, NotStuck: true},
		},
	}
}

// unkillableCauses are those that only the node could tell apart.
func unkillableCauses() []string {
	return []string{"d-state-process", "zombie-zap-pid-ns", "runtime-state-desync", "containerd-stop-regression", "cgroup-frozen", "kernel-hung-task"}
}
