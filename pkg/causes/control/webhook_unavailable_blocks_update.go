package control

import (
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func webhookUnavailableBlocksUpdate() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST503", Slug: "webhook-unavailable-blocks-update",
		Doc: diagnose.Doc{
			Title:   "An admission webhook that cannot be reached refuses changes to pods",
			Symptom: "Pods stay in Terminating on nodes that are well, or with finalizers that nobody can remove; new pods stay Pending although they have a node. Several namespaces, several nodes.",
			Mechanism: "A webhook with failurePolicy Fail that covers updates of pods or of pods/status makes the API server refuse each of them while its server does not answer. " +
				"Kubelet cannot report that a pod has ended, and so never does the final delete; PodGC writes the status first as well; nobody can take a finalizer away.",
			Confirm: []string{
				"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
				`kubectl patch pod {pod} --subresource=status --type=merge -p '{"status":{"message":"test"}}' --dry-run=server -o name -n {namespace}`,
				"kubectl get endpointslices -A",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-webhook", Risk: diagnose.RiskNone, Text: "Bring the webhook's server back: its Deployment, its Service, its certificate. Everything that waits goes on by itself within a minute.", Command: "kubectl get endpointslices -A"},
				{ID: "narrow-webhook", Risk: diagnose.RiskMedium, Text: "Exclude the namespace of the webhook's own server, if it locks itself out. Else exclude pods/status, updates, or the namespaces concerned from its rules, or set failurePolicy to Ignore until it is back. What it enforces is not enforced then."},
				{ID: "delete-configuration", Risk: diagnose.RiskHigh, Text: "If the software behind it was uninstalled, save and delete the configuration that it left behind. Nothing enforces its rules any more."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
				"https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/status/status_manager.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: append(admission.Reads(), snapshot.Event),
		Cluster:  webhookUnavailableCluster,
		Log: []diagnose.LogMatch{
			// kubelet's status manager and PodGC quote the API server; what they try is the pod's own status, or its last delete.
			{Text: diagnose.Text{All: []string{"failed calling webhook"}, Any: []string{
				"update status for pod", "delete status for pod", "failed to patch status", "failed to delete orphaned pod", "failed to delete terminating pod",
				"failed to delete unscheduled terminating pod", "tracking finalizer", "orphan pod", "remove finalizer", "removing finalizer",
			}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"failed calling admission webhook"}, Any: []string{"update status for pod", "delete status for pod", "failed to patch status"}}, Confidence: diagnose.Certain},
			{
				Text: diagnose.Text{All: []string{"failed calling webhook, failing closed"}}, Confidence: diagnose.Possible, Alternatives: []string{"webhook-blocks-create"},
				Decide: "The API server does not say what it was asked for: look at the webhook's rules.",
			},
		},
	}
}

func webhookUnavailableCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	chain, met := admission.NewChain(s), newTally()
	var out []diagnose.Finding
	for _, p := range all(r) {
		var spoken []diagnose.Evidence
		why := ""
		named, unclear := map[place]bool{}, map[string]bool{}
		for _, h := range heardOf(s, p.Pod) {
			if h.Kind != admission.Unreachable {
				continue
			}
			g, candidates, ok := configured(s, chain, p.Pod, h.Refusal)
			if ok {
				named[place{g.Ref, g.Name}] = true
				w := met.at(g)
				w.add(p, true)
				w.spoken = append(w.spoken, h.evidence)
				continue
			}
			unclear[h.Name] = unclear[h.Name] || len(candidates) > 0
			why = whose(candidates)
			spoken = append(spoken, h.evidence)
		}
		if len(spoken) > 0 {
			out = append(out, diagnose.Finding{
				Subject: p.Ref, Explains: []snapshot.Ref{p.Ref}, Evidence: spoken, Confidence: diagnose.Fresh(s, diagnose.Certain, spoken),
				Message: fmt.Sprintf("The API server refuses what pod %s waits for, because it fails to call an admission webhook (%s); %s.", p.Ref.Name, failure(spoken[0].Value), why),
			})
		}
		for _, n := range nextWrites(s, p) {
			for _, g := range chain.Gates(p.Object, n.Op, n.Subresource) {
				if g.Blocks() && (g.Kind == admission.MutatingWebhook || g.Kind == admission.ValidatingWebhook) {
					if named[place{g.Ref, g.Name}] || unclear[g.Name] {
						continue // that is said already
					}
					w := met.at(g)
					w.gate = g // with its conditions
					w.add(p, g.Sure && g.Backend.Found)
				}
			}
		}
	}
	for _, k := range met.order {
		out = append(out, unavailable(s, met.of[k]))
	}
	return out
}

