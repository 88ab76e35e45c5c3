package stuck

import (
	"fmt"
	"sort"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Pod is a pod that is stuck, or that waits and will be if nothing happens.
type Pod struct {
	Object *corev1.Pod
	Ref    snapshot.Ref
	Node   string // spec.nodeName
	State  State
	// Word is the STATUS that kubectl prints, which may hide the state ("Completed" for a pod in cleanup).
	Word  string
	Stage Stage
	// Since is when it should have moved on (Terminating) or when the state began.
	Since time.Time
	For   time.Duration // now - Since
	// Threshold is what For was measured against.
	Threshold time.Duration
	// ClearsBy is when it should clear by itself; zero where nothing says that it will. ClearsWhy says what would do it.
	ClearsBy  time.Time
	ClearsWhy string
	// Pulling tells that an image of it is being pulled and has not failed, as far as the kubelet said.
	Pulling bool
	// Owner is the workload behind it; zero for a bare pod.
	Owner snapshot.Ref
}

// OwnerOrSelf is the workload, or the pod itself where it has none: what "two different workloads" is counted by.
func (p Pod) OwnerOrSelf() snapshot.Ref {
	if p.Owner.IsZero() {
		return p.Ref
	}
	return p.Owner
}

// Options change what counts as stuck.
type Options struct {
	// OlderThan replaces the threshold of every state.
	OlderThan *time.Duration
	// Thresholds replace those of single states.
	Thresholds map[State]time.Duration
	// Named tells which pods were asked for by name: they are looked at even where they are leftovers.
	Named func(snapshot.Ref) bool
}

func (o Options) threshold(s State) time.Duration {
	if o.OlderThan != nil {
		return *o.OlderThan
	}
	if d, ok := o.Thresholds[s]; ok {
		return d
	}
	return DefaultThreshold(s)
}

// Result is what was found. The lists of pods are in order of namespace and name.
type Result struct {
	Stuck []Pod
	// Waiting pods are on their way: in their grace period, or younger than their threshold.
	Waiting []Pod
	// Objects are stuck, and are no pods: see Object. They are in order of namespace, kind and name.
	Objects []Object
}

// Find looks at every pod of the snapshot that was read in full.
func Find(s *snapshot.Snapshot, o Options) Result {
	var r Result
	for _, p := range s.Pods() {
		f, ok := look(s, p, o)
		if !ok {
			continue
		}
		if f.For >= f.Threshold && f.Stage != InGrace {
			r.Stuck = append(r.Stuck, f)
		} else {
			r.Waiting = append(r.Waiting, f)
		}
	}
	for _, l := range [][]Pod{r.Stuck, r.Waiting} {
		sort.SliceStable(l, func(i, j int) bool {
			a, b := l[i].Ref, l[j].Ref
			if a.Namespace != b.Namespace {
				return a.Namespace < b.Namespace
			}
			return a.Name < b.Name
		})
	}
	r.Objects = findObjects(s, o)
	return r
}

// look tells what one pod hangs in, if anything.
func look(s *snapshot.Snapshot, p *corev1.Pod, o Options) (Pod, bool) {
	now := s.Now()
	f := Pod{Object: p, Ref: snapshot.RefOf(p), Node: p.Spec.NodeName, Word: snapshot.StatusOf(p).Word}
	if p.DeletionTimestamp != nil {
		f.State = Terminating
		f.Stage = stageOf(s, p)
		f.Since = p.DeletionTimestamp.Time
		f.Threshold = o.threshold(Terminating)
	} else {
		if snapshot.IsTerminal(p) && !refused(s, p, o) {
			return Pod{}, false // ended, and nobody asked for its removal
		}
		state, ok := stateOf(f.Word, p.Spec.NodeName != "")
		if !ok && crashing(p) {
			state, ok = CrashLoopBackOff, true // caught between an exit and the wait that follows it
		}
		if snapshot.IsTerminal(p) {
			state, ok = Rejected, true
		} else if lost, since, t := lostWithNode(s, p); lost {
			state, ok = NodeLost, true
			f.Since, f.Threshold = since, t
		} else if ok && state == NodeLost {
			ok = false // "Unknown" on a node that answers again is stale
		}
		if !ok {
			return Pod{}, false
		}
		if state == Unschedulable && snapshot.PodCondition(p, corev1.PodScheduled) == nil {
			state = Pending // no scheduler ever looked at it
		}
		f.State = state
		if state != NodeLost {
			f.Since = since(p, state)
			f.Threshold = o.threshold(state)
			f.Pulling = (state == ContainerCreating || state == PodInitializing || state == Init) && pulling(s, f.Ref)
			_, set := o.Thresholds[state]
			switch {
			case o.OlderThan != nil || set:
			case f.Pulling:
				f.Threshold = max(f.Threshold, pullThreshold)
			case (state == ContainerCreating || state == PodInitializing) && warned(s, f.Ref, f.Since):
				f.Threshold = min(f.Threshold, failingThreshold)
			}
		} else if o.OlderThan != nil {
			f.Threshold = *o.OlderThan
		}
	}
	if owner, ok := s.Owner(p); ok {
		f.Owner = owner
	}
	f.For = max(now.Sub(f.Since), 0)
	f.ClearsBy, f.ClearsWhy = clears(s, f)
	return f, true
}

// crashing tells whether a container has failed again and again and is to be started again: between its exit and the back-off STATUS is the
// reason of the exit.
func crashing(p *corev1.Pod) bool {
	if p.Spec.RestartPolicy == corev1.RestartPolicyNever {
		return false
	}
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 && c.RestartCount >= 3 {
			return true
		}
	}
	return false
}

