package runtime

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func dStateProcess() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST202", Slug: "d-state-process", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "A process of the container cannot be killed",
			Symptom: "The pod is past its deadline and a container still runs; the node is Ready. Often nothing else is said; sometimes FailedKillPod ends in DeadlineExceeded.",
			Mechanism: "A process that waits inside the kernel for input or output (state D) takes no signal, not even SIGKILL, until the wait ends. " +
				"The runtime waits for it, the kubelet's request times out, and the pod stays. The wait is usually for a network file system, a " +
				"FUSE mount or a block device that does not answer.",
			Confirm: []string{
				"kubectl get pod {pod} -n {namespace} -o yaml",
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host ps -eo stat,pid,wchan:32,args",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-io", Risk: diagnose.RiskNone, Text: "Find what the process waits for (its volumes first) and bring that back: the pod goes within seconds."},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Where ps shows no process of the container any more, the runtime lost track of it: restart containerd on the node. Containers survive that."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Otherwise only a reboot frees the process: drain the node first.", Command: "kubectl drain {node} --ignore-daemonsets"},
				{ID: "force-delete-pod", Risk: diagnose.RiskDataLoss, Text: "Takes the pod out of the API and leaves the process and its mounts behind. Wrong while the process can still write to a volume that its successor uses.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
				"containerd: internal/cri/server/container_stop.go",
				"https://github.com/containerd/containerd/issues/8847",
				"https://github.com/opencontainers/runc/issues/3759",
			},
		},
		Pod: findUnkillable,
		Log: unkillableLines(),
	}
}

// unkillableLines are the lines of a container that does not end although it was killed, and those that show a process in state D.
func unkillableLines() []diagnose.LogMatch {
	decide := "For the processes of the container that the line names, ps -eo stat,pid,wchan:32,args: state D is an unfinished wait in the kernel, zap_pid_ns_processes a " +
		"zombie that nobody reaps, __refrigerator or a T a frozen cgroup; no process at all means that the runtime lost track of it."
	fits := []string{"runtime-state-desync", "zombie-zap-pid-ns", "cgroup-frozen", "containerd-stop-regression", "runtime-hung", "kernel-hung-task"}
	late := noAnswerInTime()
	out := diagnose.CertainLines(diagnose.Saying("State:", "D (disk sleep)"))
	out = append(out, diagnose.LikelyLines(diagnose.Saying("did not exit before"))...)
	out = append(out, diagnose.FittingLines([]string{"nfs-server-unreachable", "hung-fs-mount", "kernel-hung-task"}, "What the function below it in the stack belongs to: NFS, FUSE, Ceph or a block device, and whether that answers again.",
		diagnose.Saying("rpc_wait_bit_killable"), diagnose.Saying("request_wait_answer"), diagnose.Saying("fuse_simple_request"), diagnose.Saying("ceph_mdsc_wait_request"), diagnose.Saying("io_schedule_timeout"),
	)...)
	// A line of ps -o stat: a process of a runtime in state D. The D stands alone between blanks.
	for _, program := range []string{"runc init", "runc:[", "containerd-shim", "[kworker"} {
		m := diagnose.LogMatch{
			Text: diagnose.Saying(program), Pattern: `^(?:.*\s)?D[<NLsl+]{0,4}\s(?:.*\s)?\S*` + quoted(program),
			Confidence: diagnose.Possible, Alternatives: []string{"cgroup-frozen", "kernel-hung-task"}, Decide: decide,
		}
		out = append(out, m)
	}
	out = append(out, diagnose.FittingLines(fits, decide,
		diagnose.Text{All: []string{"to be killed: wait container"}, Any: append(late, "stop timeout", "context canceled", "code = Canceled", "is cancelled")},
		diagnose.Text{All: []string{"StopContainer", "from runtime service failed"}, Any: late},
		// containerd 1.1 and 1.2 say "is cancelled" where later ones quote the context.
		diagnose.Text{All: []string{"occurs during waiting for container"}, Any: []string{"is cancelled", "context canceled"}},
		diagnose.Text{All: []string{"StopContainer for", "failed"}, Any: append(late, "context canceled")},
		diagnose.Text{All: []string{"failed to kill container"}, Any: append(late, "context canceled")},
		diagnose.Text{All: []string{"stopping the container", "rpc error"}, Any: late}, // crictl stop
		diagnose.Text{All: []string{"Container termination failed with gracePeriod"}, Any: late},
		diagnose.Text{All: []string{"termination failed with gracePeriod"}, Any: late}, // kubelets before 1.19
		diagnose.Text{All: []string{"Kill container failed"}, Any: late},
		diagnose.Text{All: []string{"KillContainerError"}, Any: late},
		diagnose.Saying("seconds of kill - trying direct SIGKILL"), // dockerd
		diagnose.Saying("of kill - trying direct SIGKILL"),         // dockerd since 20.10: "within 10s of kill"
		diagnose.Saying("tried to kill container, but did not receive an exit event"),
		diagnose.Saying("failed to get container 'stopped' status"), // CRI-O
		diagnose.Saying("Pod still has one or more containers in the non-exited state and will not be removed from desired state"),
		diagnose.Saying("Pod is terminated, but some containers are still running"),
		diagnose.Saying("Pod is terminating, but some containers are still running"),
	)...)
	return out
}

