package storage

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// elsewhere are the words of the scheduler (volumebinding, and volumezone for a volume with a label of a zone), and of a kubelet that was given the pod
// nevertheless (pkg/volume/util/operationexecutor, storage helpers CheckNodeAffinity).
var elsewhere = diagnose.Text{Any: []string{
	"volume node affinity conflict", "didn't match PersistentVolume's node affinity", "MountVolume.NodeAffinity check failed", "MapVolume.NodeAffinity check failed",
	"had no available volume zone",
}}

func pvNodeAffinityConflict() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST320", Slug: "pv-node-affinity-conflict", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The pod's volume can only be used on nodes that the pod cannot go to",
			Symptom: "The pod is Pending with \"had volume node affinity conflict\" or, in newer versions, \"didn't match PersistentVolume's node affinity\".",
			Mechanism: "A local volume lives on one node, a cloud disk in one zone; the PersistentVolume says so in spec.nodeAffinity. When the nodes there are full, cordoned, " +
				"tainted or gone, or the pod's own rules send it elsewhere, no node is left. The volume does not move by itself.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get pv {subject} -o jsonpath={.spec.nodeAffinity}",
				"kubectl get nodes --show-labels",
			},
			Remedies: []diagnose.Remedy{
				{ID: "make-room-there", Risk: diagnose.RiskLow, Text: "Make a node fit where the volume is: uncordon it, add one in that zone, or align the pod's nodeSelector and affinity.", Command: "kubectl get pv {subject} -o jsonpath={.spec.nodeAffinity}"},
				{ID: "restore-elsewhere", Risk: diagnose.RiskHigh, Text: "If the node or zone is gone for good: restore a backup or snapshot into a new claim. Deleting the old claim deletes the data that is left, unless its volume's reclaim policy is Retain."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity",
				"https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode",
				"kubernetes: pkg/scheduler/framework/plugins/volumebinding/binder.go",
			},
		},
		Pod: findAffinityConflict,
		Log: []diagnose.LogMatch{{Text: elsewhere}},
	}
}

func findAffinityConflict(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Confidence: diagnose.Likely, Evidence: scheduling(s, p, elsewhere)}
	if mounting(p) {
		f.Evidence = diagnose.Said(s, p, elsewhere)
	}
	if len(f.Evidence) == 0 {
		return f, false
	}
	f.Message = fmt.Sprintf("No node that pod %s/%s may use can use its volume.", p.Ref.Namespace, p.Ref.Name)
	for _, v := range volume.Of(s, p.Object) {
		if v.PV == nil || v.PV.Spec.NodeAffinity == nil || v.PV.Spec.NodeAffinity.Required == nil {
			continue
		}
		where := wanted(v.PV.Spec.NodeAffinity.Required)
		f.Subject = v.Ref(p.Ref.Namespace)
		f.Message = fmt.Sprintf("Volume %s (claim %s) can only be used where %s, and no such node takes the pod.", v.PV.Name, v.Claim, where)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: f.Subject.String(), Field: "spec.nodeAffinity", Value: where})
		break
	}
	if only(f.Evidence[0].Value) {
		f.Confidence = diagnose.Certain
	}
	return f, true
}

// only tells whether the scheduler gives no other reason for any node. What it says of preemption repeats the
// reasons and is no reason of its own.
func only(message string) bool {
	_, reasons, ok := strings.Cut(message, "nodes are available: ")
	if !ok {
		return false
	}
	reasons, _, _ = strings.Cut(reasons, "preemption:")
	return !strings.Contains(strings.TrimSuffix(strings.TrimSpace(reasons), "."), ", ")
}

// wanted words what a volume asks of a node.
func wanted(sel *corev1.NodeSelector) string {
	var terms []string
	for _, t := range sel.NodeSelectorTerms {
		var all []string
		for _, e := range t.MatchExpressions {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Key, strings.ToLower(string(e.Operator)), strings.Join(e.Values, ", "))))
		}
		terms = append(terms, strings.Join(all, " and "))
	}
	return strings.Join(terms, " or ")
}
