package admission_test

import (
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
)

func TestRefusalsAreRecognized(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		want    admission.Refusal
	}{
		"a webhook without endpoints": {
			`Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post "https://engine.guard.svc:443/v?timeout=10s": no endpoints available for service "engine"`,
			admission.Refusal{Kind: admission.Unreachable, Name: "check.example.com", Reason: "no endpoints available"},
		},
		"in the words of old servers": {
			`Internal error occurred: failed calling admission webhook "check.example.com": Post https://engine.guard.svc:443/v?timeout=30s: dial tcp 10.0.0.9:443: i/o timeout`,
			admission.Refusal{Kind: admission.Unreachable, Name: "check.example.com", Reason: "i/o timeout"},
		},
		"with quotation marks escaped by a log": {
			`E0301 10:00:00.1 1 status_manager.go:1280] "Failed to update status for pod" err="failed to patch status \"{...}\" for pod \"shop\"/\"cart-1\": Internal error occurred: failed calling webhook \"check.example.com\": context deadline exceeded" pod="shop/cart-1"`,
			admission.Refusal{Kind: admission.Unreachable, Name: "check.example.com", Reason: "context deadline exceeded"},
		},
		"escaped twice": {
			`{"msg":"x","err":"failed calling webhook \\\"check.example.com\\\": x509: certificate has expired"}`,
			admission.Refusal{Kind: admission.Unreachable, Name: "check.example.com", Reason: "x509"},
		},
		"a webhook that says no": {
			`admission webhook "check.example.com" denied the request: pods need an owner`,
			admission.Refusal{Kind: admission.Denied, Name: "check.example.com", Reason: "pods need an owner"},
		},
		"and does not say why": {
			`admission webhook "check.example.com" denied the request without explanation`,
			admission.Refusal{Kind: admission.Denied, Name: "check.example.com", Reason: "without explanation"},
		},
		"a webhook that cannot be tried": {
			`admission webhook "check.example.com" does not support dry run`,
			admission.Refusal{Kind: admission.NoDryRun, Name: "check.example.com"},
		},
		"a policy": {
			`pods "cart-1" is forbidden: ValidatingAdmissionPolicy 'rules' with binding 'rules-here' denied request: failed expression: false`,
			admission.Refusal{Kind: admission.Denied, By: admission.ValidatingPolicy, Name: "rules", Binding: "rules-here", Reason: "failed expression: false"},
		},
		"a policy without its parameters": {
			`pods "cart-1" is forbidden: ValidatingAdmissionPolicy 'rules' with binding 'rules-here' denied request: failed to configure binding: no params found for policy binding`,
			admission.Refusal{Kind: admission.Misconfigured, By: admission.ValidatingPolicy, Name: "rules", Binding: "rules-here", Reason: "failed to configure binding"},
		},
		"a policy that cannot be evaluated": {
			`ValidatingAdmissionPolicy 'rules' with binding 'b' denied request: expression 'object.spec.x' resulted in error: no such key: x`,
			admission.Refusal{Kind: admission.Misconfigured, By: admission.ValidatingPolicy, Name: "rules", Binding: "b", Reason: "no such key"},
		},
		"a mutating policy": {
			`policy 'fill-in' with binding 'fill-in-all' denied request: error applying patch: no such path`,
			admission.Refusal{Kind: admission.Misconfigured, By: admission.MutatingPolicy, Name: "fill-in", Binding: "fill-in-all", Reason: "error applying patch"},
		},
		"a mutating policy without its binding": {
			`policy "fill-in" denied request: failed to configure policy: x`,
			admission.Refusal{Kind: admission.Misconfigured, By: admission.MutatingPolicy, Name: "fill-in", Reason: "failed to configure policy"},
		},
		"a field that may not change": {
			"Pod \"cart-1\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
			admission.Refusal{Kind: admission.Immutable, Reason: "pod updates may not change fields other than"},
		},
		"containers": {
			`Pod "cart-1" is invalid: spec.initContainers: Forbidden: pod updates may not add or remove containers`,
			admission.Refusal{Kind: admission.Immutable, Reason: "pod updates may not add or remove containers"},
		},
		"tolerations": {
			`spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds`,
			admission.Refusal{Kind: admission.Immutable, Reason: "existing toleration"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := admission.Recognize(c.message)
			if !ok || got.Kind != c.want.Kind || got.By != c.want.By || got.Name != c.want.Name || got.Binding != c.want.Binding || !strings.Contains(got.Reason, c.want.Reason) {
				t.Errorf("got %+v (%v), want %+v", got, ok, c.want)
			}
		})
	}
}

func TestOtherErrorsAreNoRefusals(t *testing.T) {
	for _, message := range []string{
		"", "Post https://engine.guard.svc:443/v: context deadline exceeded", `Error from server (NotFound): pods "cart-1" not found`,
		"Operation cannot be fulfilled on pods \"cart-1\": the object has been modified", "the network policy 'x' denied traffic",
		`pods "cart-1" is forbidden: User "x" cannot update resource "pods"`, "İ pod updates", "failed calling webhook",
	} {
		if r, ok := admission.Recognize(message); ok {
			t.Errorf("%q was read as %+v", message, r)
		}
	}
}

// What is recognized must consist of the words that a dump without names keeps, beside the names and the reason.
func TestTheWordsOfRefusalsAreKept(t *testing.T) {
	kept := map[string]bool{}
	for _, text := range admission.Words() {
		for _, w := range strings.Fields(text) {
			kept[w] = true
		}
	}
	for _, message := range []string{
		`failed calling webhook "x"`, `failed calling admission webhook "x"`, `admission webhook "x" denied the request`, `admission webhook "x" does not support dry run`,
		`ValidatingAdmissionPolicy 'x' with binding 'x' denied request`, `policy 'x' with binding 'x' denied request`, "pod updates may not add or remove containers",
	} {
		if _, ok := admission.Recognize(message); !ok {
			t.Errorf("%s is not recognized", message)
		}
		for _, w := range strings.Fields(message) {
			if !kept[w] && !strings.ContainsAny(w, `"'`) {
				t.Errorf("%s: %q is not kept", message, w)
			}
		}
	}
}
