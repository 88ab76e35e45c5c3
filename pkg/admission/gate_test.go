package admission_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func ptr[T any](v T) *T { return &v }

// picture makes a snapshot of the objects. Kinds in unread could not be read, those in absent are not served; all others are complete.
func picture(t *testing.T, unread, notServed []snapshot.Kind, objects ...runtime.Object) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, o := range objects {
		if !b.Add(o) {
			t.Fatalf("a snapshot does not hold %T", o)
		}
	}
	for _, i := range snapshot.Kinds() {
		switch {
		case slices.Contains(unread, i.Kind):
			b.AddGap(snapshot.Gap{Kind: i.Kind, Reason: snapshot.ReasonForbidden})
		case slices.Contains(notServed, i.Kind):
			b.AddGap(snapshot.Gap{Kind: i.Kind, Reason: snapshot.ReasonNotFound})
		default:
			b.SetComplete(i.Kind, "")
		}
	}
	s, err := b.Build(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func namespace(name string, kv ...string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}}
	for i := 0; i+1 < len(kv); i += 2 {
		ns.Labels[kv[i]] = kv[i+1]
	}
	return ns
}

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-1", UID: "u1", Labels: map[string]string{"app": "cart"}}}
	for _, c := range change {
		c(p)
	}
	return p
}

func rule(ops, resources string, change ...func(*admissionv1.RuleWithOperations)) admissionv1.RuleWithOperations {
	r := admissionv1.RuleWithOperations{Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: strings.Fields(resources)}}
	for _, o := range strings.Fields(ops) {
		r.Operations = append(r.Operations, admissionv1.OperationType(o))
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func validating(change ...func(*admissionv1.ValidatingWebhook)) *admissionv1.ValidatingWebhookConfiguration {
	w := admissionv1.ValidatingWebhook{
		Name: "check.example.com", Rules: []admissionv1.RuleWithOperations{rule("CREATE UPDATE", "pods pods/status")},
		ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "guard", Name: "engine"}},
		SideEffects:  ptr(admissionv1.SideEffectClassNone),
	}
	for _, c := range change {
		c(&w)
	}
	return &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "guard"}, Webhooks: []admissionv1.ValidatingWebhook{w}}
}

