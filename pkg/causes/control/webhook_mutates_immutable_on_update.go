package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
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
			Mechanism: "Removing a finalizer is an update of the pod. A mutating webhook, or a MutatingAdmissionPolicy, that also acts on updates changes something in the spec that may not change after creation, " +
				"and the API server then refuses the whole update. The owner of the finalizer tries again for ever. Built-in admission (LimitRanger, AlwaysPullImages) leaves such updates alone.",
			Confirm: []string{
				`kubectl patch pod {pod} --type=merge -p '{"metadata":{"finalizers":null}}' --dry-run=server -o name -n {namespace}`,
				"kubectl get mutatingadmissionpolicies,mutatingadmissionpolicybindings -o wide",
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
				"https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/validation/validation.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: append(admission.Reads(), snapshot.Event, snapshot.Lease),
		Cluster:  webhookMutatesCluster,
		Log:      immutableLines(),
	}
}

// immutableLines are the lines of controllers that quote the refusal.
func immutableLines() []diagnose.LogMatch {
	out := diagnose.Lines(admission.Immutables()...)
	for i := range out {
		out[i].Decide = "The line, or the audit log, names the fields that were changed; somebody's own attempt to change the pod leaves the same line."
	}
	return out
}

// stubborn is how long a live job controller needs at most to take its finalizer away, tries again included.
const stubborn = 5 * time.Minute

func webhookMutatesCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	var out []diagnose.Finding
	chain := admission.NewChain(s)
	alive := freshLease(s, controllerManager)
	for _, p := range all(r) {
		if p.Stage != stuck.FinalizersOnly {
			continue
		}
		var said []diagnose.Evidence
		other := false
		for _, h := range heardOf(s, p.Pod) {
			if h.Kind == admission.Immutable {
				said = append(said, h.evidence)
			} else {
				other = true // something else is said to be in the way
			}
		}
		// Without a word of the API server there is one suspicion only: a controller that runs, and always removes its
		// finalizer, has not done so.
		fits, late := overdue(p.Pod, alive)
		if len(said) == 0 && (other || !late) {
			continue
		}
		var suspects []admission.Gate
		for _, g := range chain.Gates(p.Object, admissionv1.Update, "") {
			if g.Mutates && g.Backend.State != admission.Down {
				suspects = append(suspects, g)
			}
		}
		if f, ok := mutates(s, p, said, suspects, fits); ok {
			out = append(out, f)
		}
	}
	return out
}

// overdue tells whether a controller of Kubernetes' own that is alive should have taken its finalizer off the pod: the job controller when the pod
// has ended, the garbage collector when no dependent is left, and pods seldom have any. other is the cause that the same fits.
func overdue(p stuck.Pod, alive bool) (other string, ok bool) {
	switch {
	case !alive || p.For < stubborn:
		return "", false
	case slices.Contains(p.Object.Finalizers, batchv1.JobTrackingFinalizer) && snapshot.IsTerminal(p.Object):
		return "job-tracking-finalizer-orphan", true
	case slices.Contains(p.Object.Finalizers, metav1.FinalizerDeleteDependents):
		return "foreground-deletion-waiting", true
	default:
		return "", false
	}
}

// mutates is the finding about a pod whose updates are refused, or seem to be. fits is the cause that the silent ones fit as well.
func mutates(s *snapshot.Snapshot, p inGroup, said []diagnose.Evidence, suspects []admission.Gate, fits string) (diagnose.Finding, bool) {
	var names []string
	var refs []snapshot.Ref
	for _, g := range suspects {
		names = append(names, describe(g))
		if !slices.Contains(refs, g.Ref) {
			refs = append(refs, g.Ref)
		}
	}
	f := diagnose.Finding{Subject: p.Ref, Explains: []snapshot.Ref{p.Ref}, Evidence: said, Confidence: diagnose.Likely}
	f.Decide = "Remove the finalizer with --dry-run=server: the answer shows the refusal, and the fields that were changed."
	switch {
	case len(said) == 0 && len(refs) != 1:
		return f, false // nobody to suspect, or nobody in particular
	case len(said) == 0:
		f.Subject, f.Confidence = refs[0], diagnose.Possible
		f.Message = fmt.Sprintf("The controllers of Kubernetes itself run, and do not get their finalizer off pods that should have lost it; %s takes part in every update of them and may break it.", strings.Join(names, ", "))
		f.Alternatives = []string{fits}
	case len(refs) == 1:
		f.Subject = refs[0]
		f.Message = fmt.Sprintf("The API server refuses updates of pods, because something changes a field that may not change; all that may change pods on update is %s.", strings.Join(names, ", "))
	case len(refs) > 1:
		f.Message = fmt.Sprintf("The API server refuses updates of pod %s, because something changes a field that may not change. What may change it on update: %s.", p.Ref.Name, strings.Join(names, ", "))
	case len(admission.Unread(s)) > 0:
		f.Message = fmt.Sprintf("The API server refuses updates of pod %s, because something changes a field that may not change. Which webhooks and policies act on them could not all be read.", p.Ref.Name)
	default:
		f.Message = fmt.Sprintf("The API server refuses updates of pod %s, because something changes a field that may not change. No webhook and no policy acts on them: "+
			"compare the fields that the refusal names. An entry of the spec that does not survive being read and written again (an empty one in imagePullSecrets, for example) does the same.", p.Ref.Name)
	}
	if f.Subject != p.Ref {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: f.Subject.String(), Field: "operations", Value: "UPDATE of pods: " + strings.Join(names, ", ")})
	}
	return f, true
}

// describe names a gate as people know it.
func describe(g admission.Gate) string {
	switch g.Kind {
	case admission.MutatingPolicy, admission.ValidatingPolicy:
		return string(g.Ref.Kind) + " " + g.Name + " (binding " + g.Binding.Name + ")"
	case admission.MutatingWebhook:
		return "mutating webhook " + g.Name
	default:
		return "validating webhook " + g.Name
	}
}
