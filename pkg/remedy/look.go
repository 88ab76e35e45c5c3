package remedy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// follow follows the volumes of a pod.
func (p *Picture) follow(pod *corev1.Pod) []volume.Link {
	f := p.follower
	if f == nil {
		f = volume.NewFollower(p.S)
	}
	return f.Fill(pod)
}

// NewBefore gathers what has to be known of a pod before the rungs are used on it.
func NewBefore(c *Case, ids []ID) Before {
	if c == nil || c.S == nil {
		return Before{Remedies: slices.Clone(ids), Because: "nothing is known of the pod"}
	}
	st := c.standing()
	b := Before{Target: c.Pod.Ref, Node: c.Pod.Node, Remedies: slices.Clone(ids), Taken: c.S.Now()}
	if ctl := metav1.GetControllerOf(st.obj); ctl != nil {
		b.Controller = &snapshot.Ref{Kind: snapshot.Kind(ctl.Kind), Namespace: st.obj.Namespace, Name: ctl.Name, UID: ctl.UID}
		workload := *b.Controller
		if owner := c.Pod.Owner; !owner.IsZero() && !owner.Is(workload) {
			workload = owner
		}
		b.Workload = &workload
	}
	b.Selector = st.selector()
	for _, p := range c.S.Pods() {
		if p.Namespace == c.Pod.Ref.Namespace && p.UID != c.Pod.Ref.UID && b.kin(c.S, p) {
			b.Siblings = append(b.Siblings, snapshot.RefOf(p))
		}
	}
	for _, l := range c.Volumes {
		if name := l.VolumeName(); name != "" && l.Attachment != nil && l.Attachment.Status.Attached && !slices.Contains(b.Volumes, name) {
			b.Volumes = append(b.Volumes, name)
		}
	}
	if c.Group != nil {
		for _, p := range c.Group.Stuck {
			b.Stuck = append(b.Stuck, p.Ref)
		}
	}
	b.Expects, b.Because = st.expects()
	return b
}

// BeforeAct is what has to be known before an act of an undo: of a pod that is there NewBefore's, of one that is to be created only its name.
func BeforeAct(p *Picture, act Act) Before {
	if p != nil && p.S != nil && !slices.Contains(act.Remedies, CreateAgain) {
		if c, ok := p.Case(act.Target, Asked{}); ok {
			return NewBefore(c, act.Remedies)
		}
	}
	return Before{Target: act.Target, Node: act.Node, Remedies: slices.Clone(act.Remedies), Because: "the pod has no controller"}
}

// kin tells whether a pod is of the same controller or workload.
func (b Before) kin(s *snapshot.Snapshot, p *corev1.Pod) bool {
	ctl := metav1.GetControllerOf(p)
	if b.Controller == nil || ctl == nil {
		return false
	}
	if ctl.UID != "" && ctl.UID == b.Controller.UID {
		return true
	}
	owner, ok := s.Owner(p)
	// A Deployment's new ReplicaSet makes the replacement too; where the controller itself is the workload, another UID is another workload.
	return ok && b.Workload != nil && !b.Workload.Is(*b.Controller) && owner.Is(*b.Workload)
}

// selector chooses the pods of the workload, as the API writes it; empty where it is not known.
func (st standing) selector() string {
	ctl := metav1.GetControllerOf(st.obj)
	if ctl == nil {
		return ""
	}
	ns := st.obj.Namespace
	var sel *metav1.LabelSelector
	switch ctl.Kind {
	case "ReplicaSet":
		if d := st.S.Deployment(ns, st.Pod.Owner.Name); st.Pod.Owner.Kind == snapshot.Deployment && d != nil {
			sel = d.Spec.Selector
		} else if rs := st.S.ReplicaSet(ns, ctl.Name); rs != nil {
			sel = rs.Spec.Selector
		}
	case "StatefulSet":
		if w := st.S.StatefulSet(ns, ctl.Name); w != nil {
			sel = w.Spec.Selector
		}
	case "DaemonSet":
		for _, w := range st.S.DaemonSets() {
			if w.Namespace == ns && w.Name == ctl.Name {
				sel = w.Spec.Selector
			}
		}
	case "Job":
		if w := st.S.Job(ns, ctl.Name); w != nil {
			sel = w.Spec.Selector
		}
	}
	if sel != nil {
		if s, err := metav1.LabelSelectorAsSelector(sel); err == nil && !s.Empty() {
			return s.String()
		}
	}
	// The labels that controllers put on their pods: of Deployments, StatefulSets and DaemonSets, and Jobs. The last says the name, which is the replacement's too.
	for _, key := range []string{"pod-template-hash", "controller-revision-hash", "batch.kubernetes.io/controller-uid"} {
		if v := st.obj.Labels[key]; v != "" {
			return key + "=" + v
		}
	}
	return ""
}

