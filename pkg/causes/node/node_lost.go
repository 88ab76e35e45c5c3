package node

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func nodeLost() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST101", Slug: "node-lost", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.Lease},
		Doc: diagnose.Doc{
			Title:   "The node is off, has crashed, or cannot be reached",
			Symptom: "The node is NotReady with Ready=Unknown, its lease is no longer renewed, and pods on it stay Terminating or Unknown.",
			Mechanism: "Only the kubelet of a pod's node may say that its containers stopped. While the kubelet is silent the API server keeps " +
				"the pods, because their processes may still run and write to their volumes. About 50 seconds after the last heartbeat the node " +
				"controller sets Ready=Unknown and taints the node; pods that tolerate the taint for 300 seconds are then marked for deletion, " +
				"and wait for a kubelet that does not answer.",
			Confirm: []string{
				"kubectl get node {node} -o wide",
				"kubectl get lease {node} -n kube-node-lease -o yaml",
				"kubectl describe node {node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "find-out-power-state", Risk: diagnose.RiskNone, Text: "Find out from the cloud console, the BMC or by SSH whether the machine is off or only cut off. Everything below depends on it.", Command: "kubectl describe node {node}"},
				{ID: "bring-node-back", Risk: diagnose.RiskLow, Text: "Start the machine, its network or its kubelet. The kubelet then finishes the deletions by itself."},
				{ID: "out-of-service", Risk: diagnose.RiskDataLoss, Text: "Only when the machine is known to be powered off and stays off: taint it as out of service. Its pods are removed and its volumes detached at once. On a node that is merely cut off this makes two writers. Remove the taint by hand afterwards.", Command: "kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"},
				{ID: "delete-node", Risk: diagnose.RiskDataLoss, Text: "Only for a machine that will not come back: delete the Node object. PodGC then removes its pods. Labels, taints and annotations of the node are lost, and containers of a machine that is still on go on running.", Command: "kubectl delete node {node}"},
				{ID: "force-delete-pod", Risk: diagnose.RiskDataLoss, Text: "Remove a single pod from the API. Its containers may go on running; for a StatefulSet you vouch that they do not.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown",
				"https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/",
				"https://kubernetes.io/docs/concepts/architecture/nodes/",
				"kubernetes: pkg/controller/nodelifecycle/node_lifecycle_controller.go",
			},
		},
		Pod:  findLostByPod,
		Node: findNodeLost,
		// In what kubectl describe printed, and in the log of the controller manager.
		Log: append(diagnose.LinesOf(diagnose.Likely, silentToo(), "Whether the machine is powered off, cut off, or up with a dead kubelet: its cloud console, its BMC or a login tells.",
			diagnose.Saying("Kubelet stopped posting node status"), diagnose.Saying("Node is unresponsive. Adding it to the Taint queue"), diagnose.Saying("Kubelet never posted node status"),
			diagnose.Saying("hasn't been updated for", "Last Ready"),
		),
			// The kubelet's own log, where it runs and does not get through.
			diagnose.FittingLines([]string{"control-plane-down", "kubelet-client-cert-expired"}, "Whether the API server can be reached from the node (its /readyz with curl), and whether other nodes fail to reach it too.",
				diagnose.Text{All: []string{"failed to ensure lease exists"}, Any: cutOff()}, diagnose.Text{All: []string{"failed to ensure node lease exists"}, Any: cutOff()},
				diagnose.Text{All: []string{"Failed to update lease"}, Any: cutOff()}, diagnose.Text{All: []string{"failed to update node lease"}, Any: cutOff()},
				diagnose.Text{All: []string{"Error updating node status, will retry"}, Any: cutOff()}, diagnose.Text{All: []string{"Unable to register node"}, Any: cutOff()},
			)...,
		),
	}
}

// cutOff are the words of a call to the API server that did not get through.
func cutOff() []string {
	return []string{
		"i/o timeout", "Client.Timeout", "connection refused", "no route to host", "network is unreachable", "TLS handshake timeout", "context deadline exceeded", "request canceled",
		"connection reset", "http2: client connection lost", "no such host", "unexpected EOF",
	}
}

