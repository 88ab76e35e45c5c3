package apply

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

func TestADryRunSaysWhatWouldBeLeftAndLeavesEverything(t *testing.T) {
	ns := space(t)
	held, plain, alive := terminating(t, pod(t, ns, "held", hold)), terminating(t, pod(t, ns, "plain")), pod(t, ns, "alive")
	gone, swapped, moved := pod(t, ns, "gone"), pod(t, ns, "swapped"), pod(t, ns, "moved")
	if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), "gone", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	touch(t, moved)
	other := force(swapped)
	other.Ref.UID = "00000000-0000-0000-0000-000000000000"
	plan := planOf(steps(force(held), finalizers(held, hold)), steps(force(plain)), steps(remove(alive)), steps(force(gone)), steps(other), steps(force(moved)))
	answers := admin(t).DryRun(t.Context(), plan, nil)
	for i, w := range []struct {
		said  remedy.Said
		after string
	}{
		{remedy.Accepted, "held by finalizer " + hold}, {remedy.Accepted, "gone"}, {remedy.Accepted, "gone"}, {remedy.Accepted, "being deleted, with a grace period of 30 s"},
		{remedy.Gone, ""}, {remedy.Replaced, ""}, {remedy.Changed, ""},
	} {
		a := answers[i]
		t.Logf("%+v", a)
		if a.Said != w.said || a.After != w.after {
			t.Errorf("%d: %s, after %q; want %s, %q", i, a.Said, a.After, w.said, w.after)
		}
	}
	for _, p := range []*corev1.Pod{held, plain, alive} {
		if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
			t.Errorf("%s was changed by a dry run", p.Name)
		}
	}
}

func TestRightsAreAskedForAsTheUserThatActs(t *testing.T) {
	ns := space(t)
	p := pod(t, ns, "cart-0", hold)
	all := steps(force(p), finalizers(p, hold), again(t, p))
	// Without a controller manager nobody fills the roles view and edit.
	role := func(name string, verbs ...string) {
		if _, err := cluster.Client().RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"pods"}}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	role("looks", "get")
	role("changes", "get", "delete", "patch", "create")
	viewer, err := cluster.NamespaceKubeconfig(t.Context(), "viewer", ns, "looks")
	view := userClient(t, viewer, err)
	editor, err := cluster.NamespaceKubeconfig(t.Context(), "editor", ns, "changes")
	edit := userClient(t, editor, err)
	as := cluster.Config()
	as.Impersonate = rest.ImpersonationConfig{UserName: "viewer"}
	for _, tc := range []struct {
		name, want, optional string
		cfg                  *rest.Config
	}{
		{"admin", "", "", cluster.Config()},
		{"edit", "", "create events", edit},
		{"view", "delete pods patch pods create pods", "create events", view},
		{"as viewer", "delete pods patch pods create pods", "create events", as},
	} {
		var rights string
		err := bed.Poll(t.Context(), 15*time.Second, func(ctx context.Context) error { // until the authorizer has taken in the binding
			r, err := client(t, tc.cfg).Rights(ctx, all)
			if err != nil {
				return err
			}
			var got, optional []string
			for _, m := range r.Missing {
				got = append(got, m.Verb+" "+m.Resource)
				if m.Namespace != ns || m.Role != "stuck-fixer" {
					return fmt.Errorf("%+v", m)
				}
			}
			for _, m := range r.Optional {
				optional = append(optional, m.Verb+" "+m.Resource)
			}
			rights = fmt.Sprintf("%v", r.Err())
			if strings.Join(got, " ") != tc.want || strings.Join(optional, " ") != tc.optional {
				return fmt.Errorf("missing %v, optional %v", got, optional)
			}
			return nil
		})
		t.Logf("%s: %s", tc.name, rights)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	who, err := client(t, as).Who(t.Context())
	if err != nil || who.Kubernetes != "viewer" || who.As != "viewer" {
		t.Errorf("%+v %v", who, err)
	}
	if id, err := client(t, view).ClusterID(t.Context()); err == nil || id != "" {
		t.Errorf("a viewer of one namespace reads kube-system: %q", id)
	}
	if id, err := admin(t).ClusterID(t.Context()); err != nil || id == "" {
		t.Errorf("%q %v", id, err)
	}
	// Without the right, the API server's own words, told apart from admission's.
	plan := planOf(steps(force(p)))
	a := client(t, view).DryRun(t.Context(), plan, nil)[0]
	t.Logf("%+v", a)
	if a.Said != remedy.Refused || a.Code != 403 || a.By != "RBAC" || !strings.Contains(a.Next, "stuck-fixer") {
		t.Errorf("%+v", a)
	}
	calls := 0
	out, status, err := client(t, view).Carry(t.Context(), &journal{}, plan, hooks(t, &calls))
	t.Log(out[0].Text, err)
	want(t, out, status, remedy.Rejected)
}

