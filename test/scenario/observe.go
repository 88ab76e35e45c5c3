package scenario

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// filter says why a pod is not meant, or nothing.
type filter func(*corev1.Pod) string

// pods returns the pods of a namespace whose name begins with the prefix and
// that pass the filters; fewer than atLeast are an error that says why the
// others do not pass.
func pods(ctx context.Context, c *bed.Cluster, namespace, prefix string, atLeast int, filters ...filter) ([]corev1.Pod, error) {
	list, err := c.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the pods of %s: %w", namespace, err)
	}
	var found []corev1.Pod
	var others []string
pods:
	for _, pod := range list.Items {
		if !strings.HasPrefix(pod.Name, prefix) {
			continue
		}
		for _, f := range filters {
			if why := f(&pod); why != "" {
				others = append(others, pod.Name+" "+why)
				continue pods
			}
		}
		found = append(found, pod)
	}
	if len(found) < atLeast {
		return found, fmt.Errorf("%d of at least %d pods %s/%s* are as expected; others: [%s]",
			len(found), atLeast, namespace, prefix, strings.Join(others, "; "))
	}
	return found, nil
}

func stateOf(pod *corev1.Pod) State {
	switch {
	case pod.DeletionTimestamp != nil:
		return Terminating
	case pod.Spec.NodeName == "":
		return Pending
	case pod.Status.Phase == corev1.PodPending:
		return Starting
	default:
		return Running
	}
}

func inState(want State) filter {
	return func(pod *corev1.Pod) string {
		if is := stateOf(pod); want != "" && is != want {
			return fmt.Sprintf("is %s (phase %s), not %s", is, pod.Status.Phase, want)
		}
		return ""
	}
}

func onNode(want string) filter {
	return func(pod *corev1.Pod) string {
		if want != "" && pod.Spec.NodeName != want {
			return fmt.Sprintf("is on node %q, not on %s", pod.Spec.NodeName, want)
		}
		return ""
	}
}

// phase is the pod's, in the API.
func phase(want ...corev1.PodPhase) filter {
	return func(pod *corev1.Pod) string {
		for _, p := range want {
			if pod.Status.Phase == p {
				return ""
			}
		}
		return fmt.Sprintf("has phase %s, not %s", pod.Status.Phase, want)
	}
}

// overdue pods are past their deletionTimestamp.
func overdue(pod *corev1.Pod) string {
	if pod.DeletionTimestamp == nil {
		return "is not being deleted"
	}
	if now := metav1.Now(); pod.DeletionTimestamp.After(now.Time) {
		return "is in its grace period until " + pod.DeletionTimestamp.String()
	}
	return ""
}

// heldByFinalizersOnly pods are done but for their finalizers.
func heldByFinalizersOnly(pod *corev1.Pod) string {
	if pod.DeletionGracePeriodSeconds == nil || *pod.DeletionGracePeriodSeconds != 0 {
		return "has not been finally deleted"
	}
	if len(pod.Finalizers) == 0 {
		return "has no finalizer"
	}
	return ""
}

// inCleanup pods have no container left but are not done.
func inCleanup(pod *corev1.Pod) string {
	if why := phase(corev1.PodSucceeded, corev1.PodFailed)(pod); why != "" {
		return why
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Terminated == nil {
			return "has container " + s.Name + " not terminated"
		}
	}
	if pod.DeletionGracePeriodSeconds == nil || *pod.DeletionGracePeriodSeconds == 0 {
		return "has no deletion under way, or only finalizers left"
	}
	return ""
}

// waiting is the reason for which a container of the pod waits.
func waiting(reasons ...string) filter {
	return func(pod *corev1.Pod) string {
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Waiting == nil {
				continue
			}
			for _, reason := range reasons {
				if s.State.Waiting.Reason == reason {
					return ""
				}
			}
			return fmt.Sprintf("waits for %s (%s), not %s", s.State.Waiting.Reason, s.State.Waiting.Message, reasons)
		}
		return fmt.Sprintf("waits for nothing, not for %s", reasons)
	}
}

// event checks that an event about an object whose name begins with the prefix
// has the reason and all the texts in its message.
func event(ctx context.Context, c *bed.Cluster, namespace, prefix, reason string, texts ...string) error {
	list, err := c.Client().CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
	if err != nil {
		return fmt.Errorf("list the events of %s: %w", namespace, err)
	}
	var others []string
	for _, e := range list.Items {
		if !strings.HasPrefix(e.InvolvedObject.Name, prefix) {
			continue
		}
		if containsAll(e.Message, texts) {
			return nil
		}
		others = append(others, e.Message)
	}
	return fmt.Errorf("no event %s of %s/%s* with %q; others: %q", reason, namespace, prefix, texts, others)
}

func containsAll(message string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(message, text) {
			return false
		}
	}
	return true
}

// nodeReady checks a node's Ready condition; the texts must be in its message.
func nodeReady(ctx context.Context, c *bed.Cluster, node string, status corev1.ConditionStatus, texts ...string) error {
	found, err := c.Client().CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get node %s: %w", node, err)
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == status && containsAll(condition.Message, texts) {
			return nil
		}
		return fmt.Errorf("node %s is Ready=%s (%s), not %s with %q", node, condition.Status, condition.Message, status, texts)
	}
	return fmt.Errorf("node %s has no Ready condition", node)
}

// all returns the first error.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// enough is pods without the pods.
func enough(ctx context.Context, c *bed.Cluster, namespace, prefix string, atLeast int, filters ...filter) error {
	_, err := pods(ctx, c, namespace, prefix, atLeast, filters...)
	return err
}
