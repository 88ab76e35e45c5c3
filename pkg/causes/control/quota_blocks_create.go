package control

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func quotaBlocksCreate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST505", Slug: "quota-blocks-create",
		Doc: diagnose.Doc{
			Title:   "A quota or a limit range of the namespace refuses new pods",
			Symptom: "A workload has fewer pods than it wants, and there is no pod to look at. Events FailedCreate say \"exceeded quota\", \"failed quota\" or \"maximum cpu usage per Container\".",
			Mechanism: "A ResourceQuota bounds what all pods of a namespace ask for together, and one that bounds a resource makes every pod name it. A LimitRange bounds each pod or container. " +
				"The API server refuses pods beyond either. Pods that have ended do not count against requests and limits; pods that are Terminating do, until they are gone.",
			Confirm: []string{
				"kubectl describe resourcequotas -n {namespace}",
				"kubectl describe limitranges -n {namespace}",
				"kubectl get events -n {namespace} --field-selector reason=FailedCreate",
			},
			Remedies: []diagnose.Remedy{
				{ID: "look-at-use", Risk: diagnose.RiskNone, Text: "Look what uses the quota up: pods that hang in Terminating still count, and so does a rollout's surplus of pods. Where they go, creation goes on by itself.", Command: "kubectl describe resourcequotas -n {namespace}"},
				{ID: "fix-template", Risk: diagnose.RiskLow, Text: "Give the containers requests and limits, as the message asks, or smaller ones; or have a LimitRange give defaults."},
				{ID: "raise-quota", Risk: diagnose.RiskMedium, Text: "Raise the quota, or the limit, if the nodes have the room. Others share what it divides.", Command: "kubectl get resourcequotas,limitranges -n {namespace} -o yaml"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/policy/resource-quotas/",
				"https://kubernetes.io/docs/concepts/policy/limit-range/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/plugin/pkg/admission/limitranger/admission.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: append(readsOfRefusals(), snapshot.ResourceQuota),
		Object:   quotaRefuses,
		Log:      diagnose.Lines("is forbidden: exceeded quota", "is forbidden: failed quota"),
	}
}

// The words: apiserver/pkg/admission/plugin/resourcequota/controller.go (older ones begin with a capital) and plugin/pkg/admission/limitranger.
func quotaRefuses(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	for _, mark := range []string{"exceeded quota: ", "failed quota: ", "status unknown for quota: "} {
		r, ok := refused(s, o, diagnose.Text{All: []string{mark}})
		if !ok {
			continue
		}
		name := after(r.text, mark, ",: ")
		f := diagnose.Finding{
			Subject:    snapshot.Ref{Kind: snapshot.ResourceQuota, Namespace: o.Ref.Namespace, Name: name},
			Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
		}
		if name == "" {
			f.Subject = o.Ref
		}
		switch mark {
		case "exceeded quota: ":
			f.Message = fmt.Sprintf("ResourceQuota %s/%s is used up: %s. So %s.", o.Ref.Namespace, name, sentence(strings.TrimLeft(after(r.text, mark+name, ""), ",: ")), lack(o))
		case "failed quota: ":
			f.Message = fmt.Sprintf("ResourceQuota %s/%s makes every pod say what it needs, and the template does not: %s. So %s.", o.Ref.Namespace, name, sentence(strings.TrimLeft(after(r.text, mark+name, ""), ",: ")), lack(o))
		default:
			f.Message = fmt.Sprintf("Nobody has counted yet what ResourceQuota %s/%s bounds, so the API server refuses pods: the quota controller is part of kube-controller-manager. So %s.", o.Ref.Namespace, name, lack(o))
		}
		f.Evidence = append(f.Evidence, usage(s, f.Subject)...)
		return f, true
	}
	if r, ok := refused(s, o, diagnose.Text{Any: []string{"insufficient quota to consume", "insufficient quota to match"}}); ok {
		return diagnose.Finding{
			Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
			Message: fmt.Sprintf("The API server is set up to create such pods only where a ResourceQuota allows them, and namespace %s has none that does. So %s.", o.Ref.Namespace, lack(o)),
		}, true
	}
	r, ok := refused(s, o, diagnose.Text{All: []string{" per "}, Any: []string{"maximum ", "minimum ", "max limit to request ratio"}})
	if !ok || !limitRange(r.text) {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: o.Ref, Confidence: r.confidence, Evidence: r.evidence, Decide: r.decide(),
		Message: fmt.Sprintf("A LimitRange of namespace %s refuses the pods: %s. So %s.", o.Ref.Namespace, sentence(strings.TrimLeft(after(r.text, "is forbidden", ""), ": ")), lack(o)),
	}, true
}

// limitRange tells whether the message names one of the types that a LimitRange bounds: "maximum cpu usage per Container is 1, but limit is 2".
func limitRange(text string) bool {
	return slices.ContainsFunc([]string{"per Container is", "per Pod is", "per PersistentVolumeClaim is"}, func(p string) bool { return strings.Contains(text, p) })
}

// usage cites the resources of a quota that are used up, or all of them where none is.
func usage(s *snapshot.Snapshot, ref snapshot.Ref) []diagnose.Evidence {
	var full, all []diagnose.Evidence
	for _, q := range s.ResourceQuotas(ref.Namespace) {
		if q.Name != ref.Name {
			continue
		}
		var names []string
		for n := range q.Status.Hard {
			names = append(names, string(n))
		}
		slices.Sort(names)
		for _, n := range names {
			hard, used := q.Status.Hard[corev1.ResourceName(n)], q.Status.Used[corev1.ResourceName(n)]
			e := diagnose.Evidence{Object: ref.String(), Field: "status.used[" + n + "]", Value: fmt.Sprintf("%s of %s", used.String(), hard.String())}
			all = append(all, e)
			if used.Cmp(hard) >= 0 {
				full = append(full, e)
			}
		}
	}
	if len(full) > 0 {
		return full
	}
	return all
}
