package node

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// taintShutdown is put on a node whose machine the cloud says is stopped (k8s.io/cloud-provider/api TaintNodeShutdown).
const taintShutdown = "node.cloudprovider.kubernetes.io/shutdown"

func nodeShutdownUngraceful() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST108", Slug: "node-shutdown-ungraceful", Reach: scope.ReachNode,
		Needs:    []snapshot.Kind{snapshot.Node},
		Optional: []snapshot.Kind{snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "The node went without ending its pods, and keeps their volumes and names",
			Symptom: "A node is silent; pods of StatefulSets on it stay Terminating, so that no successor is made, and its volumes stay attached to it.",
			Mechanism: "A machine that is switched off, crashes or is stopped by its cloud without an orderly shutdown leaves everything as it was in the API. The pods wait for a " +
				"kubelet that does not run, a StatefulSet waits for the names of its pods, and a volume is detached by force only six minutes after its pod was deleted.",
			Confirm: []string{
				"kubectl get node {node} -o jsonpath={.spec.taints}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl get volumeattachments",
			},
			Remedies: []diagnose.Remedy{
				{ID: "start-machine", Risk: diagnose.RiskLow, Text: "Start the machine: its kubelet finishes the deletions."},
				{ID: "out-of-service", Risk: diagnose.RiskDataLoss, Text: "Only when the machine is verified to be powered off and stays off: taint it as out of service. Its pods are removed and its volumes detached at once. On a machine that runs this makes two writers. Remove the taint by hand afterwards.", Command: "kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown",
				"https://github.com/kubernetes/enhancements/tree/master/keps/sig-storage/2268-non-graceful-shutdown", "https://github.com/kubernetes/kubernetes/issues/49894",
				"kubernetes: staging/src/k8s.io/cloud-provider/api/well_known_taints.go",
			},
		},
		Node: findUngraceful,
		Log: diagnose.FittingLines([]string{"node-shutdown-graceful"}, "Whether the log before it ends with an orderly shutdown, or in the middle of things.",
			// Said at the next start: journald closes its files when the machine goes down in order, mostly.
			diagnose.Saying("corrupted or uncleanly shut down, renaming and replacing"),
			diagnose.Text{All: []string{"has been rebooted, boot id"}}, diagnose.Text{All: []string{"-- Reboot --"}}, diagnose.Text{All: []string{"Fs was not properly unmounted"}}),
	}
}

func findUngraceful(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	n := s.Node(g.Node)
	if n == nil || virtual(n) {
		return diagnose.Finding{}, false
	}
	ready := snapshot.NodeCondition(n, corev1.NodeReady)
	if ready == nil || ready.Status == corev1.ConditionTrue || g.Facts.LeaseAge >= 0 && !g.Facts.LeaseStale || strings.Contains(ready.Message, "node is shutting down") {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Explains: refs(g, waitsForKubelet), Confidence: diagnose.Possible, Evidence: []diagnose.Evidence{diagnose.NodeConditionEvidence(n, *ready)}}
	held := refs(g, func(p stuck.Pod) bool {
		return waitsForKubelet(p) && p.State == stuck.Terminating && p.Owner.Kind == snapshot.StatefulSet
	})
	var volumes []string
	for _, va := range s.VolumeAttachments() {
		if va.Spec.NodeName == g.Node && va.Status.Attached && va.Spec.Source.PersistentVolumeName != nil {
			volumes = append(volumes, *va.Spec.Source.PersistentVolumeName)
		}
	}
	off := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintShutdown })
	if len(f.Explains) == 0 || off < 0 && len(held) == 0 && len(volumes) == 0 {
		return f, false
	}
	for _, ref := range held[:min(len(held), 3)] {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: ref.String(), Field: "metadata.ownerReferences", Value: "a StatefulSet, which makes no successor before it is gone"})
	}
	for _, v := range volumes[:min(len(volumes), 3)] {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "volumeattachments of node " + g.Node, Field: "status.attached", Value: v})
	}
	keeps := ""
	if len(held)+len(volumes) > 0 {
		keeps = fmt.Sprintf(" It keeps the names of %s of StatefulSets and %s.", count(len(held), "pod"), count(len(volumes), "attached volume"))
	}
	if off >= 0 {
		f.Confidence = diagnose.Certain
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + n.Name, Field: "spec.taints", Value: n.Spec.Taints[off].ToString()})
		f.Message = fmt.Sprintf("The cloud says that the machine of node %s is stopped, and its kubelet did not end its pods before.%s", g.Node, keeps)
		return f, true
	}
	f.Message = fmt.Sprintf("Node %s is silent, and nothing tells of an orderly shutdown.%s", g.Node, keeps)
	f.Alternatives = []string{"node-lost", "kubelet-dead-node-up"}
	f.Decide = "Whether the machine of node {node} is powered off: its cloud console or BMC tells. Only then may it be tainted as out of service."
	return f, true
}
