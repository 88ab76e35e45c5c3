package stuck

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// How long something other than a pod may be in a state before it counts as stuck. The values are this tool's own.
//
// A controller that was refused a pod tries again at once, and a few more times within seconds; what passes by itself, as a quota that another
// pod is about to leave, has passed within a minute.
//
// A namespace takes as long as its pods have to end, 30 s by default, and is looked at again some 15 s after each step
// (pkg/controller/namespace/deletion: the estimate of what is left, 15 s for finalizers); two steps are the rule since pods go first.
// A pod in its own, longer grace period keeps its namespace from counting, unless the namespace says that something other than its pods is in the way.
const (
	noPodsThreshold = time.Minute
	goingThreshold  = 2 * time.Minute
)

// refusalFresh is how old the last refusal may be: controllers wait up to 1000 s between two attempts (client-go/util/workqueue
// DefaultTypedControllerRateLimiter).
const refusalFresh = 20 * time.Minute

// FailedCreate is the reason of the event, and of the condition, with which controllers say that they could not create a pod
// (pkg/controller FailedCreatePodReason, and the StatefulSet controller's own).
const FailedCreate = "FailedCreate"

// DefaultObjectThreshold is how long something other than a pod may be in a state before it counts as stuck.
func DefaultObjectThreshold(s ObjectState) time.Duration {
	if s == Going {
		return goingThreshold
	}
	return noPodsThreshold
}

// findObjects looks at every workload and namespace of the snapshot.
func findObjects(s *snapshot.Snapshot, o Options) []Object {
	var out []Object
	add := func(f Object, ok bool) {
		if !ok || f.Since.IsZero() {
			return
		}
		f.For = max(s.Now().Sub(f.Since), 0)
		threshold := DefaultObjectThreshold(f.State)
		if o.OlderThan != nil {
			threshold = *o.OlderThan
		}
		if f.For >= threshold {
			out = append(out, f)
		}
	}
	for _, k := range snapshot.Workloads() {
		for _, w := range s.Objects(k) {
			add(noPods(s, k, w))
		}
	}
	for _, w := range s.Objects(snapshot.Namespace) {
		if ns, ok := w.(*corev1.Namespace); ok {
			add(going(s, ns))
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i].Ref, out[j].Ref
		if a.Namespace != b.Namespace {
			return a.Namespace < b.Namespace
		}
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		return a.Name < b.Name
	})
	return out
}

// going tells whether the namespace was deleted and is still there. While a pod of it is in its grace period it may be, if no more than that is in
// the way.
func going(s *snapshot.Snapshot, ns *corev1.Namespace) (Object, bool) {
	if ns.DeletionTimestamp == nil {
		return Object{}, false
	}
	since := ns.DeletionTimestamp.Time
	failing := failsToGo(ns)
	for _, p := range s.Pods() {
		if failing {
			break // pods do not excuse it
		}
		if p.Namespace != ns.Name || p.DeletionTimestamp == nil {
			continue
		}
		if p.DeletionTimestamp.After(s.Now()) {
			return Object{}, false
		}
		if p.DeletionTimestamp.After(since) {
			since = p.DeletionTimestamp.Time
		}
	}
	return Object{Object: ns, Ref: snapshot.Ref{Kind: snapshot.Namespace, Name: ns.Name, UID: ns.UID}, State: Going, Since: since}, true
}

// failsToGo tells whether the namespace controller says that it cannot empty the namespace for another reason than that its content still ends
// (pkg/controller/namespace/deletion namespaceConditionUpdater). It goes on in spite of a failure to discover or to delete one kind, but does not
// finish. One that is about pods alone may pass with them.
func failsToGo(ns *corev1.Namespace) bool {
	return slices.ContainsFunc(ns.Status.Conditions, func(c corev1.NamespaceCondition) bool {
		switch c.Type {
		case corev1.NamespaceDeletionDiscoveryFailure, corev1.NamespaceDeletionGVParsingFailure:
			return c.Status == corev1.ConditionTrue
		case corev1.NamespaceDeletionContentFailure:
			return c.Status == corev1.ConditionTrue && !(strings.Contains(c.Message, ", 1 remaining: ") && strings.Contains(c.Message, "Resource=pods"))
		default:
			return false
		}
	})
}

