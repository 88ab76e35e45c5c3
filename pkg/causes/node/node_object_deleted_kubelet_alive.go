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
				"https://github.com/kubernetes/kubernetes/issues/115761", "https://github.com/kubernetes/kubernetes/issues/71398",
				"https://kubernetes.io/docs/concepts/architecture/nodes/#self-registration-of-nodes",
				"kubernetes: pkg/controller/podgc/gc_controller.go",
			},
		},
		Node: findKubeletAlive,
		Log: append(
			diagnose.LikelyLines(
				diagnose.Text{All: []string{"Error updating node status, will retry", "not found"}}, diagnose.Text{All: []string{"Error updating node status, will retry", "no node instance returned"}},
			),
			diagnose.FittingLines([]string{"kubelet-dead-node-up"}, "Whether kubectl get node lists the node.",
				diagnose.Saying("Failed to get node when trying to set owner ref to the node lease"))...,
		),
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
	seen, sure := seenAlive(s, g)
	if seen.Object == "" {
		return f, false
	}
	f.Evidence = append(f.Evidence, seen)
	if !sure {
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("There is no Node object %s, and its kubelet was alive shortly before or after it went. If the machine is still there, the containers of its pods go on running after the pods are gone from the API.", g.Node)
		f.Alternatives = []string{"node-deleted-cloud-vm-gone"}
		f.Decide = "Whether the lease of node " + g.Node + " goes on being renewed: look again in a minute."
		return f, true
	}
	f.Message = fmt.Sprintf("There is no Node object %s, yet its kubelet is alive: the containers of its pods go on running after the pods are gone from the API.", g.Node)
	return f, true
}

// onMissingNode tells whether the pod waits because its node has no object.
func onMissingNode(p stuck.Pod) bool { return p.Stage == stuck.NodeGone || p.State == stuck.NodeLost }

// heartbeat is how often a healthy kubelet renews its lease (pkg/kubelet: a quarter of nodeLeaseDurationSeconds, 40).
const heartbeat = 10 * time.Second

// seenAlive cites a sign that the kubelet outlived its Node object: an event that it reported, or a lease that it renewed, after PodGC had found
// the node missing. When a Node was deleted is not recorded, so that a lease alone is sure only where pods have been waiting for PodGC longer than
// the lease is old by far; otherwise its last renewal may have been before.
func seenAlive(s *snapshot.Snapshot, g scope.Group) (seen diagnose.Evidence, sure bool) {
	if e := reportedSince(s, g); e.Object != "" {
		return e, true
	}
	l := s.NodeLease(g.Node)
	if l == nil || l.Spec.RenewTime == nil {
		return diagnose.Evidence{}, false
	}
	age := s.Now().Sub(l.Spec.RenewTime.Time)
	if age >= time.Minute {
		return diagnose.Evidence{}, false
	}
	seen = diagnose.Evidence{Object: "lease kube-node-lease/" + g.Node, Field: "spec.renewTime", Value: "renewed " + scope.Ago(max(age, 0))}
	return seen, age <= 2*heartbeat && !collectedAt(g).IsZero() && l.Spec.RenewTime.After(collectedAt(g).Add(2*heartbeat))
}

// collectedAt is when PodGC first marked a pod of the node for want of it; zero where it did not.
func collectedAt(g scope.Group) time.Time {
	var at time.Time
	for _, p := range g.Stuck {
		c := snapshot.PodCondition(p.Object, corev1.DisruptionTarget)
		if c != nil && c.Reason == "DeletionByPodGC" && (at.IsZero() || c.LastTransitionTime.Time.Before(at)) {
			at = c.LastTransitionTime.Time
		}
	}
	return at
}

// reportedSince cites an event that the kubelet reported after PodGC had found its node missing.
func reportedSince(s *snapshot.Snapshot, g scope.Group) diagnose.Evidence {
	collected := collectedAt(g)
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
