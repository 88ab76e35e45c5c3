package control

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func podTemplateInvalid() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST522", Slug: "pod-template-invalid",
		Doc: diagnose.Doc{
			Title:   "The pods of a template are invalid, although the workload was accepted",
			Symptom: "A workload has fewer pods than it wants, and there is no pod to look at. Events FailedCreate say that a pod \"is invalid\" and name a field.",
			Mechanism: "The template of a workload is validated when it is written, but a pod is more than its template: its name and host name are derived from the workload's, and admission changes it first. " +
				"A LimitRange that gives a default limit below a request, a webhook that adds a container with a name that is there already, or a name that gets too long make a pod invalid that nobody wrote.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector reason=FailedCreate",
				"kubectl describe limitranges -n {namespace}",
				"kubectl get mutatingwebhookconfigurations",
			},
			Remedies: []diagnose.Remedy{
				{ID: "fix-template", Risk: diagnose.RiskLow, Text: "Change the field that the message names, or give the request or limit that a LimitRange would fill in."},
				{ID: "fix-mutation", Risk: diagnose.RiskMedium, Text: "If the field is not in the template, find what writes it, a LimitRange or a mutating webhook, and correct that. Others use it too.", Command: "kubectl get mutatingwebhookconfigurations"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/policy/limit-range/",
				"https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/controller_utils.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: readsOfRefusals(),
		Object:   templateIsInvalid,
	}
}

// templateIsInvalid goes by what the API server says of an object that it cannot accept (apimachinery/pkg/api/errors NewInvalid:
// `Pod "x" is invalid: spec.…: Invalid value: …`).
func templateIsInvalid(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	r, ok := refused(s, o, diagnose.Text{
		All:  []string{" is invalid: "},
		Any:  []string{"spec.", "metadata.", "spec:", "Invalid value", "Required value", "Duplicate value", "Unsupported value"},
		None: []string{"denied the request", "denied request", "failed calling"},
	})
	if !ok {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
		Message: fmt.Sprintf("What the controller makes of the template is invalid: %s. So %s.", sentence(strings.TrimLeft(after(r.text, "is invalid", ""), ": ")), lack(o)),
	}, true
}
