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

func runOCIError() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST615", Slug: "run-oci-error",
		Doc: diagnose.Doc{
			Title:   "The runtime could not start the container's process",
			Symptom: `RunContainerError, CreateContainerError or CrashLoopBackOff with StartError; the message comes from runc or crun ("OCI runtime create failed").`,
			Mechanism: "The image is there and the container was set up, but its first process could not be executed: the command is not in the image or not executable, a mount has the wrong type, " +
				"a working directory is missing, or a hook (such as the one for GPUs) failed.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.containers[*].command} {.spec.containers[*].args}' -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-message", Risk: diagnose.RiskNone, Text: "The end of the message names what failed: a file, a mount, a hook.", Command: "kubectl describe pod {pod} -n {namespace}"},
				{ID: "fix-workload", Risk: diagnose.RiskLow, Text: "Correct the command, the mounts or the image in the workload; it replaces the pod. Going back to the last revision helps meanwhile."},
				{ID: "heal-hook", Risk: diagnose.RiskMedium, Text: "If a hook of the node failed (nvidia-container-cli, for instance), mend the driver on the node, and cordon it until then.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/",
				"https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
			},
		},
		Reach: scope.ReachPod,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || !slices.Contains([]stuck.State{stuck.RunContainerError, stuck.CreateContainerError, stuck.CrashLoopBackOff, stuck.Init}, p.State) {
				return diagnose.Finding{}, false
			}
			for _, c := range statuses(p.Object) {
				var reason, message string
				field := "state.waiting"
				switch {
				case c.State.Waiting != nil && ociError(c.State.Waiting.Reason, c.State.Waiting.Message):
					reason, message = c.State.Waiting.Reason, c.State.Waiting.Message
				case c.State.Terminated != nil && ociError(c.State.Terminated.Reason, c.State.Terminated.Message):
					field, reason, message = "state.terminated", c.State.Terminated.Reason, c.State.Terminated.Message
				case c.State.Running == nil && c.LastTerminationState.Terminated != nil && ociError(c.LastTerminationState.Terminated.Reason, c.LastTerminationState.Terminated.Message):
					field, reason, message = "lastState.terminated", c.LastTerminationState.Terminated.Reason, c.LastTerminationState.Terminated.Message
				default:
					continue
				}
				f := diagnose.Finding{
					Subject: p.Ref, Confidence: diagnose.Certain,
					Message:  fmt.Sprintf("The process of container %s could not be started: %s%s.", c.Name, meaning(message), quote(message)),
					Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].%s", c.Name, field), Value: reason + ": " + message}},
				}
				if strings.Contains(message, "nvidia-container-cli") {
					f.Subject, f.Reach, f.Confidence = nodeRef(p), scope.ReachNode, diagnose.Likely
				}
				return f, true
			}
			return diagnose.Finding{}, false
		},
	}
}

// ociError tells whether the runtime reports that it could not start the process, for a reason that no other cause
// knows better.
func ociError(reason, message string) bool {
	if !slices.Contains([]string{"RunContainerError", "CreateContainerError", "StartError", "ContainerCannotRun"}, reason) {
		return false
	}
	if (diagnose.Text{Any: []string{
		"resource temporarily unavailable", "transport endpoint is not connected", "CDI device", "no space left on device", "apparmor", "seccomp",
		"cgroup", "cannot allocate memory", "too many open files", "failed to reserve container name", "context deadline exceeded", "file exists",
		"read-only file system", "input/output error", "stale",
	}}).Match(message) {
		return false
	}
	return diagnose.Text{Any: []string{
		"OCI runtime", "runc create failed", "runc did not terminate", "crun:", "failed to create shim task", "failed to create task for container",
		"starting container process caused", "unable to start container process", "no command specified", "executable file not found",
	}}.Match(message)
}

// meaning says in words what the commonest messages mean.
func meaning(message string) string {
	m := strings.ToLower(message)
	switch {
	case strings.Contains(m, "executable file not found"), strings.Contains(m, "exec:") && strings.Contains(m, "no such file or directory"):
		return "its command is not in the image; "
	case strings.Contains(m, "no command specified"):
		return "neither the image nor the pod names a command; "
	case strings.Contains(m, "exec:") && strings.Contains(m, "permission denied"):
		return "its command is not executable; "
	case strings.Contains(m, "exec format error"):
		return "its command was built for another processor, or is a script without an interpreter line; "
	case strings.Contains(m, "not a directory"):
		return "a file is mounted on a directory, or a directory on a file; "
	case strings.Contains(m, "nvidia-container-cli"):
		return "the GPU driver's hook on the node failed; "
	}
	return ""
}
