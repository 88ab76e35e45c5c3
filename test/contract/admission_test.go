package contract

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// gateCase is one thing that asks before pods of its namespace may change. Whatever asks here refuses.
type gateCase struct {
	name    string
	webhook *admissionv1.ValidatingWebhook
	policy  *admissionv1.ValidatingAdmissionPolicySpec
	binding func(*admissionv1.ValidatingAdmissionPolicyBindingSpec)
	mutate  bool // a MutatingAdmissionPolicy that changes what may not change
	// never says that its match condition is never met, which only the API server can tell.
	never bool
	// want are the operations that must be refused, so that the test does not agree with itself about nothing.
	want []string
}

func rulesFor(ops, resources []string) []admissionv1.RuleWithOperations {
	r := admissionv1.RuleWithOperations{Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: resources}}
	for _, o := range ops {
		r.Operations = append(r.Operations, admissionv1.OperationType(o))
	}
	return []admissionv1.RuleWithOperations{r}
}

func namedRules(ops, resources []string) *admissionv1.MatchResources {
	return &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rulesFor(ops, resources)[0]}}}
}

func webhookFor(ops, resources []string, change ...func(*admissionv1.ValidatingWebhook)) *admissionv1.ValidatingWebhook {
	fail, none, seconds := admissionv1.Fail, admissionv1.SideEffectClassNone, int32(1)
	w := &admissionv1.ValidatingWebhook{
		AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &seconds, Rules: rulesFor(ops, resources),
		ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "nowhere", Name: "engine"}},
	}
	for _, c := range change {
		c(w)
	}
	return w
}

func policyFor(ops, resources []string, change ...func(*admissionv1.ValidatingAdmissionPolicySpec)) *admissionv1.ValidatingAdmissionPolicySpec {
	fail := admissionv1.Fail
	p := &admissionv1.ValidatingAdmissionPolicySpec{FailurePolicy: &fail, MatchConstraints: namedRules(ops, resources), Validations: []admissionv1.Validation{{Expression: "false"}}}
	for _, c := range change {
		c(p)
	}
	return p
}

const (
	opCreate   = "create"
	opUpdate   = "remove the finalizers"
	opStatus   = "write the status"
	opDelete   = "delete"
	opEviction = "evict"
)