func TestWhetherAWebhookIsAsked(t *testing.T) {
	type change = func(*admissionv1.ValidatingWebhook)
	rules := func(r ...admissionv1.RuleWithOperations) change {
		return func(w *admissionv1.ValidatingWebhook) { w.Rules = r }
	}
	const yes, no, unsure = "asked", "not asked", "not sure"
	for name, c := range map[string]struct {
		change change
		op     admissionv1.OperationType
		sub    string
		want   string
	}{
		"its rules name the operation and the resource": {nil, admissionv1.Update, "", yes},
		"the subresource has to be named":               {nil, admissionv1.Update, "resize", no},
		"status is named":                               {nil, admissionv1.Update, "status", yes},
		"a deletion is not named":                       {nil, admissionv1.Delete, "", no},
		"* of operations is all":                        {rules(rule("*", "pods")), admissionv1.Delete, "", yes},
		"pods/* is the pod's subresources too":          {rules(rule("UPDATE", "pods/*")), admissionv1.Update, "status", yes},
		"pods/* names the pod itself as well":           {rules(rule("UPDATE", "pods/*")), admissionv1.Update, "", yes},
		"* is every resource, and no subresource":       {rules(rule("UPDATE", "*")), admissionv1.Update, "status", no},
		"*/status is every status":                      {rules(rule("UPDATE", "*/status")), admissionv1.Update, "status", yes},
		"another version":                               {rules(rule("UPDATE", "pods", func(r *admissionv1.RuleWithOperations) { r.APIVersions = []string{"v2"} })), admissionv1.Update, "", no},
		"another group":                                 {rules(rule("UPDATE", "pods", func(r *admissionv1.RuleWithOperations) { r.APIGroups = []string{"apps"} })), admissionv1.Update, "", no},
		"cluster scope":                                 {rules(rule("UPDATE", "pods", func(r *admissionv1.RuleWithOperations) { r.Scope = ptr(admissionv1.ClusterScope) })), admissionv1.Update, "", no},
		"namespaced scope":                              {rules(rule("UPDATE", "pods", func(r *admissionv1.RuleWithOperations) { r.Scope = ptr(admissionv1.NamespacedScope) })), admissionv1.Update, "", yes},
		"the namespace is excluded":                     {func(w *admissionv1.ValidatingWebhook) { w.NamespaceSelector = notIn(corev1.LabelMetadataName, "shop") }, admissionv1.Update, "", no},
		"another namespace is excluded":                 {func(w *admissionv1.ValidatingWebhook) { w.NamespaceSelector = notIn(corev1.LabelMetadataName, "bank") }, admissionv1.Update, "", yes},
		"a label of the namespace":                      {func(w *admissionv1.ValidatingWebhook) { w.NamespaceSelector = equal("guarded", "yes") }, admissionv1.Update, "", yes},
		"the pod's labels":                              {func(w *admissionv1.ValidatingWebhook) { w.ObjectSelector = equal("app", "till") }, admissionv1.Update, "", no},
		"an eviction has no labels": {func(w *admissionv1.ValidatingWebhook) {
			w.Rules = []admissionv1.RuleWithOperations{rule("CREATE", "pods/eviction")}
			w.ObjectSelector = equal("app", "cart")
		}, admissionv1.Create, "eviction", no},
		"an eviction is a creation of pods/eviction": {rules(rule("CREATE", "pods/eviction")), admissionv1.Create, "eviction", yes},
		"exec has no metadata to select by": {func(w *admissionv1.ValidatingWebhook) {
			w.Rules = []admissionv1.RuleWithOperations{rule("CONNECT", "pods/exec")}
			w.ObjectSelector = notIn("app", "till")
		}, admissionv1.Connect, "exec", no},
		"its match conditions only the server can evaluate": {func(w *admissionv1.ValidatingWebhook) {
			w.MatchConditions = []admissionv1.MatchCondition{{Name: "not-nodes", Expression: "!('system:nodes' in request.userInfo.groups)"}}
		}, admissionv1.Update, "", unsure},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*admissionv1.ValidatingWebhook) {}
			}
			s := picture(t, nil, nil, namespace("shop", "guarded", "yes"), validating(change))
			gates := admission.Gates(s, pod(), c.op, c.sub)
			got := no
			if len(gates) == 1 {
				got = unsure
				if gates[0].Sure {
					got = yes
				}
			}
			if got != c.want || len(gates) > 1 {
				t.Errorf("got %s, want %s: %+v", got, c.want, gates)
			}
		})
	}
}

func equal(k, v string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{k: v}}
}

func notIn(k string, v ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: k, Operator: metav1.LabelSelectorOpNotIn, Values: v}}}
}

func TestANamespaceThatWasNotReadLeavesItsLabelsOpen(t *testing.T) {
	byLabel := func(w *admissionv1.ValidatingWebhook) { w.NamespaceSelector = notIn("guarded", "no") }
	byName := func(w *admissionv1.ValidatingWebhook) { w.NamespaceSelector = notIn(corev1.LabelMetadataName, "bank") }
	for name, c := range map[string]struct {
		change func(*admissionv1.ValidatingWebhook)
		sure   bool
	}{"a label that it may have": {byLabel, false}, "its name, which every namespace has": {byName, true}} {
		s := picture(t, []snapshot.Kind{snapshot.Namespace}, nil, validating(c.change))
		gates := admission.Gates(s, pod(), admissionv1.Update, "")
		if len(gates) != 1 || gates[0].Sure != c.sure {
			t.Errorf("%s: got %+v, want one gate, sure: %v", name, gates, c.sure)
		}
	}
}

func service(change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "guard", Name: "engine"}, Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Port: 443}}, Selector: map[string]string{"app": "engine"},
	}}
	for _, c := range change {
		c(s)
	}
	return s
}

