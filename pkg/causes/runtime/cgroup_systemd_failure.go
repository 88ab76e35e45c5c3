package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func cgroupSystemdFailure() diagnose.Cause {
	reasons := []string{"FailedCreatePodContainer", "FailedCreatePodSandBox", "FailedKillPod", "Failed"}
	texts := []diagnose.Text{
		{Any: []string{"timeout waiting for systemd to create", "timed out while waiting for StopUnit", "completion signal from dbus", "expected cgroupsPath to be of format"}},
		{All: []string{"unit", ".slice", "already exists"}},
		{All: []string{"unable to start unit"}, Any: []string{"dbus", ".scope", ".slice"}},
	}
	g := diagnose.Signature{
		Confidence: diagnose.Likely, OnNode: true,
		Say:    "Systemd on node {node} did not make or remove the cgroup of a pod.",
		Decide: "On node {node}: systemctl is-system-running and journalctl -u systemd-logind -u dbus; whether kubelet and runtime use the same cgroup driver.",
	}
	for _, t := range texts {
		g.Events = append(g.Events, diagnose.EventMatch{Reasons: reasons, Text: t})
		g.Waiting = append(g.Waiting, diagnose.WaitingMatch{Text: t})
	}
	return diagnose.Cause{
		Code: "ST212", Slug: "cgroup-systemd-failure", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "systemd on the node does not manage the pods' cgroups",
			Symptom: "Pods do not start with \"Timeout waiting for systemd to create …slice\" or \"Unit …slice already exists\", or do not end for want of an answer over D-Bus.",
			Mechanism: "With the systemd cgroup driver every pod and container is a unit. When systemd or D-Bus is overloaded or stuck, or a unit of an earlier " +
				"run is left over, or kubelet and runtime use different drivers, units are neither made nor removed.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host systemctl list-jobs",
			},
			Remedies: []diagnose.Remedy{
				{ID: "stop-stale-unit", Risk: diagnose.RiskLow, Text: "On the node: systemctl stop the unit that the message names, when no container runs in it, then restart the kubelet."},
				{ID: "align-cgroup-driver", Risk: diagnose.RiskMedium, Text: "Where the message complains about the form of cgroupsPath: set the same cgroup driver in kubelet and runtime."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Drain and reboot where systemd itself does not answer.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers",
				"https://github.com/kubernetes/kubernetes/issues/102676",
				"opencontainers/cgroups: systemd/common.go",
			},
		},
		Signature: &g,
		Log: []string{
			"Timeout waiting for systemd to create", "Timed out while waiting for StopUnit", "completion signal from dbus", "expected cgroupsPath to be of format",
			".slice already exists",
		},
	}
}
