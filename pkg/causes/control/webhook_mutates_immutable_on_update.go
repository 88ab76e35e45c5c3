package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func webhookMutatesImmutableOnUpdate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST502", Slug: "webhook-mutates-immutable-on-update",
		Doc: diagnose.Doc{
			Title:   "A mutating webhook breaks every update of the pod",
			Symptom: `The pod ended, and its finalizers cannot be removed: every attempt answers "Forbidden: pod updates may not change fields other than …".`,
			Mechanism: "Removing a finalizer is an update of the pod. A mutating webhook (or another mutating admission plugin) that also acts on updates changes something in the spec that may not change after creation, " +
				"and the API server then refuses the whole update. The owner of the finalizer tries again for ever.",
			Confirm: []string{
				`kubectl patch pod {pod} --type=merge -p '{"metadata":{"finalizers":null}}' --dry-run=server -o name -n {namespace}`,
				"kubectl get mutatingwebhookconfigurations -o custom-columns=NAME:.metadata.name,OPERATIONS:.webhooks[*].rules[*].operations,RESOURCES:.webhooks[*].rules[*].resources",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "dry-run-removal", Risk: diagnose.RiskNone, Text: "See with a dry run whether the removal is refused, and what the webhook would change.",
					Command: `kubectl patch pod {pod} --type=merge -p '{"metadata":{"finalizers":null}}' --dry-run=server -o name -n {namespace}`,
				},
				{ID: "limit-to-create", Risk: diagnose.RiskLow, Text: "Limit the webhook's rules to CREATE, or exclude the namespace: the finalizers then go by themselves. Its changes to pods on update were refused anyway."},
				{ID: "disable-webhook", Risk: diagnose.RiskMedium, Text: "If its owner cannot change it soon, save and delete the configuration, let the pods go, and put it back. New pods are not changed by it meanwhile."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/#my-pod-stays-terminating",
				"https://github.com/kubernetes/kubernetes/issues/109164",
				"https://github.com/kubernetes/kubernetes/issues/62666",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/validation/validation.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.EndpointSlice, snapshot.Event, snapshot.Lease, snapshot.MutatingWebhookConfiguration, snapshot.Namespace, snapshot.Service},
		Cluster:  webhookMutatesCluster,
	}
}

// stubborn is how long a live job controller needs at most to take its finalizer away, tries again included.
const stubborn = 5 * time.Minute

func webhookMutatesCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	var out []diagnose.Finding
	hooks := slices.DeleteFunc(mutatingHooksOf(s), func(h hook) bool { return backendOf(s, h).down })
	alive := freshLease(s, controllerManager)
	for _, p := range all(r) {
		if p.Stage != stuck.FinalizersOnly {
			continue
		}
		said := forbidden(s, p.Pod)
		// Without a word of the API server there is one suspicion only: a controller that runs, and always removes its
		// finalizer, has not done so.
		suspicious := alive && slices.Contains(p.Object.Finalizers, batchv1.JobTrackingFinalizer) && p.For >= stubborn && snapshot.IsTerminal(p.Object)
		if len(said) == 0 && !suspicious {
			continue
		}
		var names []string
		var configs []snapshot.Ref
		for _, h := range hooks {
			if calls, _ := h.calls(s, p.Object, admissionv1.Update, ""); calls {
				names = append(names, h.name)
				if !slices.Contains(configs, h.config) {
					configs = append(configs, h.config)
				}
			}
		}
		f := diagnose.Finding{Subject: p.Ref, Explains: []snapshot.Ref{p.Ref}, Evidence: said, Confidence: diagnose.Likely}
		f.Decide = "Remove the finalizer with --dry-run=server: the answer shows the refusal, and the fields that were changed."
		switch {
		case len(said) == 0 && len(configs) != 1:
			continue // nobody to suspect, or nobody in particular
		case len(said) == 0:
			f.Subject, f.Confidence = configs[0], diagnose.Possible
			f.Message = fmt.Sprintf("The Job controller runs and does not get its finalizer off pods that ended; the mutating webhook %s takes part in every update of them and may break it.", strings.Join(names, ", "))
			f.Alternatives = []string{"job-tracking-finalizer-orphan"}
		case len(configs) == 1:
			f.Subject = configs[0]
			f.Message = fmt.Sprintf("The API server refuses updates of pods, because something changes a field that may not change; the only mutating webhook that acts on them is %s.", strings.Join(names, ", "))
		case len(configs) > 1:
			f.Message = fmt.Sprintf("The API server refuses updates of pod %s, because something changes a field that may not change. Mutating webhooks that act on them: %s.", p.Ref.Name, strings.Join(names, ", "))
		case s.Gap(snapshot.MutatingWebhookConfiguration) != nil && !s.Complete(snapshot.MutatingWebhookConfiguration, ""):
			f.Message = fmt.Sprintf("The API server refuses updates of pod %s, because something changes a field that may not change. Which mutating webhooks act on them could not be read.", p.Ref.Name)
		default:
			f.Message = fmt.Sprintf("The API server refuses updates of pod %s, because something changes a field that may not change. No webhook acts on them: look at MutatingAdmissionPolicies and LimitRanges.", p.Ref.Name)
		}
		if f.Subject != p.Ref {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: f.Subject.String(), Field: "webhooks[].rules[].operations", Value: "UPDATE of pods: " + strings.Join(names, ", ")})
		}
		out = append(out, f)
	}
	return out
}

// forbidden cites the events about the pod or its owner that quote the API server's refusal
// (pkg/apis/core/validation ValidatePodUpdate).
func forbidden(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	refusal := diagnose.Text{Any: []string{
		"pod updates may not change fields other than", "pod updates may not add or remove containers",
		"existing toleration can not be modified", "Pod QoS is immutable", "Pod QOS Class may not change",
	}}
	events := s.Events(p.Ref)
	if !p.Owner.IsZero() {
		events = append(slices.Clone(events), s.Events(p.Owner)...)
	}
	var out []diagnose.Evidence
	for _, e := range events {
		if refusal.Match(e.Message) {
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	if len(out) > 2 {
		out = out[len(out)-2:]
	}
	return out
}
