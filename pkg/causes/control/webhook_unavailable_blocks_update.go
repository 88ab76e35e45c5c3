package control

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
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
				{ID: "narrow-webhook", Risk: diagnose.RiskMedium, Text: "Exclude pods/status, updates, or the namespaces concerned from its rules, or set failurePolicy to Ignore until it is back. What it enforces is not enforced then."},
				{ID: "delete-configuration", Risk: diagnose.RiskHigh, Text: "If the software behind it was uninstalled, save and delete the configuration that it left behind. Nothing enforces its rules any more."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
				"https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/status/status_manager.go",
			},
		},
		Reach:    scope.ReachShared,
		Needs:    []snapshot.Kind{snapshot.MutatingWebhookConfiguration, snapshot.ValidatingWebhookConfiguration},
		Optional: []snapshot.Kind{snapshot.EndpointSlice, snapshot.Event, snapshot.Namespace, snapshot.Service},
		Cluster:  webhookUnavailableCluster,
	}
}

func webhookUnavailableCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	pods := all(r)
	if len(pods) == 0 {
		return nil
	}
	var out []diagnose.Finding
	for _, h := range hooksOf(s) {
		if !h.fail {
			continue
		}
		b := backendOf(s, h)
		var f diagnose.Finding
		nodes := true
		var spoken []diagnose.Evidence
		var guessed []snapshot.Ref // pods that it may be in the way of
		for _, p := range pods {
			said := refusals(s, p.Pod, h.name)
			if len(said) > 0 {
				f.Explains = append(f.Explains, p.Ref)
				spoken = append(spoken, said...)
				continue
			}
			if !b.down {
				continue
			}
			for _, n := range nextWrites(p) {
				if calls, known := h.calls(s, p.Object, n.op, n.subresource); calls {
					if !known || !b.known {
						guessed = append(guessed, p.Ref)
						break
					}
					f.Explains = append(f.Explains, p.Ref)
					nodes = nodes && (p.facts.Ready != "" || p.Stage == stuck.FinalizersOnly || p.Stage == stuck.NodeGone || p.Stage == stuck.NeverScheduled)
					break
				}
			}
		}
		sure := len(f.Explains) > 0
		if !sure {
			f.Explains = guessed
		}
		if len(f.Explains) == 0 {
			continue
		}
		f.Subject = h.config
		f.Evidence = slices.Concat(b.ev, spoken)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: h.config.String(), Field: "webhooks[" + h.name + "].failurePolicy", Value: string(admissionv1.Fail)})
		why := b.why
		switch {
		case len(spoken) > 0:
			f.Confidence = diagnose.Fresh(s, diagnose.Certain, spoken)
			if why == "" {
				why = "the API server fails to call it"
			}
		case !sure:
			f.Confidence = diagnose.Possible
			f.Decide = "Change the pod's status with --dry-run=server: the answer names the webhook if it is in the way."
		case b.gone && nodes:
			f.Confidence = diagnose.Certain
		default:
			f.Confidence = diagnose.Likely
			f.Decide = "Change the pod's status with --dry-run=server: the answer names the webhook if it is in the way."
		}
		if len(namespacesOf(f.Explains)) > 1 {
			f.Reach = scope.ReachCluster
		}
		f.Message = fmt.Sprintf("Webhook %q refuses changes to pods, because %s and its failurePolicy is Fail. It is in the way of %s: %s.",
			h.name, why, count(len(f.Explains), "stuck pod"), some(f.Explains))
		out = append(out, f)
	}
	return out
}

// write is a request that the API server would have to accept for a pod to move on.
type write struct {
	op          admissionv1.OperationType
	subresource string
}

// nextWrites are the requests that a stuck pod waits for. A pod on a node in trouble waits for the node instead.
func nextWrites(p inGroup) []write {
	status := write{admissionv1.Update, "status"}
	remove := write{admissionv1.Delete, ""}
	switch {
	case p.Stage == stuck.FinalizersOnly:
		return []write{{admissionv1.Update, ""}}
	case p.Stage == stuck.NodeGone, p.Stage == stuck.NeverScheduled:
		if snapshot.IsTerminal(p.Object) {
			return []write{remove}
		}
		return []write{status, remove}
	case p.facts.Broken():
		return nil
	case p.Stage == stuck.KillUnconfirmed:
		return []write{status}
	case p.Stage == stuck.Cleanup:
		return []write{remove}
	case p.State == stuck.Pending && p.Node != "":
		return []write{status}
	}
	return nil
}

// refusals cites the events about the pod in which the API server names the webhook
// (apiserver/pkg/util/webhook/error.go).
func refusals(s *snapshot.Snapshot, p stuck.Pod, name string) []diagnose.Evidence {
	var out []diagnose.Evidence
	for _, e := range s.Events(p.Ref) {
		if strings.Contains(e.Message, "failed calling webhook") && strings.Contains(e.Message, `"`+name+`"`) {
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	if len(out) > 2 {
		out = out[len(out)-2:]
	}
	return out
}

func namespacesOf(refs []snapshot.Ref) map[string]bool {
	out := map[string]bool{}
	for _, r := range refs {
		out[r.Namespace] = true
	}
	return out
}
