package admission

import (
	"regexp"
	"strings"
)

// RefusalKind tells what refused a request.
type RefusalKind string

// The refusals that are told apart.
const (
	// Unreachable: a webhook could not be called, and its failurePolicy is Fail (apiserver/pkg/util/webhook ErrCallingWebhook).
	Unreachable RefusalKind = "unreachable"
	// Denied: a webhook, or a policy, said no (webhook/errors ToStatusErr, policy/validating, policy/generic PolicyError).
	Denied RefusalKind = "denied"
	// Misconfigured: a policy could not be evaluated and its failurePolicy is Fail: parameters that are missing, an expression that fails.
	Misconfigured RefusalKind = "misconfigured"
	// Immutable: the change touches what may not change in a pod (pkg/apis/core/validation ValidatePodUpdate), which nobody asked for: something
	// that mutates did it, or the stored pod does not survive being decoded and written again.
	Immutable RefusalKind = "immutable"
	// NoDryRun: a webhook has side effects, so nothing can be tried (webhook/errors NewDryRunUnsupportedErr).
	NoDryRun RefusalKind = "no dry run"
)

// Refusal is an answer of the API server that says what refused a request.
type Refusal struct {
	Kind RefusalKind
	// By is the kind of the gate; empty where nothing says which.
	By GateKind
	// Name is the webhook or the policy, Binding that of a policy; both may be cut off, and then are empty.
	Name, Binding string
	// Reason is what comes after: the network's error, the words of the policy.
	Reason string
}

// How refusals are worded. Whoever quotes them may have escaped the quotation marks, any number of times. Kubernetes 1.9 to 1.12 wrote "failed
// calling admission webhook".
const (
	quote  = `(?:\\*["'])`
	quoted = quote + `([^"'\\]+)` + quote
)

var (
	unreachable = regexp.MustCompile(`failed calling (?:admission )?webhook ` + quoted + `()[:;]?\s*(.*)`)
	noDryRun    = regexp.MustCompile(`admission webhook ` + quoted + `() does not support dry run()`)
	denied      = regexp.MustCompile(`admission webhook ` + quoted + `() denied the request:?\s*(.*)`)
	byPolicy    = regexp.MustCompile(`ValidatingAdmissionPolicy ` + quoted + `(?: with binding ` + quoted + `)? denied request:?\s*(.*)`)
	byMutation  = regexp.MustCompile(`\bpolicy ` + quoted + `(?: with binding ` + quoted + `)? denied request:?\s*(.*)`)
)

// misconfigured are the beginnings of the reasons that a policy gives when it cannot be evaluated (policy/generic, policy/validating).
func misconfigured(reason string) bool {
	for _, p := range []string{"failed to configure policy", "failed to configure binding", "expression '", "compilation error", "compilation failed"} {
		if strings.HasPrefix(reason, p) {
			return true
		}
	}
	return false
}

// Immutables are the words by which an Immutable refusal is known (pkg/apis/core/validation). "Pod QoS is immutable" is what versions before 1.33
// said.
func Immutables() []string {
	return []string{
		"pod updates may not change fields other than", "pod updates may not add or remove containers", "existing toleration can not be modified",
		"Pod QOS Class may not change", "Pod QoS is immutable",
	}
}

// Recognize reads the API server's refusal out of a message: an event, a condition, an error, or a line of a log that quotes it.
func Recognize(message string) (Refusal, bool) {
	if r, ok := byGate(message); ok {
		return r, true
	}
	lower := strings.ToLower(message)
	for _, words := range Immutables() {
		if i := strings.Index(lower, strings.ToLower(words)); i >= 0 {
			return Refusal{Kind: Immutable, Reason: strings.TrimSpace(message[min(i, len(message)):])}, true
		}
	}
	return Refusal{}, false
}

// byGate reads a refusal that names a webhook or a policy.
func byGate(message string) (Refusal, bool) {
	if !strings.Contains(message, "webhook") && !strings.Contains(message, "denied request") {
		return Refusal{}, false // as most messages
	}
	for _, p := range []struct {
		kind RefusalKind
		by   GateKind
		re   *regexp.Regexp
	}{
		{Unreachable, "", unreachable},
		{NoDryRun, "", noDryRun},
		{Denied, "", denied},
		{Denied, ValidatingPolicy, byPolicy},
		{Misconfigured, MutatingPolicy, byMutation},
	} {
		m := p.re.FindStringSubmatch(message)
		if m == nil {
			continue
		}
		r := Refusal{Kind: p.kind, By: p.by, Name: m[1], Binding: m[2], Reason: strings.TrimSpace(m[3])}
		if p.by == ValidatingPolicy && misconfigured(r.Reason) {
			r.Kind = Misconfigured
		}
		return r, true
	}
	return Refusal{}, false
}

var called = regexp.MustCompile(`https?://(?:[^/@\s"'\\]*@)?([A-Za-z0-9.-]+)`)

// Host is what the API server called the webhook by, where the reason quotes its URL: "<service>.<namespace>.svc", most often. Empty where it does not.
func (r Refusal) Host() string {
	if m := called.FindStringSubmatch(r.Reason); r.Kind == Unreachable && m != nil {
		return m[1]
	}
	return ""
}

// Words are the texts by which refusals are known: what a dump without names has to leave as it is.
func Words() []string {
	return append(Immutables(),
		"failed calling admission webhook", "admission webhook denied the request", "does not support dry run", "without explanation",
		"ValidatingAdmissionPolicy with binding denied request", "policy denied request", "failed to configure policy", "failed to configure binding", "expression", "compilation error",
	)
}