func gateCases() []gateCase {
	update, pods, status := []string{"UPDATE"}, []string{"pods"}, []string{"pods/status"}
	actions := func(a ...admissionv1.ValidationAction) func(*admissionv1.ValidatingAdmissionPolicyBindingSpec) {
		return func(b *admissionv1.ValidatingAdmissionPolicyBindingSpec) { b.ValidationActions = a }
	}
	params := func(kind admissionv1.ParamKind) func(*admissionv1.ValidatingAdmissionPolicySpec) {
		return func(p *admissionv1.ValidatingAdmissionPolicySpec) { p.ParamKind = &kind }
	}
	missing := func(a admissionv1.ParameterNotFoundActionType, then admissionv1.ValidationAction) func(*admissionv1.ValidatingAdmissionPolicyBindingSpec) {
		return func(b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			b.ParamRef = &admissionv1.ParamRef{Name: "nobody", Namespace: "default", ParameterNotFoundAction: &a}
			b.ValidationActions = []admissionv1.ValidationAction{then}
		}
	}
	configMap := admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
	return []gateCase{
		{name: "webhook-update", webhook: webhookFor(update, pods), want: []string{opUpdate}},
		{name: "webhook-status", webhook: webhookFor(update, status), want: []string{opStatus}},
		{name: "webhook-all", webhook: webhookFor([]string{"*"}, []string{"*/*"}), want: []string{opCreate, opUpdate, opStatus, opDelete, opEviction}},
		{name: "webhook-pods-star", webhook: webhookFor([]string{"*"}, []string{"pods/*"}), want: []string{opCreate, opUpdate, opStatus, opDelete, opEviction}},
		{name: "webhook-star", webhook: webhookFor([]string{"*"}, []string{"*"}), want: []string{opCreate, opUpdate, opDelete}},
		{name: "webhook-ignore", webhook: webhookFor(update, pods, func(w *admissionv1.ValidatingWebhook) { p := admissionv1.Ignore; w.FailurePolicy = &p })},
		{name: "webhook-labels", webhook: webhookFor([]string{"*"}, []string{"*/*"}, func(w *admissionv1.ValidatingWebhook) {
			w.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "gate"}}
		}), want: []string{opCreate, opUpdate, opStatus, opDelete}}, // an Eviction has no labels
		{name: "webhook-other", webhook: webhookFor([]string{"*"}, []string{"*/*"}, func(w *admissionv1.ValidatingWebhook) {
			w.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
		})},
		{name: "webhook-never", never: true, webhook: webhookFor(update, pods, func(w *admissionv1.ValidatingWebhook) {
			w.MatchConditions = []admissionv1.MatchCondition{{Name: "never", Expression: "false"}}
		})},
		{name: "policy-status", policy: policyFor(update, status), want: []string{opStatus}},
		{name: "policy-update", policy: policyFor(update, pods), want: []string{opUpdate}},
		{name: "policy-delete", policy: policyFor([]string{"DELETE"}, pods), want: []string{opDelete}},
		{name: "policy-audit", policy: policyFor(update, pods), binding: actions(admissionv1.Audit, admissionv1.Warn)},
		{name: "policy-elsewhere", policy: policyFor(update, pods), binding: func(b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			b.MatchResources.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "nowhere"}}
		}},
		{name: "policy-excluded", policy: policyFor(update, pods, func(p *admissionv1.ValidatingAdmissionPolicySpec) {
			p.MatchConstraints.ExcludeResourceRules = namedRules(update, pods).ResourceRules
		})},
		{name: "policy-params", policy: policyFor(update, pods, params(configMap)), binding: missing(admissionv1.DenyAction, admissionv1.Audit), want: []string{opUpdate}},
		{name: "policy-no-params", policy: policyFor(update, pods, params(configMap)), binding: missing(admissionv1.AllowAction, admissionv1.Deny)},
		// A policy that cannot be set up refuses what it is about, though its binding is about another namespace, and only audits.
		{name: "policy-no-kind", policy: policyFor(update, pods, params(admissionv1.ParamKind{APIVersion: "gone.example.com/v1", Kind: "Limit"}), func(p *admissionv1.ValidatingAdmissionPolicySpec) {
			p.MatchConstraints.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "policy-no-kind"}}
		}), binding: func(b *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			missing(admissionv1.AllowAction, admissionv1.Audit)(b)
			b.MatchResources.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "nowhere"}}
		}, want: []string{opUpdate}},
		{name: "policy-mutates", mutate: true, want: []string{opUpdate}},
	}
}

// TestGatesAreWhatARealServerAsks compares what package admission expects with what a real API server answers to a dry run.
func TestGatesAreWhatARealServerAsks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := bed.Start(ctx, bed.Options{NoControllerManager: true, NoScheduler: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	client := c.Client()
	for _, g := range gateCases() {
		if err := gatedPod(ctx, client, g.name); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range gateCases() {
		if err := g.install(ctx, client); err != nil {
			t.Fatal(err)
		}
	}
	s := gatePicture(ctx, t, c)
	for _, g := range gateCases() {
		t.Run(g.name, func(t *testing.T) {
			pod := s.Pod(g.name, "gate")
			if pod == nil {
				t.Fatal("the pod was not read")
			}
			for op, try := range operations(client, g.name) {
				expected := slices.ContainsFunc(expectedGates(s, pod, op), func(x admission.Gate) bool {
					if x.Backend.Suspect { // a kind of parameters that only this cluster's own API could have: the tool says no more than that it may be missing
						return true
					}
					return x.Sure && (x.Blocks() || x.Kind == admission.ValidatingPolicy && x.Denies || x.Kind == admission.MutatingPolicy && op == opUpdate)
				})
				if expected != slices.Contains(g.want, op) {
					t.Errorf("%s: a refusal is expected: %v, and it should be %v", op, expected, slices.Contains(g.want, op))
				}
				var answer error
				err := bed.Poll(ctx, 15*time.Second, func(ctx context.Context) error { // until the server has taken in what was installed
					if answer = try(ctx); (answer != nil) != expected {
						return fmt.Errorf("answer: %w", answer)
					}
					return nil
				})
				switch {
				case err != nil:
					t.Errorf("%s: a refusal is expected: %v, and the server says: %v", op, expected, answer)
				case expected:
					r, ok := admission.Recognize(answer.Error())
					if !ok || g.mutate != (r.Kind == admission.Immutable) || !g.mutate && r.Name == "" {
						t.Errorf("%s: the answer is not recognized (%+v): %v", op, r, answer)
					}
				}
			}
		})
	}
}

func gatedPod(ctx context.Context, client kubernetes.Interface, namespace string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create a service account: %w", err)
	}
	pod, err := client.CoreV1().Pods(namespace).Create(ctx, gatePod("gate"), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create pod %s/gate: %w", namespace, err)
	}
	pod.Status.Phase = corev1.PodRunning
	if _, err := client.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write the status of pod %s/gate: %w", namespace, err)
	}
	return nil
}

