package scenario

import (
	"context"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// ForeignFinalizer is a pod whose finalizer nobody is there to remove.
func ForeignFinalizer() Scenario {
	const namespace, node = "inventory", "worker-a1"
	sync := workload{namespace: namespace, name: "stock-sync", node: node, edit: withGrace(2)}
	api := workload{namespace: namespace, name: "stock-api", replicas: 2}
	return Scenario{
		Name: "foreign-finalizer",
		Doc:  "A deleted pod has a finalizer of an operator that has been uninstalled; its containers are long gone.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := all(sync.podRunning(ctx, c), api.deployRunning(ctx, c)); err != nil {
				return err
			}
			patch := []byte(`{"metadata":{"finalizers":["inventory.example.com/release-lock"]}}`)
			_, err := c.Client().CoreV1().Pods(namespace).Patch(ctx, sync.name, types.MergePatchType, patch,
				metav1.PatchOptions{FieldManager: "inventory-operator"})
			if err != nil {
				return fmt.Errorf("add a finalizer to pod %s/%s: %w", namespace, sync.name, err)
			}
			return sync.deletePods(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return enough(ctx, c, namespace, sync.name, 1, phase(corev1.PodSucceeded, corev1.PodFailed), heldByFinalizersOnly)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: sync.name, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachPod}, Causes: []string{"foreign-finalizer-controller-gone"}},
			{Namespace: namespace, Prefix: api.name, State: Running, AtLeast: 2, NotStuck: true},
		},
	}
}

// OrphanedJobPod is a pod of a Job that is gone, which still has the finalizer
// with which the job controller counts.
func OrphanedJobPod() Scenario {
	const namespace, job = "billing", "invoice-export"
	return Scenario{
		Name: "orphaned-job-pod",
		Doc:  "A Job was deleted while a policy kept the job controller from updating its pods; the pod is finished but keeps the tracking finalizer.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := c.EnsureNamespace(ctx, namespace); err != nil {
				return err
			}
			if err := forbidJobController(ctx, c, namespace); err != nil {
				return err
			}
			return exportInvoices(ctx, c, namespace, job)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			if _, err := c.Client().BatchV1().Jobs(namespace).Get(ctx, job, metav1.GetOptions{}); err == nil {
				return fmt.Errorf("Job %s/%s is still there", namespace, job)
			}
			return enough(ctx, c, namespace, job, 1, phase(corev1.PodSucceeded, corev1.PodFailed), heldByFinalizersOnly, hasFinalizer(batchv1.JobTrackingFinalizer))
		},
		Want: []Want{
			{Namespace: namespace, Prefix: job, State: Terminating, AtLeast: 1, Reach: []Reach{ReachPod, ReachCluster, ReachShared}, Causes: []string{"job-tracking-finalizer-orphan", "admission-denies-update"}},
		},
	}
}

// jobController is the user that the job controller is.
const jobController = "system:serviceaccount:kube-system:job-controller"

// forbidJobController keeps the job controller, and nobody else, from changing
// the namespace's pods once they have ended.
func forbidJobController(ctx context.Context, c *bed.Cluster, namespace string) error {
	const name = "billing-pods-are-immutable"
	return deny(ctx, c, name, "request.userInfo.username != '"+jobController+"'", "pods of this namespace are kept for the auditors", &admissionv1.MatchResources{
		NamespaceSelector: of(namespace), ResourceRules: rules("pods", admissionv1.Update),
	}, nil)
}

// of selects a namespace by its name, and rules chooses operations on a resource of the core group.
func of(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}

func rules(resource string, operations ...admissionv1.OperationType) []admissionv1.NamedRuleWithOperations {
	return []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
	}}}
}

// deny makes a ValidatingAdmissionPolicy that lets through only what the expression holds for, and its binding. Where each of the two acts may be limited.
func deny(ctx context.Context, c *bed.Cluster, name, expression, message string, policy, binding *admissionv1.MatchResources) error {
	api, meta, fail := c.Client().AdmissionregistrationV1(), metav1.ObjectMeta{Name: name}, admissionv1.Fail
	_, err := api.ValidatingAdmissionPolicies().Create(ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail, MatchConstraints: policy, Validations: []admissionv1.Validation{{Expression: expression, Message: message}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ValidatingAdmissionPolicy %s: %w", name, err)
	}
	_, err = api.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}, MatchResources: binding,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ValidatingAdmissionPolicyBinding %s: %w", name, err)
	}
	return nil
}

