package runtime

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func netdevRefcountLeak() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST215", Slug: "netdev-refcount-leak", Reach: scope.ReachNode,
		Needs:    []snapshot.Kind{snapshot.Event},
		Optional: []snapshot.Kind{snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The kernel cannot remove a pod's network device",
			Symptom: "The containers have ended, and ending the sandbox (KillPodSandbox) times out again and again. The kernel log says \"unregister_netdevice: waiting for eth0 to become free\".",
			Mechanism: "A network device can only go when nothing refers to it. A kernel fault leaves a reference behind; the removal then waits for good, " +
				"holding a lock that every other creation and removal of network namespaces on the node needs.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod},reason=FailedKillPod",
				"kubectl describe node {node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-kernel-log", Risk: diagnose.RiskNone, Text: "On the node: journalctl -k for unregister_netdevice. Without that line it is the CNI plugin or the runtime."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Drain and reboot the node; then plan a newer kernel.", Command: "kubectl drain {node} --ignore-daemonsets"},
				{ID: "force-delete-pod", Risk: diagnose.RiskHigh, Text: "The containers are dead, so no second writer appears; the address and the device leak until the reboot.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{"https://github.com/kubernetes/kubernetes/issues/64743", "node-problem-detector: config/kernel-monitor.json"},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if !ending(p) && p.Stage != stuck.Cleanup || unwell(s, p.Node) {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{
				Subject: nodeRef(p.Node), Confidence: diagnose.Possible,
				Alternatives: []string{"runtime-hung", "cni-plugin-del-bug", "cni-del-apiserver-unreachable"},
				Decide:       "Whether the kernel log of node {node} says \"unregister_netdevice: waiting for … to become free\"; if not, what its CNI plugin logs.",
			}
			f.Evidence = diagnose.Said(s, p, diagnose.Text{
				All: []string{"KillPodSandbox"}, Any: noAnswerInTime(), None: append(notTheDevice(), "\"KillContainer\"", "KillContainerError"),
			}, "FailedKillPod", "FailedSync")
			if len(f.Evidence) == 0 {
				return f, false
			}
			f.Message = fmt.Sprintf("The containers of a pod ended, and removing its sandbox on node %s timed out.", p.Node)
			if n := s.Node(p.Node); n != nil {
				if c := snapshot.NodeCondition(n, "FrequentUnregisterNetDevice"); c != nil && c.Status == corev1.ConditionTrue {
					f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
					f.Confidence = diagnose.Likely
				}
			}
			if ev := nodeSaid(s, p.Node, s.Now().Add(-max(p.For, minRecent)), "UnregisterNetDevice"); len(ev) > 0 {
				f.Evidence = append(f.Evidence, ev...)
				f.Confidence = diagnose.Likely
			}
			if f.Confidence == diagnose.Likely {
				f.Message += " The kernel reports a network device that it cannot remove."
				f.Alternatives, f.Decide = nil, ""
			}
			return f, true
		},
		Node: findLeakedDevice,
		Log: append(
			diagnose.CertainLines(diagnose.Saying("unregister_netdevice: waiting for")),
			diagnose.FittingLines([]string{"runtime-hung", "d-state-process", "cni-plugin-del-bug", "cni-del-apiserver-unreachable"},
				"Whether the kernel log says \"unregister_netdevice: waiting for … to become free\", whether a process of the sandbox is left, and what the CNI plugin logs.",
				diagnose.Text{All: []string{"StopPodSandbox", "from runtime service failed"}, Any: noAnswerInTime()},
				diagnose.Text{All: []string{"KillPodSandboxError"}, Any: noAnswerInTime(), None: append(notTheDevice(), "KillContainerError")},
				diagnose.Text{All: []string{"Failed to stop sandbox"}, Any: noAnswerInTime()},
				diagnose.Text{All: []string{"stopping the pod sandbox", "rpc error"}, Any: noAnswerInTime()}, // crictl stopp
			)...,
		),
	}
}

// findLeakedDevice goes by what node-problem-detector says of the kernel's log, for pods of which nobody says what the runtime waits for: whatever makes or
// removes a network namespace waits for the device as well.
func findLeakedDevice(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	pods := filter(g, waitsForRuntime)
	f := diagnose.Finding{
		Explains: names(pods), Confidence: diagnose.Possible, Alternatives: []string{"kernel-hung-task", "runtime-hung"},
		Decide: "Whether the kernel log of node {node} repeats the line for the same device for minutes (journalctl -k), and whether crictl info answers. A line that came once or twice healed by itself.",
	}
	if len(pods) == 0 {
		return f, false
	}
	since, silent := s.Now().Add(-minRecent), true
	for _, p := range pods {
		if p.Since.Before(since) {
			since = p.Since.Add(-10 * time.Minute) // the kernel speaks before the pods are seen to hang
		}
		silent = silent && diagnose.Silent(s, p)
	}
	if n := s.Node(g.Node); n != nil {
		if c := snapshot.NodeCondition(n, "FrequentUnregisterNetDevice"); c != nil && c.Status == corev1.ConditionTrue {
			f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
		}
	}
	f.Evidence = append(f.Evidence, nodeSaid(s, g.Node, since, "UnregisterNetDevice")...)
	if silent {
		f.Confidence = diagnose.Likely
	}
	f.Message = fmt.Sprintf("The kernel of node %s reports a network device that it cannot remove, with %s stuck there.", g.Node, count(len(pods), "pod"))
	return f, len(f.Evidence) > 0
}

// notTheDevice are the words of a network plugin or of the way to it, which end a sandbox's removal for reasons of their own.
func notTheDevice() []string {
	return []string{"failed to destroy network", "plugin type=", "networkPlugin cni", "unauthorized", "connection refused", "i/o timeout", "failed to stop container"}
}
