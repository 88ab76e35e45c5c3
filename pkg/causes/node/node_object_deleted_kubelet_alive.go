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

func nodeObjectDeletedKubeletAlive() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST105", Slug: "node-object-deleted-kubelet-alive", Reach: scope.ReachNode,
		Needs:    []snapshot.Kind{snapshot.Node},
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Lease},
		Doc: diagnose.Doc{
			Title:   "The Node object was deleted while its kubelet runs",
			Symptom: "Pods are bound to a node that `kubectl get nodes` does not list, yet its kubelet still renews its lease or reports events.",
			Mechanism: "A kubelet registers its node only when it starts. When somebody deletes the object in between, PodGC removes the node's pods " +
				"from the API about a minute later while their containers go on running, and the kubelet cannot write their status any more.",
			Confirm: []string{
				"kubectl get node {node}",
				"kubectl get lease {node} -n kube-node-lease -o yaml",
				"kubectl get pods -A --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "On the machine: restart the kubelet. It registers the node again and ends the containers whose pods are gone. Labels, taints and annotations that were set by hand have to be set again; pods with devices of a device plugin may be rejected."},
				{ID: "stop-containers", Risk: diagnose.RiskHigh, Text: "Where the machine is to go for good: stop its containers (crictl stop) or power it off before its workloads start elsewhere on the same volumes. What they have not written yet is lost."},
			},
			Refs: []string{
				"https://github.com/kubernetes/kubernetes/issues/115761",
				"https://kubernetes.io/docs/concepts/architecture/nodes/#self-registration-of-nodes",
				"kubernetes: pkg/controller/podgc/gc_controller.go",
			},
		},
		Node: findKubeletAlive,
	}
}

func findKubeletAlive(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	if s.Has(snapshot.Node, "", g.Node) != snapshot.Absent {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Confidence: diagnose.Certain,
		Explains:   refs(g, onMissingNode),
		Evidence:   []diagnose.Evidence{{Object: "node " + g.Node, Field: "metadata", Value: "does not exist"}},
	}
	if len(f.Explains) == 0 && len(g.Stuck) > 0 {
		return f, false
	}
	switch seen := seenAlive(s, g); {
	case seen.Object == "":
		return f, false
	default:
		f.Evidence = append(f.Evidence, seen)
	}
	f.Message = fmt.Sprintf("There is no Node object %s, yet its kubelet is alive: the containers of its pods go on running after the pods are gone from the API.", g.Node)
	return f, true
}

// onMissingNode tells whether the pod waits because its node has no object.
func onMissingNode(p stuck.Pod) bool { return p.Stage == stuck.NodeGone || p.State == stuck.NodeLost }

// seenAlive cites a sign that the kubelet outlived its Node object: a lease renewed just now, or an event that it
// reported after PodGC had found the node missing.
func seenAlive(s *snapshot.Snapshot, g scope.Group) diagnose.Evidence {
	if l := s.NodeLease(g.Node); l != nil && l.Spec.RenewTime != nil {
		if age := s.Now().Sub(l.Spec.RenewTime.Time); age < time.Minute {
			return diagnose.Evidence{Object: "lease kube-node-lease/" + g.Node, Field: "spec.renewTime", Value: "renewed " + scope.Ago(max(age, 0))}
		}
	}
	return reportedSince(s, g)
}

// reportedSince cites an event that the kubelet reported after PodGC had found its node missing.
func reportedSince(s *snapshot.Snapshot, g scope.Group) diagnose.Evidence {
	var collected time.Time
	for _, p := range g.Stuck {
		c := snapshot.PodCondition(p.Object, corev1.DisruptionTarget)
		if c != nil && c.Reason == "DeletionByPodGC" && (collected.IsZero() || c.LastTransitionTime.Time.Before(collected)) {
			collected = c.LastTransitionTime.Time
		}
	}
	if collected.IsZero() {
		return diagnose.Evidence{}
	}
	for _, p := range g.Stuck {
		for _, e := range s.Events(p.Ref) {
			if e.Component == "kubelet" && e.Host == g.Node && e.Last.After(collected.Add(time.Minute)) {
				return diagnose.EventEvidence(e)
			}
		}
	}
	return diagnose.Evidence{}
}