// expects tells whether another pod is to come for this one when it is gone, and why not.
func (st standing) expects() (bool, string) {
	ctl := metav1.GetControllerOf(st.obj)
	ns := st.obj.Namespace
	replaced := "when the pod was deleted, its controller made another one: it does not count pods that are being deleted"
	switch {
	case ctl == nil && st.mirror():
		return false, "the kubelet shows a static pod anew by itself"
	case ctl == nil:
		return false, "the pod has no controller"
	case st.S.NamespaceOf(ns) != nil && st.S.NamespaceOf(ns).DeletionTimestamp != nil:
		return false, fmt.Sprintf("namespace %s is being deleted", ns)
	}
	if going, name := st.ownerGoing(ctl); going {
		return false, name
	}
	switch ctl.Kind {
	case "ReplicaSet", "ReplicationController":
		// pkg/controller FilterActivePods leaves out what has ended or is being deleted.
		if st.deleting() || snapshot.IsTerminal(st.obj) {
			return false, replaced
		}
		rs := st.S.ReplicaSet(ns, ctl.Name)
		if ctl.Kind != "ReplicaSet" || rs == nil || rs.Spec.Replicas == nil {
			return true, ""
		}
		if *rs.Spec.Replicas == 0 {
			return false, "its ReplicaSet is scaled to 0"
		}
		active := 0
		for _, p := range st.S.Pods() {
			if c := metav1.GetControllerOf(p); c != nil && c.UID == ctl.UID && p.UID != st.obj.UID && p.DeletionTimestamp == nil && !snapshot.IsTerminal(p) {
				active++
			}
		}
		if active >= int(*rs.Spec.Replicas) {
			return false, "its ReplicaSet has as many other pods as it wants"
		}
		return true, ""
	case "StatefulSet":
		w := st.S.StatefulSet(ns, ctl.Name)
		if w == nil || w.Spec.Replicas == nil {
			return true, ""
		}
		start := 0
		if w.Spec.Ordinals != nil {
			start = int(w.Spec.Ordinals.Start)
		}
		suffix := st.obj.Name[strings.LastIndex(st.obj.Name, "-")+1:]
		if n, err := strconv.Atoi(suffix); err == nil && (n < start || n >= start+int(*w.Spec.Replicas)) {
			return false, fmt.Sprintf("its StatefulSet is scaled to %d, without ordinal %d", *w.Spec.Replicas, n)
		}
		return true, ""
	case "DaemonSet":
		if st.Pod.Node != "" && st.S.Has(snapshot.Node, "", st.Pod.Node) == snapshot.Absent {
			return false, "its node does not exist any more, and a DaemonSet makes one pod for each node"
		}
		if taint := st.keepsOut(); taint != "" {
			return false, fmt.Sprintf("node %s has the taint %s, which the pod does not tolerate, so its DaemonSet makes none there", st.Pod.Node, taint)
		}
		return true, ""
	case "Job":
		if j := st.job(); j != nil && snapshot.JobIsOver(j) {
			return false, "its Job has ended or is suspended"
		}
		return false, "a Job makes another pod only while its work is not done and its backoffLimit allows it"
	default:
		return false, fmt.Sprintf("its controller is a %s, of which nobody knows whether it makes another", ctl.Kind)
	}
}

