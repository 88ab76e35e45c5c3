package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func cgroupSystemdFailure() diagnose.Cause {
	reasons := []string{"FailedCreatePodContainer", "FailedCreatePodSandBox", "FailedKillPod", "Failed", "FailedSync"}
	texts := cgroupRefusals()
	g := diagnose.Signature{
		Confidence: diagnose.Likely, OnNode: true,
		Say:    "Systemd on node {node} did not make or remove the cgroup of a pod.",
		Decide: "On node {node}: systemctl is-system-running and journalctl -u dbus, how many units are loaded, and whether kubelet and runtime use the same cgroup driver.",
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
			Symptom: "Pods do not start with \"Timeout waiting for systemd to create …slice\", \"Unit …slice already exists\", \"unable to apply cgroup configuration\" or a limit that the kernel refuses, or do not end for want of an answer over D-Bus.",
			Mechanism: "With the systemd cgroup driver every pod and container is a unit. When systemd or D-Bus is overloaded or stuck, or a unit of an earlier " +
				"run is left over, or kubelet and runtime use different drivers, units are neither made nor removed. On cgroup v1 different drivers also set " +
				"limits of a container that are greater than its pod's, which the kernel calls an invalid argument.",
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
				"https://github.com/kubernetes/kubernetes/issues/120103",
				"https://github.com/opencontainers/runc/issues/1794",
				"opencontainers/cgroups: systemd/common.go",
			},
		},
		Signature: &g,
		Log: append(
			diagnose.LikelyLines(append(texts,
				diagnose.Saying("Failed to activate service", "org.freedesktop.systemd1"),
				diagnose.Saying("Failed to add", "systemd sandbox cgroup"),
			)...),
			// What is left in a cgroup keeps it from being removed: usually a process that does not end.
			diagnose.FittingLines([]string{"d-state-process", "cgroup-frozen", "zombie-zap-pid-ns"},
				"Which processes are in the cgroup that the line names (cgroup.procs, and those of its children): none means a leftover of systemd's, one in state D or a frozen one holds it.",
				diagnose.Text{All: []string{"failed to delete cgroup paths"}},
				diagnose.Text{All: []string{"sys/fs/cgroup", "device or resource busy"}, Any: []string{"rmdir", "remove cgroup", "unlinkat", "remove paths"}},
				diagnose.Saying("Pod is terminated, but pod cgroup sandbox has not been cleaned up"),
			)...,
		),
	}
}

// cgroupRefusals are the wordings of runc, crun, systemd and the kernel for a cgroup that could not be made, set or removed, other than for want of room
// (see memcg-leak) or of processes (see pid-thread-exhaustion).
func cgroupRefusals() []diagnose.Text {
	other := []string{"no space left on device", "cannot allocate memory", "resource temporarily unavailable"}
	return []diagnose.Text{
		{All: []string{"timeout waiting for systemd to create"}},
		{All: []string{"while waiting for StopUnit"}},
		{All: []string{"while waiting for systemd to remove"}},
		{All: []string{"completion signal from dbus"}},
		{All: []string{"dbus connection failed"}},
		{All: []string{"failed to connect to dbus"}},
		{All: []string{"dbus: connection closed by user"}},
		{All: []string{"sd-bus call"}, Any: []string{"timed out", "timeout", "connection", "input/output error", "i/o error", ".slice not found", ".scope not found", "not loaded"}}, // crun
		{All: []string{"expected cgroupsPath to be of format"}},
		{All: []string{"Delegation not available for unit type"}},
		{All: []string{"unit ", ".slice already exists"}},
		{All: []string{"unit ", ".scope already exists"}},
		{All: []string{".slice was already loaded or has a fragment file"}},
		{All: []string{".scope was already loaded or has a fragment file"}},
		{All: []string{"error creating systemd unit"}},
		{All: []string{"unable to start unit"}, Any: []string{"dbus", ".scope", ".slice"}},
		{All: []string{"error while starting unit"}, Any: []string{".scope", ".slice"}},
		{All: []string{"unable to set unit properties"}},
		{All: []string{"unable to apply cgroup configuration"}, None: other},
		{All: []string{"applying cgroup configuration for process caused"}, None: other},
		{All: []string{"setting cgroup config for procHooks process"}, None: other},
		{All: []string{"error setting cgroup config for procHooks process"}, None: other},
		{All: []string{"cpu.cfs_quota_us"}, Any: []string{"invalid argument", "permission denied", "no such file or directory"}},
		{All: []string{"cpu.cfs_period_us"}, Any: []string{"invalid argument", "permission denied", "no such file or directory"}},
		{All: []string{"the requested cgroup controller"}},
		{All: []string{"cannot found cgroup mount destination"}},
		{All: []string{"cgroup subsystem not mounted"}},
	}
}
