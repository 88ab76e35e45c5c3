package admission

import (
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// request is an operation on a pod, as the matchers of the API server see it.
type request struct {
	op          admissionv1.OperationType
	subresource string
	namespace   string
	name        string // empty where the API server is to make it up
	// object are the labels that object selectors see; hasObject is false for requests whose object has no metadata (exec, attach, …), which no
	// selector matches but an empty one.
	object    labels.Set
	hasObject bool
	// nsLabels are those of the namespace; nsKnown is false where it was not read, and then they hold what every namespace has.
	nsLabels labels.Set
	nsKnown  bool
}

func newRequest(s *snapshot.Snapshot, pod *corev1.Pod, op admissionv1.OperationType, subresource string) request {
	r := request{op: op, subresource: subresource, namespace: pod.Namespace, name: pod.Name, hasObject: true}
	switch subresource {
	case "", "status", "resize", "ephemeralcontainers":
		// An update shows both the old object and the new one, and one of them has to match (predicates/object); what is asked about here
		// (finalizers, status) leaves the labels as they are.
		r.object = labels.Set(pod.Labels)
	case "eviction", "binding":
		r.object = labels.Set{} // the object of the request is an Eviction or a Binding, whose labels nobody sets
	default:
		r.hasObject = false
	}
	if ns := s.NamespaceOf(pod.Namespace); ns != nil {
		r.nsLabels, r.nsKnown = labels.Set(ns.Labels), true
	} else {
		// Every namespace has this label (API server, since 1.22); what else it has is not known.
		r.nsLabels = labels.Set{corev1.LabelMetadataName: pod.Namespace}
	}
	return r
}

// criteria are what a webhook, a policy or a binding matches requests by. matchPolicy is not among them: pods are served in one version and
// under one name, so Exact and Equivalent are the same for them.
type criteria struct {
	rules     []admissionv1.RuleWithOperations
	names     [][]string // of the rules, by index: resourceNames
	anyRule   bool       // no rules at all match everything
	exclude   []admissionv1.NamedRuleWithOperations
	namespace *metav1.LabelSelector
	object    *metav1.LabelSelector
}

// matches tells whether the request meets the criteria, and whether that is sure.
func (r request) matches(c criteria) (ok, sure bool) {
	if !r.selects(c.object, r.object, r.hasObject) {
		return false, false
	}
	if slices.ContainsFunc(c.exclude, r.named) {
		return false, false
	}
	covered := c.anyRule && len(c.rules) == 0
	for i := range c.rules {
		if r.covers(c.rules[i]) && (i >= len(c.names) || r.hasName(c.names[i])) {
			covered = true
		}
	}
	if !covered || !r.selects(c.namespace, r.nsLabels, true) {
		return false, false
	}
	return true, r.nsKnown || onlyNames(c.namespace)
}

func (r request) named(n admissionv1.NamedRuleWithOperations) bool {
	return r.covers(n.RuleWithOperations) && r.hasName(n.ResourceNames)
}

func (r request) hasName(list []string) bool { return len(list) == 0 || slices.Contains(list, r.name) }

// covers follows predicates/rules for a namespaced request to v1 pods.
func (r request) covers(rule admissionv1.RuleWithOperations) bool {
	if rule.Scope != nil && *rule.Scope != admissionv1.AllScopes && *rule.Scope != admissionv1.NamespacedScope {
		return false
	}
	if !slices.Contains(rule.Operations, r.op) && !slices.Contains(rule.Operations, admissionv1.OperationAll) {
		return false
	}
	if !has(rule.APIGroups, "") || !has(rule.APIVersions, "v1") {
		return false
	}
	return slices.ContainsFunc(rule.Resources, func(resource string) bool {
		res, sub, _ := strings.Cut(resource, "/")
		return (res == "*" || res == "pods") && (sub == "*" || sub == r.subresource)
	})
}

func has(list []string, s string) bool { return slices.Contains(list, s) || slices.Contains(list, "*") }

// selects follows predicates/object and predicates/namespace: the API server reads an absent selector as an empty one, and an empty one
// matches everything. One that is malformed is taken not to match; the API server refuses to store it.
func (r request) selects(sel *metav1.LabelSelector, l labels.Set, exists bool) bool {
	if sel == nil || len(sel.MatchLabels)+len(sel.MatchExpressions) == 0 {
		return true
	}
	x, err := metav1.LabelSelectorAsSelector(sel)
	return err == nil && exists && x.Matches(l)
}

// onlyNames tells whether the selector asks for nothing but the name of the namespace.
func onlyNames(sel *metav1.LabelSelector) bool {
	if sel == nil {
		return true
	}
	for k := range sel.MatchLabels {
		if k != corev1.LabelMetadataName {
			return false
		}
	}
	return !slices.ContainsFunc(sel.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool { return r.Key != corev1.LabelMetadataName })
}
