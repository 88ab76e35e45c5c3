package runtime

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func kernelHungTask() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST214", Slug: "kernel-hung-task", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The kernel of the node reports tasks that hang",
			Symptom: "node-problem-detector set KernelDeadlock, or wrote TaskHung, DockerHung or KernelOops events about the node, and pods there do not start or end.",
			Mechanism: "The kernel logs a task that waits uninterruptibly for more than two minutes. Such tasks hold locks that runc, the runtime or the " +
				"kubelet then wait for. After an oops of the kernel the same happens for good.",
			Confirm: []string{
				"kubectl describe node {node}",
				"kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-kernel-log", Risk: diagnose.RiskNone, Text: "On the node: journalctl -k; the stack below \"blocked for more than\" names the file system or driver that hangs."},
				{ID: "restore-io", Risk: diagnose.RiskNone, Text: "Where it is a network file system or a disk: bring that back, and the tasks go on."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "After an oops or a deadlock only a reboot helps.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/debug/debug-cluster/monitor-node-health/",
				"https://docs.kernel.org/admin-guide/lockup-watchdogs.html",
				"node-problem-detector: config/kernel-monitor.json",
			},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			pods := filter(g, waitsForRuntime)
			f := diagnose.Finding{Explains: names(pods), Confidence: diagnose.Likely}
			if len(pods) == 0 && len(g.Stuck) > 0 {
				return f, false
			}
			if n := s.Node(g.Node); n != nil {
				if c := snapshot.NodeCondition(n, "KernelDeadlock"); c != nil && c.Status == corev1.ConditionTrue {
					f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
				}
			}
			since := s.Now().Add(-time.Hour)
			for _, p := range pods {
				if p.Since.Before(since) {
					since = p.Since.Add(-10 * time.Minute) // the kernel speaks before the pods are seen to hang
				}
			}
			f.Evidence = append(f.Evidence, nodeSaid(s, g.Node, since, "TaskHung", "DockerHung", "KernelOops")...)
			f.Message = fmt.Sprintf("The kernel of node %s reported tasks that hang or an oops, with %s stuck there.", g.Node, count(len(pods), "pod"))
			return f, len(f.Evidence) > 0
		},
		Log: append(
			fittingHangs(),
			append(diagnose.CertainLines(
				diagnose.Saying("BUG: soft lockup"), diagnose.Saying("hard LOCKUP"), diagnose.Saying("kernel BUG at"), diagnose.Saying("BUG: unable to handle"), diagnose.Saying("BUG: kernel NULL pointer"),
				diagnose.Saying("rcu", "self-detected stall on "), diagnose.Saying("detected stalls on CPUs"), diagnose.Saying("Kernel panic - not syncing"), diagnose.Saying("general protection fault: 0000"),
				diagnose.Saying("divide error: 0000"), diagnose.Saying("BUG: scheduling while atomic"),
			),
				diagnose.LogMatch{Text: diagnose.Saying("Oops: 0"), Pattern: `\boops: 0`, Confidence: diagnose.Certain})...,
		),
	}
}

// fittingHangs is a task that waits in the kernel: what it waits for may be the kernel's own lock, or a disk or a server that does not answer.
func fittingHangs() []diagnose.LogMatch {
	return []diagnose.LogMatch{{
		Text: diagnose.Saying("blocked for more than", "seconds"), Pattern: `task \S.*:\w+ blocked for more than \d+ seconds`, Confidence: diagnose.Likely,
		Alternatives: []string{"d-state-process", "nfs-server-unreachable", "hung-fs-mount"},
		Decide:       "The stack that follows the line: functions of NFS, FUSE, Ceph or a block device name what does not answer; mutex_lock and cgroup functions the kernel's own locks.",
	}}
}

// nodeSaid cites the last events about the node with one of the reasons, since a moment.
func nodeSaid(s *snapshot.Snapshot, node string, since time.Time, reasons ...string) []diagnose.Evidence {
	var out []diagnose.Evidence
	for _, e := range s.Events(nodeRef(node)) {
		if e.Last.After(since) && slices.Contains(reasons, e.Reason) {
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	return out[max(0, len(out)-2):]
}
