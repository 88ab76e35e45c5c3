package source

import (
	"context"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// bound is a policy for pods, and what its bindings say of its parameters.
type bound struct {
	kind *admissionv1.ParamKind
	refs []*admissionv1.ParamRef
}

// readPolicies reads the admission policies and their bindings, and whether the parameters exist of those that are about pods.
func (p *plan) readPolicies(ctx context.Context) {
	var mutating, validating map[string]*bound
	p.all(
		func() {
			mutating = p.readPoliciesOf(ctx, snapshot.MutatingAdmissionPolicy, snapshot.MutatingAdmissionPolicyBinding)
		},
		func() {
			validating = p.readPoliciesOf(ctx, snapshot.ValidatingAdmissionPolicy, snapshot.ValidatingAdmissionPolicyBinding)
		},
	)
	configMaps, custom := names{}, false
	for _, policies := range []map[string]*bound{mutating, validating} {
		for _, b := range policies {
			if b.kind == nil || len(b.refs) == 0 {
				continue
			}
			if group, _, ok := strings.Cut(b.kind.APIVersion, "/"); ok && strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") {
				custom = true
			}
			if b.kind.APIVersion != "v1" || b.kind.Kind != string(snapshot.ConfigMap) {
				continue
			}
			for _, r := range b.refs {
				for _, ns := range p.namespacesOf(r) {
					configMaps[types.NamespacedName{Namespace: ns, Name: r.Name}] = true
				}
			}
		}
	}
	p.all(
		func() {
			if p.needs[snapshot.ConfigMap] {
				p.fetch(ctx, snapshot.ConfigMap, configMaps)
			}
		},
		func() {
			if custom && p.needs[snapshot.CustomResourceDefinition] {
				p.readAll(ctx, snapshot.CustomResourceDefinition, "")
			}
		},
	)
}

// namespacesOf are the namespaces in which a parameter is looked for by name: the one that the binding names, or those of the pods in question.
func (p *plan) namespacesOf(r *admissionv1.ParamRef) []string {
	switch {
	case r.Name == "":
		return nil
	case r.Namespace != "":
		return []string{r.Namespace}
	}
	seen := map[string]bool{}
	var out []string
	for _, pod := range p.subjects() {
		if !seen[pod.Namespace] && len(out) < p.limits.gets {
			seen[pod.Namespace] = true
			out = append(out, pod.Namespace)
		}
	}
	return out
}

// readPoliciesOf reads the policies of a kind, and, where there are any, their bindings. It returns those that are about pods.
func (p *plan) readPoliciesOf(ctx context.Context, policies, bindings snapshot.Kind) map[string]*bound {
	if !p.needs[policies] || !p.needs[bindings] {
		return nil
	}
	found := map[string]*bound{}
	about := func(name string, m *admissionv1.MatchResources, kind *admissionv1.ParamKind) {
		if m == nil {
			return
		}
		var rules []admissionv1.RuleWithOperations
		for i := range m.ResourceRules {
			rules = append(rules, m.ResourceRules[i].RuleWithOperations)
		}
		if matchesPods(rules) {
			found[name] = &bound{kind: kind}
		}
	}
	n := 0
	if !p.readEach(ctx, policies, func(o runtime.Object) {
		n++
		switch x := o.(type) {
		case *admissionv1.MutatingAdmissionPolicy:
			about(x.Name, x.Spec.MatchConstraints, x.Spec.ParamKind)
		case *admissionv1.ValidatingAdmissionPolicy:
			about(x.Name, x.Spec.MatchConstraints, x.Spec.ParamKind)
		}
	}) {
		return nil
	}
	if n == 0 { // a binding without its policy binds nothing
		return nil
	}
	p.readEach(ctx, bindings, func(o runtime.Object) {
		var policy string
		var ref *admissionv1.ParamRef
		switch x := o.(type) {
		case *admissionv1.MutatingAdmissionPolicyBinding:
			policy, ref = x.Spec.PolicyName, x.Spec.ParamRef
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			policy, ref = x.Spec.PolicyName, x.Spec.ParamRef
		}
		if b := found[policy]; b != nil && ref != nil {
			b.refs = append(b.refs, ref)
		}
	})
	return found
}

// readEach lists a cluster-scoped kind, keeps every object and shows it to each. It tells whether those are all.
func (p *plan) readEach(ctx context.Context, k snapshot.Kind, each func(runtime.Object)) bool {
	var got []runtime.Object
	err := p.list(ctx, ListRequest{Kind: k}, func(o runtime.Object) { got = append(got, o) })
	p.add(got...)
	for _, o := range got {
		each(o)
	}
	if err != nil {
		p.gap(k, "", "", err)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.builder.SetComplete(k, "")
	return true
}