// noPods tells whether the workload wants more pods than it could create. Being short of them is not enough: a rollout is, for a moment, and so is a
// StatefulSet that waits for its first pod before it makes the second. Something must have been refused, or nobody ever looked at it.
func noPods(s *snapshot.Snapshot, k snapshot.Kind, w runtime.Object) (Object, bool) {
	m, err := meta.Accessor(w)
	if err != nil || m.GetDeletionTimestamp() != nil {
		return Object{}, false
	}
	if c := metav1.GetControllerOf(m); k == snapshot.ReplicaSet && c != nil && c.Kind == string(snapshot.Deployment) {
		return Object{}, false // it is the Deployment's matter
	}
	if ns := s.NamespaceOf(m.GetNamespace()); ns != nil && ns.DeletionTimestamp != nil {
		return Object{}, false // nothing new can be made in it, and nothing should be
	}
	f := Object{Object: w, Ref: snapshot.Ref{Kind: k, Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUID()}, State: NoPods}
	var ok bool
	if f.Wanted, f.Created, ok = snapshot.PodsOf(w); !ok {
		return Object{}, false
	}
	if Unseen(w) {
		f.Since = m.GetCreationTimestamp().Time
		return f, f.Wanted > 0
	}
	if f.Created >= f.Wanted {
		return Object{}, false
	}
	for _, r := range Refusals(s, f) {
		if f.Since.IsZero() || r.Since.Before(f.Since) {
			f.Since = r.Since
		}
	}
	return f, !f.Since.IsZero()
}

// Unseen tells whether no controller has looked at the workload since it was made, so that nothing is known of its pods. Of a DaemonSet nobody knows
// then how many it wants.
func Unseen(w runtime.Object) bool {
	switch w := w.(type) {
	case *appsv1.Deployment:
		return w.Generation > 0 && w.Status.ObservedGeneration == 0
	case *appsv1.ReplicaSet:
		return w.Generation > 0 && w.Status.ObservedGeneration == 0
	case *appsv1.StatefulSet:
		return w.Generation > 0 && w.Status.ObservedGeneration == 0
	case *batchv1.Job:
		external := w.Spec.ManagedBy != nil && *w.Spec.ManagedBy != "" && *w.Spec.ManagedBy != batchv1.JobControllerName
		return w.Generation > 0 && w.Status.StartTime == nil && !external && !snapshot.JobIsOver(w)
	default:
		return false
	}
}

// Refusal is one thing that was said of a workload whose pods are not there.
type Refusal struct {
	// About is the workload, or the ReplicaSet of it that makes the pods.
	About snapshot.Ref
	// Field is where it stands: "status.conditions[ReplicaFailure]", or the reason of an event.
	Field   string
	Message string
	// Since and Last are when it began and when it was said last; of a condition both are when it became true.
	Since, Last time.Time
	Count       int32 // of an event; 0 for a condition
}

