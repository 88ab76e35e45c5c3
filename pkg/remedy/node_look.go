package remedy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// PodGC removes the pods of a Node that is gone once it has missed the Node for 40s (quarantineTime), and looks every 20s (gcCheckPeriod); those of a
// node that is out of service in the next of its rounds (pkg/controller/podgc/gc_controller.go).
const podGC = "PodGC removes it within about a minute"

// NewBeforeNode gathers what has to be known of a node and its pods before the rungs are used on it. Moves are the pods that go.
func NewBeforeNode(c *NodeCase, ids []ID) Before {
	b := Before{Target: c.Ref, Node: c.Ref.Name, Remedies: slices.Clone(ids), Taken: c.S.Now(), Because: "it is a node"}
	if !slices.Contains(ids, DeleteNode) && !slices.Contains(ids, OutOfService) {
		return b
	}
	for _, p := range c.Of(Evicted, Dropped, WithOwner) {
		if slices.Contains(ids, OutOfService) && staysOutOfService(p.Case.Pod.Object) {
			continue
		}
		m := NewBefore(p.Case, []ID{ForceDelete})
		m.Stuck = nil
		b.Moves = append(b.Moves, m)
		for _, v := range m.Volumes {
			if !slices.Contains(b.Volumes, v) {
				b.Volumes = append(b.Volumes, v)
			}
		}
	}
	if c.Group != nil {
		for _, p := range c.Group.Stuck {
			b.Stuck = append(b.Stuck, p.Ref)
		}
	}
	return b
}

// LookNode says what is seen of what was done to a node in a later picture.
func LookNode(b Before, s *snapshot.Snapshot, found stuck.Result) Sight {
	if s == nil {
		return Sight{Says: []string{"What came of it could not be seen."}}
	}
	out := Sight{Time: s.Now(), Says: []string{}}
	node, has := s.Node(b.Target.Name), s.Has(snapshot.Node, "", b.Target.Name)
	deleted := slices.Contains(b.Remedies, DeleteNode)
	seen := true
	switch {
	case node != nil && node.UID == b.Target.UID:
		switch {
		case deleted && len(node.Finalizers) > 0:
			out.Held = slices.Clone(node.Finalizers)
			out.say("the Node object of %s is still there, with %s", node.Name, finalPhrase(node.Finalizers))
		case deleted:
			out.say("the Node object of %s is still there", node.Name)
		default:
			out.say("%s", stateOfNode(node))
		}
	case node != nil && slices.Contains(b.Remedies, CreateNode):
		out.say("the Node object of %s is there again; %s", node.Name, stateOfNode(node))
	case node != nil:
		out.Gone = true
		out.say("the Node object of %s was deleted, and its kubelet registered it again, with UID %s", node.Name, node.UID)
	case has == snapshot.Absent:
		out.Gone = true
		out.say("the Node object of %s is gone", b.Target.Name)
	default:
		seen = false
		out.say("whether the Node object of %s is gone could not be seen", b.Target.Name)
	}
	if !deleted && !slices.Contains(b.Remedies, OutOfService) {
		out.Settled, out.Good = seen, seen && node != nil
		return out
	}
	gone, left, ready, pending, open := lookMoves(&out, b, s, found)
	if len(b.Moves) > 0 {
		out.say("%d of %d pods that were on it are gone", len(gone), len(b.Moves))
	}
	if len(left) > 0 {
		out.say("still there: %s", some(left))
	}
	if len(ready) > 0 {
		out.say("Ready elsewhere: %s", byWorkload(ready))
	}
	for _, p := range pending {
		out.say("%s", p)
	}
	lookVolumes(&out, b, s)
	acted := out.Gone || !deleted && node != nil && outOfService(node)
	out.Settled = acted && open == 0
	out.Good = out.Settled && len(pending) == 0
	return out
}

