package source

import (
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// policyWith is a policy about a resource, with a binding that names a parameter.
func policyWith(name, resource, apiVersion, kind string, ref *admissionv1.ParamRef) []runtime.Object {
	p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.ParamKind = &admissionv1.ParamKind{APIVersion: apiVersion, Kind: kind}
	p.Spec.MatchConstraints = &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{"*"}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
	}}}}
	b := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	b.Spec.PolicyName, b.Spec.ParamRef = name, ref
	return []runtime.Object{p, b}
}

func TestLoadReadsTheParametersOfPoliciesThatSeePods(t *testing.T) {
	objects := []runtime.Object{newPod("shop", "cart-1", "node-a", creating)}
	objects = append(objects, policyWith("pods-here", "pods", "v1", "ConfigMap", &admissionv1.ParamRef{Name: "limits"})...)
	objects = append(objects, policyWith("pods-there", "pods/status", "v1", "ConfigMap", &admissionv1.ParamRef{Name: "limits", Namespace: "guard"})...)
	objects = append(objects, policyWith("services", "services", "v1", "ConfigMap", &admissionv1.ParamRef{Name: "others"})...)
	m := newMemory(objects...)
	s := mustLoad(t, m, Query{Needs: allKinds()})
	if len(s.ValidatingPolicies()) != 3 || len(s.ValidatingPolicyBindings()) != 3 {
		t.Errorf("%d policies and %d bindings were read", len(s.ValidatingPolicies()), len(s.ValidatingPolicyBindings()))
	}
	for name, want := range map[[2]string]snapshot.Presence{{"shop", "limits"}: snapshot.Absent, {"guard", "limits"}: snapshot.Absent, {"shop", "others"}: snapshot.Unknown} {
		if got := s.Has(snapshot.ConfigMap, name[0], name[1]); got != want {
			t.Errorf("ConfigMap %v is %v, want %v", name, got, want)
		}
	}
}

func TestLoadReadsNoBindingsWithoutAPolicy(t *testing.T) {
	m := newMemory(newPod("shop", "cart-1", "node-a", creating))
	mustLoad(t, m, Query{Needs: allKinds()})
	if got := m.requests("list " + string(snapshot.ValidatingAdmissionPolicy) + " "); len(got) != 1 {
		t.Errorf("policies were asked for %d times", len(got))
	}
	if got := m.requests("list " + string(snapshot.ValidatingAdmissionPolicyBinding)); len(got) > 0 {
		t.Errorf("bindings of no policy were asked for: %v", got)
	}
	m = newMemory(newPod("shop", "cart-1", "node-a", creating))
	mustLoad(t, m, Query{})
	if got := m.requests("list " + string(snapshot.ValidatingAdmissionPolicy)); len(got) > 0 {
		t.Errorf("policies were asked for, which nobody needs: %v", got)
	}
}

func TestLoadAsksForNoPoliciesOfAHealthyCluster(t *testing.T) {
	m := newMemory(append(policyWith("pods-here", "pods", "v1", "ConfigMap", &admissionv1.ParamRef{Name: "limits"}), newPod("shop", "cart-1", "node-a"))...)
	mustLoad(t, m, Query{Needs: allKinds()})
	for _, k := range []snapshot.Kind{snapshot.ValidatingAdmissionPolicy, snapshot.MutatingAdmissionPolicy, snapshot.ConfigMap} {
		if got := m.requests("list " + string(k)); len(got) > 0 {
			t.Errorf("%s was asked for: %v", k, got)
		}
	}
}
