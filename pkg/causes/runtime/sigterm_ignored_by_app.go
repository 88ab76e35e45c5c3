package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// A pod whose program ignores SIGTERM goes when its grace period ends, so that the API never shows it stuck for that: only the runtime's log speaks of it.
func sigtermIgnoredByApp() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST222", Slug: "sigterm-ignored-by-app", Reach: scope.ReachPod,
		Doc: diagnose.Doc{
			Title:   "The program does not end on SIGTERM",
			Symptom: "Every deletion takes the whole grace period, and the container ends with exit code 137. It does end.",
			Mechanism: "The first process of a container gets SIGTERM, and SIGKILL when the grace period is over. A shell that does not pass signals on, or a program that has no " +
				"handler as PID 1, lets the first one go by.",
			Confirm: []string{"kubectl get pod {pod} -n {namespace} -o jsonpath={.status.containerStatuses[*].state}", "kubectl get events -n {namespace} --field-selector involvedObject.name={pod},reason=Killing"},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "Wait for the end of the grace period."},
				{ID: "handle-sigterm", Risk: diagnose.RiskLow, Text: "In the image: exec the program instead of starting it from a shell, use tini or dumb-init, or set STOPSIGNAL to what it heeds. In the pod: a shorter terminationGracePeriodSeconds, where nothing is lost by it."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination", "moby: daemon/stop.go", "cri-o: internal/oci/runtime_oci.go"},
		},
		Log: diagnose.FittingLines([]string{"long-grace-or-prestop", "d-state-process"},
			"Whether the container ends right after SIGKILL: then it is only slow. If the line comes back for the same container, SIGKILL does not end it either.",
			diagnose.Saying("of signal 15 - using the force"), // dockerd
			diagnose.Saying("of signal SIGTERM - using the force"),
			diagnose.Saying("with stop signal timed out"), // CRI-O
			diagnose.Saying("Stop container ", "with signal terminated timed out"),
			diagnose.Saying(".scope", "topping timed out. Killing"), // systemd, which stops the scopes of containers at a shutdown
		),
	}
}
