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

func gcBlockedConversionWebhook() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST508", Slug: "gc-blocked-conversion-webhook",
		Doc: diagnose.Doc{
			Title:   "A conversion webhook that does not answer keeps namespaces and leftovers from going",
			Symptom: "Namespaces stay in Terminating with NamespaceDeletionContentFailure; ReplicaSets and pods of a deleted Deployment stay and go on running, in the whole cluster.",
			Mechanism: "Objects of a CustomResourceDefinition with several versions are converted by a webhook. While its server is gone they cannot be listed in the versions that it converts. " +
				"The namespace controller cannot delete what it cannot list, and the garbage collector waits for its list of every kind before it collects anything.",
			Confirm: []string{
				"kubectl get customresourcedefinitions -o custom-columns=NAME:.metadata.name,STRATEGY:.spec.conversion.strategy,SERVICE:.spec.conversion.webhook.clientConfig.service.name",
				"kubectl get namespaces --field-selector status.phase=Terminating -o yaml",
				"kubectl logs -n kube-system -l component=kube-controller-manager --tail=200",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-webhook", Risk: diagnose.RiskNone, Text: "Bring the webhook's server back: its Deployment, its Service, its certificate. Namespaces and leftovers go by themselves within minutes."},
				{ID: "remove-objects-first", Risk: diagnose.RiskMedium, Text: "If the software is to go for good, install it again, delete its custom resources, and then uninstall it: the webhook has to be the last to go."},
				{ID: "delete-definition", Risk: diagnose.RiskDataLoss, Text: "If it cannot come back, set spec.conversion.strategy to None, or delete the CustomResourceDefinition: every object of that kind goes with it, and its finalizers may hold it.", Command: "kubectl get customresourcedefinitions"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion",
				"https://github.com/kubernetes/kubernetes/issues/110720",
				"https://github.com/kubernetes/kubernetes/issues/96362",
				"https://github.com/kubernetes/apiextensions-apiserver/blob/v0.37.2/pkg/apiserver/conversion/webhook_converter.go",
			},
		},
		Reach:  scope.ReachCluster,
		Object: conversionFails,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"conversion webhook for ", "failed"}, Any: []string{"PartialObjectMetadata", "garbage", "namespace", "failed to list", "failed to watch"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"conversion webhook for ", "failed: Post"}}},
		},
	}
}

// conversionFails goes by what the API server says of a conversion (apiextensions-apiserver/pkg/apiserver/conversion):
// `conversion webhook for GROUP/VERSION, Kind=KIND failed: Post "https://SERVICE.NAMESPACE.svc:443/…`.
func conversionFails(_ *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	h, ok := holds(o, corev1.NamespaceDeletionContentFailure)
	if !ok || !strings.Contains(h.message, "conversion webhook for ") {
		return diagnose.Finding{}, false
	}
	kind := after(h.message, "Kind=", " ,")
	f := diagnose.Finding{Subject: o.Ref, Confidence: diagnose.Certain, Evidence: []diagnose.Evidence{h.evidence}}
	server := ""
	if service, namespace, ok := serviceOf(after(h.message, "conversion webhook for ", "")); ok {
		f.Subject = snapshot.Ref{Kind: snapshot.Service, Namespace: namespace, Name: service}
		server = fmt.Sprintf(" (Service %s/%s: %s)", namespace, service, failure(after(h.message, "conversion webhook for ", "")))
	}
	f.Message = fmt.Sprintf("The conversion webhook of custom resources of kind %s%s fails, so they cannot be listed, and namespace %s cannot be emptied. The garbage collector waits for the same list, in the whole cluster.",
		orUnnamed(kind), server, o.Ref.Name)
	return f, true
}

// serviceOf reads the Service out of the address that the API server makes of one: https://NAME.NAMESPACE.svc:443/….
func serviceOf(text string) (name, namespace string, ok bool) {
	host := after(text, "https://", `:/"? `)
	parts := strings.Split(host, ".")
	if len(parts) < 3 || parts[2] != "svc" || parts[0] == "" || parts[1] == "" {
		return "", "", false
	}
	return parts[0], parts[1], true
}