// lookMoves looks at each pod that went. Each replacement stands for one pod. open counts those of which more is to be waited for.
func lookMoves(out *Sight, b Before, s *snapshot.Snapshot, found stuck.Result) (gone, left []string, ready map[string]map[string]int, pending []string, open int) {
	ready = map[string]map[string]int{}
	taken := map[snapshot.Ref]bool{}
	for _, m := range b.Moves {
		for r := range taken {
			m.Siblings = append(slices.Clone(m.Siblings), r)
		}
		// What the other pods that went were is no replacement either, wherever they still are.
		for _, other := range b.Moves {
			if other.Target.UID != m.Target.UID && other.Target.Namespace == m.Target.Namespace {
				m.Siblings = append(m.Siblings, other.Target)
			}
		}
		sight := Look(m, s, found)
		target := m.Target
		sight.Target = &target
		name := m.Target.Namespace + "/" + m.Target.Name
		if sight.Gone {
			gone = append(gone, name)
		} else {
			left = append(left, name)
		}
		heldForGood := !sight.Gone && len(sight.Held) > 0 && finalDone(s.Pod(m.Target.Namespace, m.Target.Name))
		switch r := sight.Replacement; {
		case r != nil && r.Ready:
			taken[r.Ref] = true
			work := "pod " + name
			if m.Workload != nil {
				work = m.Workload.String()
			}
			if ready[work] == nil {
				ready[work] = map[string]int{}
			}
			ready[work][r.Node]++
		case r != nil:
			taken[r.Ref] = true
			why := unscheduled(s.Pod(r.Ref.Namespace, r.Ref.Name))
			pending = append(pending, strings.TrimSpace(fmt.Sprintf("pod %s/%s, in place of %s, is %s %s", r.Ref.Namespace, r.Ref.Name, name, r.Word, why)))
			open++
		case m.Expects && (sight.Gone || heldForGood) && full(s, m.Controller):
			// It was being deleted before, and its place had been taken by another pod, which may have gone with the node too.
			m.Expects = false
			sight.Says = append(sight.Says, sentence(fmt.Sprintf("all pods that %s wants are Ready", m.Controller)))
		case m.Expects && (sight.Gone || !heldForGood):
			if sight.Gone {
				pending = append(pending, fmt.Sprintf("no replacement of pod %s is there yet", name))
			}
			open++
		}
		switch {
		case sight.Gone, heldForGood:
			sight.Settled = !m.Expects || sight.Replacement != nil && sight.Replacement.Ready
			sight.Good = sight.Settled
		default:
			open++
			sight.Says = append(sight.Says, sentence(podGC))
		}
		out.Moves = append(out.Moves, sight)
	}
	return gone, left, ready, pending, open
}

// full tells whether all pods that a controller wants are Ready, as its own status says of its present generation.
func full(s *snapshot.Snapshot, controller *snapshot.Ref) bool {
	if controller == nil {
		return false
	}
	switch controller.Kind {
	case snapshot.ReplicaSet:
		rs := s.ReplicaSet(controller.Namespace, controller.Name)
		return rs != nil && rs.Spec.Replicas != nil && rs.Status.ObservedGeneration >= rs.Generation && rs.Status.ReadyReplicas >= *rs.Spec.Replicas
	case snapshot.StatefulSet:
		set := s.StatefulSet(controller.Namespace, controller.Name)
		return set != nil && set.Spec.Replicas != nil && set.Status.ObservedGeneration >= set.Generation && set.Status.ReadyReplicas >= *set.Spec.Replicas
	default:
		return false
	}
}

// finalDone tells whether the last deletion of the pod was done, so that nothing but its finalizers holds it.
func finalDone(p *corev1.Pod) bool {
	return p != nil && p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil && *p.DeletionGracePeriodSeconds == 0
}

// unscheduled is what the scheduler says of a pod that it found no node for.
func unscheduled(p *corev1.Pod) string {
	if p == nil {
		return ""
	}
	if c := snapshot.PodCondition(p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return "(" + c.Message + ")"
	}
	return ""
}

// byWorkload is "deployment shop/cart 3 on worker-1; deployment shop/till 1 on worker-2".
func byWorkload(ready map[string]map[string]int) string {
	var out []string
	for work, on := range ready {
		out = append(out, work+" "+tally(on))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// tally is "3 on worker-1, 2 on worker-2".
func tally(on map[string]int) string {
	var nodes []string
	for n := range on {
		nodes = append(nodes, n)
	}
	slices.Sort(nodes)
	for i, n := range nodes {
		nodes[i] = fmt.Sprintf("%d on %s", on[n], n)
	}
	return listed(nodes)
}

// stateOfNode says whether it takes pods.
func stateOfNode(n *corev1.Node) string {
	var keys []string
	for _, t := range n.Spec.Taints {
		keys = append(keys, t.Key)
	}
	slices.Sort(keys)
	text := "node " + n.Name + " takes pods"
	if n.Spec.Unschedulable {
		text = "node " + n.Name + " is cordoned"
	}
	if len(keys) > 0 && !n.Spec.Unschedulable {
		text = "node " + n.Name + " takes pods that tolerate " + listed(slices.Compact(keys)) + ", and no others"
	}
	return text
}
