package admission

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// mutatingPolicies lists the pairs of a MutatingAdmissionPolicy and a binding that act on the request. Such policies do not see deletions
// (policy/mutating: Create, Update, Connect), and one that fails is refused or ignored by its failurePolicy; it cannot deny.
func (c *Chain) mutatingPolicies(r request) []Gate {
	if r.op == admissionv1.Delete {
		return nil
	}
	var out []Gate
	bindings := c.s.MutatingPolicyBindings()
	for _, p := range c.s.MutatingPolicies() {
		q := policy{
			gate: Gate{
				Kind: MutatingPolicy, Ref: snapshot.Ref{Kind: snapshot.MutatingAdmissionPolicy, Name: p.Name, UID: p.UID},
				Name: p.Name, Fail: fails(p.Spec.FailurePolicy), Mutates: true, Conditions: conditions(p.Spec.MatchConditions),
			},
			where: p.Spec.MatchConstraints, param: p.Spec.ParamKind,
		}
		for _, b := range bindings {
			if b.Spec.PolicyName == p.Name {
				ref := snapshot.Ref{Kind: snapshot.MutatingAdmissionPolicyBinding, Name: b.Name, UID: b.UID}
				q.bindings = append(q.bindings, binding{ref: ref, where: b.Spec.MatchResources, param: b.Spec.ParamRef})
			}
		}
		out = append(out, c.pairs(r, q)...)
	}
	return out
}

// validatingPolicies lists the pairs of a ValidatingAdmissionPolicy and a binding that judge the request.
func (c *Chain) validatingPolicies(r request) []Gate {
	var out []Gate
	bindings := c.s.ValidatingPolicyBindings()
	for _, p := range c.s.ValidatingPolicies() {
		q := policy{
			gate: Gate{
				Kind: ValidatingPolicy, Ref: snapshot.Ref{Kind: snapshot.ValidatingAdmissionPolicy, Name: p.Name, UID: p.UID},
				Name: p.Name, Fail: fails(p.Spec.FailurePolicy), Conditions: conditions(p.Spec.MatchConditions),
			},
			where: p.Spec.MatchConstraints, param: p.Spec.ParamKind,
		}
		for _, b := range bindings {
			if b.Spec.PolicyName == p.Name {
				ref := snapshot.Ref{Kind: snapshot.ValidatingAdmissionPolicyBinding, Name: b.Name, UID: b.UID}
				denies := slices.Contains(b.Spec.ValidationActions, admissionv1.Deny)
				q.bindings = append(q.bindings, binding{ref: ref, where: b.Spec.MatchResources, param: b.Spec.ParamRef, denies: denies})
			}
		}
		out = append(out, c.pairs(r, q)...)
	}
	return out
}

// policy is what policies of both kinds have, with their bindings.
type policy struct {
	gate     Gate // without a binding
	where    *admissionv1.MatchResources
	param    *admissionv1.ParamKind
	bindings []binding
}

type binding struct {
	ref    snapshot.Ref
	where  *admissionv1.MatchResources
	param  *admissionv1.ParamRef
	denies bool
}

// pairs lists the gates of a policy, one for each binding that is about the request.
func (c *Chain) pairs(r request, p policy) []Gate {
	sees, sure := r.resources(p.where)
	if !sees {
		return nil
	}
	var out []Gate
	noKind := c.maybeNotServed(p.param)
	var elsewhere []Gate // no binding is about the request; if the kind is not served, the policy fails as a whole
	for _, b := range p.bindings {
		bound, boundSure := true, true
		if b.where != nil {
			bound, boundSure = r.resources(b.where)
		}
		if !bound && !noKind {
			continue
		}
		g := p.gate
		g.Binding, g.Denies = b.ref, bound && b.denies
		g.Sure = sure && boundSure && len(g.Conditions) == 0
		var applies bool
		if g.Backend, applies = c.params(r, g, p.param, b.param); applies {
			g.Sure = g.Sure && g.Backend.State != Unknown
			if !bound {
				elsewhere = append(elsewhere[:0], g)
				continue
			}
			out, elsewhere, noKind = append(out, g), nil, false
		}
	}
	return append(out, elsewhere...)
}