// quoted is the text as a part of a regular expression.
func quoted(text string) string { return strings.ReplaceAll(text, "[", `\[`) }

// killTimedOut is the wording of kubelet around what any runtime answers when a container does not end in time
// (pkg/kubelet/container/sync_result.go).
func killTimedOut() diagnose.Text {
	return diagnose.Text{
		All: []string{"KillContainer"}, Any: append(noAnswerInTime(), "timeout", "code = Canceled", "did not receive an exit event", "failed to get container 'stopped' status"),
		None: []string{"permission denied", "resource temporarily unavailable", "connection refused", "ttrpc: closed", "connection is unavailable", "does not exist"},
	}
}

// statusTimedOut is what kubelet says when the runtime does not tell the state of a pod that it is to end.
func statusTimedOut() diagnose.Text {
	return diagnose.Text{All: []string{"determin", "status"}, Any: noAnswerInTime(), None: []string{"network", "netns", "ttrpc: closed"}}
}

func findUnkillable(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if !ending(p) || unwell(s, p.Node) {
		return diagnose.Finding{}, false
	}
	alive := running(p.Object)
	f := diagnose.Finding{
		Alternatives: []string{
			"zombie-zap-pid-ns", "runtime-state-desync", "containerd-stop-regression", "runtime-hung", "cgroup-frozen", "kernel-hung-task",
		},
		Decide: "On node {node}: ps -eo stat,pid,wchan:32,args for the container's processes. State D: what it waits for; zap_pid_ns_processes: a zombie's parent; no process at all: the runtime lost track of it; state T or a frozen cgroup: thaw it.",
	}
	if remote(p.Object) {
		f.Alternatives = append([]string{"nfs-server-unreachable", "hung-fs-mount"}, f.Alternatives...)
	}
	f.Evidence = diagnose.Said(s, p, killTimedOut(), "FailedKillPod", "FailedSync")
	if len(f.Evidence) == 0 {
		// CRI-O and containerd end the containers of a sandbox with it, and say there which did not end.
		f.Evidence = diagnose.Said(s, p, diagnose.Text{All: []string{"KillPodSandbox", "failed to stop container"}, Any: noAnswerInTime(), None: killTimedOut().None}, "FailedKillPod", "FailedSync")
	}
	if len(f.Evidence) > 0 {
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The runtime on node %s did not end the containers of pod %s/%s in time; its deadline was %s.", p.Node, p.Ref.Namespace, p.Ref.Name, scope.Ago(p.For))
	} else if f.Evidence = diagnose.Said(s, p, statusTimedOut(), "FailedSync", "FailedPodSandBoxStatus"); len(f.Evidence) > 0 {
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("The runtime on node %s does not even answer what state pod %s/%s is in; its deadline was %s.", p.Node, p.Ref.Namespace, p.Ref.Name, scope.Ago(p.For))
		f.Alternatives = append([]string{"pleg-unhealthy-one-pod"}, f.Alternatives...)
	} else {
		heard := diagnose.Heard(s, p.Ref.Namespace)
		if len(alive) == 0 || !ready(s, p.Node) || heard && !diagnose.Silent(s, p) || startsHangToo(s, p) {
			return f, false
		}
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("Nothing was said about pod %s/%s, and %s on Ready node %s %s past its deadline.", p.Ref.Namespace, p.Ref.Name, stillRuns(alive), p.Node, scope.Short(p.For))
		if !heard {
			f.Message = fmt.Sprintf("What was said about pod %s/%s could not be read; %s on Ready node %s %s past its deadline.", p.Ref.Namespace, p.Ref.Name, stillRuns(alive), p.Node, scope.Short(p.For))
		}
	}
	for _, c := range alive {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state", c), Value: "running"})
	}
	tellApart(s, p, &f)
	return f, true
}