// stageOf tells how far a deletion got. What it rests on: kubelet deletes the object only after the API shows a
// terminal phase and its own cleanup is done (pkg/kubelet/status/status_manager.go canBeDeleted), and it deletes
// with grace 0; the API server sets grace 0 at once for pods without a node and for terminal ones
// (pkg/registry/core/pod/strategy.go CheckGracefulDelete). So grace 0 with the object still there means that
// finalizers hold it.
func stageOf(s *snapshot.Snapshot, p *corev1.Pod) Stage {
	grace := p.DeletionGracePeriodSeconds
	switch {
	case grace != nil && *grace == 0 && len(p.Finalizers) > 0:
		return FinalizersOnly
	case s.Now().Before(p.DeletionTimestamp.Time):
		return InGrace
	case p.Spec.NodeName == "":
		return NeverScheduled
	case s.Has(snapshot.Node, "", p.Spec.NodeName) == snapshot.Absent:
		return NodeGone
	case snapshot.IsTerminal(p) && allTerminated(p):
		return Cleanup
	default:
		return KillUnconfirmed
	}
}

// allTerminated tells whether no container of the pod runs, as far as the API knows.
func allTerminated(p *corev1.Pod) bool {
	for _, l := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for i := range l {
			if l[i].State.Running != nil {
				return false
			}
		}
	}
	return true
}

// since is when the state of a starting pod began: the last of the moments at which it moved on. A container that
// restarts does not begin anew, but a pod that lost its readiness does.
func since(p *corev1.Pod, state State) time.Time {
	t := p.CreationTimestamp.Time
	later := func(c *corev1.PodCondition, when corev1.ConditionStatus) {
		if c != nil && c.Status == when && c.LastTransitionTime.After(t) {
			t = c.LastTransitionTime.Time
		}
	}
	if state == Unschedulable || state == SchedulingGated {
		later(snapshot.PodCondition(p, corev1.PodScheduled), corev1.ConditionFalse)
		return t
	}
	later(snapshot.PodCondition(p, corev1.PodScheduled), corev1.ConditionTrue)
	if state != Init {
		later(snapshot.PodCondition(p, corev1.PodInitialized), corev1.ConditionTrue)
		later(snapshot.PodCondition(p, corev1.PodReady), corev1.ConditionFalse)
	}
	return t
}

// pulling tells whether the last thing kubelet said of the pod is that it pulls an image.
func pulling(s *snapshot.Snapshot, ref snapshot.Ref) bool {
	events := s.Events(ref)
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Component == "kubelet" || events[i].Reason == "Pulling" {
			return events[i].Reason == "Pulling"
		}
	}
	return false
}

// warned tells whether something was said to fail with the pod since it is in its state.
func warned(s *snapshot.Snapshot, ref snapshot.Ref, since time.Time) bool {
	for _, e := range s.Events(ref) {
		if e.Type == corev1.EventTypeWarning && !e.Last.Before(since) {
			return true
		}
	}
	return false
}

