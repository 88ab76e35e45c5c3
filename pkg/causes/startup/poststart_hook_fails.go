package startup

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func postStartHookFails() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST642", Slug: "poststart-hook-fails",
		Doc: diagnose.Doc{
			Title:     "The container's postStart hook fails, and the kubelet kills the container for it",
			Symptom:   "PostStartHookError or CrashLoopBackOff, with FailedPostStartHook in the events. The program itself may be well.",
			Mechanism: "The kubelet runs the hook right after the container was started, at the same time as its command. If the hook ends with an error, the kubelet kills the container and treats it like one that crashed. A hook that asks for what the program offers only later fails so each time.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod},reason=FailedPostStartHook -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.containers[*].lifecycle.postStart}' -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-event", Risk: diagnose.RiskNone, Command: "kubectl get events --field-selector involvedObject.name={pod},reason=FailedPostStartHook -n {namespace}", Text: "The event quotes what the hook said."},
				{ID: "fix-hook", Risk: diagnose.RiskLow, Text: "Let the hook wait for what it needs, end with 0 where its failure does not matter, or move its work into the program or an init container."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_container.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.CrashLoopBackOff && p.State != stuck.CreateContainerError && p.State != stuck.Init {
				return diagnose.Finding{}, false
			}
			ev := diagnose.Said(s, p, diagnose.Text{}, "FailedPostStartHook")
			for _, c := range statuses(p.Object) {
				w := c.State.Waiting
				reported := w != nil && w.Reason == "PostStartHookError"
				named := len(ev) > 0 && w != nil && w.Reason == "CrashLoopBackOff" && hasPostStart(p, c.Name) && killedForHook(ev, c.LastTerminationState.Terminated != nil)
				if !reported && !named {
					continue
				}
				f := diagnose.Finding{Subject: p.OwnerOrSelf(), Confidence: diagnose.Certain, Evidence: ev, Message: fmt.Sprintf("The postStart hook of container %s fails, and the kubelet kills the container for it", c.Name)}
				if reported {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", c.Name), Value: strings.TrimSuffix(w.Reason+": "+w.Message, ": ")})
				} else {
					f.Confidence = diagnose.Likely
				}
				if len(ev) > 0 {
					f.Message += ": " + quote(ev[len(ev)-1].Value)
				}
				f.Message += "."
				return f, true
			}
			return diagnose.Finding{}, false
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"PostStartHookError", "FailedPostStartHook", "Failed to execute PostStartHook", "PostStartHook failed"}}},
		},
	}
}

// killedForHook tells whether the events fit a container that ended since it was started.
func killedForHook(ev []diagnose.Evidence, ended bool) bool { return len(ev) > 0 && ended }

func hasPostStart(p stuck.Pod, container string) bool {
	for i := range p.Object.Spec.Containers {
		c := &p.Object.Spec.Containers[i]
		if c.Name == container && c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
			return true
		}
	}
	return false
}
