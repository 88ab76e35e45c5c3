package control

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func admissionDeniesUpdate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST515", Slug: "admission-denies-update",
		Doc: diagnose.Doc{
			Title:   "An admission policy or webhook denies the changes that a pod waits for",
			Symptom: "Pods stay in Terminating on a node that is well, or with finalizers that nobody can remove, and there is no event. The kubelet's or the controller's log holds a denial.",
			Mechanism: "A ValidatingAdmissionPolicy or a webhook that covers updates of pods, or of pods/status, judges every one of them: also the kubelet's report that the containers ended, PodGC's mark before it deletes, " +
				"and the removal of a finalizer. A rule that was written for what users do denies these as well. A policy whose parameters, or their kind, are gone denies everything that it covers, if its failurePolicy is Fail, whatever its binding says.",
			Confirm: []string{
				`kubectl patch pod {pod} --subresource=status --type=merge -p '{"status":{"message":"test"}}' --dry-run=server -o name -n {namespace}`,
				`kubectl patch pod {pod} --type=merge -p '{"metadata":{"finalizers":null}}' --dry-run=server -o name -n {namespace}`,
				"kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings -o wide",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "dry-run-change", Risk: diagnose.RiskNone, Text: "Try the change with a dry run: the answer names what denies it, and why.",
					Command: `kubectl patch pod {pod} --subresource=status --type=merge -p '{"status":{"message":"test"}}' --dry-run=server -o name -n {namespace}`,
				},
				{ID: "restore-parameters", Risk: diagnose.RiskNone, Text: "If a policy lacks its parameters, put them, or their CustomResourceDefinition, back."},
				{ID: "narrow-policy", Risk: diagnose.RiskLow, Text: "Take pods/status out of its rules, or exempt the kubelets (group system:nodes) and the controllers of kube-system by a match condition, or pods with a deletionTimestamp. What waits goes on by itself."},
				{ID: "audit-only", Risk: diagnose.RiskMedium, Text: "Set the binding's validationActions to Audit until the policy is mended. What it forbids is not forbidden then."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/",
				"https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/dispatcher.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: append(admission.Reads(), snapshot.Event, snapshot.Lease),
		Cluster:  admissionDeniesCluster,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"denied request"}, Any: deniedWrites()}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"denied the request", "admission webhook"}, Any: deniedWrites()}, Confidence: diagnose.Certain},
		},
	}
}

// deniedWrites are the words by which kubelet, PodGC and the job controller say what they tried (pkg/kubelet/status, pkg/controller/podgc and
// pkg/controller/job).
func deniedWrites() []string {
	return []string{
		"update status for pod", "delete status for pod", "failed to patch status", "failed to delete orphaned pod", "failed to delete terminating pod",
		"failed to delete unscheduled terminating pod", "tracking finalizer", "orphan pod",
	}
}

func admissionDeniesCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	chain, met := admission.NewChain(s), newTally()
	alive := freshLease(s, controllerManager)
	var out []diagnose.Finding
	for _, p := range all(r) {
		spoke := false
		for _, h := range heardOf(s, p.Pod) {
			if h.Kind != admission.Denied && h.Kind != admission.Misconfigured {
				spoke = spoke || h.Kind == admission.Immutable || h.Kind == admission.Unreachable
				continue
			}
			spoke = true
			g, candidates, ok := configured(s, chain, p.Pod, h.Refusal)
			if ok {
				w := met.at(g)
				w.add(p, true)
				w.spoken = append(w.spoken, h.evidence)
				continue
			}
			out = append(out, diagnose.Finding{
				Subject: p.Ref, Explains: []snapshot.Ref{p.Ref}, Evidence: []diagnose.Evidence{h.evidence},
				Confidence: diagnose.Fresh(s, diagnose.Certain, []diagnose.Evidence{h.evidence}),
				Message:    fmt.Sprintf("Admission denies what pod %s waits for: %s said so; %s.", p.Ref.Name, h.Name, whose(candidates)),
			})
		}
		if spoke {
			continue
		}
		denies(s, chain, met, p, alive)
	}
	for _, k := range met.order {
		if f, ok := denial(s, met.of[k]); ok {
			out = append(out, f)
		}
	}
	return out
}

