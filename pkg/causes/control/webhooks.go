package control

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// hook is one webhook of a configuration, mutating or validating.
type hook struct {
	config    snapshot.Ref
	name      string
	fail      bool // failurePolicy Fail
	service   *admissionv1.ServiceReference
	rules     []admissionv1.RuleWithOperations
	namespace *metav1.LabelSelector
	object    *metav1.LabelSelector
	// conditional webhooks have matchConditions, which only the API server can evaluate.
	conditional bool
}

// hooksOf lists the webhooks of every configuration.
func hooksOf(s *snapshot.Snapshot) []hook {
	out := mutatingHooksOf(s)
	for _, c := range s.ValidatingWebhooks() {
		for i := range c.Webhooks {
			w := &c.Webhooks[i]
			out = append(out, hook{
				config: snapshot.Ref{Kind: snapshot.ValidatingWebhookConfiguration, Name: c.Name, UID: c.UID}, name: w.Name,
				fail: w.FailurePolicy == nil || *w.FailurePolicy == admissionv1.Fail, service: w.ClientConfig.Service, rules: w.Rules,
				namespace: w.NamespaceSelector, object: w.ObjectSelector, conditional: len(w.MatchConditions) > 0,
			})
		}
	}
	return out
}

func mutatingHooksOf(s *snapshot.Snapshot) []hook {
	var out []hook
	for _, c := range s.MutatingWebhooks() {
		for i := range c.Webhooks {
			w := &c.Webhooks[i]
			out = append(out, hook{
				config: snapshot.Ref{Kind: snapshot.MutatingWebhookConfiguration, Name: c.Name, UID: c.UID}, name: w.Name,
				fail: w.FailurePolicy == nil || *w.FailurePolicy == admissionv1.Fail, service: w.ClientConfig.Service, rules: w.Rules,
				namespace: w.NamespaceSelector, object: w.ObjectSelector, conditional: len(w.MatchConditions) > 0,
			})
		}
	}
	return out
}

// calls tells whether the API server calls the webhook for an operation on the pod, and whether that is sure: its
// matchConditions, and a selector of a namespace that was not read, are not. subresource is empty for the pod itself.
// It follows apiserver/pkg/admission/plugin/webhook/predicates. matchPolicy makes no difference, because pods are
// served in one version only.
func (h hook) calls(s *snapshot.Snapshot, p *corev1.Pod, op admissionv1.OperationType, subresource string) (calls, sure bool) {
	if !slices.ContainsFunc(h.rules, func(r admissionv1.RuleWithOperations) bool { return ruleCovers(r, op, subresource) }) {
		return false, false
	}
	if !selects(h.object, p.Labels) {
		return false, false
	}
	sure = !h.conditional
	ns := s.NamespaceOf(p.Namespace)
	if ns != nil {
		if !selects(h.namespace, ns.Labels) {
			return false, false
		}
		return true, sure
	}
	// Every namespace has this label (API server, since 1.22); what else it has is not known.
	if !selects(h.namespace, map[string]string{corev1.LabelMetadataName: p.Namespace}) {
		return false, false
	}
	return true, sure && onlyNames(h.namespace)
}

func ruleCovers(r admissionv1.RuleWithOperations, op admissionv1.OperationType, subresource string) bool {
	if r.Scope != nil && *r.Scope == admissionv1.ClusterScope {
		return false
	}
	if !slices.Contains(r.Operations, op) && !slices.Contains(r.Operations, admissionv1.OperationAll) {
		return false
	}
	if !has(r.APIGroups, "") || !has(r.APIVersions, "v1") {
		return false
	}
	return slices.ContainsFunc(r.Resources, func(resource string) bool {
		res, sub, _ := strings.Cut(resource, "/")
		return (res == "*" || res == "pods") && (sub == "*" || sub == subresource)
	})
}

func has(list []string, s string) bool { return slices.Contains(list, s) || slices.Contains(list, "*") }

func selects(sel *metav1.LabelSelector, l map[string]string) bool {
	if sel == nil {
		return true // the API server reads an absent selector as an empty one
	}
	x, err := metav1.LabelSelectorAsSelector(sel)
	return err == nil && x.Matches(labels.Set(l))
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

// backend is what the picture tells of the server behind a webhook.
type backend struct {
	down bool
	gone bool // its Service does not exist
	// known is false where the Service itself could not be read, and may be one without endpoints of its own.
	known bool
	why   string
	ev    []diagnose.Evidence
}

// backendOf looks for the Service of a webhook and for its ready endpoints. Not down can mean that nothing is
// known: a webhook called by URL, or objects that were not read.
func backendOf(s *snapshot.Snapshot, h hook) backend {
	if h.service == nil {
		return backend{}
	}
	ns, name := h.service.Namespace, h.service.Name
	ref := snapshot.Ref{Kind: snapshot.Service, Namespace: ns, Name: name}
	switch s.Has(snapshot.Service, ns, name) {
	case snapshot.Absent:
		return backend{
			down: true, gone: true, known: true, why: fmt.Sprintf("its Service %s/%s does not exist", ns, name),
			ev: []diagnose.Evidence{{Object: h.config.String(), Field: "webhooks[" + h.name + "].clientConfig.service", Value: ns + "/" + name + " (does not exist)"}},
		}
	case snapshot.Present:
		if svc := s.Service(ns, name); svc != nil && svc.Spec.Type == corev1.ServiceTypeExternalName {
			return backend{}
		}
	}
	slicesOf := s.EndpointSlices(ns, name)
	ready, all := 0, 0
	for _, sl := range slicesOf {
		for i := range sl.Endpoints {
			all++
			if isReady(sl.Endpoints[i]) {
				ready++
			}
		}
	}
	switch {
	case ready > 0:
		return backend{}
	case len(slicesOf) == 0 && !s.Complete(snapshot.EndpointSlice, ns):
		return backend{}
	}
	return backend{
		down: true, known: s.Has(snapshot.Service, ns, name) == snapshot.Present, why: fmt.Sprintf("its Service %s/%s has no ready endpoint (of %d)", ns, name, all),
		ev: []diagnose.Evidence{{Object: ref.String(), Field: "endpoints", Value: fmt.Sprintf("0 ready of %d", all)}},
	}
}

func isReady(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }
