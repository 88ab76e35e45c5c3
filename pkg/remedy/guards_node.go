package remedy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// machine is the node as the guards of pods see it: what is heard of its kubelet, and whether the person vouches for it.
func (c *NodeCase) machine() *Case {
	return &Case{S: c.S, Pod: stuck.Pod{Node: c.Ref.Name}, Asked: c.Asked, Reach: c.Reach, Group: c.Group}
}

// nodeObject is the Node object; an empty one where there is none.
func (c *NodeCase) nodeObject() *corev1.Node {
	if c.Node == nil {
		return &corev1.Node{}
	}
	return c.Node
}

// takes lists the pods that the deletion of the Node object takes past their kubelet: PodGC deletes them without a grace period. Those that are evicted first
// can stop in order, and count when the deletion itself is judged and they are still there. Static pods are their kubelet's alone.
func (c *NodeCase) takes() []NodePod {
	fates := []Fate{Dropped, WithNode, WithOwner, Finished}
	if c.Asked.Again {
		fates = append(fates, Evicted)
	}
	return c.Of(fates...)
}

// leaves lists the pods that go from the node, in order or not, and that a workload would miss.
func (c *NodeCase) leaves() []NodePod { return c.Of(Evicted, Dropped) }

func (c *NodeCase) cite(field, value string) diagnose.Evidence {
	return diagnose.Evidence{Object: snapshot.Ref{Kind: snapshot.Node, Name: c.Ref.Name}.String(), Field: field, Value: orNone(value)}
}

// readyAndFresh tells whether the node is Ready and its kubelet is not known to be silent.
func (c *NodeCase) readyAndFresh() bool {
	return c.Node != nil && c.Facts.Ready == string(corev1.ConditionTrue) && !c.Facts.LeaseStale
}

// others lists the other nodes, and tells whether they are known to be all.
func (c *NodeCase) others() (nodes []*corev1.Node, all bool) {
	for _, n := range c.S.Nodes() {
		if n.Name != c.Ref.Name {
			nodes = append(nodes, n)
		}
	}
	return nodes, c.S.Complete(snapshot.Node, "")
}

func ready(n *corev1.Node) bool {
	r := snapshot.NodeCondition(n, corev1.NodeReady)
	return r != nil && r.Status == corev1.ConditionTrue
}

// notAll ends a sentence about other nodes where they could not all be read.
func notAll(all bool) string {
	if all {
		return ""
	}
	return ", as far as nodes could be read"
}

// podNames are the names of pods, for a sentence.
func podNames(pods []NodePod) string {
	var names []string
	for _, p := range pods {
		names = append(names, p.Case.standing().name())
	}
	return some(names)
}

// podsCited cites the first few pods.
func podsCited(pods []NodePod, field string, value func(NodePod) string) []diagnose.Evidence {
	var out []diagnose.Evidence
	for _, p := range pods[:min(len(pods), evidencePods)] {
		out = append(out, podEvidence(p.Case, field, orNone(value(p))))
	}
	return out
}

// evidencePods is how many pods a verdict cites; the reason counts all of them.
const evidencePods = 5

// plural gives the word for one, or for several.
func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// sentences joins the first few clauses as one sentence, and counts the rest.
func sentences(clauses []string) string {
	const most = 5
	text := strings.Join(clauses[:min(len(clauses), most)], "; ")
	if len(clauses) > most {
		text += fmt.Sprintf("; and %d more", len(clauses)-most)
	}
	return text
}

// controlRoles are the labels of nodes that run the control plane or its store: those of kubeadm (cmd/kubeadm/app/constants), k3s, RKE2 and RKE.
func controlRoles() []string {
	return []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/controlplane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/etcd"}
}

// controlRole is the first of those labels that the node has; empty where it has none.
func controlRole(n *corev1.Node) string {
	for _, l := range controlRoles() {
		// RKE and k3s write "true", kubeadm nothing. "false" is nobody's, and people write it to say no.
		if v, ok := n.Labels[l]; ok && v != "false" {
			return l
		}
	}
	return ""
}

// controlParts are the static pods of a control plane, by the label component that kubeadm gives them and by how their names begin.
func controlParts() []string {
	return []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
}

// controlPart names the part of the control plane that a static pod is; empty for others.
func controlPart(p *corev1.Pod) string {
	if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; !mirror {
		return ""
	}
	for _, part := range controlParts() {
		if p.Labels["component"] == part || p.Labels["k8s-app"] == part || strings.HasPrefix(p.Name, part+"-") {
			return part
		}
	}
	return ""
}

// controlPlane says by what the node is known to be of the control plane; nothing where it is not.
func (c *NodeCase) controlPlane() (says []string, ev []diagnose.Evidence) {
	if role := controlRole(c.nodeObject()); role != "" {
		says, ev = append(says, "it has the label "+role), append(ev, diagnose.Evidence{Object: c.cite("", "").Object, Field: "metadata.labels", Value: role})
	}
	var parts []string
	for _, p := range c.Pods {
		if part := controlPart(p.Case.Pod.Object); part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
			ev = append(ev, podEvidence(p.Case, "metadata.annotations["+corev1.MirrorPodAnnotationKey+"]", part))
		}
	}
	if len(parts) > 0 {
		says = append(says, "it runs "+listed(parts)+" as static pods")
	}
	return says, ev
}

// controlOthers lists the other nodes of the control plane that are known, and those of them that are Ready.
func (c *NodeCase) controlOthers() (known, up []*corev1.Node, all bool) {
	nodes, all := c.others()
	for _, n := range nodes {
		if controlRole(n) == "" && !c.runsControl(n.Name) {
			continue
		}
		known = append(known, n)
		if f := scope.Facts(c.S, n.Name); ready(n) && !f.LeaseStale {
			up = append(up, n)
		}
	}
	return known, up, all
}

func (c *NodeCase) runsControl(node string) bool {
	pods, _ := c.S.PodsOnNode(node)
	return slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return controlPart(p) != "" })
}

// trimmed is somebody's message without the full stop, to go on with a sentence.
func trimmed(s string) string { return strings.TrimRight(strings.Join(strings.Fields(s), " "), ". ") }

func upperRune(r rune) rune { return unicode.ToUpper(r) }
