package node

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeShutdownGraceful() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST107", Slug: "node-shutdown-graceful", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The node was shut down in an orderly way",
			Symptom: "The node says that it is shutting down, or its pods ended with reason Terminated; what is left on it does not move.",
			Mechanism: "With shutdownGracePeriod set, the kubelet holds the machine's shutdown until its pods have ended, rejects new ones with " +
				"reason NodeShutdown, and reports Ready=False. Pods that are marked for deletion after it has gone wait for its return.",
			Confirm: []string{
				"kubectl describe node {node}",
				"kubectl get pods -A --field-selector spec.nodeName={node},status.phase=Failed",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait-for-node", Risk: diagnose.RiskNone, Text: "Wait for the machine to come back, where this is a reboot: its kubelet finishes the deletions."},
				{ID: "delete-leftovers", Risk: diagnose.RiskLow, Text: "Failed pods with reason Terminated or NodeShutdown are leftovers and can be deleted.", Command: "kubectl delete pod {pod} -n {namespace}"},
				{ID: "out-of-service", Risk: diagnose.RiskDataLoss, Text: "Where the machine is verified to be off and stays off: taint it as out of service, so that pods and volumes are released. On a machine that is merely cut off, or comes back, this makes two writers. Remove the taint afterwards.", Command: "kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#graceful-node-shutdown",
				"kubernetes: pkg/kubelet/nodeshutdown/nodeshutdown_manager_linux.go",
				"https://github.com/kubernetes/kubernetes/issues/109531",
			},
		},
		Node: findShutdown,
		Log: append(
			diagnose.LikelyLines(
				diagnose.Saying("Shutdown manager detected new shutdown event"), diagnose.Saying("Shutdown manager processing shutdown event"), diagnose.Saying("imminent node shutdown"), diagnose.Saying("node is shutting down"),
				diagnose.Saying("Pod was rejected as the node is shutting down"), diagnose.Saying("Shutdown manager killing pod with gracePeriod"),
			),
			diagnose.FittingLines([]string{"node-shutdown-ungraceful"}, "Whether the kubelet logged that it ended its pods before (\"Shutdown manager …\").",
				diagnose.Saying("System is powering down"), diagnose.Saying("System is rebooting"), diagnose.Saying("Powering Off"), diagnose.Saying("Reached target Shutdown"), diagnose.Saying("Reached target System Shutdown"))...,
		),
	}
}

func findShutdown(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	n := s.Node(g.Node)
	if n == nil {
		return diagnose.Finding{}, false
	}
	ready := snapshot.NodeCondition(n, corev1.NodeReady)
	if ready == nil || ready.Status == corev1.ConditionTrue {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Explains: refs(g, waitsForKubelet), Evidence: []diagnose.Evidence{diagnose.NodeConditionEvidence(n, *ready)}}
	if len(f.Explains) == 0 && len(g.Stuck) > 0 {
		return f, false
	}
	if strings.Contains(ready.Message, "node is shutting down") {
		f.Confidence = diagnose.Certain
		f.Message = fmt.Sprintf("Node %s is shutting down: it ends its pods and takes no new ones.", g.Node)
		return f, true
	}
	// After the end of the kubelet only its pods remember how it went.
	ended := 0
	pods, _ := s.PodsOnNode(g.Node)
	for _, p := range pods {
		if p.Status.Reason == "Terminated" && strings.Contains(p.Status.Message, "imminent node shutdown") {
			if ended++; ended <= 2 {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: snapshot.RefOf(p).String(), Field: "status.reason", Value: p.Status.Reason + ": " + p.Status.Message})
			}
		}
	}
	f.Confidence = diagnose.Likely
	f.Message = fmt.Sprintf("Node %s does not answer, and an orderly shutdown of the machine ended %s on it.", g.Node, count(ended, "pod"))
	f.Decide = "Whether the machine of node {node} is off or restarting: its cloud console or BMC tells."
	return f, ended > 0
}
