package startup

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func preempting() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST623", Slug: "preempting",
		Doc: diagnose.Doc{
			Title:     "The pod waits for a pod that the scheduler ended for it",
			Symptom:   "Pending with a nominated node; on that node a pod of lower priority is Terminating and does not go.",
			Mechanism: "The scheduler found room for the pod by ending pods of lower priority, and noted the node. Until they are gone, the pod stays Pending. A victim with a long grace period, or one that is stuck itself, holds it up.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.nominatedNodeName}' -n {namespace}",
				"kubectl get events -A --field-selector reason=Preempted",
			},
			Remedies: []diagnose.Remedy{
				{ID: "look-at-victim", Risk: diagnose.RiskNone, Text: "See why the victim does not end. If it is in its grace period, wait.", Command: "kubectl stuck pods -A"},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/"},
		},
		Reach: scope.ReachPod,
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			v, ok := victimOf(s, p)
			if !ok {
				return diagnose.Finding{}, false
			}
			node := p.Object.Status.NominatedNodeName
			f := diagnose.Finding{
				Subject: snapshot.RefOf(v), Confidence: diagnose.Likely,
				Evidence: []diagnose.Evidence{
					{Object: p.Ref.String(), Field: "status.nominatedNodeName", Value: node},
					{Object: snapshot.RefOf(v).String(), Field: "metadata.deletionTimestamp", Value: v.DeletionTimestamp.UTC().Format("2006-01-02T15:04:05Z")},
				},
			}
			if c := snapshot.PodCondition(v, corev1.DisruptionTarget); c != nil && c.Reason == corev1.PodReasonPreemptionByScheduler {
				f.Confidence = diagnose.Certain
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: snapshot.RefOf(v).String(), Field: "status.conditions[DisruptionTarget].reason", Value: c.Reason})
			}
			f.Message = fmt.Sprintf("Pod %s is to go to node %s and waits for pod %s/%s, which the scheduler ended for it, to be gone.", p.Ref.Name, node, v.Namespace, v.Name)
			if s.Now().Before(v.DeletionTimestamp.Time) {
				f.ClearsBy, f.ClearsWhy = v.DeletionTimestamp.Time, "the grace period of the pod that it waits for ends then"
			}
			return f, true
		},
	}
}

// victimOf finds the pod of lower priority whose end an unscheduled pod waits for, the one that is being deleted the
// longest. A node can be nominated without a victim (by an autoscaler, or while the pod is bound).
func victimOf(s *snapshot.Snapshot, p stuck.Pod) (*corev1.Pod, bool) {
	if p.Object == nil || p.Node != "" || p.State == stuck.Terminating || p.Object.Status.NominatedNodeName == "" {
		return nil, false
	}
	pods, _ := s.PodsOnNode(p.Object.Status.NominatedNodeName)
	var found *corev1.Pod
	marked := false
	for _, o := range pods {
		if o.DeletionTimestamp == nil || priority(o) >= priority(p.Object) {
			continue
		}
		c := snapshot.PodCondition(o, corev1.DisruptionTarget)
		m := c != nil && c.Reason == corev1.PodReasonPreemptionByScheduler
		if found == nil || m && !marked || m == marked && o.DeletionTimestamp.Before(found.DeletionTimestamp) {
			found, marked = o, m
		}
	}
	return found, found != nil
}

func priority(p *corev1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}