// jobControllerForbidden waits until the API server has taken in the policy: it
// asks as the job controller, and changes nothing.
func jobControllerForbidden(ctx context.Context, c *bed.Cluster, namespace string) error {
	config := c.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: jobController}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for %s: %w", jobController, err)
	}
	return inForce(ctx, c, client, namespace, probePatch)
}

// probePatch is a change of a pod that changes nothing.
const probePatch = `{"metadata":{"annotations":{"shop.example.com/probe":"true"}}}`

// inForce waits until the API server has taken in what refuses a change of the namespace's pods: it asks with a dry run.
func inForce(ctx context.Context, c *bed.Cluster, client kubernetes.Interface, namespace, patch string, subresources ...string) error {
	return bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
		found, err := pods(ctx, c, namespace, "", 1)
		if err != nil {
			return err
		}
		options := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
		if _, err := client.CoreV1().Pods(namespace).Patch(ctx, found[0].Name, types.MergePatchType, []byte(patch), options, subresources...); err == nil {
			return fmt.Errorf("pods of namespace %s may still be changed: %s", namespace, patch)
		}
		return nil
	})
}

// exportInvoices runs a Job and deletes it in the middle, with its pod.
func exportInvoices(ctx context.Context, c *bed.Cluster, namespace, name string) error {
	w := workload{namespace: namespace, name: name, replicas: 1, command: []string{"sh", "-c", "sleep 3600"}, edit: both(withGrace(2), func(spec *corev1.PodSpec) {
		spec.RestartPolicy = corev1.RestartPolicyNever
	})}
	if err := w.job(ctx, c); err != nil {
		return err
	}
	if err := w.running(ctx, c); err != nil {
		return err
	}
	if err := jobControllerForbidden(ctx, c, namespace); err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	if err := c.Client().BatchV1().Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		return fmt.Errorf("delete Job %s/%s: %w", namespace, name, err)
	}
	return nil
}

func hasFinalizer(want string) filter {
	return func(pod *corev1.Pod) string {
		for _, f := range pod.Finalizers {
			if f == want {
				return ""
			}
		}
		return "has no finalizer " + want
	}
}

// WebhookBackendGone is a policy whose webhook is not there any more.
func WebhookBackendGone() Scenario {
	const namespace, webhook = "accounts", "pod-policy.accounts.example.com"
	login := workload{namespace: namespace, name: "login", replicas: 2, edit: withGrace(2)}
	return Scenario{
		Name: "webhook-backend-gone",
		Doc:  "A webhook with failurePolicy Fail judges every change of a namespace's pods, and its Service is gone: the kubelet cannot report that the containers ended.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := login.deployRunning(ctx, c); err != nil {
				return err
			}
			if err := installWebhook(ctx, c, namespace, webhook); err != nil {
				return err
			}
			return login.deletePods(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				enough(ctx, c, namespace, login.name, 2, overdue, phase(corev1.PodRunning)),
				// Their replacements run, but nobody can be told.
				enough(ctx, c, namespace, login.name, 2, inState(Starting)),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: login.name, State: Terminating, AtLeast: 2, Reach: []Reach{ReachShared, ReachCluster}, Causes: []string{"webhook-unavailable-blocks-update"}},
			{Namespace: namespace, Prefix: login.name, State: Starting, AtLeast: 2, Reach: []Reach{ReachShared, ReachCluster}, Causes: []string{"webhook-unavailable-blocks-update"}},
		},
	}
}

// installWebhook makes the configuration and waits until it is in force.
func installWebhook(ctx context.Context, c *bed.Cluster, namespace, name string) error {
	fail, none, seconds, path := admissionv1.Fail, admissionv1.SideEffectClassNone, int32(5), "/validate"
	configuration := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "accounts-pod-policy"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:                    name,
			AdmissionReviewVersions: []string{"v1"},
			FailurePolicy:           &fail,
			SideEffects:             &none,
			TimeoutSeconds:          &seconds,
			NamespaceSelector:       of(namespace),
			ClientConfig: admissionv1.WebhookClientConfig{
				Service: &admissionv1.ServiceReference{Namespace: "policy-system", Name: "pod-policy", Path: &path},
			},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods", "pods/status"}},
			}},
		}},
	}
	if _, err := c.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, configuration, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create ValidatingWebhookConfiguration %s: %w", configuration.Name, err)
	}
	return inForce(ctx, c, c.Client(), namespace, probePatch)
}

