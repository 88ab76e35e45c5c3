package remedy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// TaintUnproven is the taint that keeps pods from a node that came back until its probe has passed. It is this tool's own.
const TaintUnproven = "kubectl-stuck.dev/unproven"

// NodeCase is one node and what is known of it: all that is decided on before something is done to it.
type NodeCase struct {
	S       *snapshot.Snapshot
	Picture *Picture
	// Ref names the node; its UID is empty where the Node object does not exist or was not read.
	Ref   snapshot.Ref
	Node  *corev1.Node // nil where it does not exist or was not read: Facts.Exists tells which
	Facts scope.NodeFacts
	Reach scope.Reach
	// Group are the stuck pods of the node; nil where nothing on it is stuck.
	Group *scope.Group
	// Findings are those about the node itself.
	Findings []diagnose.Finding
	// Pods are all pods bound to the node, and AllPods tells that they are known to be all.
	Pods    []NodePod
	AllPods bool
	// Room is where the pods that have to move would go; nil where it was not asked.
	Room  *room.Result
	Asked Asked
	// Planned is the UID that the node had when it was planned on; empty where no plan was made before.
	Planned types.UID
}

// NodePod is one pod of a node, and what happens to it when the node is drained and deleted.
type NodePod struct {
	Case *Case
	Fate Fate
	// Why says why, in a clause.
	Why string
	// Drain is what kubectl drain says of it.
	Drain DrainWord
}

// Fate is what becomes of a pod of a node that is drained and deleted.
type Fate string

// The fates.
const (
	Evicted   Fate = "evicted"   // its kubelet is heard: it is evicted first, and may stop in order
	Dropped   Fate = "dropped"   // nobody can stop it in order: PodGC removes it after the Node object is gone
	Remains   Fate = "remains"   // a static pod: it goes on as long as its kubelet does
	WithNode  Fate = "with node" // of a DaemonSet: not evicted, removed by PodGC, and made again when the node is back
	Finished  Fate = "finished"  // it has ended already
	WithOwner Fate = "held"      // nothing but finalizers holds it
)

// DrainWord is what the drain library of kubectl (k8s.io/kubectl/pkg/drain) says of a pod.
type DrainWord struct {
	// Deletes tells that kubectl drain would evict or delete it.
	Deletes bool `json:"deletes"`
	// Warns and Refuses are its words, where it has any; Refuses is what makes kubectl drain end without doing anything.
	Warns   string `json:"warns,omitempty"`
	Refuses string `json:"refuses,omitempty"`
	// Unread tells that it could not be asked.
	Unread string `json:"unread,omitempty"`
}

// Drainer asks the drain library about one pod of the picture.
type Drainer func(*corev1.Pod) DrainWord

// NodeChange is what a patch makes different on a Node object. Keys that are there with another value than Was are left alone.
type NodeChange struct {
	// Unschedulable cordons or uncordons; nil leaves it.
	Unschedulable *bool `json:"unschedulable,omitempty"`
	// AddTaints and RemoveTaints are told apart by key and effect.
	AddTaints    []corev1.Taint `json:"addTaints,omitempty"`
	RemoveTaints []corev1.Taint `json:"removeTaints,omitempty"`
	// AddLabels and AddAnnotations are added where the node has none of that key. RemoveLabels and RemoveAnnotations are removed where they have that value.
	AddLabels         map[string]string `json:"addLabels,omitempty"`
	AddAnnotations    map[string]string `json:"addAnnotations,omitempty"`
	RemoveLabels      map[string]string `json:"removeLabels,omitempty"`
	RemoveAnnotations map[string]string `json:"removeAnnotations,omitempty"`
}

