package node

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeDeletedCloudVMGone() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST106", Slug: "node-deleted-cloud-vm-gone", Reach: scope.ReachNode,
		Needs:    []snapshot.Kind{snapshot.Node},
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The node no longer exists",
			Symptom: "Pods are bound to a node that is not in the list of nodes any more, and no kubelet answers for it.",
			Mechanism: "An autoscaler, a cloud controller or a person removed the machine and its Node object. PodGC removes pods of missing " +
				"nodes after a quarantine of 40 seconds, in a loop of 20 seconds: it marks them Failed and deletes them. A pod that outlives this is " +
				"held by a finalizer, or PodGC does not run, or its write is refused.",
			Confirm: []string{
				"kubectl get node {node}",
				"kubectl get pods -A --field-selector spec.nodeName={node}",
				"kubectl get lease kube-controller-manager -n kube-system -o yaml",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait-for-podgc", Risk: diagnose.RiskNone, Text: "Wait a minute: PodGC does the rest.", Command: "kubectl get pod {pod} -n {namespace} -o yaml"},
				{ID: "check-controller-manager", Risk: diagnose.RiskNone, Text: "If nothing happens: see whether kube-controller-manager is alive, and whether a webhook refuses its update of pods/status.", Command: "kubectl get lease kube-controller-manager -n kube-system -o yaml"},
				{ID: "force-delete-pod", Risk: diagnose.RiskHigh, Text: "When the machine is known to be gone: remove the pod from the API. On a machine that still runs, its containers go on unseen. Volumes may stay attached on paper until the attach-detach controller has let them go.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection",
				"kubernetes: pkg/controller/podgc/gc_controller.go",
			},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			alive := g.Facts.LeaseAge >= 0 && !g.Facts.LeaseStale
			if s.Has(snapshot.Node, "", g.Node) != snapshot.Absent || alive || reportedSince(s, g).Object != "" {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{
				Confidence: diagnose.Likely, Explains: refs(g, onMissingNode),
				Evidence: []diagnose.Evidence{{Object: "node " + g.Node, Field: "metadata", Value: "does not exist"}},
				Message: fmt.Sprintf("Node %s does not exist any more and no kubelet renews its lease; PodGC should have removed %s bound to it.",
					g.Node, count(len(refs(g, onMissingNode)), "pod")),
				Alternatives: []string{"node-object-deleted-kubelet-alive"},
				Decide:       "Whether the machine behind {node} still runs: if it does, so may the containers, although no pod shows them.",
			}
			if g.Facts.LeaseAge < 0 && !g.Facts.NoLease {
				f.Confidence = diagnose.Possible
				f.Message = fmt.Sprintf("Node %s does not exist any more; whether its kubelet still runs could not be read. PodGC should have removed %s bound to it.",
					g.Node, count(len(refs(g, onMissingNode)), "pod"))
			}
			if g.Facts.LeaseAge >= 0 {
				f.Evidence = append(f.Evidence, leaseEvidence(g.Node, g.Facts))
			}
			for _, p := range g.Stuck {
				if c := snapshot.PodCondition(p.Object, corev1.DisruptionTarget); c != nil && c.Reason == "DeletionByPodGC" {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.conditions[DisruptionTarget]", Value: c.Reason + ": " + c.Message})
					break
				}
			}
			return f, len(f.Explains) > 0
		},
	}
}
