package startup

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func crashloop() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST618", Slug: "crashloop",
		Doc: diagnose.Doc{
			Title:   "A container ends again each time it is started",
			Symptom: "CrashLoopBackOff, with a growing number of restarts.",
			Mechanism: "The container starts and ends: by itself with an exit code, killed by the kernel for using more memory than its limit, or by kubelet because a liveness or startup probe failed. " +
				"Kubelet starts it again with a delay that grows.",
			Confirm: []string{
				"kubectl logs {pod} --previous --all-containers --prefix --tail=30 -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.status.containerStatuses[*].lastState.terminated}' -n {namespace}",
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-log", Risk: diagnose.RiskNone, Command: "kubectl logs {pod} --previous --all-containers --prefix --tail=50 -n {namespace}", Text: "Read what the container wrote before it ended."},
				{ID: "look-at-node", Risk: diagnose.RiskNone, Command: "kubectl stuck node {node}", Text: "If unrelated pods of the same node do the same, look at the node: open files, inotify, DNS, disk."},
				{ID: "roll-back", Risk: diagnose.RiskLow, Command: "kubectl get replicasets,deployments,statefulsets,daemonsets -n {namespace}", Text: "If it began with a change of the workload, go back to the last revision."},
				{ID: "raise-limits", Risk: diagnose.RiskLow, Text: "Killed for memory: raise the limit, or have the program use less. Killed by a probe: give the probe more time, or mend what it asks for."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts",
				"https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"CrashLoopBackOff", "restarting failed container"}}},
			{
				Text:       diagnose.Text{Any: []string{"Memory cgroup out of memory: Kill", "oom-kill:constraint=CONSTRAINT_MEMCG"}},
				Confidence: diagnose.Possible,
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.CrashLoopBackOff && p.State != stuck.Init {
				return diagnose.Finding{}, false
			}
			for _, c := range statuses(p.Object) {
				t, field := lastEnd(c)
				if t == nil || ociError(t.Reason, t.Message) {
					continue
				}
				how, sure := ending(s, p, c.Name, t)
				return diagnose.Finding{
					Subject: p.OwnerOrSelf(), Confidence: sure,
					Message: startedAndEnded(c.Name, c.RestartCount+1) + how + ".",
					Evidence: []diagnose.Evidence{
						{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].restartCount", c.Name), Value: fmt.Sprint(c.RestartCount)},
						{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].%s", c.Name, field), Value: endWords(t)},
					},
				}, true
			}
			return diagnose.Finding{}, false
		},
	}
}

func startedAndEnded(container string, times int32) string {
	if times <= 1 {
		return fmt.Sprintf("Container %s was started once and ended: ", container)
	}
	return fmt.Sprintf("Container %s has been started %d times and ends each time: ", container, times)
}

// lastEnd is how a container that kubelet holds back, or that failed, ended last.
func lastEnd(c corev1.ContainerStatus) (*corev1.ContainerStateTerminated, string) {
	if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
		return t, "state.terminated"
	}
	if w := c.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
		if t := c.LastTerminationState.Terminated; t != nil {
			return t, "lastState.terminated"
		}
		return &corev1.ContainerStateTerminated{ExitCode: -1}, "lastState.terminated"
	}
	return nil, ""
}

