package startup

import (
	"fmt"
	"regexp"
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
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if f, ok := runtimeMissing(s, p); ok {
				return f, true
			}
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
				switch {
				case strings.Contains(message, "nvidia-container-cli"), strings.Contains(message, "nvidia-container-runtime"), runtimeAbsent.MatchString(message):
					f.Subject, f.Reach, f.Confidence = nodeRef(p), scope.ReachNode, diagnose.Likely
				case !startWords().Match(message):
					f.Confidence = diagnose.Likely // the runtime refused, before there was a process
				}
				return f, true
			}
			if p.State != stuck.CrashLoopBackOff && p.State != stuck.Init {
				for _, e := range slices.Backward(diagnose.Events(s, p)) {
					// An old kubelet, or a copy of the pod without its status, has it in the event alone.
					if told(e, "Failed", "FailedCreate") && ociError("CreateContainerError", e.Message) && startWords().Match(e.Message) {
						return diagnose.Finding{
							Subject: p.Ref, Confidence: diagnose.Likely, Evidence: []diagnose.Evidence{diagnose.EventEvidence(e)},
							Message: fmt.Sprintf("The process of a container could not be started: %s%s.", meaning(e.Message), quote(e.Message)),
						}, true
					}
				}
			}
			return diagnose.Finding{}, false
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				Any: []string{"OCI runtime create failed", "runc create failed", "unable to start container process", "starting container process caused", "crun: "},
				None: []string{
					"resource temporarily unavailable", "no space left on device", "apparmor", "seccomp", "cgroup", "cannot allocate memory", "too many open files", "transport endpoint", "input/output error", "stale", "CDI device",
					"unable to signal init", "device or resource busy", "permission denied: unknown: kill", "exec format error",
					"OCI runtime exec failed", "exec failed: ", "ExecSync", // a probe's or a person's command, and not the container
				},
			}},
			{Text: diagnose.Text{Any: []string{"nvidia-container-cli: initialization error", "nvidia-container-cli: requirement error", "is not a shared or slave mount", "is not a shared mount"}}},
		},
	}
}

// runtimeAbsent is dockerd or containerd that does not find the program by which it starts containers (os/exec, quoted by both).
var runtimeAbsent = regexp.MustCompile(`exec: \\*"(?:[^"\\ ]*/)?(?:docker-runc|runc|crun|runsc|kata-runtime|youki|nvidia-container-runtime)[-.\w]*\\*": (?:executable file not found|stat \S+ no such file)`)

// runtimeMissing speaks for a pod whose very sandbox cannot be started, because a program of the runtime is not on the node.
func runtimeMissing(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Object == nil || !slices.Contains([]stuck.State{stuck.ContainerCreating, stuck.PodInitializing, stuck.Init, stuck.Pending}, p.State) {
		return diagnose.Finding{}, false
	}
	for _, e := range slices.Backward(diagnose.Events(s, p)) {
		if !told(e, "FailedCreatePodSandBox", "FailedSync") || !runtimeAbsent.MatchString(e.Message) {
			continue
		}
		return diagnose.Finding{
			Subject: nodeRef(p), Reach: scope.ReachNode, Confidence: diagnose.Likely, Evidence: []diagnose.Evidence{diagnose.EventEvidence(e)},
			Message:      fmt.Sprintf("The runtime on node %s cannot start sandboxes: %s%s.", p.Node, meaning(e.Message), quote(e.Message)),
			Alternatives: []string{"runtimeclass-handler-missing"},
			Decide:       "Whether pods without a RuntimeClass start on node {node}: if so, it is the handler of the pod's class that is not installed; if not, the runtime's default one.",
		}, true
	}
	return diagnose.Finding{}, false
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
		"input/output error", "stale", "is already in use by container", "ttrpc: closed", "connection error: desc", "no such container",
		"exec format error", // image-arch
	}}).Match(message) {
		return false
	}
	return diagnose.Text{Any: []string{
		"OCI runtime", "runc create failed", "runc did not terminate", "crun:", "failed to create shim task", "failed to create task for container",
		"starting container process caused", "unable to start container process", "no command specified", "executable file not found", "container_linux.go", "standard_init_linux.go",
		"failed to generate container", "failed to generate spec", "failed to apply OCI options", "is not a shared mount", "not a shared or slave mount", "error while creating mount source path",
		"Duplicate mount point", "invalid mount config", "invalid volume specification", "invalid mode", "error gathering device information", "unable to find user", "no users found", "no matching entries in passwd",
		"Minimum memory limit allowed", "SELinux relabeling of", "error setting label on mount source", "failed to set /proc/self/attr", "lsetxattr", "failed to stat", "failed to mkdir", "must be absolute", "container_linux",
		"hcsshim", "hcs::", "failed to create containerd container: ", "failed to create containerd task: ", "Error response from daemon: ", "failed to create container", "could not select device driver",
	}}.Match(message)
}

// startWords are what only a runtime says that could not start a process, and nothing else.
func startWords() diagnose.Text {
	return diagnose.Text{Any: []string{
		"OCI runtime", "runc create failed", "crun:", "unable to start container process", "starting container process caused", "executable file not found", "no command specified", "container_linux.go",
		"is not a shared mount", "not a shared or slave mount", "read-only file system", "unable to find user", "no users found", "Duplicate mount point", "nvidia-container-cli",
	}}
}

// meaning says in words what the commonest messages mean.
func meaning(message string) string {
	m := strings.ToLower(message)
	switch {
	case runtimeAbsent.MatchString(m):
		return "the low-level runtime's own program is not on the node; "
	case strings.Contains(m, "nvidia-container-cli"), strings.Contains(m, "nvidia-container-runtime"):
		return "the GPU driver's hook on the node failed; "
	case strings.Contains(m, "executable file not found"), strings.Contains(m, "exec:") && strings.Contains(m, "no such file or directory"), strings.Contains(m, "exec \"") && strings.Contains(m, "no such file"):
		return "its command is not in the image, or the interpreter that its first line names is not; "
	case strings.Contains(m, "no command specified"):
		return "neither the image nor the pod names a command; "
	case strings.Contains(m, "exec:") && strings.Contains(m, "permission denied"):
		return "its command is not executable; "
	case strings.Contains(m, "exec:") && strings.Contains(m, "is a directory"):
		return "its command is a directory; "
	case strings.Contains(m, "oom-killed"), strings.Contains(m, "minimum memory limit"):
		return "its memory limit is too low for the runtime itself; "
	case strings.Contains(m, "shared mount"), strings.Contains(m, "slave mount"):
		return "a volume asks for mount propagation, and its directory on the node is not on a shared mount; "
	case strings.Contains(m, "read-only file system"):
		return "a mount point, or a hostPath directory, would have to be created on a file system that is read-only; "
	case strings.Contains(m, "not a directory"):
		return "a file is mounted on a directory, or a directory on a file; "
	case strings.Contains(m, "unable to find user"), strings.Contains(m, "no users found"), strings.Contains(m, "no matching entries in passwd"):
		return "the image does not have the user that it is to run as; "
	case strings.Contains(m, "selinux"), strings.Contains(m, "lsetxattr"), strings.Contains(m, "/proc/self/attr"), strings.Contains(m, "error setting label"):
		return "SELinux, or the file system, does not allow the label; "
	case strings.Contains(m, "device"), strings.Contains(m, "/dev/"):
		return "a device that it is to have is not there; "
	case strings.Contains(m, "does not match the host operating system"):
		return "the image was made for another build of Windows; "
	case strings.Contains(m, "mount"):
		return "something cannot be mounted; "
	}
	return ""
}
