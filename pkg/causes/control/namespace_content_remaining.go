package control

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func namespaceContentRemaining() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST510", Slug: "namespace-content-remaining",
		Doc: diagnose.Doc{
			Title:   "A namespace does not go because something in it does not",
			Symptom: "A namespace stays in Terminating. Its conditions NamespaceContentRemaining and NamespaceFinalizersRemaining say what is left, unless it is a pod that is left.",
			Mechanism: "A namespace goes when nothing is in it any more and its own finalizers are gone. Newer versions delete its pods first, and everything else only when the last pod is gone: while one hangs, " +
				"nothing else is deleted, and the conditions say that all content is removed, because nobody has counted it yet. " +
				"Other objects are held by finalizers, whose controllers may have been in the same namespace and gone before them.",
			Confirm: []string{
				"kubectl get namespace {subject} -o yaml",
				"kubectl get pods -n {subject} -o wide",
				"kubectl api-resources --verbs=list --namespaced -o name",
			},
			Remedies: []diagnose.Remedy{
				{ID: "free-the-pod", Risk: diagnose.RiskNone, Text: "Where a pod holds the namespace, find out why that pod hangs; the rest follows by itself.", Command: "kubectl stuck pods -n {subject}"},
				{ID: "restore-controller", Risk: diagnose.RiskLow, Text: "Where finalizers hold objects, bring their controller back, so that it does what they wait for. If it ran in this namespace it has to run in another one, for nothing new can be made here."},
				{ID: "remove-finalizer", Risk: diagnose.RiskHigh, Text: "If the controller is gone for good, do by hand what it would have done, and remove that one finalizer from each object. What it stood for outside the cluster (disks, load balancers, names) is left behind otherwise."},
				{ID: "finalize-by-hand", Risk: diagnose.RiskDataLoss, Text: "Taking the finalizer kubernetes out of the namespace by hand leaves its objects behind in the store, where they come back with a namespace of the same name. Not while anything else can be done."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
				"https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
				"https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/5080-ordered-namespace-deletion",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/namespace/deletion/namespaced_resources_deleter.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: readsOfRefusals(),
		Object:   contentRemains,
		Log:      []diagnose.LogMatch{{Text: diagnose.Text{All: []string{"unexpected items still remain in namespace"}}}},
	}
}

func contentRemains(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	if o.State == stuck.NoPods {
		return inDeletedNamespace(s, o)
	}
	ns, ok := o.Object.(*corev1.Namespace)
	if !ok {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: o.Ref, Confidence: diagnose.Certain}
	var parts []string
	if pods := podsHolding(s, ns.Name); len(pods) > 0 {
		var refs []snapshot.Ref
		for _, p := range pods {
			refs = append(refs, snapshot.RefOf(p))
			if len(f.Evidence) < 3 {
				f.Evidence = append(f.Evidence, diagnose.Evidence{
					Object: snapshot.RefOf(p).String(), Field: "metadata.deletionTimestamp", Value: p.DeletionTimestamp.UTC().Format("2006-01-02T15:04:05Z"),
				})
			}
		}
		hold := "holds"
		if len(pods) > 1 {
			hold = "hold"
		}
		parts = append(parts, fmt.Sprintf("%s %s it (%s): what keeps a pod keeps the namespace", count(len(pods), "pod"), hold, some(refs)))
	}
	for _, c := range []struct {
		kind corev1.NamespaceConditionType
		mark string
		say  string
	}{
		{corev1.NamespaceContentRemaining, "remaining: ", "left in it: "},
		{corev1.NamespaceFinalizersRemaining, "remaining: ", "finalizers of what is left: "},
		{corev1.NamespaceDeletionContentFailure, "remaining: ", "deleting what is in it fails: "},
	} {
		h, ok := holds(o, c.kind)
		if !ok || strings.Contains(h.message, "conversion webhook for ") { // see gc-blocked-conversion-webhook
			continue
		}
		f.Evidence = append(f.Evidence, h.evidence)
		if c.kind == corev1.NamespaceDeletionContentFailure && len(parts) > 0 && strings.Contains(h.message, "unexpected items still remain") {
			continue // says no more than that something is left
		}
		rest := after(h.message, c.mark, "")
		if rest == "" {
			rest = h.message
		}
		parts = append(parts, c.say+sentence(rest))
	}
	// Somebody else's finalizers, on the namespace itself.
	var own []string
	for _, fin := range ns.Spec.Finalizers {
		if fin != corev1.FinalizerKubernetes {
			own = append(own, string(fin))
		}
	}
	own = append(own, ns.Finalizers...)
	if len(own) > 0 {
		field := "metadata.finalizers"
		if len(ns.Finalizers) == 0 {
			field = "spec.finalizers"
		}
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: o.Ref.String(), Field: field, Value: strings.Join(own, ", ")})
		parts = append(parts, "finalizers of the namespace itself: "+strings.Join(own, ", "))
	}
	if len(parts) == 0 {
		return diagnose.Finding{}, false
	}
	if len(own) > 0 && len(parts) == 1 && len(ns.Spec.Finalizers) > 0 {
		f.Confidence = diagnose.Likely // the namespace controller has not finished either, and does not say why
		f.Decide = "See whether the namespace's spec.finalizers still has \"kubernetes\": while it has, something is left in it."
	}
	f.Message = fmt.Sprintf("Namespace %s is being deleted and cannot go. %s.", ns.Name, strings.ToUpper(parts[0][:1])+strings.Join(parts, "; ")[1:])
	return f, true
}

// inDeletedNamespace is about a workload of a namespace that is being deleted, where the namespace itself could not be read.
func inDeletedNamespace(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	r, ok := refused(s, o, diagnose.Text{All: []string{"because it is being terminated"}})
	if !ok {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: snapshot.Ref{Kind: snapshot.Namespace, Name: o.Ref.Namespace}, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
		Message: fmt.Sprintf("Namespace %s is being deleted, so nothing new can be made in it: %s.", o.Ref.Namespace, lack(o)),
	}, true
}
