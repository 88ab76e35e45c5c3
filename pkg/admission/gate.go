package admission

import (
	"net/url"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// GateKind tells what asks.
type GateKind string

// The kinds of gates, in the order in which the API server passes a request through them
// (pkg/kubeapiserver/options/plugins.go AllOrderedPlugins).
const (
	MutatingPolicy    GateKind = "mutating-policy"
	MutatingWebhook   GateKind = "mutating-webhook"
	ValidatingPolicy  GateKind = "validating-policy"
	ValidatingWebhook GateKind = "validating-webhook"
)

// Gate is something that the API server asks before it lets a request through.
type Gate struct {
	Kind GateKind
	// Ref is the configuration of a webhook, or the policy.
	Ref snapshot.Ref
	// Binding is the binding through which a policy applies; zero for a webhook.
	Binding snapshot.Ref
	// Name is the name of the webhook, or of the policy. Webhooks of several configurations may have the same one.
	Name string
	// Host is what the API server calls a webhook by: "<service>.<namespace>.svc", or the host of its URL. Empty for a policy.
	Host string
	// Fail tells that the request is refused where the gate itself fails: failurePolicy Fail, which is the default.
	Fail bool
	// Mutates tells that it may change the object on its way. What it changes is validated like a change of the user's own.
	Mutates bool
	// Denies tells that it may refuse by its own judgement. A policy whose binding only warns or audits does not.
	Denies bool
	// Sure is false where only the API server can tell whether it asks: match conditions, or the labels of a namespace that was not read.
	Sure bool
	// Conditions are its match conditions, "name: expression".
	Conditions []string
	Backend    Backend
	// TimeoutSeconds is how long a webhook may take to answer: 10 by default; 0 for a policy.
	TimeoutSeconds int32
	// SideEffects tells whether a dry run may ask a webhook: None and NoneOnDryRun may, Some and Unknown make the dry run itself fail. Empty
	// for a policy, which has none.
	SideEffects string
}

// Blocks tells whether the gate cannot answer and every request that it is asked about is refused for that.
func (g Gate) Blocks() bool { return g.Fail && g.Backend.State == Down }

// DryRun tells whether a request with dry run gets past the gate's kind at all (apiserver/pkg/admission/plugin/webhook callHook).
func (g Gate) DryRun() bool {
	return g.SideEffects == "" || g.SideEffects == string(admissionv1.SideEffectClassNone) || g.SideEffects == string(admissionv1.SideEffectClassNoneOnDryRun)
}

// Chain is what the API server asks, as one picture shows it. It keeps what it found out of each server, because many pods ask for the same; so it
// is not for concurrent use.
type Chain struct {
	s       *snapshot.Snapshot
	crds    []string // names, <plural>.<group>
	servers map[serverKey]Backend
}

type serverKey struct {
	config  snapshot.Ref
	webhook int
}

// NewChain returns the chain of a picture.
func NewChain(s *snapshot.Snapshot) *Chain {
	c := &Chain{s: s, servers: map[serverKey]Backend{}}
	for _, d := range s.CRDs() {
		c.crds = append(c.crds, d.Name)
	}
	return c
}

// Gates lists what the API server asks before an operation on the pod. See Chain.Gates.
func Gates(s *snapshot.Snapshot, pod *corev1.Pod, op admissionv1.OperationType, subresource string) []Gate {
	return NewChain(s).Gates(pod, op, subresource)
}

// Gates lists what the API server asks before an operation on the pod, in the order in which it asks. subresource is empty for the pod itself,
// else "status", "eviction", "binding" and so on; a patch is an Update. The pod need not exist: one made of a workload's template will do.
//
// It follows apiserver/pkg/admission/plugin/webhook and plugin/policy.
func (c *Chain) Gates(pod *corev1.Pod, op admissionv1.OperationType, subresource string) []Gate {
	if pod == nil {
		return nil
	}
	r := newRequest(c.s, pod, op, subresource)
	return slices.Concat(c.mutatingPolicies(r), c.mutatingWebhooks(r), c.validatingPolicies(r), c.validatingWebhooks(r))
}

// server is the backend of a webhook, by its place in its configuration.
func (c *Chain) server(config snapshot.Ref, i int, webhook string, client admissionv1.WebhookClientConfig) Backend {
	k := serverKey{config, i}
	b, ok := c.servers[k]
	if !ok {
		b = serverOf(c.s, config, webhook, client)
		c.servers[k] = b
	}
	return b
}

// Kinds are the kinds of objects that hold gates.
func Kinds() []snapshot.Kind {
	return []snapshot.Kind{
		snapshot.MutatingAdmissionPolicy, snapshot.MutatingAdmissionPolicyBinding, snapshot.MutatingWebhookConfiguration,
		snapshot.ValidatingAdmissionPolicy, snapshot.ValidatingAdmissionPolicyBinding, snapshot.ValidatingWebhookConfiguration,
	}
}

// Reads are the kinds that Gates looks at.
func Reads() []snapshot.Kind {
	return append(Kinds(), snapshot.ConfigMap, snapshot.CustomResourceDefinition, snapshot.EndpointSlice, snapshot.Namespace, snapshot.Service)
}

// Unread lists the kinds that hold gates and that could not all be read, so that there may be others. A kind that the API server does not have
// holds none.
func Unread(s *snapshot.Snapshot) []snapshot.Kind {
	var out []snapshot.Kind
	for _, k := range Kinds() {
		missing := slices.ContainsFunc(s.Gaps(), func(g snapshot.Gap) bool { return g.Kind == k && g.Reason != snapshot.ReasonNotFound })
		if missing && !s.Complete(k, "") {
			out = append(out, k)
		}
	}
	return out
}

func (c *Chain) mutatingWebhooks(r request) []Gate {
	var out []Gate
	for _, config := range c.s.MutatingWebhooks() {
		ref := snapshot.Ref{Kind: snapshot.MutatingWebhookConfiguration, Name: config.Name, UID: config.UID}
		for i := range config.Webhooks {
			w := &config.Webhooks[i]
			if g, ok := c.webhook(r, ref, i, hook{
				w.Name, w.ClientConfig, w.Rules, w.NamespaceSelector, w.ObjectSelector, w.MatchConditions, w.FailurePolicy, w.TimeoutSeconds, w.SideEffects,
			}); ok {
				g.Kind, g.Mutates = MutatingWebhook, true
				out = append(out, g)
			}
		}
	}
	return out
}

func (c *Chain) validatingWebhooks(r request) []Gate {
	var out []Gate
	for _, config := range c.s.ValidatingWebhooks() {
		ref := snapshot.Ref{Kind: snapshot.ValidatingWebhookConfiguration, Name: config.Name, UID: config.UID}
		for i := range config.Webhooks {
			w := &config.Webhooks[i]
			if g, ok := c.webhook(r, ref, i, hook{
				w.Name, w.ClientConfig, w.Rules, w.NamespaceSelector, w.ObjectSelector, w.MatchConditions, w.FailurePolicy, w.TimeoutSeconds, w.SideEffects,
			}); ok {
				g.Kind = ValidatingWebhook
				out = append(out, g)
			}
		}
	}
	return out
}

// hook is what webhooks of both kinds have.
type hook struct {
	name              string
	config            admissionv1.WebhookClientConfig
	rules             []admissionv1.RuleWithOperations
	namespace, object *metav1.LabelSelector
	conditions        []admissionv1.MatchCondition
	fail              *admissionv1.FailurePolicyType
	timeout           *int32
	sideEffects       *admissionv1.SideEffectClass
}

// webhook is the gate of the nth webhook of a configuration; false where it is not asked about the request.
func (c *Chain) webhook(r request, ref snapshot.Ref, n int, h hook) (Gate, bool) {
	asks, sure := r.matches(criteria{rules: h.rules, namespace: h.namespace, object: h.object})
	if !asks {
		return Gate{}, false
	}
	return Gate{
		Ref: ref, Name: h.name, Host: hostOf(h.config), Fail: fails(h.fail), Denies: true,
		Sure: sure && len(h.conditions) == 0, Conditions: conditions(h.conditions),
		Backend: c.server(ref, n, h.name, h.config), TimeoutSeconds: timeout(h.timeout), SideEffects: sideEffects(h.sideEffects),
	}, true
}

// Webhooks lists the webhooks of the name in every configuration, whatever they are asked about; so none is Sure. The API server names a webhook
// without saying whose it is.
func (c *Chain) Webhooks(name string) []Gate {
	var out []Gate
	add := func(kind GateKind, ref snapshot.Ref, i int, client admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) {
		out = append(out, Gate{Kind: kind, Ref: ref, Name: name, Host: hostOf(client), Fail: fails(policy), Mutates: kind == MutatingWebhook, Denies: true, Backend: c.server(ref, i, name, client)})
	}
	for _, config := range c.s.MutatingWebhooks() {
		for i := range config.Webhooks {
			if w := &config.Webhooks[i]; w.Name == name {
				add(MutatingWebhook, snapshot.Ref{Kind: snapshot.MutatingWebhookConfiguration, Name: config.Name, UID: config.UID}, i, w.ClientConfig, w.FailurePolicy)
			}
		}
	}
	for _, config := range c.s.ValidatingWebhooks() {
		for i := range config.Webhooks {
			if w := &config.Webhooks[i]; w.Name == name {
				add(ValidatingWebhook, snapshot.Ref{Kind: snapshot.ValidatingWebhookConfiguration, Name: config.Name, UID: config.UID}, i, w.ClientConfig, w.FailurePolicy)
			}
		}
	}
	return out
}

// hostOf is what the API server calls a webhook by (apiserver/pkg/util/webhook ClientManager: "<service>.<namespace>.svc").
func hostOf(c admissionv1.WebhookClientConfig) string {
	switch {
	case c.Service != nil:
		return c.Service.Name + "." + c.Service.Namespace + ".svc"
	case c.URL != nil:
		if u, err := url.Parse(*c.URL); err == nil {
			return u.Hostname()
		}
	}
	return ""
}

// fails reads a failurePolicy. Absent means Fail in v1.
func fails(p *admissionv1.FailurePolicyType) bool { return p == nil || *p != admissionv1.Ignore }

// timeout reads timeoutSeconds. Absent means 10 in v1.
func timeout(seconds *int32) int32 {
	if seconds == nil {
		return 10
	}
	return *seconds
}

// sideEffects reads a field that v1 requires; where it is missing nobody knows.
func sideEffects(c *admissionv1.SideEffectClass) string {
	if c == nil {
		return string(admissionv1.SideEffectClassUnknown)
	}
	return string(*c)
}

func conditions(list []admissionv1.MatchCondition) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name+": "+c.Expression)
	}
	return out
}
