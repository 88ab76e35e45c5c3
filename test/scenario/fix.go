package scenario

import (
	"context"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// Fixes returns the scenarios to try changes on. They are beside All, because what is done to them changes them.
func Fixes() []Scenario {
	return []Scenario{NodeStory(), StatefulPodOnFrozenNode(), TwoFinalizers(), PolicyBlocksPatch()}
}

// FrozenNode is the node of StatefulPodOnFrozenNode, and FrozenPod its pod.
const (
	FrozenNode      = "worker-a9"
	FrozenNamespace = "session-store"
	FrozenPod       = "session-store-0"
)

// StatefulPodOnFrozenNode is a pod that must not run twice, on a node that nobody hears of.
func StatefulPodOnFrozenNode() Scenario {
	store := workload{namespace: FrozenNamespace, name: "session-store", replicas: 1, node: FrozenNode, edit: both(shortTolerations, withGrace(5))}
	fix := "kubectl stuck fix pod " + FrozenPod + " -n " + FrozenNamespace
	return Scenario{
		Name:  "stateful-pod-on-frozen-node",
		Doc:   "A StatefulSet's pod is on a node that stops answering; the node controller deletes it, and nobody knows whether it still runs.",
		Nodes: []NodeSpec{{Name: FrozenNode, Zone: "eu-central-1a"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := store.statefulRunning(ctx, c); err != nil {
				return err
			}
			// A node that ever worked has a lease; this one is so young that it may not yet.
			err := bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
				if _, err := c.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, FrozenNode, metav1.GetOptions{}); err != nil {
					return fmt.Errorf("get the lease of node %s: %w", FrozenNode, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return freeze(c, FrozenNode)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, FrozenNode, corev1.ConditionUnknown),
				enough(ctx, c, FrozenNamespace, FrozenPod, 1, onNode(FrozenNode), overdue, phase(corev1.PodRunning)),
			)
		},
		Want: []Want{
			{Namespace: FrozenNamespace, Prefix: FrozenPod, State: Terminating, AtLeast: 1, Node: FrozenNode, Reach: []Reach{ReachNode, ReachPod}, Causes: []string{"node-lost", "kubelet-dead-node-up"}},
		},
		Try: []string{
			fix,
			fix + " --force",
			fix + ` --force --attest "` + FrozenNode + ` was powered off by hand"`,
		},
	}
}

// The pod of TwoFinalizers, and what holds it.
const (
	HeldNamespace  = "archive"
	HeldPod        = "scan-2041"
	TheirFinalizer = "archive.example.com/upload"
	OtherFinalizer = "audit.example.com/record"
)

// TwoFinalizers is a pod without a controller that two finalizers hold.
func TwoFinalizers() Scenario {
	scan := workload{namespace: HeldNamespace, name: HeldPod, edit: withGrace(2)}
	fix := "kubectl stuck fix pod " + HeldPod + " -n " + HeldNamespace
	return Scenario{
		Name: "two-finalizers",
		Doc:  "A deleted pod without a controller is held by two finalizers that nobody removes: taking off one leaves the other, and the pod can be made again from the journal.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := scan.podRunning(ctx, c); err != nil {
				return err
			}
			if err := hold(ctx, c, HeldNamespace, HeldPod, TheirFinalizer, OtherFinalizer); err != nil {
				return err
			}
			return scan.deletePods(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return enough(ctx, c, HeldNamespace, HeldPod, 1, phase(corev1.PodSucceeded, corev1.PodFailed), heldByFinalizersOnly)
		},
		Want: []Want{
			{Namespace: HeldNamespace, Prefix: HeldPod, State: Terminating, AtLeast: 1, Reach: []Reach{ReachPod, ReachShared}, Causes: []string{"foreign-finalizer-controller-gone"}},
		},
		Try: []string{
			fix + " --finalizers",
			fix + " --finalizers=" + TheirFinalizer,
			fix + " --finalizers=" + OtherFinalizer,
			"kubectl stuck history",
			"kubectl stuck undo",
		},
	}
}