// PolicyFreezesStatus is a policy that means the pods, and hits what the kubelet reports of them.
func PolicyFreezesStatus() Scenario {
	const namespace, policy = "bookkeeping", "books-are-frozen"
	books := workload{namespace: namespace, name: "books", replicas: 2, edit: withGrace(2)}
	return Scenario{
		Name: "policy-freezes-status",
		Doc:  "A ValidatingAdmissionPolicy denies every change of the status of a namespace's pods: the kubelet cannot report that the containers ended, and nothing says so but its log.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := books.deployRunning(ctx, c); err != nil {
				return err
			}
			if err := freezeStatus(ctx, c, namespace, policy); err != nil {
				return err
			}
			return books.deletePods(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				enough(ctx, c, namespace, books.name, 2, overdue, phase(corev1.PodRunning), behind),
				enough(ctx, c, namespace, books.name, 2, inState(Starting)),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: books.name, State: Terminating, AtLeast: 2, Reach: []Reach{ReachShared, ReachCluster, ReachPod, ReachUndecided}, Causes: []string{"admission-denies-update"}},
			{Namespace: namespace, Prefix: books.name, State: Starting, AtLeast: 2, Reach: []Reach{ReachShared, ReachCluster, ReachPod, ReachUndecided}, Causes: []string{"admission-denies-update"}},
		},
	}
}

// behind keeps pods whose status does not speak of their last change.
func behind(pod *corev1.Pod) string {
	if pod.Status.ObservedGeneration < pod.Generation {
		return ""
	}
	return fmt.Sprintf("has a status of generation %d", pod.Status.ObservedGeneration)
}

// freezeStatus makes the policy and waits until it is in force.
func freezeStatus(ctx context.Context, c *bed.Cluster, namespace, name string) error {
	err := deny(ctx, c, name, "request.userInfo.username == 'ledger-admin'", "the books are closed",
		&admissionv1.MatchResources{ResourceRules: rules("pods/status", admissionv1.Update)}, &admissionv1.MatchResources{NamespaceSelector: of(namespace)})
	if err != nil {
		return err
	}
	return inForce(ctx, c, c.Client(), namespace, `{"status":{"message":"test"}}`, "status")
}

// LongGracePeriod is a pod that takes its time, and may.
func LongGracePeriod() Scenario {
	const namespace = "fulfilment"
	drain := []string{"sh", "-c", "sleep 900"}
	router := workload{namespace: namespace, name: "parcel-router", replicas: 1, edit: both(withGrace(1800), func(spec *corev1.PodSpec) {
		spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: drain}}}
	})}
	return Scenario{
		Name: "long-grace-period",
		Doc:  "A pod is Terminating and drains in its preStop hook, within its grace period of half an hour: nothing is stuck.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := router.deployRunning(ctx, c); err != nil {
				return err
			}
			return router.deletePods(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return event(ctx, c, namespace, router.name, "Killing")
		},
		Want: []Want{
			{Namespace: namespace, Prefix: router.name, State: Terminating, AtLeast: 1, NotStuck: true, Causes: []string{"long-grace-or-prestop"}},
			{Namespace: namespace, Prefix: router.name, State: Running, AtLeast: 1, NotStuck: true},
		},
	}
}

// Healthy is a workload that is well, and a Job that has done its work.
func Healthy() Scenario {
	const namespace, job = "support", "faq-index"
	chat := workload{namespace: namespace, name: "chat", replicas: 3, apart: true}
	index := workload{namespace: namespace, name: job, command: []string{"sh", "-c", "sleep 2; exit 0"}, edit: func(spec *corev1.PodSpec) {
		spec.RestartPolicy = corev1.RestartPolicyNever
	}}
	return Scenario{
		Name: "healthy",
		Doc:  "A Deployment with all replicas Ready and a completed Job: there must be nothing to say about them.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := chat.deploy(ctx, c); err != nil {
				return err
			}
			return index.job(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			found, err := c.Client().BatchV1().Jobs(namespace).Get(ctx, job, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get Job %s/%s: %w", namespace, job, err)
			}
			if found.Status.Succeeded != 1 {
				return fmt.Errorf("Job %s/%s has not succeeded", namespace, job)
			}
			return enough(ctx, c, namespace, job, 1, phase(corev1.PodSucceeded))
		},
		Want: []Want{
			{Namespace: namespace, Prefix: chat.name, State: Running, AtLeast: 3, NotStuck: true},
			{Namespace: namespace, Prefix: job, State: Running, AtLeast: 1, NotStuck: true},
		},
	}
}