func endpoints(ready ...bool) *discoveryv1.EndpointSlice {
	e := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "guard", Name: "engine-1", Labels: map[string]string{discoveryv1.LabelServiceName: "engine"}}}
	for _, r := range ready {
		e.Endpoints = append(e.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr(r)}})
	}
	return e
}

func ending(serving bool) *discoveryv1.EndpointSlice {
	e := endpoints(false)
	e.Endpoints[0].Conditions.Serving, e.Endpoints[0].Conditions.Terminating = ptr(serving), ptr(true)
	return e
}

func TestWhetherItsServerCanAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		unread  []snapshot.Kind
		objects []runtime.Object
		change  func(*admissionv1.ValidatingWebhook)
		want    admission.State
		why     string
	}{
		"a ready endpoint of two":            {nil, []runtime.Object{service(), endpoints(false, true)}, nil, admission.Up, "1 ready of 2"},
		"no ready endpoint":                  {nil, []runtime.Object{service(), endpoints(false, false)}, nil, admission.Down, "no ready endpoint (of 2)"},
		"one that ends and still serves":     {nil, []runtime.Object{service(), ending(true)}, nil, admission.Unknown, "still may answer"},
		"one that ends and does not serve":   {nil, []runtime.Object{service(), ending(false)}, nil, admission.Down, "no ready endpoint (of 1)"},
		"an empty slice":                     {nil, []runtime.Object{service(), endpoints()}, nil, admission.Down, "no ready endpoint (of 0)"},
		"no slice at all":                    {nil, []runtime.Object{service()}, nil, admission.Down, "no ready endpoint"},
		"the Service does not exist":         {nil, nil, nil, admission.Down, "Service guard/engine does not exist"},
		"the Service has another port":       {nil, []runtime.Object{service(func(s *corev1.Service) { s.Spec.Ports[0].Port = 8443 }), endpoints(true)}, nil, admission.Down, "no port 443"},
		"a Service of another name":          {nil, []runtime.Object{service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName })}, nil, admission.Unknown, "points to another name"},
		"endpoints that were not read":       {[]snapshot.Kind{snapshot.EndpointSlice}, []runtime.Object{service()}, nil, admission.Unknown, "were not read"},
		"a Service that was not read":        {[]snapshot.Kind{snapshot.Service}, []runtime.Object{endpoints(true)}, nil, admission.Up, "1 ready"},
		"neither Service nor endpoints read": {[]snapshot.Kind{snapshot.Service, snapshot.EndpointSlice}, nil, nil, admission.Unknown, "were not read"},
		"a URL": {nil, nil, func(w *admissionv1.ValidatingWebhook) {
			w.ClientConfig = admissionv1.WebhookClientConfig{URL: ptr("https://elsewhere.example.com")}
		}, admission.Unknown, "by URL"},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*admissionv1.ValidatingWebhook) {}
			}
			s := picture(t, c.unread, nil, append(c.objects, namespace("shop"), validating(change))...)
			gates := admission.Gates(s, pod(), admissionv1.Update, "")
			if len(gates) != 1 || gates[0].Backend.State != c.want || !strings.Contains(gates[0].Backend.Why, c.why) {
				t.Fatalf("got %+v, want %s: %s", gates, c.want, c.why)
			}
			if g := gates[0]; g.Blocks() != (c.want == admission.Down) || (g.Backend.State == admission.Down) != (len(g.Backend.Evidence) > 0) {
				t.Errorf("it blocks: %v, evidence %v", g.Blocks(), g.Backend.Evidence)
			}
		})
	}
}

func TestAFailureThatIsIgnoredBlocksNothing(t *testing.T) {
	s := picture(t, nil, nil, namespace("shop"), validating(func(w *admissionv1.ValidatingWebhook) { w.FailurePolicy = ptr(admissionv1.Ignore) }))
	gates := admission.Gates(s, pod(), admissionv1.Update, "")
	if len(gates) != 1 || gates[0].Fail || gates[0].Blocks() || gates[0].Backend.State != admission.Down {
		t.Errorf("got %+v", gates)
	}
}