// Refusals gathers what is said of a workload that is short of pods, oldest first. What was said before a pod could be created again is left out, and so is
// an event that is older than controllers wait before they try again.
func Refusals(s *snapshot.Snapshot, o Object) []Refusal {
	var out []Refusal
	condition := func(about snapshot.Ref, typ, reason, message string, at metav1.Time) {
		out = append(out, Refusal{
			About: about, Field: fmt.Sprintf("status.conditions[%s]", typ), Message: strings.TrimPrefix(reason+": "+message, ": "), Since: at.Time, Last: at.Time,
		})
	}
	about := []snapshot.Ref{o.Ref}
	switch w := o.Object.(type) {
	case *appsv1.Deployment:
		short, whole := replicaSets(s, w)
		for _, rs := range short {
			about = append(about, snapshot.Ref{Kind: snapshot.ReplicaSet, Namespace: rs.Namespace, Name: rs.Name, UID: rs.UID})
		}
		for _, c := range w.Status.Conditions {
			switch {
			case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason != "FailedDelete":
				if w.Spec.Paused || whole && len(short) == 0 {
					continue // a paused one does not renew it (pkg/controller/deployment: syncRolloutStatus does); and a ReplicaSet that has its pods lacks none
				}
				condition(o.Ref, string(c.Type), c.Reason, c.Message, c.LastTransitionTime)
			case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse &&
				(c.Reason == "ReplicaSetCreateError" || c.Reason == "ProgressDeadlineExceeded" && len(about) > 1):
				// The second says nothing of pods that could not be created, unless a ReplicaSet has fewer than it wants.
				condition(o.Ref, string(c.Type), c.Reason, c.Message, c.LastTransitionTime)
			}
		}
	case *appsv1.ReplicaSet:
		out = append(out, ofReplicaSet(o.Ref, w)...)
	}
	for _, ref := range about {
		if rs := s.ReplicaSet(ref.Namespace, ref.Name); rs != nil && ref.Kind == snapshot.ReplicaSet && ref != o.Ref {
			out = append(out, ofReplicaSet(ref, rs)...)
		}
		out = append(out, ofEvents(s, ref)...)
	}
	slices.SortStableFunc(out, func(a, b Refusal) int { return a.Last.Compare(b.Last) })
	return out
}

// replicaSets are those of a Deployment that have fewer pods than they want. whole tells that all of its ReplicaSets were read, and that it has one.
func replicaSets(s *snapshot.Snapshot, d *appsv1.Deployment) (short []*appsv1.ReplicaSet, whole bool) {
	for _, obj := range s.Objects(snapshot.ReplicaSet) {
		rs, ok := obj.(*appsv1.ReplicaSet)
		if !ok || rs.Namespace != d.Namespace || rs.DeletionTimestamp != nil {
			continue
		}
		c := metav1.GetControllerOf(rs)
		if wanted, created, _ := snapshot.PodsOf(rs); c != nil && c.Name == d.Name && (c.UID == "" || d.UID == "" || c.UID == d.UID) {
			whole = s.Complete(snapshot.ReplicaSet, d.Namespace)
			if created < wanted {
				short = append(short, rs)
			}
		}
	}
	return short, whole
}

func ofReplicaSet(ref snapshot.Ref, rs *appsv1.ReplicaSet) []Refusal {
	var out []Refusal
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason != "FailedDelete" {
			out = append(out, Refusal{
				About: ref, Field: fmt.Sprintf("status.conditions[%s]", c.Type), Message: strings.TrimPrefix(c.Reason+": "+c.Message, ": "),
				Since: c.LastTransitionTime.Time, Last: c.LastTransitionTime.Time,
			})
		}
	}
	return out
}

// ofEvents are the refusals since the last pod that could be created.
func ofEvents(s *snapshot.Snapshot, ref snapshot.Ref) []Refusal {
	var made time.Time
	events := s.Events(ref)
	for _, e := range events {
		if e.Reason == "SuccessfulCreate" && e.Last.After(made) {
			made = e.Last
		}
	}
	var out []Refusal
	for _, e := range events {
		if e.Reason != FailedCreate && e.Reason != "ReplicaSetCreateError" || !e.Last.IsZero() && s.Now().Sub(e.Last) > refusalFresh || e.Last.Before(made) {
			continue
		}
		since := e.First
		if since.Before(made) {
			since = made
		}
		out = append(out, Refusal{About: ref, Field: e.Reason, Message: e.Message, Since: since, Last: e.Last, Count: e.Count})
	}
	return out
}