// lostWithNode tells whether the pod sits on an unreachable node although the time it tolerates that is over, and
// so should have been marked for deletion. Pods that tolerate it without limit, like those of DaemonSets, stay by
// design. threshold is how long past since that is counted from.
func lostWithNode(s *snapshot.Snapshot, p *corev1.Pod) (lost bool, since time.Time, threshold time.Duration) {
	n := s.Node(p.Spec.NodeName)
	if n == nil {
		return false, time.Time{}, 0
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	if c == nil || c.Status != corev1.ConditionUnknown {
		return false, time.Time{}, 0
	}
	from := c.LastTransitionTime.Time
	if t := taint(n, corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute); t != nil {
		if t.TimeAdded != nil {
			from = t.TimeAdded.Time
		}
	}
	seconds, forever := tolerates(p, corev1.TaintNodeUnreachable)
	if forever {
		return false, time.Time{}, 0
	}
	return true, from, seconds
}

func taint(n *corev1.Node, key string, effect corev1.TaintEffect) *corev1.Taint {
	for i := range n.Spec.Taints {
		if n.Spec.Taints[i].Key == key && n.Spec.Taints[i].Effect == effect {
			return &n.Spec.Taints[i]
		}
	}
	return nil
}

// tolerates tells how long the pod stays on a node with the NoExecute taint: the shortest of the tolerations that
// match, or forever where only unlimited ones do (pkg/controller/tainteviction getMinTolerationTime).
func tolerates(p *corev1.Pod, key string) (d time.Duration, forever bool) {
	matched, limited := false, false
	for _, t := range p.Spec.Tolerations {
		if t.Effect != "" && t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		if t.Key != key && (t.Key != "" || t.Operator != corev1.TolerationOpExists) {
			continue
		}
		if t.Key == key && t.Operator != corev1.TolerationOpExists && t.Value != "" {
			continue
		}
		matched = true
		if t.TolerationSeconds == nil {
			continue
		}
		s := time.Duration(max(*t.TolerationSeconds, 0)) * time.Second
		if !limited || s < d {
			d, limited = s, true
		}
	}
	return d, matched && !limited
}

// Times taken from Kubernetes; clears says where each is used.
const (
	podGCLoop       = 20 * time.Second // pkg/controller/podgc/gc_controller.go gcCheckPeriod
	podGCQuarantine = 40 * time.Second // quarantineTime, ibid.
	maxImageBackOff = 5 * time.Minute  // pkg/kubelet MaxImageBackOff
)

// clears tells when the matter should end by itself, and through what. A time that has passed is no promise any
// more and is left out.
func clears(s *snapshot.Snapshot, f Pod) (time.Time, string) {
	by, why := expect(s, f)
	if by.IsZero() || !by.After(s.Now()) {
		if by.IsZero() {
			return time.Time{}, why
		}
		return time.Time{}, ""
	}
	return by, why
}

func expect(s *snapshot.Snapshot, f Pod) (time.Time, string) {
	p := f.Object
	switch f.State {
	case Terminating:
		return expectGone(s, f)
	case NodeLost:
		return f.Since.Add(f.Threshold), fmt.Sprintf("it tolerates an unreachable node for %s, then it is marked for deletion", f.Threshold)
	case ImagePullBackOff:
		if f.Word == "InvalidImageName" || f.Word == "ErrImageNeverPull" {
			return time.Time{}, ""
		}
		last := f.Since
		for _, e := range s.Events(f.Ref) {
			if e.Reason == "Failed" || e.Reason == "Pulling" {
				last = e.Last
			}
		}
		return last.Add(maxImageBackOff), "kubelet pulls again by then (its back-off doubles from 10s to at most 5m); it clears only if that pull works"
	case ContainerCreating, PodInitializing, Init:
		if f.Pulling {
			return time.Time{}, "an image is being pulled and has not failed"
		}
	case Unschedulable:
		if c := snapshot.PodCondition(p, corev1.PodScheduled); c != nil && p.Status.NominatedNodeName != "" {
			return time.Time{}, "the scheduler made room on node " + p.Status.NominatedNodeName + " and waits for other pods to end there"
		}
	}
	return time.Time{}, ""
}

func expectGone(s *snapshot.Snapshot, f Pod) (time.Time, string) {
	p, at := f.Object, f.Object.DeletionTimestamp.Time
	switch f.Stage {
	case InGrace:
		grace := int64(0)
		if p.DeletionGracePeriodSeconds != nil {
			grace = *p.DeletionGracePeriodSeconds
		}
		why := fmt.Sprintf("it is in its grace period of %s", time.Duration(grace)*time.Second)
		if hasPreStop(p) {
			why += ", in which its preStop hook runs"
		}
		return at, why
	case NodeGone:
		return at.Add(podGCQuarantine + podGCLoop), "PodGC removes pods of a missing node after a quarantine of 40s, in a loop of 20s"
	case NeverScheduled:
		return at.Add(podGCLoop), "PodGC removes pods that never had a node, in a loop of 20s"
	case KillUnconfirmed:
		n := s.Node(p.Spec.NodeName)
		if n == nil {
			return time.Time{}, ""
		}
		// pkg/controller/podgc gcTerminating: node not ready and the taint's key present.
		for _, t := range n.Spec.Taints {
			c := snapshot.NodeCondition(n, corev1.NodeReady)
			if t.Key == corev1.TaintNodeOutOfService && c != nil && c.Status != corev1.ConditionTrue {
				from := at
				if t.TimeAdded != nil && t.TimeAdded.After(from) {
					from = t.TimeAdded.Time
				}
				return from.Add(podGCLoop), "PodGC removes terminating pods of a node that is out of service, in a loop of 20s"
			}
		}
	}
	return time.Time{}, ""
}

func hasPreStop(p *corev1.Pod) bool {
	for i := range p.Spec.Containers {
		if l := p.Spec.Containers[i].Lifecycle; l != nil && l.PreStop != nil {
			return true
		}
	}
	return false
}