func gatePod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "gate"}, Finalizers: []string{"example.com/hold"}},
		Spec:       corev1.PodSpec{NodeName: "node-a", Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/gate:1"}}},
	}
}

func (g gateCase) install(ctx context.Context, client kubernetes.Interface) error {
	here := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: g.name}}
	api := client.AdmissionregistrationV1()
	meta := metav1.ObjectMeta{Name: g.name}
	switch {
	case g.webhook != nil:
		w := *g.webhook
		w.Name, w.NamespaceSelector = g.name+".example.com", here
		_, err := api.ValidatingWebhookConfigurations().Create(ctx, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{w}}, metav1.CreateOptions{})
		return err
	case g.policy != nil:
		b := admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: g.name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}, MatchResources: &admissionv1.MatchResources{NamespaceSelector: here},
		}
		if g.binding != nil {
			g.binding(&b)
		}
		if _, err := api.ValidatingAdmissionPolicies().Create(ctx, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: *g.policy}, metav1.CreateOptions{}); err != nil {
			return err
		}
		_, err := api.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: b}, metav1.CreateOptions{})
		return err
	default:
		spec := admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: namedRules([]string{"CREATE", "UPDATE"}, []string{"pods"}), ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{hostname: "filled-in"}}`},
			}},
		}
		if _, err := api.MutatingAdmissionPolicies().Create(ctx, &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: spec}, metav1.CreateOptions{}); err != nil {
			return err
		}
		b := admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: g.name, MatchResources: &admissionv1.MatchResources{NamespaceSelector: here}}
		_, err := api.MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: b}, metav1.CreateOptions{})
		return err
	}
}

// gatePicture is what the plugin reads of the cluster when it looks at those pods.
func gatePicture(ctx context.Context, t *testing.T, c *bed.Cluster) *snapshot.Snapshot {
	t.Helper()
	b, err := live.New(c.Config(), live.Options{Context: bed.ContextName, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Client().CoreV1().Pods("webhook-ignore").Delete(ctx, "gate", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err) // something has to be stuck, or nothing is read
	}
	s, err := source.Load(ctx, b, source.Query{Nodes: []string{"node-a"}, Needs: admission.Reads()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func expectedGates(s *snapshot.Snapshot, pod *corev1.Pod, op string) []admission.Gate {
	switch op {
	case opCreate:
		return admission.Gates(s, pod, admissionv1.Create, "")
	case opUpdate:
		return admission.Gates(s, pod, admissionv1.Update, "")
	case opStatus:
		return admission.Gates(s, pod, admissionv1.Update, "status")
	case opDelete:
		return admission.Gates(s, pod, admissionv1.Delete, "")
	default:
		return admission.Gates(s, pod, admissionv1.Create, "eviction")
	}
}

func operations(client kubernetes.Interface, namespace string) map[string]func(context.Context) error {
	dry := []string{metav1.DryRunAll}
	pods := client.CoreV1().Pods(namespace)
	return map[string]func(context.Context) error{
		opCreate: func(ctx context.Context) error {
			_, err := pods.Create(ctx, gatePod("new"), metav1.CreateOptions{DryRun: dry})
			return err
		},
		opUpdate: func(ctx context.Context) error {
			_, err := pods.Patch(ctx, "gate", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{DryRun: dry})
			return err
		},
		opStatus: func(ctx context.Context) error {
			_, err := pods.Patch(ctx, "gate", types.MergePatchType, []byte(`{"status":{"message":"test"}}`), metav1.PatchOptions{DryRun: dry}, "status")
			return err
		},
		opDelete: func(ctx context.Context) error { return pods.Delete(ctx, "gate", metav1.DeleteOptions{DryRun: dry}) },
		opEviction: func(ctx context.Context) error {
			return pods.EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "gate"}, DeleteOptions: &metav1.DeleteOptions{DryRun: dry}})
		},
	}
}
