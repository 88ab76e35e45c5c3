package storage

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// scheduling cites what the scheduler says of a pod that waits for a node: its condition, which holds the last word,
// else its events, of whatever reason: what is said of its claims may be told with it.
func scheduling(s *snapshot.Snapshot, p stuck.Pod, t diagnose.Text) []diagnose.Evidence {
	if p.State != stuck.Unschedulable {
		return nil
	}
	c := snapshot.PodCondition(p.Object, corev1.PodScheduled)
	if c != nil && c.Message != "" {
		if !t.Match(c.Message) {
			return nil
		}
		return []diagnose.Evidence{{Object: p.Ref.String(), Field: "status.conditions[PodScheduled]", Value: c.Reason + ": " + c.Message}}
	}
	var out []diagnose.Evidence
	for _, e := range diagnose.Events(s, p) {
		switch {
		case diagnose.OwnWords(e.Reason):
		case e.Reason == "FailedScheduling" && !t.Match(e.Message) && !bindingTookTooLong().Match(e.Message):
			out = nil // the scheduler has another reason by now
		case t.Match(e.Message):
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	return out[max(0, len(out)-2):]
}

// bindingTookTooLong is the scheduler that chose a node and waited in vain for the pod's claims to be bound there (plugins/volumebinding PreBind; before
// 1.18 "Failed to bind volumes"). Why they were not is said elsewhere.
func bindingTookTooLong() diagnose.Text {
	return diagnose.Text{Any: []string{
		"binding volumes: timed out waiting for the condition", "binding volumes: context deadline exceeded", "failed to bind volumes: timed out waiting for the condition",
	}}
}
