package control

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func podSecurityDeniesCreate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST520", Slug: "pod-security-denies-create",
		Doc: diagnose.Doc{
			Title:   "Pod security rules of the namespace or the cluster refuse new pods",
			Symptom: "A workload has fewer pods than it wants, and there is no pod to look at. Events FailedCreate say \"violates PodSecurity\", or \"unable to validate against any security context constraint\" on OpenShift.",
			Mechanism: "The API server compares each new pod with the Pod Security level that its namespace enforces (the label pod-security.kubernetes.io/enforce), and OpenShift with the SecurityContextConstraints " +
				"that the pod's ServiceAccount may use. Deployments and other workloads are accepted with no more than a warning, so the refusal shows only at their pods. Pods that run already go on.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector reason=FailedCreate",
				"kubectl get namespace {namespace} --show-labels",
			},
			Remedies: []diagnose.Remedy{
				{ID: "fix-template", Risk: diagnose.RiskLow, Text: "Set the securityContext of the pod template as the message asks. It names each field."},
				{ID: "use-another-account", Risk: diagnose.RiskMedium, Text: "On OpenShift, let the pods run under a ServiceAccount that may use a fitting SecurityContextConstraints. It may then do more than it could before.", Command: "kubectl get rolebindings -n {namespace}"},
				{ID: "loosen-namespace", Risk: diagnose.RiskMedium, Text: "If the workload needs these rights, run it in a namespace that enforces a looser level. Every pod of that namespace then may do the same.", Command: "kubectl get namespace {namespace} --show-labels"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/security/pod-security-admission/",
				"https://kubernetes.io/docs/concepts/security/pod-security-standards/",
				"https://github.com/kubernetes/pod-security-admission/blob/v0.37.2/admission/admission.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: readsOfRefusals(),
		Object:   podSecurityRefuses,
		Log:      diagnose.Lines("is forbidden: violates podsecurity"),
	}
}

// The words: pod-security-admission/admission, the SCC admission of OpenShift, and PodSecurityPolicy, which ended with Kubernetes 1.25.
func podSecurityRefuses(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	if r, ok := refused(s, o, diagnose.Text{All: []string{"violates podsecurity"}}); ok {
		return diagnose.Finding{
			Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
			Message: fmt.Sprintf("Namespace %s enforces the Pod Security level %s, and the template goes beyond it: %s. So %s.",
				o.Ref.Namespace, orUnnamed(named(r.text, "PodSecurity ")), sentence(strings.TrimLeft(after(r.text, named(r.text, "PodSecurity "), ""), `\": `)), lack(o)),
		}, true
	}
	r, ok := refused(s, o, diagnose.Text{Any: []string{"unable to validate against any security context constraint", "unable to validate against any pod security policy", "podsecuritypolicy: unable to"}})
	if !ok {
		return diagnose.Finding{}, false
	}
	which := "SecurityContextConstraints"
	if (diagnose.Text{Any: []string{"pod security policy", "podsecuritypolicy"}}).Match(r.text) {
		which = "PodSecurityPolicy"
	}
	return diagnose.Finding{
		Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
		Message: fmt.Sprintf("No %s that the pods' ServiceAccount may use allows what the template asks for: %s. So %s.", which, sentence(after(r.text, "unable to ", "")), lack(o)),
	}, true
}