// resources tells whether the matchConstraints of a policy, or the matchResources of a binding, match the request (policy/matching). A policy
// without any never matches; a binding without any is not asked.
func (r request) resources(m *admissionv1.MatchResources) (ok, sure bool) {
	if m == nil {
		return false, false
	}
	c := criteria{anyRule: true, exclude: m.ExcludeResourceRules, namespace: m.NamespaceSelector, object: m.ObjectSelector}
	for i := range m.ResourceRules {
		c.rules = append(c.rules, m.ResourceRules[i].RuleWithOperations)
		c.names = append(c.names, m.ResourceRules[i].ResourceNames)
	}
	return r.matches(c)
}

// params tells whether what a policy takes its parameters from is there (policy/generic CollectParams). A policy runs inside the API server, so
// nothing else can be down. applies is false where the binding has no parameters and says that it then allows everything.
func (c *Chain) params(r request, g Gate, kind *admissionv1.ParamKind, ref *admissionv1.ParamRef) (b Backend, applies bool) {
	b = Backend{State: Up, Why: "it runs inside the API server"}
	if kind == nil {
		return b, true
	}
	if c.maybeNotServed(kind) {
		b.State, b.Suspect = Unknown, true
		b.Why = fmt.Sprintf("its parameters are of kind %s of %s, and no CustomResourceDefinition has that group", kind.Kind, kind.APIVersion)
		b.Evidence = []diagnose.Evidence{{Object: g.Ref.String(), Field: "spec.paramKind", Value: kind.APIVersion + " " + kind.Kind + " (no CustomResourceDefinition of that group)"}}
		return b, true
	}
	if ref == nil {
		return b, true
	}
	k := snapshot.Kind(kind.Kind)
	if ref.Name == "" || kind.APIVersion != "v1" || k != snapshot.ConfigMap {
		b.State, b.Why = Unknown, "its parameters were not looked for"
		return b, true
	}
	ns := ref.Namespace
	if ns == "" {
		ns = r.namespace
	}
	object := snapshot.Ref{Kind: k, Namespace: ns, Name: ref.Name}
	switch c.s.Has(k, ns, ref.Name) {
	case snapshot.Present:
		return b, true
	case snapshot.Unknown:
		b.State, b.Why = Unknown, fmt.Sprintf("its parameters, %s, were not read", object)
		return b, true
	}
	if ref.ParameterNotFoundAction == nil || *ref.ParameterNotFoundAction != admissionv1.DenyAction {
		return b, false
	}
	b.State, b.Why = Down, fmt.Sprintf("its parameters, %s, do not exist, and its parameterNotFoundAction is Deny", object)
	b.Evidence = []diagnose.Evidence{{Object: g.Binding.String(), Field: "spec.paramRef", Value: object.String() + " (does not exist)"}}
	return b, true
}

// maybeNotServed tells whether nothing that was read serves the kind of a policy's parameters: it is not the API server's own, and no
// CustomResourceDefinition has its group. An APIService may still serve it, and those are not read. If nobody does, every request that the policy's own
// constraints match fails by its failurePolicy, whatever its bindings select and do (policy/generic ConfigurationError), once the policy has a binding
// at all. An API server that was not started anew since the definition went away still takes the parameters to be missing.
func (c *Chain) maybeNotServed(kind *admissionv1.ParamKind) bool {
	if kind == nil {
		return false
	}
	group, _, named := strings.Cut(kind.APIVersion, "/")
	return named && !builtIn(group) && c.s.Complete(snapshot.CustomResourceDefinition, "") &&
		!slices.ContainsFunc(c.crds, func(n string) bool { return strings.HasSuffix(n, "."+group) })
}

// builtIn tells whether the API server serves the group itself.
func builtIn(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}
