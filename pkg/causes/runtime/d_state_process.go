package runtime

import (
	"fmt"
	"strings"

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
			},
		},
		Pod: findUnkillable,
		Log: []string{"to be killed: wait container", "did not exit before"},
	}
}

// killTimedOut is the wording of kubelet around what any runtime answers when a container does not end in time
// (pkg/kubelet/container/sync_result.go).
var killTimedOut = diagnose.Text{
	All: []string{"KillContainer"}, Any: []string{"DeadlineExceeded", "context deadline exceeded", "timeout"},
	None: []string{"permission denied", "resource temporarily unavailable", "connection refused"},
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
	if f.Evidence = diagnose.Said(s, p, killTimedOut, "FailedKillPod"); len(f.Evidence) > 0 {
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The runtime on node %s did not end the containers of pod %s/%s in time; its deadline was %s.", p.Node, p.Ref.Namespace, p.Ref.Name, scope.Ago(p.For))
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
	return f, true
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