// newestOf is when the newest of the events was seen last.
func newestOf(evidence []diagnose.Evidence) time.Time {
	var out time.Time
	for _, e := range evidence {
		if e.Last.After(out) {
			out = e.Last
		}
	}
	return out
}

// unavailable is the finding about a webhook that does not answer.
func unavailable(s *snapshot.Snapshot, w *inWay) diagnose.Finding {
	g := w.gate
	f := diagnose.Finding{Subject: g.Ref, Explains: w.explains, Evidence: slices.Concat(g.Backend.Evidence, w.spoken)}
	policy := string(admissionv1.Fail)
	if !g.Fail {
		policy = string(admissionv1.Ignore)
	}
	f.Evidence = append(f.Evidence, diagnose.Evidence{Object: g.Ref.String(), Field: "webhooks[" + g.Name + "].failurePolicy", Value: policy})
	const decide = "Change the pod's status with --dry-run=server: the answer names the webhook if it is in the way."
	why := g.Backend.Why
	fresh := diagnose.Fresh(s, diagnose.Certain, w.spoken) == diagnose.Certain
	switch {
	case len(w.spoken) > 0 && (!g.Fail || !fresh && g.Backend.State == admission.Up):
		now := why
		if !g.Fail {
			now = "its failurePolicy is Ignore"
		}
		f.Confidence, f.Decide, f.Alternatives = diagnose.Possible, decide, w.others
		f.Message = fmt.Sprintf("Webhook %q refused changes to pods, last %s ago, because the API server failed to call it (%s). By now %s, so that may be over. It was in the way of %s: %s.",
			g.Name, scope.Short(s.Now().Sub(newestOf(w.spoken))), failure(w.spoken[0].Value), now, count(len(f.Explains), "stuck pod"), some(f.Explains))
		if len(namespacesOf(f.Explains)) > 1 {
			f.Reach = scope.ReachCluster
		}
		return f
	case len(w.spoken) > 0:
		f.Confidence = diagnose.Fresh(s, diagnose.Certain, w.spoken)
		if g.Backend.State != admission.Down {
			why = "the API server fails to call it (" + failure(w.spoken[0].Value) + ")"
		}
	case len(w.explains) == 0:
		f.Explains, f.Confidence, f.Decide = w.guessed, diagnose.Possible, decide
	case g.Backend.Gone && w.knowing:
		f.Confidence = diagnose.Certain
	default:
		f.Confidence, f.Decide = diagnose.Likely, decide
	}
	if len(namespacesOf(f.Explains)) > 1 {
		f.Reach = scope.ReachCluster
	}
	f.Message = fmt.Sprintf("Webhook %q refuses changes to pods, because %s and its failurePolicy is Fail. It is in the way of %s: %s.",
		g.Name, why, count(len(f.Explains), "stuck pod"), some(f.Explains))
	var own []snapshot.Ref
	for _, p := range g.Backend.Pods {
		if slices.ContainsFunc(f.Explains, func(e snapshot.Ref) bool { return e.Namespace == p.Namespace && e.Name == p.Name }) {
			own = append(own, p)
		}
	}
	if len(own) > 0 {
		f.Message += fmt.Sprintf(" Its own server is among them (%s): it cannot come up before it answers, and so locks itself out.", some(own))
	}
	if len(g.Conditions) > 0 && f.Confidence == diagnose.Possible {
		f.Message += " It has match conditions, which only the API server can evaluate."
	}
	return f
}
