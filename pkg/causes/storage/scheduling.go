package storage

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// scheduling cites what the scheduler says of a pod that waits for a node: its condition, which holds the last word,
// else its events.
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
	return diagnose.Said(s, p, t, "FailedScheduling")
}
