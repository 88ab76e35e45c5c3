package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func runtimeStateDesync() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST204", Slug: "runtime-state-desync", Reach: scope.ReachNode,
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
			Refs: []string{"https://github.com/containerd/containerd/issues/10755", "containerd: internal/cri/server/container_stop.go"},
		},
		Log: []string{"to be killed: wait container", "process already finished: not found", "task must be stopped before deletion"},
	}
}