// ownerGoing tells whether the controller, or the Deployment behind it, is gone or being deleted.
func (st standing) ownerGoing(ctl *metav1.OwnerReference) (bool, string) {
	ns := st.obj.Namespace
	refs := []snapshot.Ref{{Kind: snapshot.Kind(ctl.Kind), Namespace: ns, Name: ctl.Name, UID: ctl.UID}}
	if !st.Pod.Owner.IsZero() && string(st.Pod.Owner.Kind) != ctl.Kind {
		refs = append(refs, st.Pod.Owner)
	}
	for _, ref := range refs {
		if _, known := snapshot.InfoOf(ref.Kind); !known {
			continue
		}
		if st.S.Has(ref.Kind, ns, ref.Name) == snapshot.Absent {
			return true, fmt.Sprintf("%s does not exist any more", ref)
		}
		for _, o := range st.S.Objects(ref.Kind) {
			m, ok := o.(metav1.Object)
			switch {
			case !ok || m.GetNamespace() != ns || m.GetName() != ref.Name:
			case ref.UID != "" && m.GetUID() != "" && m.GetUID() != ref.UID:
				return true, fmt.Sprintf("%s does not exist any more: another has its name", ref)
			case m.GetDeletionTimestamp() != nil:
				return true, fmt.Sprintf("%s is being deleted", ref)
			}
		}
	}
	return false, ""
}

// Look says what is seen of an act's effect in a later picture, in which found was found. It is settled where nothing more is to be waited for: the object is
// gone, and its replacement is Ready or known to be stuck, or none is to come. It is good where that ended well: gone, replaced where a replacement was to
// come, and nothing else on the node stuck that was not before. What was not read is said to be not seen, and proves nothing.
func Look(b Before, s *snapshot.Snapshot, found stuck.Result) Sight {
	if s == nil {
		return Sight{Says: []string{"What came of it could not be seen."}}
	}
	out := Sight{Time: s.Now(), Says: []string{}}
	if slices.Contains(b.Remedies, CreateAgain) || slices.Contains(b.Remedies, PutBack) {
		return lookUndo(b, s, found, out)
	}
	obj := s.Pod(b.Target.Namespace, b.Target.Name)
	has := s.Has(snapshot.Pod, b.Target.Namespace, b.Target.Name)
	switch {
	case obj != nil && (b.Target.UID == "" || obj.UID == b.Target.UID):
		out.Held = slices.Clone(obj.Finalizers)
		switch {
		case obj.DeletionTimestamp == nil:
			out.say("%s is still there, and is not being deleted", b.Target)
		case len(out.Held) > 0 && obj.DeletionGracePeriodSeconds != nil && *obj.DeletionGracePeriodSeconds == 0:
			out.say("%s is still there: nothing but %s holds it", b.Target, finalPhrase(out.Held))
		case len(out.Held) > 0:
			out.say("%s is still there, with %s", b.Target, finalPhrase(out.Held))
		default:
			out.say("%s is still there: its kubelet has not finished with it", b.Target)
		}
	case obj != nil || has == snapshot.Absent:
		out.Gone = true
		out.say("%s is gone", b.Target)
	default:
		out.say("whether %s is gone could not be seen", b.Target)
	}
	lookReplacement(&out, b, s, found)
	seen := lookNode(&out, b, s, found)
	lookVolumes(&out, b, s)
	ready := out.Replacement != nil && out.Replacement.Ready
	// A node that works lets go of a volume, or holds it for another pod. One that does not keeps it from wherever the workload is now.
	free := ready || len(out.Attached) == 0 || nodeReady(s.Node(b.Node))
	out.Settled = out.Gone && (!b.Expects && free || ready || out.Replacement != nil && out.Replacement.Stuck != "")
	out.Good = out.Settled && (!b.Expects || ready) && free && seen && len(out.NewlyStuck) == 0
	return out
}

func (o *Sight) say(format string, args ...any) {
	o.Says = append(o.Says, sentence(fmt.Sprintf(format, args...)))
}