func TestAWebhookThatNeedsItselfIsSeen(t *testing.T) {
	own := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "guard", Name: "engine-0", Labels: map[string]string{"app": "engine"}}}
	other := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "guard", Name: "other-0", Labels: map[string]string{"app": "other"}}}
	s := picture(t, nil, nil, namespace("shop"), namespace("guard"), validating(), service(), endpoints(), own, other)
	gates := admission.Gates(s, own, admissionv1.Update, "status")
	if len(gates) != 1 || len(gates[0].Backend.Pods) != 1 || gates[0].Backend.Pods[0] != snapshot.RefOf(own) {
		t.Errorf("got %+v", gates)
	}
}

func validatingPolicy(change ...func(*admissionv1.ValidatingAdmissionPolicy)) *admissionv1.ValidatingAdmissionPolicy {
	p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "rules"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule("UPDATE DELETE", "pods pods/status")}}},
		Validations:      []admissionv1.Validation{{Expression: "false"}},
	}}
	for _, c := range change {
		c(p)
	}
	return p
}

func validatingBinding(change ...func(*admissionv1.ValidatingAdmissionPolicyBinding)) *admissionv1.ValidatingAdmissionPolicyBinding {
	b := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "rules-here"}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: "rules", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	for _, c := range change {
		c(b)
	}
	return b
}

func TestWhetherAPolicyIsAsked(t *testing.T) {
	type policy = *admissionv1.ValidatingAdmissionPolicy
	type binding = *admissionv1.ValidatingAdmissionPolicyBinding
	configMap := func(p policy) { p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"} }
	param := func(action admissionv1.ParameterNotFoundActionType) func(binding) {
		return func(b binding) {
			b.Spec.ParamRef = &admissionv1.ParamRef{Name: "settings", ParameterNotFoundAction: ptr(action)}
		}
	}
	settings := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "settings"}}
	for name, c := range map[string]struct {
		policy  func(policy)
		binding func(binding)
		more    []runtime.Object
		unread  []snapshot.Kind
		want    string
	}{
		"bound and denying":           {want: "denies up"},
		"a binding that only audits":  {binding: func(b binding) { b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit} }, want: "asks up"},
		"a binding of another policy": {binding: func(b binding) { b.Spec.PolicyName = "others" }},
		"bound to another namespace": {binding: func(b binding) {
			b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: equal(corev1.LabelMetadataName, "bank")}
		}},
		"bound to this namespace": {binding: func(b binding) {
			b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: equal(corev1.LabelMetadataName, "shop")}
		}, want: "denies up"},
		"no constraints match nothing":    {policy: func(p policy) { p.Spec.MatchConstraints = nil }},
		"a rule for pods of another name": {policy: func(p policy) { p.Spec.MatchConstraints.ResourceRules[0].ResourceNames = []string{"till-1"} }},
		"a rule for this pod's name":      {policy: func(p policy) { p.Spec.MatchConstraints.ResourceRules[0].ResourceNames = []string{"cart-1"} }, want: "denies up"},
		"excluded by a rule": {policy: func(p policy) {
			p.Spec.MatchConstraints.ExcludeResourceRules = []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule("UPDATE", "pods")}}
		}},
		"match conditions":                             {policy: func(p policy) { p.Spec.MatchConditions = []admissionv1.MatchCondition{{Name: "x", Expression: "true"}} }, want: "denies unsure up"},
		"parameters that are there":                    {policy: configMap, binding: param(admissionv1.DenyAction), more: []runtime.Object{settings}, want: "denies up"},
		"parameters that are missing, and that denies": {policy: configMap, binding: param(admissionv1.DenyAction), want: "denies down"},
		"parameters that are missing, and that allows": {policy: configMap, binding: param(admissionv1.AllowAction)},
		"parameters that were not read":                {policy: configMap, binding: param(admissionv1.DenyAction), unread: []snapshot.Kind{snapshot.ConfigMap}, want: "denies unsure unknown"},
		"a kind of parameters that no definition serves": {policy: func(p policy) {
			p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "rules.example.com/v1", Kind: "Limit"}
		}, want: "denies unsure unknown suspect"},
		"a kind that no definition serves, bound elsewhere": {
			policy: func(p policy) {
				p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "rules.example.com/v1", Kind: "Limit"}
			},
			binding: func(b binding) {
				b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: equal(corev1.LabelMetadataName, "bank")}
			},
			want: "asks unsure unknown suspect",
		},
		"a kind of parameters that may be served": {policy: func(p policy) {
			p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: "rules.example.com/v1", Kind: "Limit"}
		},
			binding: param(admissionv1.DenyAction), unread: []snapshot.Kind{snapshot.CustomResourceDefinition}, want: "denies unsure unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			p, b := validatingPolicy(), validatingBinding()
			if c.policy != nil {
				c.policy(p)
			}
			if c.binding != nil {
				c.binding(b)
			}
			s := picture(t, c.unread, nil, append(c.more, namespace("shop"), p, b)...)
			gates := admission.Gates(s, pod(), admissionv1.Update, "")
			got := ""
			if len(gates) == 1 {
				got = "asks"
				if gates[0].Denies {
					got = "denies"
				}
				if !gates[0].Sure {
					got += " unsure"
				}
				got += " " + string(gates[0].Backend.State)
				if gates[0].Backend.Suspect {
					got += " suspect"
				}
			}
			if got != c.want || len(gates) > 1 {
				t.Errorf("got %q, want %q: %+v", got, c.want, gates)
			}
		})
	}
}