// ending says how the container ended, and how sure that is to be the reason.
func ending(s *snapshot.Snapshot, p stuck.Pod, container string, t *corev1.ContainerStateTerminated) (string, diagnose.Confidence) {
	if probe := probeKill(s, p, container, t); probe != "" && t.Reason != "OOMKilled" && t.ExitCode != 0 {
		return fmt.Sprintf("kubelet kills it, because its %s probe fails", probe), diagnose.Certain
	}
	switch {
	case t.Reason == "OOMKilled":
		return "the kernel kills it for using more memory than its limit (OOMKilled)" + limitOf(p.Object, container), diagnose.Certain
	case t.ExitCode == -1:
		return "how is not recorded", diagnose.Likely
	case t.ExitCode == 0:
		return fmt.Sprintf("with success (exit code 0), and the restartPolicy %s starts it again", restartPolicyOf(p.Object, container)), diagnose.Certain
	case t.ExitCode == 126:
		return "exit code 126, its command cannot be executed", diagnose.Certain
	case t.ExitCode == 127:
		return "exit code 127, a command was not found", diagnose.Certain
	case t.ExitCode == 137:
		return "exit code 137, killed with SIGKILL by something that was not recorded (memory of the node, a failed probe, or itself)", diagnose.Likely
	case t.ExitCode == 2:
		return "exit code 2, wrong use of a command or an option, or a Go program that panicked" + lastWords(t), diagnose.Likely
	case t.ExitCode == 128:
		return "exit code 128, it could not be started" + lastWords(t), diagnose.Likely
	case t.ExitCode == 132:
		return "exit code 132, an instruction that the node's processor does not have (SIGILL)", diagnose.Certain
	case t.ExitCode == 134:
		return "exit code 134, aborted by itself (SIGABRT)" + lastWords(t), diagnose.Certain
	case t.ExitCode == 135:
		return "exit code 135, a bus error (SIGBUS): memory that could not be mapped, mostly a full /dev/shm or missing huge pages", diagnose.Certain
	case t.ExitCode == 139:
		return "exit code 139, a segmentation fault", diagnose.Certain
	case t.ExitCode == 143:
		return "exit code 143, ended by SIGTERM", diagnose.Likely
	}
	return fmt.Sprintf("exit code %d", t.ExitCode) + lastWords(t), diagnose.Likely // it says how the container ends, and not why
}

// lastWords is what the container left behind, after a comma; empty where it left nothing.
func lastWords(t *corev1.ContainerStateTerminated) string {
	if m := strings.TrimSpace(t.Message); m != "" {
		return fmt.Sprintf(", its last words %q", quote(m))
	}
	return ""
}

func endWords(t *corev1.ContainerStateTerminated) string {
	if t.ExitCode == -1 {
		return "not recorded"
	}
	w := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" {
		w += ", " + t.Reason
	}
	return w
}

// probeKill names the probe for which kubelet kills the container, by the words of its Killing event: "Container x
// failed liveness probe, will be restarted" (pkg/kubelet/kuberuntime/kuberuntime_manager.go).
func probeKill(s *snapshot.Snapshot, p stuck.Pod, container string, end *corev1.ContainerStateTerminated) string {
	events := diagnose.Events(s, p)
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		if e.Reason != "Killing" || !killedAt(e.Last, end.FinishedAt.Time, p.Object) {
			continue
		}
		for _, probe := range []string{"liveness", "startup"} {
			if strings.Contains(e.Message, "Container "+container+" failed "+probe+" probe") {
				return probe
			}
		}
	}
	return ""
}

// killedAt tells whether the container's last end followed upon a kill: within the grace period, and a while for clocks and the runtime.
// An earlier kill says nothing about an end that came by itself.
func killedAt(kill, end time.Time, p *corev1.Pod) bool {
	if kill.IsZero() || end.IsZero() {
		return true // when is not known
	}
	const while = 30 * time.Second
	grace := int64(30) // core/v1 DefaultTerminationGracePeriodSeconds
	if g := p.Spec.TerminationGracePeriodSeconds; g != nil {
		grace = *g
	}
	took := end.Sub(kill)
	return took > -while && took < time.Duration(grace)*time.Second+while
}

// restartPolicyOf is the container's own policy, where it has one (init containers since 1.29, all containers since 1.35), or the pod's.
func restartPolicyOf(p *corev1.Pod, container string) string {
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			if l[i].Name == container && l[i].RestartPolicy != nil {
				return string(*l[i].RestartPolicy)
			}
		}
	}
	return string(p.Spec.RestartPolicy)
}

// limitOf is the container's memory limit, in parentheses; empty where it has none.
func limitOf(p *corev1.Pod, container string) string {
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			if q, ok := l[i].Resources.Limits[corev1.ResourceMemory]; ok && l[i].Name == container {
				return fmt.Sprintf(", which is %s", q.String())
			}
		}
	}
	return ""
}
