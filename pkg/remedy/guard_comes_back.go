package remedy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func comesBack() Guard {
	return Guard{
		Name:     "comes-back",
		Prevents: "The pod is deleted, made again on the same broken node, and hangs there as before; or its replacement waits for a volume that the node does not let go.",
		For:      changes(),
		Needs: []snapshot.Kind{
			snapshot.Node, snapshot.Lease, snapshot.ReplicaSet, snapshot.StatefulSet, snapshot.Job, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.VolumeAttachment,
		},
		Check: func(c *Case, _ Remedy) []Verdict {
			p := c.Pod.Object
			if p == nil || c.Pod.Node == "" {
				return nil
			}
			owner := metav1.GetControllerOf(p)
			if owner == nil || isGroup(owner, "Node", "") {
				return nil // nobody makes another
			}
			f := scope.Facts(c.S, c.Pod.Node)
			if !f.Broken() && f.Ready != "" && c.Reach != scope.ReachNode {
				return nil
			}
			if v, ok := c.pinnedVerdict(owner, f); ok {
				return []Verdict{v}
			}
			return c.multiAttach(owner)
		},
	}
}

// pinnedVerdict speaks of a pod whose replacement can go to no other node.
func (c *Case) pinnedVerdict(owner *metav1.OwnerReference, f scope.NodeFacts) (Verdict, bool) {
	p := c.Pod.Object
	daemon := isGroup(owner, "DaemonSet", "apps")
	why := "it is a pod of DaemonSet " + owner.Name
	ev := podEvidence(c, "metadata.ownerReferences", owner.Kind+"/"+owner.Name)
	if !daemon {
		why, ev = c.pinned(owner)
		if why == "" {
			return Verdict{}, false
		}
	}
	v := Verdict{Level: Warn, WouldNotHelp: true, Evidence: append([]diagnose.Evidence{ev}, c.nodeEvidence()...)}
	switch {
	case f.Exists == snapshot.Absent && daemon:
		return Verdict{}, false // a node that does not exist gets none
	case f.Exists == snapshot.Absent:
		v.Reason = fmt.Sprintf("The replacement of %s can run nowhere: %s, and that node does not exist.", c.Pod.Ref, why)
	case daemon && c.keepsOut() != "":
		v.Reason = fmt.Sprintf("No replacement of %s comes: %s, node %s has the taint %s, which the pod does not tolerate, and its controller makes none there until that is gone. Mend the node first (kubectl stuck node %s).",
			c.Pod.Ref, why, c.Pod.Node, c.keepsOut(), c.Pod.Node)
	case f.Ready == "":
		v.WouldNotHelp = false
		v.Reason = fmt.Sprintf("The replacement of %s comes back to node %s: %s. Whether that node works could not be seen.", p.Name, c.Pod.Node, why)
	default:
		v.Reason = fmt.Sprintf("The replacement of %s comes back to node %s, which is what is broken (%s): %s. Mend the node first (kubectl stuck node %s).", c.Pod.Ref, c.Pod.Node, f, why, c.Pod.Node)
	}
	return v, true
}

// pinned says what binds every pod of the owner to the node; empty where nothing is seen to. A pod that runs has spec.nodeName whoever chose it, so there the
// owner's template tells.
func (c *Case) pinned(owner *metav1.OwnerReference) (string, diagnose.Evidence) {
	p, node := c.Pod.Object, c.Pod.Node
	host := node
	if n := c.S.Node(node); n != nil && n.Labels[corev1.LabelHostname] != "" {
		host = n.Labels[corev1.LabelHostname]
	}
	if t := c.template(owner); t != nil && t.Spec.NodeName == node {
		return "spec.nodeName of its template is that node", diagnose.Evidence{Object: strings.ToLower(owner.Kind) + " " + p.Namespace + "/" + owner.Name, Field: "spec.template.spec.nodeName", Value: node}
	}
	if p.Spec.NodeSelector[corev1.LabelHostname] == host {
		return "its nodeSelector names that node", podEvidence(c, "spec.nodeSelector", corev1.LabelHostname+"="+host)
	}
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil && onlyNode(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution, node, host) {
		return "its node affinity allows that node alone", podEvidence(c, "spec.affinity.nodeAffinity", host)
	}
	for _, v := range volume.Of(c.S, p) {
		if v.PV != nil && v.PV.Spec.NodeAffinity != nil && onlyNode(v.PV.Spec.NodeAffinity.Required, node, host) && v.Source.Ephemeral == nil {
			return fmt.Sprintf("its volume %s is on that node alone", v.Describe()), diagnose.Evidence{Object: "persistentvolume " + v.PV.Name, Field: "spec.nodeAffinity", Value: host}
		}
	}
	return "", diagnose.Evidence{}
}

func (c *Case) template(owner *metav1.OwnerReference) *corev1.PodTemplateSpec {
	ns := c.Pod.Ref.Namespace
	if rs := c.S.ReplicaSet(ns, owner.Name); rs != nil && isGroup(owner, "ReplicaSet", "apps") {
		return &rs.Spec.Template
	}
	if s := c.S.StatefulSet(ns, owner.Name); s != nil && isGroup(owner, "StatefulSet", "apps") {
		return &s.Spec.Template
	}
	if j := c.S.Job(ns, owner.Name); j != nil && isGroup(owner, "Job", "batch") {
		return &j.Spec.Template
	}
	return nil
}

// onlyNode tells whether each term of the selector, of which one has to hold, admits the node and no other.
func onlyNode(s *corev1.NodeSelector, node, host string) bool {
	if s == nil || len(s.NodeSelectorTerms) == 0 {
		return false
	}
	one := func(r corev1.NodeSelectorRequirement, key, value string) bool {
		return r.Key == key && r.Operator == corev1.NodeSelectorOpIn && len(r.Values) == 1 && r.Values[0] == value
	}
	return !slices.ContainsFunc(s.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		byLabel := slices.ContainsFunc(t.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool { return one(r, corev1.LabelHostname, host) })
		byName := slices.ContainsFunc(t.MatchFields, func(r corev1.NodeSelectorRequirement) bool { return one(r, metav1.ObjectNameField, node) })
		return !byLabel && !byName
	})
}

// multiAttach speaks of a volume that the replacement gets only when the node has let go of it. A node that is out of service, or does not exist, is made to.
func (c *Case) multiAttach(owner *metav1.OwnerReference) []Verdict {
	n := c.S.Node(c.Pod.Node)
	if n == nil || outOfService(n) {
		return nil
	}
	for _, v := range volume.Of(c.S, c.Pod.Object) {
		here, _ := volume.Attachments(c.S, v.VolumeName(), c.Pod.Node)
		if here == nil || !oneNode(v) || v.Source.Ephemeral != nil {
			continue
		}
		return []Verdict{{
			Level: Warn, WouldNotHelp: true,
			Reason: fmt.Sprintf("The replacement that %s %s makes of %s needs volume %s, which is attached to node %s: it waits (Multi-Attach error) until that is detached, by force after 6m at the "+
				"earliest. The taint %s on a node that is off frees it at once.", owner.Kind, owner.Name, c.Pod.Ref, v.Describe(), c.Pod.Node, corev1.TaintNodeOutOfService),
			Evidence: append([]diagnose.Evidence{volume.AttachmentEvidence(here)}, c.nodeEvidence()...),
		}}
	}
	return nil
}
