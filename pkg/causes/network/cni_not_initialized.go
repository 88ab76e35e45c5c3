package network

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniNotInitialized() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST401", Slug: "cni-not-initialized",
		Doc: diagnose.Doc{
			Title:   "The node has no working network plugin",
			Symptom: "Pods that need a network of their own stay in ContainerCreating on the node; pods with hostNetwork start. The node is not Ready and says NetworkPluginNotReady.",
			Mechanism: "The runtime finds no valid configuration in /etc/cni/net.d, or could not load it, or does not find the binary that it names in /opt/cni/bin. The network provider's DaemonSet pod writes that file when it runs, " +
				"so its pod is missing on the node, cannot start, or was removed together with the file.",
			Confirm: []string{
				`kubectl get node {node} -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'`,
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "heal-network-provider", Risk: diagnose.RiskNone,
					Text:    "Find why the network provider's DaemonSet pod does not run on this node (image, taint, crash, resources) and mend that. Kubelet takes the new configuration up within seconds.",
					Command: "kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				},
				{
					ID: "restart-network-provider", Risk: diagnose.RiskLow,
					Text: "Delete the provider's pod on this node, if it runs and the file is missing all the same: it writes the file when it starts. Running pods keep their network with most providers.",
				},
				{
					ID: "restart-runtime", Risk: diagnose.RiskMedium,
					Text: "If the file is there and valid, restart the container runtime on the host: it may have lost its watch on the directory. Containers survive that under containerd and CRI-O.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
				"https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/troubleshooting-cni-plugin-related-errors/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kubelet.go",
			},
		},
		Reach:    scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Pod:      cniNotInitializedPod,
		Node:     cniNotInitializedNode,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"NetworkPluginNotReady", "cni plugin not initialized", "cni config uninitialized", "cni config not initialized", "No networks found in /etc/cni/net.d", "no CNI configuration file in",
				"cni config load failed", "no network config found in /etc/cni/net.d", "no valid networks found in /etc/cni/net.d", "Kubenet does not have netConfig", "Missing CNI default network",
				"failed to load cni during init", "Container runtime network not ready",
			}}},
			{
				Text: binaryMissing(), Alternatives: []string{"cni-chained-plugin-dead"},
				Decide: "Whether the plugin's binary is in /opt/cni/bin on the host, and who was to put it there.",
			},
		},
	}
}

// cniNotInitializedNode reads the node's own condition.
func cniNotInitializedNode(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	n := s.Node(g.Node)
	if n == nil {
		return diagnose.Finding{}, false
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	if c == nil || c.Status != corev1.ConditionFalse || !notInitialized().Match(c.Message) {
		return diagnose.Finding{}, false
	}
	a := agentsOn(s, g.Node)
	f := diagnose.Finding{
		Subject:    snapshot.Ref{Kind: snapshot.Node, Name: g.Node},
		Confidence: diagnose.Certain,
		Message:    fmt.Sprintf("Node %s has no working network plugin: its runtime says %s.%s", g.Node, quote(c.Message), a),
		Evidence:   append([]diagnose.Evidence{diagnose.NodeConditionEvidence(n, *c)}, a.ev...),
	}
	for _, p := range g.Stuck {
		if waitsForNetwork(p) || len(notReadyEvents(s, p)) > 0 {
			f.Explains = append(f.Explains, p.Ref)
		}
	}
	// What is stuck on the node for other reasons is not blamed on it.
	return f, len(f.Explains) > 0 || len(g.Stuck) == 0
}

// cniNotInitializedPod reads the pod's events, for a node that was not read or that became Ready again a moment ago.
func cniNotInitializedPod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	ev := notReadyEvents(s, p)
	if len(ev) == 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: ev}
	f.Message = fmt.Sprintf("Node %s had no working network plugin when it last tried to start or stop pods.%s", p.Node, agentsOn(s, p.Node))
	if binaryMissing().Match(last(ev)) {
		// The configuration is there, so that the node is Ready, and the plugin itself is not.
		f.Message = fmt.Sprintf("Node %s lacks a network plugin's binary: %s.%s", p.Node, quote(last(ev)), agentsOn(s, p.Node))
		f.Alternatives = []string{"cni-chained-plugin-dead"}
		f.Decide = "Whether the plugin's binary is in /opt/cni/bin on the host, and who was to put it there."
		f.Confidence = diagnose.Fresh(s, diagnose.Likely, ev)
		return f, true
	}
	if n := s.Node(p.Node); n != nil {
		if c := snapshot.NodeCondition(n, corev1.NodeReady); c != nil && c.Status == corev1.ConditionTrue {
			if ev[len(ev)-1].Last.Before(c.LastTransitionTime.Time) {
				return diagnose.Finding{}, false // it is over
			}
			f.Confidence = diagnose.Possible
		}
	} else if s.Now().Sub(ev[len(ev)-1].Last) > repeated {
		f.Confidence = diagnose.Possible // the node may have got its plugin since
	}
	return f, true
}

// repeated is how often at least kubelet repeats an event that still holds (client-go/tools/record EventSourceObjectSpamFilter: one in 5 minutes).
const repeated = 6 * time.Minute

func notReadyEvents(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	return sandboxEvents(s, p, []string{reasonNotReady, reasonCreate, reasonKill}, says(sayNotInitialized))
}

// waitsForNetwork tells whether the pod still needs its sandbox's network: it starts, has none yet, and does not use
// its node's.
func waitsForNetwork(p stuck.Pod) bool {
	if p.Object == nil || p.Object.Spec.HostNetwork || len(p.Object.Status.PodIPs) > 0 || p.Object.Status.PodIP != "" {
		return false
	}
	switch p.State {
	case stuck.ContainerCreating, stuck.PodInitializing, stuck.Init, stuck.Pending:
	default:
		return false
	}
	c := snapshot.PodCondition(p.Object, corev1.PodReadyToStartContainers)
	return c == nil || c.Status != corev1.ConditionTrue
}
