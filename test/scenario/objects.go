package scenario

import (
	"context"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// WantObject is what is right to say of something that is no pod.
type WantObject struct {
	Kind, Namespace, Name string
	// NotStuck objects must not be reported; there is no more to say.
	NotStuck bool
	// Causes are the slugs of the acceptable causes.
	Causes []string
}

// QuotaBlocksCreate is a Deployment of which a quota lets one pod through.
func QuotaBlocksCreate() Scenario {
	const namespace = "returns"
	label := workload{namespace: namespace, name: "label-printer", replicas: 3}
	well := workload{namespace: namespace, name: "label-archive", replicas: 0}
	return Scenario{
		Name: "quota-blocks-create",
		Doc:  "A ResourceQuota allows one pod in a namespace, and a Deployment wants three: two of them do not exist.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := c.EnsureNamespace(ctx, namespace); err != nil {
				return err
			}
			quota := &corev1.ResourceQuota{
				ObjectMeta: metav1.ObjectMeta{Name: "pods"},
				Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}},
			}
			if _, err := c.Client().CoreV1().ResourceQuotas(namespace).Create(ctx, quota, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create ResourceQuota %s/%s: %w", namespace, quota.Name, err)
			}
			// Until the quota is counted, every pod is refused for that.
			err := bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
				q, err := c.Client().CoreV1().ResourceQuotas(namespace).Get(ctx, quota.Name, metav1.GetOptions{})
				if err != nil {
					return fmt.Errorf("get ResourceQuota %s/%s: %w", namespace, quota.Name, err)
				}
				if len(q.Status.Hard) == 0 {
					return fmt.Errorf("ResourceQuota %s/%s is not counted", namespace, quota.Name)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return all(label.deploy(ctx, c), well.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(enough(ctx, c, namespace, label.name, 1, phase(corev1.PodRunning)), replicaFailure(ctx, c, namespace, label.name))
		},
		Want: []Want{{Namespace: namespace, Prefix: label.name, State: Running, AtLeast: 1, NotStuck: true}},
		Objects: []WantObject{
			{Kind: "Deployment", Namespace: namespace, Name: label.name, Causes: []string{"quota-blocks-create"}},
			{Kind: "Deployment", Namespace: namespace, Name: well.name, NotStuck: true},
		},
	}
}

// WebhookBlocksCreate is a policy whose webhook is gone and is asked about new pods.
func WebhookBlocksCreate() Scenario {
	const namespace, webhook = "rewards", "new-pods.rewards.example.com"
	points := workload{namespace: namespace, name: "points", replicas: 2}
	return Scenario{
		Name: "webhook-blocks-create",
		Doc:  "A webhook with failurePolicy Fail is asked before a pod is created, and its Service is gone: a Deployment has no pod at all.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := c.EnsureNamespace(ctx, namespace); err != nil {
				return err
			}
			fail, none, seconds := admissionv1.Fail, admissionv1.SideEffectClassNone, int32(5)
			configuration := &admissionv1.ValidatingWebhookConfiguration{
				ObjectMeta: metav1.ObjectMeta{Name: "rewards-new-pods"},
				Webhooks: []admissionv1.ValidatingWebhook{{
					Name: webhook, AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &seconds,
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
					ClientConfig:      admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "rewards-policy", Name: "gone"}},
					Rules: []admissionv1.RuleWithOperations{{
						Operations: []admissionv1.OperationType{admissionv1.Create},
						Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
					}},
				}},
			}
			if _, err := c.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, configuration, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create ValidatingWebhookConfiguration %s: %w", configuration.Name, err)
			}
			err := bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
				probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: points.spec()}
				_, err := c.Client().CoreV1().Pods(namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				if err == nil {
					return fmt.Errorf("webhook %s is not in force", webhook)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return points.deploy(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return replicaFailure(ctx, c, namespace, points.name)
		},
		Objects: []WantObject{{Kind: "Deployment", Namespace: namespace, Name: points.name, Causes: []string{"webhook-blocks-create"}}},
	}
}

// NamespaceHeldByPod is a namespace that was deleted and that the finalizer of a pod in it keeps.
func NamespaceHeldByPod() Scenario {
	const namespace = "campaign-2025"
	mailer := workload{namespace: namespace, name: "mailer", edit: withGrace(2)}
	return Scenario{
		Name: "namespace-held-by-pod",
		Doc:  "A namespace was deleted, and a pod in it has a finalizer that nobody removes.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := mailer.podRunning(ctx, c); err != nil {
				return err
			}
			patch := []byte(`{"metadata":{"finalizers":["campaign.example.com/report"]}}`)
			if _, err := c.Client().CoreV1().Pods(namespace).Patch(ctx, mailer.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "campaign-operator"}); err != nil {
				return fmt.Errorf("add a finalizer to pod %s/%s: %w", namespace, mailer.name, err)
			}
			if err := c.Client().CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil {
				return fmt.Errorf("delete namespace %s: %w", namespace, err)
			}
			return nil
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return enough(ctx, c, namespace, mailer.name, 1, phase(corev1.PodSucceeded, corev1.PodFailed), heldByFinalizersOnly)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: mailer.name, State: Terminating, AtLeast: 1, Reach: []Reach{ReachPod}, Causes: []string{"foreign-finalizer-controller-gone"}},
		},
		Objects: []WantObject{{Kind: "Namespace", Name: namespace, Causes: []string{"namespace-content-remaining"}}},
	}
}

// replicaFailure waits until a Deployment says that its pods cannot be created.
func replicaFailure(ctx context.Context, c *bed.Cluster, namespace, name string) error {
	d, err := c.Client().AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get Deployment %s/%s: %w", namespace, name, err)
	}
	for _, cond := range d.Status.Conditions {
		if cond.Type == appsv1.DeploymentReplicaFailure && cond.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("Deployment %s/%s does not say that its pods cannot be created", namespace, name)
}
