package runtime

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func pidThreadExhaustion() diagnose.Cause {
	noFork := diagnose.Text{
		All: []string{"resource temporarily unavailable"},
		Any: []string{"fork", "clone", "pthread_create", "newosproc", "new OS thread", "start shim", "unable to start process", "create thread"},
	}
	noThread := diagnose.Text{Any: []string{"failed to create new OS thread", "pthread_create failed"}}
	return diagnose.Cause{
		Code: "ST209", Slug: "pid-thread-exhaustion", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The node cannot start processes or threads any more",
			Symptom: "Starting, ending and probing containers fails with \"resource temporarily unavailable\" or \"failed to create new OS thread\". PIDPressure is usually False.",
			Mechanism: "A limit on processes and threads is reached: kernel.pid_max, the TasksMax of the runtime's or the kubelet's systemd unit, a ulimit, " +
				"or a pids cgroup. Every exec of runc, a shim, a CNI plugin or mount needs a new process and fails. The kubelet's PIDPressure only looks at pid_max.",
			Confirm: []string{
				"kubectl get events -A --field-selector reason=FailedKillPod",
				"kubectl get node {node} -o jsonpath={.status.conditions}",
				// The units first: their TasksMax is the limit that is reached the most often. The runtime is one of the four.
				"kubectl debug node/{node} -it --image=busybox -- chroot /host systemctl show -p Id,TasksCurrent,TasksMax containerd docker crio kubelet",
				// Then the kernel's, beside how many threads there are (the second figure of the fourth field of loadavg).
				"kubectl debug node/{node} -it --image=busybox -- chroot /host grep -H . /proc/loadavg /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max",
				// Then ulimit -u of the program that complains; it counts all processes of its user.
				"kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'for p in $(pidof dockerd containerd crio kubelet kube-proxy); do grep -H processes /proc/$p/limits; done'",
				// Then the pids cgroups: who has how many, and which refused a fork.
				"kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'find /sys/fs/cgroup -name pids.current -exec grep -H . {} + | sort -t: -k2 -n | tail -20'",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'find /sys/fs/cgroup -name pids.events -exec grep -H max {} + | grep -v -w 0'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "find-leak", Risk: diagnose.RiskNone, Text: "Find who has the processes: on the node, ps -eLf by cgroup, or pids.current below /sys/fs/cgroup/kubepods.slice. " +
					"Where nothing can be started there, read it with the builtins of a shell that is open: echo $(< /proc/loadavg), read, and globs in place of ls."},
				{ID: "end-leaking-pod", Risk: diagnose.RiskLow, Text: "Delete the leaking pod, and set podPidsLimit in the kubelet's configuration so that it cannot take the node with it again."},
				{ID: "raise-limit", Risk: diagnose.RiskMedium, Text: "On the node, raise the limit that is reached. All of these work at once: systemctl set-property containerd TasksMax=infinity (or docker, crio); " +
					"sysctl -w kernel.pid_max=4194304 and kernel.threads-max; for ulimit -u, prlimit --pid PID --nproc=unlimited, and LimitNPROC=infinity in the unit. " +
					"To keep them, write them below /etc/sysctl.d and /etc/systemd/system/UNIT.d. A limit that is raised without the leak being found is reached again."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Drain and reboot where not even a shell can be started.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/policy/pid-limiting/",
				"https://github.com/Azure/AKS/issues/2709",
			},
		},
		Signature: &diagnose.Signature{
			Events: []diagnose.EventMatch{
				{Reasons: processEvents(), Text: noFork},
				{Reasons: processEvents(), Text: noThread},
			},
			Waiting: []diagnose.WaitingMatch{
				{Reasons: []string{"RunContainerError", "CreateContainerError", "StartError", "ContainerCannotRun"}, Text: noFork},
				{Reasons: []string{"RunContainerError", "CreateContainerError", "StartError", "ContainerCannotRun"}, Text: noThread},
			},
			Confidence: diagnose.Certain, OnNode: true,
			Say:    "Node {node} could not start a process or thread that one of its pods needed: a limit on their number is reached.",
			Decide: "Which limit it is: pid_max and TasksMax hit every pod of node {node}, the pids limit of one pod hits that pod alone.",
		},
		Pod: findNoChild,
		Log: append(outOfProcesses(), diagnose.FittingLines([]string{"run-oci-error", "node-out-of-memory"}, decideNoChild(), noChild())...),
	}
}

// noChild is how runc says that its first process ended before it told its number: runc starts itself over in new namespaces, and what ended that is not told.
func noChild() diagnose.Text {
	return diagnose.Text{
		All:  []string{"final child's pid from pipe"},
		None: []string{"resource temporarily unavailable", "cannot allocate memory", "no space left on device", "operation not permitted", "permission denied", "invalid argument", "cgroup", "dbus", "seccomp", "apparmor"},
	}
}