// tellApart uses what else the API shows of the node: a runtime that ended or started something since is not hung as a whole, and where
// node-problem-detector runs, the kernel says itself that tasks hang.
func tellApart(s *snapshot.Snapshot, p stuck.Pod, f *diagnose.Finding) {
	if e, ok := movedSince(s, p); ok {
		f.Evidence = append(f.Evidence, e)
		f.Alternatives = slices.DeleteFunc(f.Alternatives, func(slug string) bool { return slug == "runtime-hung" })
	}
	ev := nodeSaid(s, p.Node, s.Now().Add(-max(p.For+10*time.Minute, minRecent)), "TaskHung", "DockerHung")
	if n := s.Node(p.Node); n != nil {
		if c := snapshot.NodeCondition(n, "KernelDeadlock"); c != nil && c.Status == corev1.ConditionTrue {
			ev = append(ev, diagnose.NodeConditionEvidence(n, *c))
		}
	}
	if len(ev) > 0 {
		f.Evidence = append(f.Evidence, ev...)
		f.Message += " The kernel of the node reports tasks that hang."
		f.Alternatives = slices.DeleteFunc(f.Alternatives, func(slug string) bool { return slug == "runtime-state-desync" || slug == "containerd-stop-regression" })
	}
}

// movedSince cites a container of another pod that ended or started on the node since the pod should have gone.
func movedSince(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Evidence, bool) {
	pods, _ := s.PodsOnNode(p.Node)
	for _, o := range pods {
		if o.Name == p.Ref.Name && o.Namespace == p.Ref.Namespace || static(o) {
			continue
		}
		for i := range o.Status.ContainerStatuses {
			c := &o.Status.ContainerStatuses[i]
			for _, t := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
				if t != nil && t.FinishedAt.After(p.Since) && runtimeEnded(t) {
					return diagnose.Evidence{Object: snapshot.RefOf(o).String(), Field: fmt.Sprintf("status.containerStatuses[%s]", c.Name), Value: "ended " + scope.Ago(s.Now().Sub(t.FinishedAt.Time))}, true
				}
			}
			if r := c.State.Running; r != nil && r.StartedAt.After(p.Since) {
				return diagnose.Evidence{Object: snapshot.RefOf(o).String(), Field: fmt.Sprintf("status.containerStatuses[%s]", c.Name), Value: "started " + scope.Ago(s.Now().Sub(r.StartedAt.Time))}, true
			}
		}
	}
	return diagnose.Evidence{}, false
}

// runtimeEnded tells whether the runtime told of the end, and it is not the kubelet's own word for a container that it found gone.
func runtimeEnded(t *corev1.ContainerStateTerminated) bool {
	return t.Reason != "ContainerStatusUnknown"
}

func stillRuns(containers []string) string {
	if len(containers) == 1 {
		return "container " + containers[0] + " still shows as running"
	}
	return "containers " + strings.Join(containers, ", ") + " still show as running"
}

// startsHangToo tells whether other pods of the node wait for their sandbox in silence: then the whole runtime is the
// better suspect (see runtime-hung).
func startsHangToo(s *snapshot.Snapshot, p stuck.Pod) bool {
	pods, _ := s.PodsOnNode(p.Node)
	for _, o := range pods {
		if o.DeletionTimestamp != nil || remote(o) || snapshot.StatusOf(o).Word != "ContainerCreating" || s.Now().Sub(o.CreationTimestamp.Time) < silentFor {
			continue
		}
		q := stuck.Pod{Object: o, Ref: snapshot.RefOf(o), Node: p.Node}
		if diagnose.Silent(s, q) && !q.Pulling {
			return true
		}
	}
	return false
}
