package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func runtimeStateDesync() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST204", Slug: "runtime-state-desync", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The runtime takes a container for running that has ended",
			Symptom:   "As with an unkillable process, but no process of the container is left on the node.",
			Mechanism: "The message that the container ended was lost between its shim and the runtime. The runtime waits for an end that has already been, and every stop request times out.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod},reason=FailedKillPod",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host crictl ps",
			},
			Remedies: []diagnose.Remedy{
				{ID: "kill-shim", Risk: diagnose.RiskLow, Text: "On the node: end the containerd-shim process of that one sandbox. The runtime then cleans up."},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Restart containerd; it looks at all containers anew. They survive it."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Where that does not help: drain and reboot.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{
				"https://github.com/containerd/containerd/issues/10755", "https://github.com/containerd/containerd/issues/5708",
				"https://github.com/containerd/containerd/issues/4016", "https://github.com/cri-o/cri-o/issues/9406", "containerd: internal/cri/server/container_stop.go",
			},
		},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.Terminating}, Stages: []stuck.Stage{stuck.KillUnconfirmed},
			Events:     []diagnose.EventMatch{{Reasons: []string{"FailedKillPod", "FailedSync", "FailedPodSandBoxStatus"}, Text: lostTrack()}},
			Confidence: diagnose.Likely, OnNode: true,
			Say:          "The runtime of node {node} cannot end a container because its shim or its process is not there any more, and still takes it for running.",
			Alternatives: []string{"runtime-hung"},
			Decide:       "On node {node}: whether ps shows a process of the container and its shim, and whether crictl ps answers.",
		},
		Log: append(
			diagnose.LikelyLines(
				diagnose.Saying("process already finished: not found"), diagnose.Saying("task must be stopped before deletion"),
				diagnose.Saying("detected running containers after a successful KillPod"),
				diagnose.Saying("container is not created or running", "container process not found"), // CRI-O
				diagnose.Text{All: []string{"StopContainer"}, Any: []string{"ttrpc: closed"}},
				diagnose.Text{All: []string{"StopPodSandbox"}, Any: []string{"ttrpc: closed"}},
				diagnose.Text{All: []string{"did not terminate su", "does not exist"}, Any: []string{"unknown error after kill", "kill container"}}, // what follows was misspelt before runc 1.0
				diagnose.Saying("Shim ttrpc connection closed when stopping container"),
			),
			diagnose.FittingLines([]string{"runtime-hung", "pid-thread-exhaustion"}, "Whether the shim of that container ended (ps), of its own or by the kernel's OOM killer, or containerd was restarted at the time.",
				diagnose.Saying("cannot exec in a stopped"), // by probes, in the moment in which a container ends
				diagnose.Saying("ttrpc: closed"), diagnose.Saying("failed to get task for container"),
				diagnose.Saying("Failed to handle backOff event", "TaskExit"), diagnose.Saying("ailed to handle container TaskExit event"))...,
		),
	}
}

// lostTrack is how runtimes word that what they were to end is not there.
func lostTrack() diagnose.Text {
	return diagnose.Text{
		Any: []string{
			"ttrpc: closed", "process already finished", "task must be stopped before deletion", "cannot exec in a stopped state", "container is not created or running",
			"container process not found", "unknown error after kill: runc did not terminate", "no such container", "transport is closing",
		},
		None: []string{"permission denied", "resource temporarily unavailable", "failed to destroy network", "no space left on device"},
	}
}