// denies looks for policies that cannot be evaluated, and then for what may be denying without a word: only where the write is known to be
// missing, and one policy alone is asked about it.
func denies(s *snapshot.Snapshot, chain *admission.Chain, met *tally, p inGroup, alive bool) {
	for _, n := range nextWrites(s, p) {
		gates := chain.Gates(p.Object, n.Op, n.Subresource)
		var may []admission.Gate
		for _, g := range gates {
			switch {
			case g.Kind != admission.ValidatingPolicy && g.Kind != admission.MutatingPolicy:
			case g.Blocks():
				met.at(g).add(p, g.Sure)
				return
			case g.Fail && g.Backend.Suspect:
				met.at(g).add(p, false)
			case g.Denies:
				may = append(may, g)
			}
		}
		_, late := overdue(p.Pod, alive)
		missing := n.Subresource == "status" && (lags(p.Pod) || untold(p.Pod) || p.Stage == stuck.NodeGone && alive) ||
			n.Subresource == "" && n.Op == admissionv1.Update && late && !slices.ContainsFunc(gates, func(g admission.Gate) bool { return g.Mutates })
		if missing && len(may) == 1 {
			w := met.at(may[0])
			w.add(p, false)
			if lags(p.Pod) || untold(p.Pod) {
				w.miss(p)
			}
			return
		}
	}
}

// denial is the finding about a policy or webhook that denies.
func denial(s *snapshot.Snapshot, w *inWay) (diagnose.Finding, bool) {
	g := w.gate
	f := diagnose.Finding{Subject: g.Ref, Explains: w.explains, Evidence: slices.Concat(g.Backend.Evidence, w.spoken)}
	const decide = "Try the change with --dry-run=server: the answer names the policy if it is in the way."
	pods := func() string { return count(len(f.Explains), "stuck pod") + ": " + some(f.Explains) }
	switch {
	case len(w.spoken) > 0:
		f.Confidence = diagnose.Fresh(s, diagnose.Certain, w.spoken)
		f.Message = fmt.Sprintf("%s %s denies changes to pods. It is in the way of %s.", g.Ref.Kind, nameOf(g), pods())
	case g.Backend.State == admission.Down:
		f.Confidence = diagnose.Likely
		if len(f.Explains) == 0 {
			f.Explains, f.Confidence = w.guessed, diagnose.Possible
		}
		f.Decide = decide
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: g.Ref.String(), Field: "spec.failurePolicy", Value: string(admissionv1.Fail)})
		f.Message = fmt.Sprintf("%s %s denies every change to pods that it covers, because %s, and its failurePolicy is Fail. It is in the way of %s.", g.Ref.Kind, g.Name, g.Backend.Why, pods())
	case g.Backend.Suspect:
		f.Explains, f.Confidence, f.Decide = w.guessed, diagnose.Possible, "Try the change with --dry-run=server: the answer names the policy if it is in the way. Kubectl get apiservices tells whether one serves the group."
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: g.Ref.String(), Field: "spec.failurePolicy", Value: string(admissionv1.Fail)})
		f.Message = fmt.Sprintf("%s %s may deny every change to pods that it covers: %s. If no APIService serves it either, each change fails, for its failurePolicy is Fail. It would be in the way of %s.",
			g.Ref.Kind, g.Name, g.Backend.Why, pods())
	case len(w.guessed) > 0:
		f.Explains, f.Confidence, f.Decide = w.guessed, diagnose.Possible, decide
		if len(w.missing) > 0 {
			f.Alternatives = []string{"kubelet-pod-worker-bug"}
		}
		if len(w.nodes) > 1 && g.Sure {
			f.Confidence, f.Alternatives = diagnose.Likely, nil // several kubelets, each alive, and none gets its word through about just these pods
		}
		f.Evidence = append(slices.Clone(w.missing), diagnose.Evidence{Object: g.Ref.String(), Field: "spec.matchConstraints", Value: "the only policy that may deny what the pods wait for (binding " + g.Binding.Name + ")"})
		f.Message = fmt.Sprintf("%s %s is asked about the change that the pods wait for, and nothing else is known to be in its way; it may deny it. Waiting: %s.", g.Ref.Kind, g.Name, pods())
		if len(g.Conditions) > 0 {
			f.Message += " Its match conditions can be evaluated by the API server only: " + strings.Join(g.Conditions, "; ") + "."
		}
	default:
		return f, false
	}
	if len(namespacesOf(f.Explains)) > 1 {
		f.Reach = scope.ReachCluster
	}
	return f, true
}

// nameOf is the name of a policy, or of a webhook with its configuration's.
func nameOf(g admission.Gate) string {
	if g.Kind == admission.ValidatingPolicy || g.Kind == admission.MutatingPolicy {
		return g.Name
	}
	return g.Ref.Name + " (webhook " + g.Name + ")"
}
