package control

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func webhookBlocksCreate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST504", Slug: "webhook-blocks-create",
		Doc: diagnose.Doc{
			Title:   "Admission refuses new pods: a webhook does not answer, or says no, or a policy does",
			Symptom: "A workload has fewer pods than it wants, and there is no pod to look at. Its ReplicaSet, StatefulSet, DaemonSet or Job has events FailedCreate; running pods go on, and each one that is lost stays lost.",
			Mechanism: "The API server asks admission webhooks and policies before it creates a pod. With failurePolicy Fail a webhook whose server is gone, unready or too slow has every pod refused; " +
				"one that answers may refuse by its own rules. Controllers try again, with growing waits of up to a quarter of an hour. " +
				"A webhook that also sees the pods of its own server locks itself out: once all of them are lost, none can be created.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector reason=FailedCreate",
				"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
				"kubectl get endpointslices -A",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-webhook", Risk: diagnose.RiskNone, Text: "Where the webhook does not answer, bring its server back: its Deployment, its Service, its certificate, the way to it from the control plane. Creation goes on by itself within a quarter of an hour.", Command: "kubectl get endpointslices -A"},
				{ID: "fix-template", Risk: diagnose.RiskLow, Text: "Where the webhook or policy says no, change the pod template as its message asks."},
				{ID: "try-again", Risk: diagnose.RiskLow, Text: "When the reason is gone and nothing happens, have the controller try at once, e.g. by a restart of the rollout. Old controllers never tried again after a timeout.", Command: "kubectl get deployments,statefulsets,daemonsets -n {namespace}"},
				{ID: "narrow-webhook", Risk: diagnose.RiskMedium, Text: "Exclude the namespaces concerned from the webhook, above all its own and kube-system, or set failurePolicy to Ignore until it is back. What it enforces is not enforced then."},
				{ID: "delete-configuration", Risk: diagnose.RiskHigh, Text: "If the software behind it was uninstalled, save and delete the configuration that it left behind. Nothing enforces its rules any more."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
				"https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy",
				"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/",
				"https://github.com/kubernetes/kubernetes/issues/67662",
			},
		},
		Reach:    scope.ReachShared,
		Optional: slices.Concat(admission.Reads(), readsOfRefusals()),
		Object:   webhookRefuses,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"failed calling webhook", "sync"}, Any: []string{"failed with", "error syncing", "syncing job"}}},
			{Text: diagnose.Text{All: []string{"failed calling webhook", "pod_control"}}},
			{Text: diagnose.Text{All: []string{"denied the request", "admission webhook", "sync "}}},
		},
	}
}

// The words of the API server: apiserver/pkg/util/webhook ErrCallingWebhook (older ones say "failed calling admission webhook"),
// plugin/webhook/errors ToStatusErr, plugin/policy/validating dispatcher; and of a request that took too long as a whole
// (endpoints/handlers/finisher, plugin/webhook dispatchers, server/filters/timeout).
func webhookRefuses(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	pod := templateOf(o)
	if pod == nil || o.State != stuck.NoPods {
		return diagnose.Finding{}, false
	}
	gates := admission.Gates(s, pod, admissionv1.Create, "")
	if r, ok := refused(s, o, diagnose.Text{Any: []string{"failed calling webhook", "failed calling admission webhook"}}); ok {
		return doesNotAnswer(s, o, r, gates), true
	}
	if r, ok := refused(s, o, diagnose.Text{All: []string{"admission webhook", "denied the request"}}); ok {
		name := named(r.text, "webhook ")
		f := diagnose.Finding{Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide()}
		if g, ok := gate(gates, name, r.text); ok {
			f.Subject = g.Ref
		}
		f.Message = fmt.Sprintf("Webhook %s refuses new pods: %s. So %s.", orUnnamed(name), sentence(said(r.text, "denied the request")), lack(o))
		return f, true
	}
	if r, ok := refused(s, o, diagnose.Text{All: []string{"admissionpolicy", "denied request"}}); ok {
		name := named(r.text, "policy ")
		f := diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.ValidatingAdmissionPolicy, Name: name}, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
			Message: fmt.Sprintf("ValidatingAdmissionPolicy %s refuses new pods: %s. So %s.", orUnnamed(name), sentence(said(r.text, "denied request")), lack(o)),
		}
		if name == "" {
			f.Subject = o.Ref
		}
		return f, true
	}
	return ranOutOfTime(s, o, gates)
}

// doesNotAnswer is about a webhook that the API server failed to call.
func doesNotAnswer(s *snapshot.Snapshot, o stuck.Object, r refusal, gates []admission.Gate) diagnose.Finding {
	name := named(r.text, "webhook ")
	f := diagnose.Finding{Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide()}
	why := failure(r.text)
	if g, ok := gate(gates, name, r.text); ok {
		f.Subject = g.Ref
		if r.confidence != diagnose.Certain && g.Backend.State == admission.Up {
			f.Confidence = diagnose.Possible // it may be over
		}
		f.Evidence = append(f.Evidence, g.Backend.Evidence...)
		if g.Backend.State == admission.Down {
			why = g.Backend.Why
		} else if g.Backend.State == admission.Up {
			why += "; " + g.Backend.Why + ", so the way to it is what to look at"
		}
		if isOwnServer(s, g, o) {
			why += "; " + o.Ref.String() + " is that server, so it locks itself out"
		}
	}
	f.Message = fmt.Sprintf("The API server cannot create pods without webhook %s, and fails to call it: %s. So %s.", orUnnamed(name), why, lack(o))
	return f
}