// silentToo are the causes for which a node falls silent as one does that is off.
func silentToo() []string {
	return []string{"kubelet-dead-node-up", "kubelet-client-cert-expired", "rejected-cgroup-v1", "node-shutdown-ungraceful"}
}

// findLostByPod judges a pod whose node could not be read by what the control plane wrote about the pod: the taint manager deleted it, or the
// node controller found its node not ready, and its kubelet has said nothing since.
func findLostByPod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Node == "" || p.Object == nil || s.Has(snapshot.Node, "", p.Node) != snapshot.Unknown || !waitsForKubelet(p) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: snapshot.Ref{Kind: snapshot.Node, Name: p.Node}, Confidence: diagnose.Possible,
		Alternatives: silentToo(),
		Decide:       "The state of node {node}, which could not be read: kubectl get node {node}.",
	}
	var from time.Time
	c := snapshot.PodCondition(p.Object, corev1.DisruptionTarget)
	if p.State == stuck.Terminating && c != nil && c.Status == corev1.ConditionTrue && c.Reason == "DeletionByTaintManager" { // pkg/controller/tainteviction
		from = c.LastTransitionTime.Time
		f.Message = fmt.Sprintf("A taint of node %s had pod %s/%s deleted, and the node has not confirmed the end of its containers.", p.Node, p.Ref.Namespace, p.Ref.Name)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.conditions[DisruptionTarget]", Value: c.Reason + ": " + c.Message})
	}
	var heard time.Time
	for _, e := range s.Events(p.Ref) {
		switch {
		case e.Reason == "NodeNotReady": // pkg/controller/util/node MarkPodsNotReady
			if e.Last.After(from) {
				from = e.Last
			}
			f.Confidence = diagnose.Likely
			f.Message = fmt.Sprintf("The node controller found node %s not ready, and nothing was heard of its kubelet since.", p.Node)
			f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
		case e.Component == "kubelet" && e.Last.After(heard):
			heard = e.Last
		}
	}
	return f, len(f.Evidence) > 0 && !heard.After(from)
}

func findNodeLost(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	n := s.Node(g.Node)
	if n == nil || virtual(n) {
		return diagnose.Finding{}, false
	}
	ready := snapshot.NodeCondition(n, corev1.NodeReady)
	unknown := ready != nil && ready.Status == corev1.ConditionUnknown
	fresh := g.Facts.LeaseAge >= 0 && !g.Facts.LeaseStale
	if !unknown && !g.Facts.LeaseStale || unknown && fresh {
		return diagnose.Finding{}, false // it reports, or has begun to again
	}
	if _, up := machineUp(s, n); up {
		return diagnose.Finding{}, false // see kubelet-dead-node-up
	}
	f := diagnose.Finding{
		Explains: refs(g, waitsForKubelet), Confidence: diagnose.Likely,
		Alternatives: silentToo(),
		Decide:       "Whether the machine of node {node} is powered off, cut off, or up with a dead kubelet: ask its cloud console or BMC, or log in. The API shows the same in all three cases.",
	}
	if len(f.Explains) == 0 && len(g.Stuck) > 0 {
		return f, false
	}
	f.Message = fmt.Sprintf("Node %s stopped reporting", g.Node)
	if unknown {
		if since := s.Now().Sub(ready.LastTransitionTime.Time); since > 0 && !ready.LastTransitionTime.IsZero() {
			f.Message = fmt.Sprintf("Node %s stopped reporting: Ready=Unknown for %s", g.Node, scope.Short(since))
		}
		f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *ready))
	} else {
		f.Message += "; the Node object still shows its last status"
	}
	if g.Facts.LeaseAge >= 0 {
		f.Message += fmt.Sprintf(", its lease was renewed %s", scope.Ago(g.Facts.LeaseAge))
		f.Evidence = append(f.Evidence, leaseEvidence(g.Node, g.Facts))
	}
	f.Message += ". Nobody can confirm that its containers stopped."
	for _, t := range n.Spec.Taints {
		if t.Key == corev1.TaintNodeUnreachable || t.Key == corev1.TaintNodeOutOfService {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + n.Name, Field: "spec.taints", Value: t.ToString()})
		}
	}
	return f, true
}