// The pod of PolicyBlocksPatch, what holds it, and the policy that spoils every change of it.
const (
	SpoiltNamespace = "invoicing"
	SpoiltPod       = "invoice-run"
	SpoiltFinalizer = "invoicing.example.com/ledger"
	SpoilingPolicy  = "invoice-hostnames"
)

// PolicyBlocksPatch is a policy that fills in a field which may not change any more: every change of the pod is refused for it.
func PolicyBlocksPatch() Scenario {
	run := workload{namespace: SpoiltNamespace, name: SpoiltPod, edit: withGrace(2)}
	fix := "kubectl stuck fix pod " + SpoiltPod + " -n " + SpoiltNamespace
	return Scenario{
		Name: "policy-blocks-patch",
		Doc:  "A mutating policy sets the hostname of a namespace's pods, on every change: the API server refuses to take the finalizer off a pod that is older than the policy.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := run.podRunning(ctx, c); err != nil {
				return err
			}
			if err := hold(ctx, c, SpoiltNamespace, SpoiltPod, SpoiltFinalizer); err != nil {
				return err
			}
			if err := spoilChanges(ctx, c, SpoiltNamespace, SpoilingPolicy); err != nil {
				return err
			}
			return run.deletePods(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return enough(ctx, c, SpoiltNamespace, SpoiltPod, 1, phase(corev1.PodSucceeded, corev1.PodFailed), heldByFinalizersOnly)
		},
		Want: []Want{
			{Namespace: SpoiltNamespace, Prefix: SpoiltPod, State: Terminating, AtLeast: 1, Reach: []Reach{ReachPod, ReachShared}, Causes: []string{"foreign-finalizer-controller-gone", "admission-denies-update"}},
		},
		Try: []string{fix, fix + " --finalizers=" + SpoiltFinalizer},
	}
}

// hold puts finalizers on a pod, as their controllers would.
func hold(ctx context.Context, c *bed.Cluster, namespace, name string, finalizers ...string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"finalizers":%s}}`, quoted(finalizers))
	if _, err := c.Client().CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "manager"}); err != nil {
		return fmt.Errorf("put finalizers on pod %s/%s: %w", namespace, name, err)
	}
	return nil
}

func quoted(words []string) string {
	out := "["
	for i, w := range words {
		if i > 0 {
			out += ","
		}
		out += fmt.Sprintf("%q", w)
	}
	return out + "]"
}

// spoilChanges makes a policy that sets the hostname of every pod of the namespace that is created or changed, and waits until it is in force.
func spoilChanges(ctx context.Context, c *bed.Cluster, namespace, name string) error {
	api, meta := c.Client().AdmissionregistrationV1(), metav1.ObjectMeta{Name: name}
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicySpec{
		MatchConstraints:   &admissionv1.MatchResources{ResourceRules: rules("pods", admissionv1.Create, admissionv1.Update)},
		ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		Mutations: []admissionv1.Mutation{{
			PatchType: admissionv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{hostname: "invoices"}}`},
		}},
	}}
	if _, err := api.MutatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create MutatingAdmissionPolicy %s: %w", name, err)
	}
	binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{
		PolicyName:     name,
		MatchResources: &admissionv1.MatchResources{NamespaceSelector: of(namespace)},
	}}
	if _, err := api.MutatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create MutatingAdmissionPolicyBinding %s: %w", name, err)
	}
	return inForce(ctx, c, c.Client(), namespace, probePatch)
}

// statefulRunning makes a StatefulSet of the workload, and waits until its pods run.
func (w workload) statefulRunning(ctx context.Context, c *bed.Cluster) error {
	if err := c.EnsureNamespace(ctx, w.namespace); err != nil {
		return err
	}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: w.labels()},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &w.replicas, ServiceName: w.name, Selector: &metav1.LabelSelector{MatchLabels: w.labels()},
			Template: w.template(),
		},
	}
	if _, err := c.Client().AppsV1().StatefulSets(w.namespace).Create(ctx, set, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create StatefulSet %s/%s: %w", w.namespace, w.name, err)
	}
	return w.running(ctx, c)
}