// NodeCase gathers what is known of one node. Room, if asked for, is filled in by the caller of package room; drain may be nil.
func (p *Picture) NodeCase(ref snapshot.Ref, asked Asked, drain Drainer) *NodeCase {
	c := &NodeCase{S: p.S, Picture: p, Ref: snapshot.Ref{Kind: snapshot.Node, Name: ref.Name}, Facts: scope.Facts(p.S, ref.Name), Asked: asked, Planned: ref.UID}
	if n := p.S.Node(ref.Name); n != nil {
		c.Node, c.Ref = n, refOf(snapshot.Node, n)
	}
	for i := range p.D.Scope.Groups {
		if g := &p.D.Scope.Groups[i]; g.Node == ref.Name {
			c.Group, c.Reach = g, g.Reach
		}
	}
	c.Findings = p.D.Of(snapshot.Ref{Kind: snapshot.Node, Name: ref.Name})
	var pods []*corev1.Pod
	pods, c.AllPods = p.S.PodsOnNode(ref.Name)
	for _, pod := range pods {
		k, ok := p.Case(snapshot.RefOf(pod), asked)
		if !ok {
			continue
		}
		np := NodePod{Case: k}
		if drain != nil {
			np.Drain = drain(pod)
		} else {
			np.Drain.Unread = "it was not asked"
		}
		np.Fate, np.Why = c.fate(np)
		c.Pods = append(c.Pods, np)
	}
	return c
}

// Of lists the pods with one of the fates.
func (c *NodeCase) Of(fates ...Fate) []NodePod {
	var out []NodePod
	for _, p := range c.Pods {
		if slices.Contains(fates, p.Fate) {
			out = append(out, p)
		}
	}
	return out
}

// Movers lists the pods that somebody makes again elsewhere, so that they need room there. Of a pod that is being deleted only a StatefulSet waits for its
// end (pkg/controller/statefulset); a ReplicaSet, a ReplicationController and a Job have made another by then, which is counted by itself.
func (c *NodeCase) Movers() []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range c.Of(Evicted, Dropped, WithOwner) {
		obj := p.Case.Pod.Object
		switch k := p.Case.standing().kindOfController(); {
		case k == "", k == "DaemonSet", k == "Node":
		case obj.DeletionTimestamp != nil && slices.Contains([]string{"ReplicaSet", "ReplicationController", "Job"}, k):
		default:
			out = append(out, obj)
		}
	}
	return out
}

// Newcomers names the pods that came to the node since first, and that its deletion may not take with it unasked: those that nobody makes again, those that must
// not run twice, and those that an eviction would keep away. A pod that tolerates a cordon is made again on the same node as long as there is one.
func (c *NodeCase) Newcomers(first *NodeCase) []string {
	cordoned := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	was := map[types.UID]bool{}
	for _, p := range first.Pods {
		was[p.Case.Pod.Object.UID] = true
	}
	var out []string
	for _, p := range c.Of(Evicted, Dropped) {
		obj, st := p.Case.Pod.Object, p.Case.standing()
		if !was[obj.UID] && (st.bare() || len(st.promises()) > 0 || !snapshot.Tolerates(obj, &cordoned)) {
			out = append(out, st.name())
		}
	}
	return out
}

// fate tells what becomes of a pod when the node is drained and deleted.
func (c *NodeCase) fate(p NodePod) (Fate, string) {
	obj, st := p.Case.Pod.Object, p.Case.standing()
	heard, says := p.Case.hearing()
	switch {
	case st.mirror():
		return Remains, "it is the mirror of a static pod, which its kubelet runs from a file"
	case snapshot.IsTerminal(obj) && len(obj.Finalizers) == 0:
		return Finished, "it has ended"
	case st.finalOnly():
		return WithOwner, "its final deletion was done, and " + finalPhrase(obj.Finalizers) + " holds the object"
	case st.kindOfController() == "DaemonSet":
		return WithNode, "its DaemonSet makes it again when the node is back"
	case obj.DeletionTimestamp != nil:
		return Dropped, "it is being deleted already, and hangs"
	case heard == kubeletHeard:
		return Evicted, "its kubelet is heard: " + says
	default:
		return Dropped, "its kubelet cannot stop it: " + says
	}
}

// JudgeNode asks every guard of what is to be done to the node, blocks first.
func JudgeNode(c *NodeCase, id ID) []Verdict {
	var out []Verdict
	for _, g := range Guards() {
		if g.Node == nil || len(g.For) > 0 && !slices.Contains(g.For, id) {
			continue
		}
		for _, v := range g.Node(c, id) {
			out = append(out, complete(v, g))
		}
	}
	return sorted(out)
}
