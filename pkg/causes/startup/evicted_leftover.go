package startup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func evictedLeftover() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST624", Slug: "evicted-leftover",
		Doc: diagnose.Doc{
			Title:   "What is left of an evicted pod is held by a finalizer",
			Symptom: "A pod in phase Failed with reason Evicted, or one that a node ended when it shut down, is Terminating and does not go. Its containers ended long ago.",
			Mechanism: "A kubelet that is short of memory, disk or process IDs ends pods and leaves their objects, with the reason, for people to read. They are deleted by hand, by their owner, or by PodGC when there are too many " +
				"(12500, kube-controller-manager --terminated-pod-gc-threshold). A finalizer keeps such an object as it keeps any other.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.reason} {.status.message} {.metadata.finalizers}' -n {namespace}",
				"kubectl describe node {node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-owner", Risk: diagnose.RiskNone, Command: "kubectl get pod {pod} -o jsonpath='{.metadata.finalizers}' -n {namespace}", Text: "See whose the finalizer is, and bring its controller back: it removes it by itself."},
				{ID: "look-at-node", Risk: diagnose.RiskNone, Command: "kubectl stuck node {node}", Text: "See what the node was short of: it may be so again."},
				{ID: "remove-finalizer", Risk: diagnose.RiskHigh, Command: "kubectl patch pod {pod} --type=json --patch-file=remove-finalizer.json -n {namespace}", Text: "If its owner is gone for good, remove that one finalizer. What it was to clean up outside the cluster stays."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",
				"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection",
			},
		},
		Reach: scope.ReachPod,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.Terminating || p.Stage != stuck.FinalizersOnly || !snapshot.IsTerminal(p.Object) {
				return diagnose.Finding{}, false
			}
			st := p.Object.Status
			if !slices.Contains([]string{"Evicted", "Terminated", "Shutdown", "Preempting", "NodeLost"}, st.Reason) {
				return diagnose.Finding{}, false
			}
			why := ""
			if m := strings.TrimSpace(st.Message); m != "" {
				why = ": " + quote(m)
			}
			return diagnose.Finding{
				Subject: p.Ref, Confidence: diagnose.Likely,
				Message: fmt.Sprintf("The pod was ended by its node (%s%s) and is a leftover; only %s keeps it.", st.Reason, why, finalizersOf(p.Object.Finalizers)),
				Evidence: []diagnose.Evidence{
					{Object: p.Ref.String(), Field: "status.reason", Value: strings.TrimSuffix(st.Reason+": "+st.Message, ": ")},
					{Object: p.Ref.String(), Field: "metadata.finalizers", Value: strings.Join(p.Object.Finalizers, ", ")},
				},
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"eviction manager"}, Any: []string{"pod is evicted successfully", "pods evicted, waiting for pod to be cleaned up", "must evict pod"}}},
		},
	}
}

func finalizersOf(names []string) string {
	if len(names) == 1 {
		return "its finalizer " + names[0]
	}
	return fmt.Sprintf("its %d finalizers (%s)", len(names), strings.Join(names, ", "))
}