func TestAPolicysRefusalIsNamed(t *testing.T) {
	ns := space(t)
	here := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}
	fail := admissionv1.Fail
	api := cluster.Client().AdmissionregistrationV1()
	rules := func(ops ...admissionv1.OperationType) *admissionv1.MatchResources {
		return &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: ops, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}}}}
	}
	p := terminating(t, pod(t, ns, "cart-0", hold))
	name := ns + "-keeps"
	if _, err := api.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail, MatchConstraints: rules(admissionv1.Delete), Validations: []admissionv1.Validation{{Expression: "false", Message: "pods are kept"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}, MatchResources: &admissionv1.MatchResources{NamespaceSelector: here},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	mutation := admissionv1.MutatingAdmissionPolicySpec{
		MatchConstraints: rules(admissionv1.Update), ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		Mutations: []admissionv1.Mutation{{
			PatchType: admissionv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{hostname: "filled-in"}}`},
		}},
	}
	if _, err := api.MutatingAdmissionPolicies().Create(t.Context(), &admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mutation}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.MutatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name, MatchResources: &admissionv1.MatchResources{NamespaceSelector: here}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ones := int32(1)
	none := admissionv1.SideEffectClassNone
	// A webhook whose server does not exist, asked about one pod only.
	if _, err := api.ValidatingWebhookConfigurations().Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "check.example.com", NamespaceSelector: here, ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"asked": "yes"}},
			AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &ones, Rules: []admissionv1.RuleWithOperations{rules(admissionv1.Update).ResourceRules[0].RuleWithOperations},
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "nowhere", Name: "engine"}},
		}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	gates := func(remedy.Act, remedy.Step) []admission.Gate {
		return []admission.Gate{{
			Kind: admission.ValidatingPolicy, Name: name, Ref: snapshot.Ref{Kind: snapshot.ValidatingAdmissionPolicy, Name: name}, Binding: snapshot.Ref{Name: name},
		}}
	}
	plan := planOf(steps(force(p), finalizers(p, hold)))
	err := bed.Poll(t.Context(), 20*time.Second, func(ctx context.Context) error {
		a := admin(t).DryRun(ctx, plan, gates)
		if len(a) != 2 || a[0].Said != remedy.Refused || a[1].Said != remedy.Refused {
			return fmt.Errorf("%+v", a)
		}
		if !strings.Contains(a[0].By, "ValidatingAdmissionPolicy "+name) || !strings.Contains(a[0].Text, "pods are kept") || !strings.Contains(a[0].Next, "kubectl get validatingadmissionpolicies") {
			return fmt.Errorf("the policy's: %+v", a[0])
		}
		if !strings.Contains(a[1].By, "may not change") || a[1].Next == "" {
			return fmt.Errorf("the mutation's: %+v", a[1])
		}
		t.Logf("%+v", a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, plan := range map[string]remedy.Plan{"delete": planOf(steps(force(p))), "patch": planOf(steps(finalizers(p, hold)))} {
		_, out, status, err := carry(t, plan)
		if err != nil {
			t.Fatal(name, err)
		}
		want(t, out, status, remedy.Rejected)
	}
	if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
		t.Error("the pod was changed")
	}
}