// lookReplacement finds the pod that took the place. Several may be new at once, where several were deleted: the first Ready one counts, then the newest.
// A pod that was made before the picture was taken is none, also where that picture did not hold it: of a node that was well then, not every pod was read.
func lookReplacement(out *Sight, b Before, s *snapshot.Snapshot, found stuck.Result) {
	var best *corev1.Pod
	for _, p := range s.Pods() {
		if p.Namespace != b.Target.Namespace || p.UID == b.Target.UID || p.DeletionTimestamp != nil || !b.kin(s, p) || slices.ContainsFunc(b.Siblings, snapshot.RefOf(p).Is) {
			continue
		}
		switch {
		case b.Controller.Kind == snapshot.StatefulSet && p.Name != b.Target.Name:
			continue
		case b.Controller.Kind == snapshot.DaemonSet && b.Node != "" && nodeFor(p) != b.Node:
			continue
		case p.CreationTimestamp.Time.Before(b.Taken.Truncate(time.Second)): // the API has times in whole seconds
			continue
		}
		if best == nil || podReady(p) && !podReady(best) || podReady(p) == podReady(best) && p.CreationTimestamp.After(best.CreationTimestamp.Time) {
			best = p
		}
	}
	if best == nil {
		switch {
		case !b.Expects:
			out.say("no replacement is to come: %s", orReason(b.Because))
		case !b.looked(s):
			out.say("whether a replacement is there could not be seen")
		default:
			out.say("no replacement is there yet")
		}
		return
	}
	r := &Replacement{Ref: snapshot.RefOf(best), Node: best.Spec.NodeName, Word: snapshot.StatusOf(best).Word, Ready: podReady(best)}
	out.Replacement = r
	where := ""
	if r.Node != "" {
		where = " on node " + r.Node
	}
	if r.Ready {
		c := snapshot.PodCondition(best, corev1.PodReady)
		r.After = max(int64(c.LastTransitionTime.Sub(best.CreationTimestamp.Time).Seconds()), 0)
		out.say("its replacement %s is Ready%s, since %s, %ds after it was made", r.Ref, where, clock(c.LastTransitionTime.Time), r.After)
		return
	}
	for _, p := range found.Stuck {
		if p.Ref.Is(r.Ref) {
			r.Stuck = fmt.Sprintf("it is stuck in %s for %s", p.State, scope.Short(p.For))
			out.say("its replacement %s is not Ready%s: %s", r.Ref, where, r.Stuck)
			return
		}
	}
	out.say("its replacement %s is %s%s, and not Ready yet", r.Ref, r.Word, where)
}

// looked tells whether a replacement would have been seen. A StatefulSet's has the name of the old pod, which alone has to be looked up; a DaemonSet's is on
// the same node. Of others the pods that the selector chooses have to be there: a picture that does not even know of the old pod did not read them.
func (b Before) looked(s *snapshot.Snapshot) bool {
	has := s.Has(snapshot.Pod, b.Target.Namespace, b.Target.Name)
	switch {
	case has == snapshot.Unknown:
		return false
	case s.Complete(snapshot.Pod, b.Target.Namespace):
		return true
	case b.Controller != nil && b.Controller.Kind == snapshot.StatefulSet:
		return true
	default:
		return s.Gap(snapshot.Pod) == nil && b.Selector != ""
	}
}

// nodeFor is the node that a DaemonSet's pod is for, also before it is bound (pkg/controller/daemon/util ReplaceDaemonSetPodNodeNameNodeAffinity).
func nodeFor(p *corev1.Pod) string {
	if p.Spec.NodeName != "" || p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil {
		return p.Spec.NodeName
	}
	if sel := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution; sel != nil {
		for _, t := range sel.NodeSelectorTerms {
			for _, f := range t.MatchFields {
				if f.Key == "metadata.name" && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
					return f.Values[0]
				}
			}
		}
	}
	return ""
}