// failure names, in a few words, what the API server says of a call that failed.
func failure(text string) string {
	for _, w := range []struct{ part, words string }{
		{"x509", "its certificate is not accepted"},
		{"no endpoints available", "its Service has no ready endpoint"},
		{"not found", "its Service does not exist"},
		{"connection refused", "the connection is refused"},
		{"no such host", "its name cannot be resolved"},
		{"no route to host", "there is no way to it"},
		{"i/o timeout", "it cannot be reached in time"},
		{"deadline exceeded", "it does not answer in time"},
		{"client.timeout", "it does not answer in time"},
		{"eof", "it breaks the connection off"},
		{"connection reset", "it breaks the connection off"},
	} {
		if strings.Contains(strings.ToLower(text), w.part) {
			return w.words
		}
	}
	return "see the message"
}

// ranOutOfTime is about a request that took too long as a whole, or of which nothing is heard any more. Webhooks are what takes time in it most often;
// the storage behind the API server does, too.
func ranOutOfTime(s *snapshot.Snapshot, o stuck.Object, gates []admission.Gate) (diagnose.Finding, bool) {
	r, timedOut := refused(s, o, diagnose.Text{Any: []string{"request did not complete within", "context deadline exceeded"}})
	if !timedOut {
		// A Deployment that only says that it does not get on: its events are gone.
		r, timedOut = refused(s, o, diagnose.Text{All: []string{"ProgressDeadlineExceeded"}})
		if !timedOut {
			return diagnose.Finding{}, false
		}
		gates = slices.DeleteFunc(slices.Clone(gates), func(g admission.Gate) bool { return !g.Blocks() })
		if len(gates) == 0 {
			return diagnose.Finding{}, false
		}
	}
	const decide = "Create a pod of the template with --dry-run=server: the answer, or the time until it comes, tells whether a webhook is in the way."
	f := diagnose.Finding{Subject: o.Ref, Confidence: diagnose.Possible, Evidence: r.evidence, Alternatives: []string{"control-plane-down"}, Decide: decide}
	var asked []string
	for _, g := range gates {
		if g.Kind != admission.MutatingWebhook && g.Kind != admission.ValidatingWebhook {
			continue
		}
		if g.Blocks() && g.Sure {
			f.Subject, f.Confidence, f.Alternatives = g.Ref, diagnose.Likely, nil
			f.Evidence = append(f.Evidence, g.Backend.Evidence...)
			f.Message = fmt.Sprintf("Webhook %s is asked before a pod is created, and cannot answer: %s. So %s.", g.Name, g.Backend.Why, lack(o))
			return f, true
		}
		asked = append(asked, g.Name)
	}
	if len(asked) == 0 && len(admission.Unread(s)) == 0 {
		return diagnose.Finding{}, false // nobody is asked, so something else takes the time
	}
	webhooks := "the webhooks that are asked could not all be read"
	if len(asked) > 0 {
		webhooks = "asked before it are " + strings.Join(asked, ", ")
	}
	f.Message = fmt.Sprintf("Creating a pod takes the API server longer than a request may; %s. So %s.", webhooks, lack(o))
	return f, true
}

// named is the name in quotation marks after a word: webhook "name", ValidatingAdmissionPolicy 'name'.
func named(text, word string) string {
	for _, quote := range []string{`"`, `'`, `\"`} {
		if n := after(text, word+quote, `"'\`); n != "" {
			return n
		}
	}
	return ""
}

// said is what follows a mark and a colon.
func said(text, mark string) string {
	if m := strings.TrimLeft(after(text, mark, ""), ": "); m != "" {
		return m
	}
	return "without saying why"
}

func orUnnamed(name string) string {
	if name == "" {
		return "(not named)"
	}
	return name
}

// gate finds the webhook of a name among those that are asked. Those of several configurations may have the same: the host that the API server called
// tells them apart. Where that is not said, and several are left, it is none of them for sure.
func gate(gates []admission.Gate, name, text string) (admission.Gate, bool) {
	if name == "" {
		return admission.Gate{}, false
	}
	list := slices.DeleteFunc(slices.Clone(gates), func(g admission.Gate) bool { return g.Name != name })
	if r, ok := admission.Recognize(text); ok && r.Kind == admission.Unreachable {
		if host := r.Host(); host != "" {
			list = atHost(list, host)
		}
		list = prefer(list, func(g admission.Gate) bool { return g.Fail })
	}
	if len(list) != 1 {
		return admission.Gate{}, false
	}
	return list[0], true
}

// isOwnServer tells whether the webhook's Service would select the pods that the webhook is asked about.
func isOwnServer(s *snapshot.Snapshot, g admission.Gate, o stuck.Object) bool {
	ref := g.Backend.Service
	if ref.Name == "" || ref.Namespace != o.Ref.Namespace {
		return false
	}
	svc := s.Service(ref.Namespace, ref.Name)
	pod := templateOf(o)
	return svc != nil && pod != nil && len(svc.Spec.Selector) > 0 && labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(pod.Labels))
}
