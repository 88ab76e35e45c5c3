package snapshot

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// PodStatus is the one-line state of a pod as `kubectl get pods` prints it.
type PodStatus struct {
	Word       string // the STATUS column
	Ready      int    // READY, before the slash
	Containers int    // READY, after the slash
	Restarts   int
}

// StatusOf works out the STATUS column as the API server does for a Table
// (printPod in pkg/printers/internalversion/printers.go, Kubernetes 1.37). Note what it hides: a pod in a
// terminal phase keeps its word (Completed, Error) although it is being deleted.
func StatusOf(p *corev1.Pod) PodStatus {
	s := PodStatus{Word: string(p.Status.Phase), Containers: len(p.Spec.Containers)}
	if p.Status.Reason != "" {
		s.Word = p.Status.Reason
	}
	initialized := false
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.Word = corev1.PodReasonSchedulingGated
		}
		if c.Type == corev1.PodInitialized && c.Status == corev1.ConditionTrue {
			initialized = true
		}
	}
	sidecars := map[string]bool{}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if IsSidecar(c) {
			sidecars[c.Name] = true
			s.Containers++
		}
	}
	initializing, sidecarRestarts := s.initContainers(p, sidecars)
	if !initializing || initialized {
		s.Restarts = sidecarRestarts
		s.mainContainers(p)
	}
	if p.DeletionTimestamp != nil {
		if p.Status.Reason == "NodeLost" {
			s.Word = "Unknown"
		} else if !IsTerminal(p) {
			s.Word = "Terminating"
		}
	}
	return s
}

func (s *PodStatus) initContainers(p *corev1.Pod, sidecars map[string]bool) (initializing bool, sidecarRestarts int) {
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		s.Restarts += int(c.RestartCount)
		if sidecars[c.Name] {
			sidecarRestarts += int(c.RestartCount)
		}
		switch t, w := c.State.Terminated, c.State.Waiting; {
		case t != nil && t.ExitCode == 0:
			continue
		case sidecars[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.Ready++
			}
			continue
		case t != nil:
			s.Word = "Init:" + terminatedWord(t)
		case w != nil && w.Reason != "" && w.Reason != "PodInitializing":
			s.Word = "Init:" + w.Reason
		default:
			s.Word = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return true, sidecarRestarts
	}
	return false, sidecarRestarts
}

func (s *PodStatus) mainContainers(p *corev1.Pod) {
	running, failed := false, ""
	for _, c := range slices.Backward(p.Status.ContainerStatuses) {
		s.Restarts += int(c.RestartCount)
		switch t, w := c.State.Terminated, c.State.Waiting; {
		case w != nil && w.Reason != "":
			s.Word = w.Reason
		case t != nil:
			s.Word = terminatedWord(t)
			if t.ExitCode != 0 {
				failed = s.Word
			}
		case c.Ready && c.State.Running != nil:
			running = true
			s.Ready++
		}
	}
	if s.Word != "Completed" {
		return
	}
	switch {
	case running && isReady(p):
		s.Word = "Running"
	case failed != "":
		s.Word = failed
	case running:
		s.Word = "NotReady"
	}
}

func terminatedWord(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", t.ExitCode)
	}
}

// IsTerminal tells whether the pod's phase is Succeeded or Failed.
func IsTerminal(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// IsSidecar tells whether an init container is restartable: it goes on running beside the main containers.
func IsSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func isReady(p *corev1.Pod) bool {
	c := PodCondition(p, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// PodCondition returns the pod's condition of that type; nil where it has none.
func PodCondition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// NodeCondition returns the node's condition of that type; nil where it has none.
func NodeCondition(n *corev1.Node, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == t {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}