func mutatingPolicy() []runtime.Object {
	return []runtime.Object{
		&admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "fill-in"}, Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule("*", "pods")}}},
		}},
		&admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "fill-in-all"}, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "fill-in"}},
	}
}

func TestAMutatingPolicyDoesNotSeeDeletions(t *testing.T) {
	s := picture(t, nil, nil, append(mutatingPolicy(), namespace("shop"))...)
	if g := admission.Gates(s, pod(), admissionv1.Delete, ""); len(g) > 0 {
		t.Errorf("asked before a deletion: %+v", g)
	}
	g := admission.Gates(s, pod(), admissionv1.Update, "")
	if len(g) != 1 || !g[0].Mutates || g[0].Denies || g[0].Binding.Name != "fill-in-all" {
		t.Errorf("got %+v", g)
	}
}

func TestGatesComeInTheOrderOfTheServer(t *testing.T) {
	mutating := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Webhooks: []admissionv1.MutatingWebhook{{
		Name: "m.example.com", Rules: []admissionv1.RuleWithOperations{rule("*", "*/*")}, ClientConfig: admissionv1.WebhookClientConfig{URL: ptr("https://x")},
	}}}
	s := picture(t, nil, nil, append(mutatingPolicy(), namespace("shop"), mutating, validatingPolicy(), validatingBinding(), validating())...)
	var got []admission.GateKind
	for _, g := range admission.Gates(s, pod(), admissionv1.Update, "") {
		got = append(got, g.Kind)
	}
	if want := []admission.GateKind{admission.MutatingPolicy, admission.MutatingWebhook, admission.ValidatingPolicy, admission.ValidatingWebhook}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAPodThatDoesNotExistYetCanBeAskedAbout(t *testing.T) {
	template := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", GenerateName: "cart-", Labels: map[string]string{"app": "cart"}}}
	s := picture(t, nil, nil, namespace("shop"), validating())
	if g := admission.Gates(s, template, admissionv1.Create, ""); len(g) != 1 || !g[0].Sure {
		t.Errorf("got %+v", g)
	}
	if g := admission.Gates(s, nil, admissionv1.Create, ""); g != nil {
		t.Errorf("no pod, and yet %+v", g)
	}
}

func TestAKindThatIsNotServedHoldsNoGates(t *testing.T) {
	s := picture(t, []snapshot.Kind{snapshot.ValidatingWebhookConfiguration}, []snapshot.Kind{snapshot.MutatingAdmissionPolicy, snapshot.MutatingAdmissionPolicyBinding})
	if got, want := admission.Unread(s), []snapshot.Kind{snapshot.ValidatingWebhookConfiguration}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
