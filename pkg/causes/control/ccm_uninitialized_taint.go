package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// uninitializedTaint keeps pods off a node until the cloud controller manager knows it
// (k8s.io/cloud-provider/api TaintExternalCloudProvider).
const uninitializedTaint = "node.cloudprovider.kubernetes.io/uninitialized"

// cloudControllerManager is the name of its lease (k8s.io/cloud-provider/options), and part of its pods' names.
const cloudControllerManager = "cloud-controller-manager"

func ccmUninitializedTaint() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST513", Slug: "ccm-uninitialized-taint",
		Doc: diagnose.Doc{
			Title:   "Nodes wait for the cloud controller manager to initialize them",
			Symptom: "Pods stay Pending; the scheduler speaks of an untolerated taint, and nodes carry node.cloudprovider.kubernetes.io/uninitialized long after they joined.",
			Mechanism: "A kubelet with an external cloud provider registers its node with that taint. The cloud controller manager removes it when it found the machine in the cloud's API. " +
				"If it does not run (often because it is Pending itself), has no credentials, or does not find the machine, the taint stays.",
			Confirm: []string{
				"kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints[*].key,PROVIDER:.spec.providerID",
				"kubectl get pods -A -l 'k8s-app in (cloud-controller-manager,openstack-cloud-controller-manager)'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-ccm", Risk: diagnose.RiskNone, Text: "Bring the cloud controller manager up and read its log: credentials, the node's name in the cloud, its own tolerations. It has to tolerate this taint itself.", Command: "kubectl get pods -o wide -n kube-system"},
				{ID: "remove-taint", Risk: diagnose.RiskMedium, Text: "If the cluster is meant to run without a cloud controller manager, set the kubelets' cloud provider accordingly and remove the taint. Load balancers, zones and the removal of nodes whose machine is gone do not work then."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/administer-cluster/running-cloud-controller/",
				"https://kubernetes.io/docs/reference/labels-annotations-taints/#node-cloudprovider-kubernetes-io-uninitialized",
			},
		},
		Reach:    scope.ReachCluster,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Lease, snapshot.Node},
		Log: []diagnose.LogMatch{
			// k8s.io/cloud-provider/controllers/node, and the scheduler.
			{Text: diagnose.Text{All: []string{"failed to get instance metadata for node"}}},
			{Text: diagnose.Text{All: []string{"failed to get node modifiers from cloud provider"}}},
			{Text: diagnose.Text{All: []string{"untolerated taint", uninitializedTaint}}, Confidence: diagnose.Certain},
		},
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			f := diagnose.Finding{
				Subject:    snapshot.Ref{Kind: snapshot.Lease, Namespace: metav1.NamespaceSystem, Name: cloudControllerManager},
				Confidence: diagnose.Certain,
			}
			if !s.Complete(snapshot.Node, "") {
				return byScheduler(s, r, f)
			}
			nodes, free := 0, 0
			for _, n := range s.Nodes() {
				t := uninitialized(n)
				switch {
				case t == nil:
					if !n.Spec.Unschedulable && !keepsOthersOff(n) {
						free++
					}
					continue
				case s.Now().Sub(n.CreationTimestamp.Time) < settled:
					continue // it joined a moment ago
				}
				nodes++
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + n.Name, Field: "spec.taints", Value: t.ToString()})
			}
			if nodes == 0 {
				return nil
			}
			for _, p := range all(r) {
				if p.State == stuck.Unschedulable && p.Node == "" && !toleratesKey(p.Object, uninitializedTaint) && turnedAwayByTaints(s, p.Pod) {
					f.Explains = append(f.Explains, p.Ref)
				}
			}
			if len(f.Explains) == 0 {
				return nil
			}
			if free > 0 {
				f.Confidence = diagnose.Possible // other nodes turned the pods away for other reasons
			}
			f.Message = fmt.Sprintf("%s of %d still carry the taint %s: the cloud controller manager has not initialized them, and %s for room.",
				count(nodes, "node"), len(s.Nodes()), uninitializedTaint, waitVerb(len(f.Explains)))
			f.Message += itself(s, r)
			if l := s.Lease(metav1.NamespaceSystem, cloudControllerManager); l != nil && l.Spec.RenewTime != nil {
				f.Evidence = append(f.Evidence, diagnose.Evidence{
					Object: "lease " + metav1.NamespaceSystem + "/" + cloudControllerManager, Field: "spec.renewTime", Value: l.Spec.RenewTime.UTC().Format(time.RFC3339),
				})
			}
			return []diagnose.Finding{f}
		},
	}
}