func decideNoChild() string {
	return "What the kernel log says at that time: \"fork rejected by pids controller\" or tasks at their limit (this), a runc that was killed in the container's memory cgroup " +
		"(its memory limit is too small), or neither: then whether user namespaces (user.max_user_namespaces) and the version of runc do."
}

// findNoChild judges a pod of which no more is said than that runc's first process did not come to be.
func findNoChild(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{
		Subject: nodeRef(p.Node), Confidence: diagnose.Possible, Alternatives: []string{"run-oci-error", "node-out-of-memory"}, Decide: decideNoChild(),
		Message: fmt.Sprintf("On node %s the first process of a container ended before it was one. That is so where no more processes can be started, and where the container's memory limit is too small for runc.", p.Node),
	}
	if p.Node == "" || !starting(p) {
		return f, false
	}
	f.Evidence = append(diagnose.Said(s, p, noChild(), processEvents()...), waits(p, noChild())...)
	return f, len(f.Evidence) > 0
}

// outOfProcesses are lines that say that a process or thread could not be made. fork and clone answer EAGAIN, "Resource temporarily unavailable", only
// where a limit on their number is reached (fork(2), kernel/fork.c); other calls answer it for other reasons, so something must name the fork.
func outOfProcesses() []diagnose.LogMatch {
	decide := "Which limit it is: for the unit that complains, systemctl show -p TasksCurrent -p TasksMax and /proc/<pid>/limits (max processes); for all, " +
		"the threads in /proc/loadavg beside kernel.pid_max and kernel.threads-max; for one pod, pids.current beside pids.max of its cgroup."
	cgroup := "The cgroup that the line names: a pod's (kubepods) hits its limit alone, that of a unit such as containerd.service or kubelet.service hits every pod of the node."
	again := func(parts ...string) diagnose.LogMatch {
		return diagnose.LogMatch{
			Text: diagnose.Text{All: []string{"resource temporarily unavailable"}, Any: parts}, Confidence: diagnose.Certain, Decide: decide,
		}
	}
	return []diagnose.LogMatch{
		again(
			"fork/exec", // Go: kubelet, containerd, dockerd, kube-proxy
			"fork of ",  // systemd-udevd
			"fork: retry", "failed to fork", "unable to fork", "cannot fork", "can't fork", "could not fork", "couldn't fork", "fork()", "fork failed", ": fork: ",
			"vfork", "clone", "posix_spawn", "failed to spawn",
			"pthread_create", "newosproc", "OS thread", "create thread", "create a thread", "start thread", "worker thread",
			"start shim", "create shim", "unable to start process", "unable to start container process", "nsexec",
		),
		// The Go runtime names the error by its number; 11 is EAGAIN.
		{Text: diagnose.Text{All: []string{"failed to create new OS thread", "errno=11"}}, Confidence: diagnose.Certain, Decide: decide},
		{Text: diagnose.Text{All: []string{"may need to increase max user processes"}}, Confidence: diagnose.Certain, Decide: decide},
		// The kernel, for a pids cgroup: of a unit or of a pod (kernel/cgroup/pids.c).
		{
			Text:       diagnose.Text{All: []string{"fork rejected by pids controller", "/system.slice"}, None: []string{"kubepods", "/docker-"}},
			Confidence: diagnose.Certain, Decide: cgroup,
		},
		{Text: diagnose.Text{All: []string{"fork rejected by pids controller"}, None: []string{"kubepods", "/docker"}}, Decide: cgroup},
		{
			Text:       diagnose.Text{All: []string{"fork rejected by pids controller"}, Any: []string{"kubepods", "/docker"}},
			Confidence: diagnose.Possible, Alternatives: []string{"crashloop"}, Decide: cgroup,
		},
		// Cut lines, or with another error: EPERM is a seccomp profile that does not know clone3, ENOMEM memory or, on kernels before 4.0, pid_max as well.
		{Text: diagnose.Text{All: []string{"failed to create new OS thread"}, None: []string{"errno=1)", "errno=12)"}}, Decide: decide},
		{Text: diagnose.Text{All: []string{"pthread_create failed"}, None: []string{"operation not permitted", "cannot allocate memory"}}, Decide: decide},
		{Text: diagnose.Text{All: []string{"fork of child failed"}, None: []string{"cannot allocate memory"}}, Decide: decide},
	}
}

// processEvents are the reasons of events about something for which a process was to be started. Probes are not
// among them: what they run is the container's own.
func processEvents() []string {
	return []string{
		"FailedKillPod", "FailedCreatePodSandBox", "FailedCreatePodContainer", "Failed", "FailedMount", "FailedPodSandBoxStatus", "FailedSync",
		"FailedPrepareDynamicResources",
	}
}
