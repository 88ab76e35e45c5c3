package runtime

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeOutOfMemory() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST226", Slug: "node-out-of-memory", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The node ran out of memory as a whole",
			Symptom: "Pods neither start nor end on a node, or it comes and goes between Ready and NotReady, with SystemOOM events or MemoryPressure.",
			Mechanism: "What pods may use together with the system is more than the node has. The kernel then pages programs out and in again, so that kubelet and runtime " +
				"answer late or not at all, and in the end kills processes of its own choice: shims, the runtime, or the kubelet among them.",
			Confirm: []string{
				"kubectl describe node {node}",
				"kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={node}",
				"kubectl top pods -A --sort-by=memory",
			},
			Remedies: []diagnose.Remedy{
				{ID: "cordon", Risk: diagnose.RiskLow, Text: "Keep new pods away.", Command: "kubectl cordon {node}"},
				{ID: "end-greedy-pod", Risk: diagnose.RiskMedium, Text: "Find the pod that uses the memory, and give it a limit or end it."},
				{ID: "reserve-memory", Risk: diagnose.RiskMedium, Text: "Reserve memory for the system and the kubelet (systemReserved, kubeReserved, evictionHard), so that pods are evicted before the node chokes."},
				{ID: "reboot", Risk: diagnose.RiskHigh, Text: "Where nothing answers any more: restart the machine. What its pods have not written is lost."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior",
				"https://github.com/awslabs/amazon-eks-ami/issues/1145", "kubernetes: pkg/kubelet/oom/oom_watcher_linux.go",
			},
		},
		Node: findOutOfMemory,
		Log: append(
			diagnose.LikelyLines(
				diagnose.Text{All: []string{"Out of memory: Kill"}, None: []string{"Memory cgroup"}}, diagnose.Text{All: []string{"System OOM encountered"}},
				diagnose.Text{All: []string{"page allocation failure"}}, diagnose.Saying("oom-kill:constraint=CONSTRAINT_NONE"), // mm/oom_kill.c: the limit of no cgroup
			),
			// A container's own limit: the program in it is at fault, and not the node.
			diagnose.FittingLines([]string{"crashloop"}, "Whether the line before it names the limit of a container (oom_memcg=/kubepods…, \"Memory cgroup out of memory\"): then only that container is short of memory.",
				diagnose.Saying("invoked oom-killer"), diagnose.Saying("oom_reaper: reaped process"), diagnose.Saying("Memory cgroup out of memory"))...,
		),
	}
}

func findOutOfMemory(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	pods := filter(g, waitsForRuntime)
	f := diagnose.Finding{Explains: names(pods), Confidence: diagnose.Possible}
	if len(pods) == 0 {
		return f, false
	}
	since := s.Now().Add(-minRecent)
	f.Evidence = nodeSaid(s, g.Node, since, "SystemOOM")
	pressure := false
	if n := s.Node(g.Node); n != nil {
		if c := snapshot.NodeCondition(n, corev1.NodeMemoryPressure); c != nil && c.Status == corev1.ConditionTrue {
			pressure = true
			f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
		}
	}
	if !pressure {
		return f, false // a kubelet that starts reports the kernel's old kills as SystemOOM as well: they say nothing of now
	}
	if len(f.Evidence) > 1 && workloads(pods) > 1 {
		f.Confidence = diagnose.Likely
	}
	f.Message = fmt.Sprintf("Node %s ran out of memory, with %s stuck there.", g.Node, count(len(pods), "pod"))
	f.Alternatives = []string{"runtime-hung"}
	f.Decide = "Whether kubelet and runtime of node {node} answer slowly (crictl info, free -m, /proc/pressure/memory), and whom the kernel killed (journalctl -k)."
	return f, true
}
