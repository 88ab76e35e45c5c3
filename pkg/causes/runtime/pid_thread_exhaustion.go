package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
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
				"kubectl debug node/{node} -it --image=busybox -- chroot /host systemctl show containerd kubelet -p TasksCurrent -p TasksMax",
			},
			Remedies: []diagnose.Remedy{
				{ID: "find-leak", Risk: diagnose.RiskNone, Text: "Find who has the processes: on the node, ps -eLf by cgroup, or pids.current below /sys/fs/cgroup/kubepods.slice."},
				{ID: "end-leaking-pod", Risk: diagnose.RiskLow, Text: "Delete the leaking pod, and set podPidsLimit so that it cannot take the node with it again."},
				{ID: "raise-limit", Risk: diagnose.RiskMedium, Text: "On the node: raise TasksMax of the unit (systemctl set-property containerd TasksMax=infinity) or kernel.pid_max. Both work at once."},
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
		Log: []string{": resource temporarily unavailable", "failed to create new OS thread", "pthread_create failed", "fork of child failed"},
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
