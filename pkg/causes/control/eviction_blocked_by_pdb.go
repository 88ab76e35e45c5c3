package control

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func evictionBlockedByPDB() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST514", Slug: "eviction-blocked-by-pdb",
		Doc: diagnose.Doc{
			Title:   "A disruption budget keeps pods on a node that is being drained",
			Symptom: "A drain does not end, or an autoscaler does not get a node empty: evictions answer \"Cannot evict pod as it would violate the pod's disruption budget\". The pods themselves run.",
			Mechanism: "An eviction asks the PodDisruptionBudgets that cover the pod. One that allows no disruption now refuses it: because others of its pods are not Ready, because it asks for all of its pods to be healthy, " +
				"because two budgets cover one pod, or because the disruption controller does not keep it up to date. Deletions, and the eviction by taints, do not ask budgets.",
			Confirm: []string{
				"kubectl get poddisruptionbudgets -A",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-pods", Risk: diagnose.RiskNone, Text: "Bring the other pods of the budget to Ready: it lets this one go by itself then.", Command: "kubectl get poddisruptionbudgets -A"},
				{ID: "add-replica", Risk: diagnose.RiskLow, Text: "If the budget asks for every pod to be healthy (minAvailable equal to the replicas, maxUnavailable 0), scale the workload up by one, drain, and scale back."},
				{ID: "unhealthy-always-allow", Risk: diagnose.RiskMedium, Text: "If the pods in its way are themselves not Ready, set the budget's unhealthyPodEvictionPolicy to AlwaysAllow."},
				{ID: "loosen-budget", Risk: diagnose.RiskMedium, Text: "Loosen the budget for the time of the drain, with the consent of the application's owner. It says how many may be missing before users feel it."},
				{ID: "delete-pod", Risk: diagnose.RiskHigh, Text: "Delete the pod: that asks no budget, and takes the availability that the budget is there to keep.", Command: "kubectl delete pod {pod} -n {namespace}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
				"https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/registry/core/pod/storage/eviction.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PodDisruptionBudget},
		Node:     evictionBlocked,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"violate the pod's disruption budget"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"has more than one PodDisruptionBudget, which the eviction subresource does not support"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"not enough pod disruption budget to move"}}, Confidence: diagnose.Possible}, // cluster-autoscaler, which only tries whether it could
		},
	}
}

// evictionBlocked is about a node that somebody empties. What it names are pods that run, and wait for nothing: their eviction does.
func evictionBlocked(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	said := refusedEvictions(s, g.Node)
	n := s.Node(g.Node)
	drained := n != nil && n.Spec.Unschedulable
	if !drained && len(said) == 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.Node, Name: g.Node}, Evidence: said, Confidence: diagnose.Likely}
	pods, _ := s.PodsOnNode(g.Node)
	var why []string
	for _, p := range pods {
		if c := metav1.GetControllerOf(p); p.Annotations[corev1.MirrorPodAnnotationKey] != "" || c != nil && c.Kind == string(snapshot.DaemonSet) {
			continue // a drain passes these by
		}
		for _, b := range admission.Budgets(s, p) {
			if !b.Refuses {
				continue
			}
			f.Explains = append(f.Explains, snapshot.RefOf(p))
			if w := b.Ref.Namespace + "/" + b.Ref.Name + ": " + b.Why; !slices.Contains(why, w) {
				why = append(why, w)
				f.Evidence = append(f.Evidence, diagnose.Evidence{
					Object: b.Ref.String(), Field: "status.disruptionsAllowed", Value: fmt.Sprintf("%d (healthy %d, needed %d)", b.DisruptionsAllowed, b.CurrentHealthy, b.DesiredHealthy),
				})
			}
			break
		}
	}
	switch {
	case len(f.Explains) == 0:
		return f, false // nothing keeps them, or what does was not read
	case len(said) > 0:
		f.Confidence = diagnose.Fresh(s, diagnose.Certain, said)
	default:
		f.Confidence, f.Decide = diagnose.Possible, "Whether somebody drains the node: a cordon alone evicts nothing. kubectl drain, or the autoscaler, says what it waits for."
	}
	if len(why) > 3 {
		why = append(why[:3], fmt.Sprintf("%d more", len(why)-3))
	}
	f.Message = fmt.Sprintf("Node %s cannot be emptied: an eviction of %s is refused (%s). Budgets: %s.", g.Node, count(len(f.Explains), "pod"), some(f.Explains), strings.Join(why, "; "))
	return f, true
}

// refusedEvictions cites the events about the node in which whoever empties it says that a budget is in the way: cluster-autoscaler
// (ScaleDownFailed), Karpenter (DisruptionBlocked, FailedDraining), and others that quote the API server.
func refusedEvictions(s *snapshot.Snapshot, node string) []diagnose.Evidence {
	match := diagnose.Text{Any: []string{
		"violate the pod's disruption budget", "prevents pod evictions", "more than one PodDisruptionBudget", "pods are waiting to be evicted",
	}}
	var out []diagnose.Evidence
	for _, e := range s.Events(snapshot.Ref{Kind: snapshot.Node, Name: node}) {
		if match.Match(e.Message) {
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	if len(out) > 2 {
		out = out[len(out)-2:]
	}
	return out
}
