package control

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func templateNamesMissingObject() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST521", Slug: "template-names-missing-object",
		Doc: diagnose.Doc{
			Title:   "The pod template names a ServiceAccount, PriorityClass or RuntimeClass that does not exist",
			Symptom: "A workload has fewer pods than it wants, and there is no pod to look at. Events FailedCreate say \"error looking up service account\", \"no PriorityClass with name … was found\" or \"RuntimeClass … not found\".",
			Mechanism: "Unlike a missing ConfigMap or Secret, which a pod waits for on its node, these three are looked up by the API server when a pod is created: without them there is no pod. " +
				"They go missing where a chart is installed in part, in another order, or where a cleanup took what something else used.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector reason=FailedCreate",
				"kubectl get serviceaccounts -n {namespace}",
				"kubectl get priorityclasses,runtimeclasses",
			},
			Remedies: []diagnose.Remedy{
				{ID: "create-it", Risk: diagnose.RiskLow, Text: "Create what is missing, from the same manifests as the workload. Creation of the pods goes on by itself within a quarter of an hour."},
				{ID: "fix-template", Risk: diagnose.RiskLow, Text: "Correct the name in the pod template: a name of another cluster or release is the usual mistake."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
				"https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/",
				"https://kubernetes.io/docs/concepts/containers/runtime-class/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/plugin/pkg/admission/serviceaccount/admission.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: readsOfRefusals(),
		Object:   templateNamesNothing,
		Log:      diagnose.Lines("error looking up service account", "no PriorityClass with name"),
	}
}

// The words: plugin/pkg/admission/{serviceaccount,priority,runtimeclass}. A ServiceAccount without a token was waited for until Kubernetes 1.24.
func templateNamesNothing(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	if r, ok := refused(s, o, diagnose.Text{All: []string{"error looking up service account"}}); ok {
		name := after(r.text, "error looking up service account "+o.Ref.Namespace+"/", ": ")
		f := diagnose.Finding{
			Subject: snapshot.Ref{Kind: "ServiceAccount", Namespace: o.Ref.Namespace, Name: name}, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
			Message: fmt.Sprintf("ServiceAccount %s/%s, under which the pods are to run, does not exist. So %s.", o.Ref.Namespace, name, lack(o)),
		}
		if name == "" || !strings.Contains(r.text, "not found") {
			f.Subject = o.Ref
			f.Message = fmt.Sprintf("The ServiceAccount under which the pods are to run cannot be looked up: %s. So %s.", sentence(after(r.text, "error looking up service account", "")), lack(o))
		}
		return f, true
	}
	if r, ok := refused(s, o, diagnose.Text{All: []string{"no api token found for service account"}}); ok {
		return diagnose.Finding{
			Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
			Message: fmt.Sprintf("The ServiceAccount under which the pods are to run has no token yet, which kube-controller-manager makes. So %s.", lack(o)),
		}, true
	}
	for _, missing := range []struct {
		match diagnose.Text
		kind  snapshot.Kind
		name  func(string) string
	}{
		{
			diagnose.Text{All: []string{"no PriorityClass with name", "was found"}}, "PriorityClass",
			func(text string) string { return after(text, "no PriorityClass with name ", " ") },
		},
		{diagnose.Text{All: []string{"pod rejected", "RuntimeClass", "not found"}}, snapshot.RuntimeClass, func(text string) string { return named(text, "RuntimeClass ") }},
	} {
		r, ok := refused(s, o, missing.match)
		if !ok {
			continue
		}
		f := diagnose.Finding{Subject: snapshot.Ref{Kind: missing.kind, Name: missing.name(r.text)}, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide()}
		f.Message = fmt.Sprintf("%s %s, which the pod template names, does not exist. So %s.", missing.kind, orUnnamed(f.Subject.Name), lack(o))
		if f.Subject.Name == "" {
			f.Subject = o.Ref
		}
		return f, true
	}
	return diagnose.Finding{}, false
}
