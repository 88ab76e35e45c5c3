package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// Nothing in the API tells this one: it shows in stacks and lists of processes. d-state-process names it as its alternative.
func zombieZapPidNs() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST203", Slug: "zombie-zap-pid-ns", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "The first process of a container waits for a zombie that nobody reaps",
			Symptom:   "As with an unkillable process: Terminating on a Ready node, a container still running, little or nothing said.",
			Mechanism: "When the first process of a PID namespace ends, the kernel (zap_pid_ns_processes) waits until every process in the namespace is reaped. A process whose parent or tracer lives outside and does not reap it, such as one left by nsenter or a debugger, holds this up.",
			Confirm:   []string{"kubectl debug node/{node} -it --image=busybox -- chroot /host ps -eo stat,pid,ppid,wchan:32,args"},
			Remedies: []diagnose.Remedy{
				{ID: "end-outside-parent", Risk: diagnose.RiskLow, Text: "On the node: find the defunct processes of the container, and end their parent or tracer outside of it. The container goes at once."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Without such a parent only a reboot helps.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{"https://github.com/moby/moby/issues/31007", "linux: kernel/pid_namespace.c"},
		},
		Log: append(
			diagnose.CertainLines(diagnose.Saying("zap_pid_ns_processes")),
			diagnose.FittingLines([]string{"runtime-state-desync", "d-state-process"},
				"Whether the defunct process has threads or children in state D (ps -eLo stat,pid,ppid,wchan:32,args), or a parent outside of its container, or neither: then its shim does not reap it.",
				diagnose.Saying("<defunct>"))...,
		),
	}
}