// itself says what is known of the cloud controller manager: it has a lease like other controllers, and its own pods may be among those that wait.
func itself(s *snapshot.Snapshot, r scope.Result) string {
	for _, p := range all(r) {
		if strings.Contains(p.Ref.Name, cloudControllerManager) && p.Node == "" {
			return fmt.Sprintf(" Its own pod %s/%s has no node either: it has to tolerate the taint.", p.Ref.Namespace, p.Ref.Name)
		}
	}
	switch {
	case freshLease(s, cloudControllerManager):
		return " It runs, so its log tells what it misses: credentials, or the machine behind the node."
	case s.Has(snapshot.Lease, metav1.NamespaceSystem, cloudControllerManager) == snapshot.Present:
		return " Its lease is not renewed: it does not run."
	default:
		return ""
	}
}

// byScheduler goes by what the scheduler says of the pods, where not every node could be read. Newer schedulers name no taints.
func byScheduler(s *snapshot.Snapshot, r scope.Result, f diagnose.Finding) []diagnose.Finding {
	f.Confidence = diagnose.Likely
	for _, p := range all(r) {
		said, ev := schedulersWord(s, p.Pod)
		if p.State != stuck.Unschedulable || p.For < settled || !strings.Contains(said, uninitializedTaint) {
			continue
		}
		f.Explains = append(f.Explains, p.Ref)
		f.Evidence = append(f.Evidence, ev)
		said, _, _ = strings.Cut(said, " preemption: ")
		if strings.Contains(strings.ReplaceAll(said, ", that the pod didn't tolerate", ""), ", ") {
			f.Confidence = diagnose.Possible // other nodes turned the pod away for other reasons
		}
	}
	if len(f.Explains) == 0 {
		return nil
	}
	f.Message = fmt.Sprintf("The scheduler finds nodes with the taint %s, which the cloud controller manager has not taken away, and %s for room.", uninitializedTaint, waitVerb(len(f.Explains)))
	return []diagnose.Finding{f}
}

// turnedAwayByTaints tells whether the scheduler speaks of taints, or of nothing at all. A pod that it did not hold against any node waits for
// something else, a claim for instance.
func turnedAwayByTaints(s *snapshot.Snapshot, p stuck.Pod) bool {
	said, _ := schedulersWord(s, p)
	return said == "" || strings.Contains(said, "taint")
}

// schedulersWord is the last that the scheduler said of the pod: in its condition, or, where that is empty, in its last event; empty where it said nothing.
func schedulersWord(s *snapshot.Snapshot, p stuck.Pod) (string, diagnose.Evidence) {
	if c := snapshot.PodCondition(p.Object, corev1.PodScheduled); c != nil && c.Message != "" {
		return c.Message, diagnose.Evidence{Object: p.Ref.String(), Field: "status.conditions[PodScheduled]", Value: c.Message}
	}
	for _, e := range slices.Backward(diagnose.Events(s, p)) {
		if e.Reason == "FailedScheduling" && strings.Contains(e.Message, "nodes are available") {
			return e.Message, diagnose.EventEvidence(e)
		}
	}
	return "", diagnose.Evidence{}
}

func uninitialized(n *corev1.Node) *corev1.Taint {
	for i := range n.Spec.Taints {
		if n.Spec.Taints[i].Key == uninitializedTaint {
			return &n.Spec.Taints[i]
		}
	}
	return nil
}

// keepsOthersOff tells whether the node carries a taint that keeps ordinary pods away.
func keepsOthersOff(n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute {
			return true
		}
	}
	return false
}

func toleratesKey(p *corev1.Pod, key string) bool {
	for _, t := range p.Spec.Tolerations {
		if t.Key == key || t.Key == "" && t.Operator == corev1.TolerationOpExists {
			return true
		}
	}
	return false
}