func nodeReady(n *corev1.Node) bool {
	if n == nil {
		return false
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func podReady(p *corev1.Pod) bool {
	c := snapshot.PodCondition(p, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// lookNode tells what else got stuck on the node; false where that could not be seen.
func lookNode(out *Sight, b Before, s *snapshot.Snapshot, found stuck.Result) bool {
	if b.Node == "" || s.Has(snapshot.Node, "", b.Node) == snapshot.Absent {
		return true
	}
	for _, p := range found.Stuck {
		if p.Node != b.Node || p.Ref.Is(b.Target) || slices.ContainsFunc(b.Stuck, p.Ref.Is) || out.Replacement != nil && out.Replacement.Ref.Is(p.Ref) {
			continue
		}
		out.NewlyStuck = append(out.NewlyStuck, p.Ref)
	}
	_, all := s.PodsOnNode(b.Node)
	switch {
	case len(out.NewlyStuck) > 0:
		var names []string
		for _, r := range out.NewlyStuck {
			names = append(names, r.String())
		}
		out.say("stuck on node %s now and not before: %s", b.Node, listed(names))
	case !all:
		out.say("whether anything else on node %s got stuck could not be seen", b.Node)
		return false
	default:
		out.say("nothing else on node %s got stuck", b.Node)
	}
	return true
}

func lookVolumes(out *Sight, b Before, s *snapshot.Snapshot) {
	if len(b.Volumes) == 0 {
		return
	}
	if !s.Complete(snapshot.VolumeAttachment, "") {
		out.say("whether %s is still attached to node %s could not be seen", listed(b.Volumes), b.Node)
		return
	}
	for _, name := range b.Volumes {
		here, elsewhere := volume.Attachments(s, name, b.Node)
		switch {
		case here != nil && here.Status.Attached:
			out.Attached = append(out.Attached, name)
			out.say("PersistentVolume %s is still attached to node %s", name, b.Node)
		default:
			out.Detached = append(out.Detached, name)
			to := ""
			for _, a := range elsewhere {
				if a.Status.Attached {
					to = ", and attached to node " + a.Spec.NodeName
				}
			}
			out.say("PersistentVolume %s is detached from node %s%s", name, b.Node, to)
		}
	}
}

// lookUndo tells whether a pod that was created again is there, or one that has its finalizers back.
func lookUndo(b Before, s *snapshot.Snapshot, found stuck.Result, out Sight) Sight {
	obj := s.Pod(b.Target.Namespace, b.Target.Name)
	switch {
	case obj == nil && s.Has(snapshot.Pod, b.Target.Namespace, b.Target.Name) == snapshot.Absent:
		out.Gone = true
		out.Settled = !slices.Contains(b.Remedies, CreateAgain) // what is gone gets no finalizers back
		out.say("%s is not there", b.Target)
		return out
	case obj == nil:
		out.say("whether %s is there could not be seen", b.Target)
		return out
	case !slices.Contains(b.Remedies, CreateAgain):
		out.Settled = true
		switch {
		case b.Target.UID != "" && obj.UID != b.Target.UID:
			out.Gone = true
			out.say("%s is another pod now, with UID %s", b.Target, obj.UID)
			return out
		case obj.DeletionTimestamp != nil:
			out.say("%s is being deleted", b.Target)
		case len(obj.Finalizers) == 0:
			out.say("%s has no finalizers", b.Target)
		default:
			out.Good = true
			out.say("%s is there, with %s", b.Target, finalPhrase(obj.Finalizers))
		}
		out.Held = slices.Clone(obj.Finalizers)
		return out
	}
	r := &Replacement{Ref: snapshot.RefOf(obj), Node: obj.Spec.NodeName, Word: snapshot.StatusOf(obj).Word, Ready: podReady(obj) && obj.DeletionTimestamp == nil}
	out.Replacement = r
	if i := slices.IndexFunc(found.Stuck, func(p stuck.Pod) bool { return p.Ref.Is(r.Ref) }); i >= 0 && !r.Ready {
		r.Stuck = fmt.Sprintf("it is stuck in %s for %s", found.Stuck[i].State, scope.Short(found.Stuck[i].For))
	}
	switch {
	case r.Ready:
		c := snapshot.PodCondition(obj, corev1.PodReady)
		r.After = max(int64(c.LastTransitionTime.Sub(obj.CreationTimestamp.Time).Seconds()), 0)
		out.Settled, out.Good = true, true
		out.say("%s is there again, and Ready on node %s", b.Target, orNone(r.Node))
	case obj.DeletionTimestamp != nil:
		out.Settled = true
		out.say("%s is there again, and is being deleted", b.Target)
	case r.Stuck != "":
		out.Settled = true
		out.say("%s is there again, and not Ready: %s", b.Target, r.Stuck)
	case obj.Status.Phase == corev1.PodSucceeded: // it ran to its end before it was looked at
		out.Settled, out.Good = true, true
		out.say("%s is there again, and ran to its end", b.Target)
	case obj.Status.Phase == corev1.PodFailed:
		out.Settled = true
		out.say("%s is there again, and failed: %s", b.Target, r.Word)
	default:
		out.say("%s is there again, %s, and not Ready yet", b.Target, r.Word)
	}
	return out
}

func orReason(s string) string {
	if s == "" {
		return "none was expected"
	}
	return s
}
