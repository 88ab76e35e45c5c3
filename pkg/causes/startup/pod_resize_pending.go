package startup

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func podResizePending() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST627", Slug: "pod-resize-pending",
		Doc: diagnose.Doc{
			Title:   "New requests or limits of the pod are not in effect",
			Symptom: "Condition PodResizePending (Deferred or Infeasible), or PodResizeInProgress with an error. The pod runs on with its old resources; a container that is killed for its memory goes on being killed.",
			Mechanism: "The resources of a running pod can be changed in place. The kubelet grants the change when its node has room: until then it is deferred and tried again when something else on the node ends. What the node could never give, " +
				"or what its policies forbid (static CPU or memory manager, swap), is infeasible and is not tried again.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.conditions}' -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.containers[*].resources} {.status.containerStatuses[*].resources}' -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "If it is deferred, it is granted when the node has room.", Command: "kubectl describe node {node}"},
				{ID: "make-room", Risk: diagnose.RiskMedium, Text: "Move something else off the node."},
				{ID: "replace-pod", Risk: diagnose.RiskMedium, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Or change the resources in the workload and replace the pod, so that it is placed where there is room."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/allocation/allocation_manager.go",
			},
			Since: "Kubernetes 1.33",
		},
		Reach: scope.ReachPod,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			c, ok := resizeOf(p.Object)
			if !ok || p.State != stuck.CrashLoopBackOff || !slices.ContainsFunc(statuses(p.Object), killedForMemory) {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: p.Ref, Confidence: diagnose.Likely, Evidence: []diagnose.Evidence{resizeEvidence(p.Object, c)},
				Message: fmt.Sprintf("A container of the pod is killed for its memory, and the change of its resources that was asked for is not in effect (%s).", resizeWords(c)),
			}, true
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			return ofWellNode(s, g, func(p *corev1.Pod) (string, diagnose.Evidence, bool) {
				c, ok := resizeOf(p)
				return resizeWords(c), resizeEvidence(p, c), ok
			}, "New requests or limits of %s on node %s are not in effect: %s.")
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"resize"}, Any: []string{"Infeasible", "Deferred", "is infeasible"}}},
		},
	}
}

// resizeOf is the condition that tells of a change of resources that is not in effect.
func resizeOf(p *corev1.Pod) (*corev1.PodCondition, bool) {
	if p == nil {
		return nil, false
	}
	if c := snapshot.PodCondition(p, corev1.PodResizePending); c != nil && c.Status == corev1.ConditionTrue {
		return c, true
	}
	c := snapshot.PodCondition(p, corev1.PodResizeInProgress)
	return c, c != nil && c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonError
}

func resizeWords(c *corev1.PodCondition) string {
	if c == nil {
		return ""
	}
	if m := strings.TrimSpace(c.Message); m != "" {
		return strings.ToLower(c.Reason) + ": " + quote(m)
	}
	return strings.ToLower(c.Reason)
}

func resizeEvidence(p *corev1.Pod, c *corev1.PodCondition) diagnose.Evidence {
	if c == nil {
		return diagnose.Evidence{}
	}
	return diagnose.Evidence{Object: snapshot.RefOf(p).String(), Field: fmt.Sprintf("status.conditions[%s]", c.Type), Value: strings.TrimSuffix(c.Reason+": "+c.Message, ": ")}
}

func killedForMemory(c corev1.ContainerStatus) bool {
	for _, t := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
		if t != nil && t.Reason == "OOMKilled" {
			return true
		}
	}
	return false
}

// ofWellNode is the rule of causes that keep pods from being what they should without being stuck in the sense of this tool: they are told of when a
// node is looked at by name on which nothing is stuck.
func ofWellNode(s *snapshot.Snapshot, g scope.Group, look func(*corev1.Pod) (string, diagnose.Evidence, bool), say string) (diagnose.Finding, bool) {
	if len(g.Stuck) > 0 {
		return diagnose.Finding{}, false
	}
	pods, _ := s.PodsOnNode(g.Node)
	f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.Node, Name: g.Node}, Confidence: diagnose.Likely}
	why := ""
	for _, p := range pods {
		if p.DeletionTimestamp != nil || snapshot.IsTerminal(p) {
			continue
		}
		w, ev, ok := look(p)
		if !ok {
			continue
		}
		if why == "" {
			why = w
		}
		f.Explains = append(f.Explains, snapshot.RefOf(p))
		f.Evidence = append(f.Evidence, ev)
	}
	switch len(f.Explains) {
	case 0:
		return diagnose.Finding{}, false
	case 1:
		f.Message = fmt.Sprintf(say, "pod "+f.Explains[0].Namespace+"/"+f.Explains[0].Name, g.Node, why)
	default:
		f.Message = fmt.Sprintf(say, fmt.Sprintf("%d pods", len(f.Explains)), g.Node, why)
	}
	return f, true
}
