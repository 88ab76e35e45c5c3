package storage

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// mountReasons are the reasons of the events about getting a volume to a pod (pkg/kubelet/events/event.go).
func mountReasons() []string { return []string{"FailedMount", "FailedMapVolume", "FailedAttachVolume"} }

// attachReasons are those in which something may be said of attaching.
func attachReasons() []string { return []string{"FailedAttachVolume", "FailedMount"} }

// mounting tells whether the pod may be waiting for its volumes: it has a node, and as far as is known no sandbox yet,
// which comes after them.
func mounting(p stuck.Pod) bool {
	switch p.State {
	case stuck.ContainerCreating, stuck.PodInitializing, stuck.Init, stuck.Pending:
	default:
		return false
	}
	if c := snapshot.PodCondition(p.Object, corev1.PodReadyToStartContainers); c != nil && c.Status == corev1.ConditionTrue {
		return false
	}
	for _, l := range [][]corev1.ContainerStatus{p.Object.Status.InitContainerStatuses, p.Object.Status.ContainerStatuses} {
		for i := range l {
			if l[i].State.Running != nil || l[i].State.Terminated != nil || l[i].RestartCount > 0 {
				return false
			}
		}
	}
	return p.Node != ""
}

// ready tells whether the node says that it is well.
func ready(s *snapshot.Snapshot, node string) bool {
	n := s.Node(node)
	if n == nil {
		return false
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// unwell tells whether the node is known not to be well. A node that could not be read is neither ready nor unwell.
func unwell(s *snapshot.Snapshot, node string) bool {
	return s.Has(snapshot.Node, "", node) != snapshot.Unknown && !ready(s, node)
}

// cleaning tells whether the containers have ended and the node still has to let go of what the pod had.
func cleaning(p stuck.Pod) bool { return p.State == stuck.Terminating && p.Stage == stuck.Cleanup }

// ending tells whether the node was asked to end the pod and has not confirmed it. Deleting a pod that mirrors a
// static one ends nothing.
func ending(p stuck.Pod) bool {
	return p.State == stuck.Terminating && p.Stage == stuck.KillUnconfirmed && p.Object.Annotations[corev1.MirrorPodAnnotationKey] == ""
}

// cut keeps the first of a message that is quoted within a sentence.
func cut(message string) string {
	const most = 160
	if r := []rune(message); len(r) > most {
		return string(r[:most]) + "…"
	}
	return message
}
