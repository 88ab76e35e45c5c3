package finalizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// restart is how long a controller may be down without being called gone: a rollout, or the move to another node.
const restart = 5 * time.Minute

// ofProject judges the owner of a finalizer that is not Kubernetes' own.
func ofProject(s *snapshot.Snapshot, o *Owner, h hints) {
	found, match := workloads(s, &h)
	found, apart := nearest(found, h.namespace)
	leases := slices.DeleteFunc(h.leases(s, found), func(l *coordinationv1.Lease) bool {
		return slices.ContainsFunc(apart, func(w workload) bool { return w.ref.Namespace == l.Namespace }) // of the other installation
	})
	whole := s.Complete(snapshot.Deployment, snapshot.FinalizerOwners) && s.Complete(snapshot.StatefulSet, snapshot.FinalizerOwners) && s.Complete(snapshot.DaemonSet, snapshot.FinalizerOwners)
	name(o, &h, found, match)
	o.seeDefinitions(h)

	var renewed, old *coordinationv1.Lease
	running := clockRuns(s, "")
	for _, l := range leases {
		switch {
		case fresh(s, l):
			renewed = l
		case running && (old == nil || l.Spec.RenewTime.After(old.Spec.RenewTime.Time)):
			old = l
		}
	}
	for _, l := range []*coordinationv1.Lease{renewed, old} {
		if l != nil && (l == renewed || len(found) > 0) { // without a workload an old lease may be of an earlier installation
			ref := snapshot.Ref{Kind: snapshot.Lease, Namespace: l.Namespace, Name: l.Name}
			if o.Lease == nil {
				o.Lease = &ref
			}
			o.see(ref, "spec.renewTime", l.Spec.RenewTime.UTC().Format(time.RFC3339))
		}
	}
	for i := range min(len(found), 3) {
		o.see(found[i].ref, "status.availableReplicas", fmt.Sprintf("%d of %d", found[i].available, found[i].wanted))
	}
	up := slices.IndexFunc(found, func(w workload) bool { return w.available > 0 })
	switch {
	case up >= 0 && slices.ContainsFunc(found, func(w workload) bool { return w.available == 0 && w.ref.Namespace != found[up].ref.Namespace }):
		o.either(found)
	case up >= 0:
		o.up(found[up], match, renewed, old, s.Now())
	case len(found) > 0:
		o.down(s, h, found, match, renewed, old)
	case renewed != nil:
		o.Alive, o.Sure = Lives, diagnose.Likely
		o.Why = fmt.Sprintf("its lease %s/%s was renewed %s ago", renewed.Namespace, renewed.Name, scope.Short(max(s.Now().Sub(renewed.Spec.RenewTime.Time), 0)))
	default:
		o.missing(s, h, whole)
	}
	if len(apart) > 0 && o.Sure == diagnose.Certain {
		o.Sure = diagnose.Likely // the other one may have the whole cluster in its charge
	}
	if len(found) > 0 && h.viaWriter(found[0]) || len(found) == 0 && h.entry == nil && h.writer != "" {
		o.temper(s, &h, found)
	}
}

// nearest parts what was found in the object's own namespace from installations of the same elsewhere, each of which cares for its own.
func nearest(found []workload, namespace string) (near, apart []workload) {
	for _, w := range found {
		if namespace != "" && w.ref.Namespace == namespace {
			near = append(near, w)
		} else {
			apart = append(apart, w)
		}
	}
	if len(near) == 0 {
		return apart, nil
	}
	return near, apart
}

// either judges two installations, of which one runs and one does not, and none is in the object's namespace.
func (o *Owner) either(found []workload) {
	up, down := found[0], found[len(found)-1] // those of which most pods are available come first
	o.Controller = nil
	o.Why = fmt.Sprintf("it is installed more than once: of %s %d pods are available, of %s none, and which of them has the object in its charge is not recorded", up.ref, up.available, down.ref)
	o.Decide = fmt.Sprintf("Which installation watches the object's namespace: the arguments and the logs of %s and %s.", up.ref, down.ref)
}

// temper takes back what rests on the writer's name alone. What a webhook or a template puts on an object while it is created is written in the name of
// its creator, and the owner of the finalizer is somebody else.
func (o *Owner) temper(s *snapshot.Snapshot, h *hints, found []workload) {
	if o.Sure == diagnose.Certain {
		o.Sure = diagnose.Likely
	}
	doubt := ""
	other := h.likely(s, found)
	switch {
	case h.kin():
	case h.born:
		doubt = fmt.Sprintf("%q created the object, and what a webhook or a template adds then is written in the creator's name", o.Writer)
	case other != nil:
		doubt = fmt.Sprintf("%q wrote the finalizer, and %s, which is called like its domain, runs", o.Writer, other.ref)
	case !h.controller() && !slices.ContainsFunc(found, controls):
		doubt = fmt.Sprintf("%q wrote the finalizer, and is not called as controllers are", o.Writer)
	}
	if doubt == "" {
		return
	}
	o.Sure = diagnose.Possible
	if o.Alive != Gone {
		return
	}
	why := o.Why
	if len(found) > 0 {
		why = found[0].ref.String() + ": " + why
	}
	o.Alive, o.Controller, o.Why = Unknown, nil, doubt+"; "+why
	if o.How == ByWriter {
		o.How, o.Name = ByNone, ""
	}
	o.Decide = fmt.Sprintf("Which controller or webhook sets %s: kubectl get mutatingwebhookconfigurations, and the source of what %q creates.", h.finalizer, o.Writer)
}

// likely is a workload that runs and is called like the finalizer's domain, beside those that were found; nil where there is none.
func (h *hints) likely(s *snapshot.Snapshot, found []workload) *workload {
	for _, k := range []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet} {
		for _, obj := range s.Objects(k) {
			w, ok := workloadOf(obj)
			if ok && w.available > 0 && h.match(w) == byDomain && !slices.ContainsFunc(found, func(f workload) bool { return f.ref == w.ref }) {
				return &w
			}
		}
	}
	return nil
}

// workloads are those that match best, of those that were read, and how well they match. One whose lease is known and held by a pod of it counts as
// the owner, whatever it is called.
func workloads(s *snapshot.Snapshot, h *hints) (found []workload, best int) {
	elected := h.leases(s, nil)
	for _, k := range []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet} {
		for _, obj := range s.Objects(k) {
			w, ok := workloadOf(obj)
			if !ok {
				continue
			}
			m := h.match(w)
			if m > noMatch && slices.ContainsFunc(elected, func(l *coordinationv1.Lease) bool { return holds(w, l) }) {
				m = byName
			}
			switch {
			case m == noMatch || m < best:
			case m > best:
				found, best = []workload{w}, m
			default:
				found = append(found, w)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b workload) int {
		return cmp.Or(cmp.Compare(b.available, a.available), cmp.Compare(a.ref.String(), b.ref.String()))
	})
	return found, best
}

// name says who the owner is, where the table did not.
func name(o *Owner, h *hints, found []workload, match int) {
	if len(found) > 0 {
		ref := found[0].ref
		o.Controller = &ref
	}
	switch {
	case o.How == ByTable:
	case len(h.groups) > 0:
		o.How, o.Name = ByGroup, "the project of "+h.groups[0]
	case h.writer != "" && match != byDomain && (len(found) > 0 || h.controller()):
		o.How, o.Name = ByWriter, o.Writer
	case match == byDomain:
		o.How = ByName
	}
}

// seeDefinitions keeps what the CustomResourceDefinitions say.
func (o *Owner) seeDefinitions(h hints) {
	if len(h.crds) > 0 {
		o.Evidence = append(o.Evidence, diagnose.Evidence{
			Object: "customresourcedefinition " + h.crds[0].Name, Field: "existence", Value: fmt.Sprintf("%d definitions of %s are installed", len(h.crds), strings.Join(h.groups, ", ")),
		})
	}
}

// up judges an owner of which pods are available.
func (o *Owner) up(w workload, match int, renewed, old *coordinationv1.Lease, now time.Time) {
	o.Controller = &w.ref
	o.Alive, o.Sure = Lives, diagnose.Certain
	if match == byPart {
		o.Sure = diagnose.Likely
	}
	if !strong(match) {
		o.Sure = diagnose.Possible
	}
	o.Why = fmt.Sprintf("%d of its %d pods are available", w.available, w.wanted)
	if w.available == w.wanted && w.wanted == 1 {
		o.Why = "its pod is available"
	}
	switch {
	case renewed != nil:
		o.Why += fmt.Sprintf(" and its lease was renewed %s ago", scope.Short(max(now.Sub(renewed.Spec.RenewTime.Time), 0)))
	case old != nil:
		o.Why += fmt.Sprintf(", but the lease %s/%s was last renewed %s ago: none of them leads, or that lease is a leftover", old.Namespace, old.Name, scope.Short(now.Sub(old.Spec.RenewTime.Time)))
		o.Sure = diagnose.Possible
		o.Decide = fmt.Sprintf("What %s logs about its leader election: kubectl logs -n %s %s/%s.", w.ref, w.ref.Namespace, strings.ToLower(string(w.ref.Kind)), w.ref.Name)
	}
	if o.Decide == "" {
		o.Decide = fmt.Sprintf("What its log says of the object (kubectl logs -n %s %s/%s), and whether the API server accepts the removal with --dry-run=server.",
			w.ref.Namespace, strings.ToLower(string(w.ref.Kind)), w.ref.Name)
	}
}

// down judges an owner that is installed and has no pod that is available.
func (o *Owner) down(s *snapshot.Snapshot, h hints, found []workload, match int, renewed, old *coordinationv1.Lease) {
	w := found[0]
	o.Decide = fmt.Sprintf("Why it has no ready pod: kubectl describe %s %s -n %s.", strings.ToLower(string(w.ref.Kind)), w.ref.Name, w.ref.Namespace)
	scaled := !slices.ContainsFunc(found, func(w workload) bool { return w.wanted > 0 })
	switch {
	case scaled && w.ref.Kind == snapshot.DaemonSet:
		o.Why = "it is to run on no node"
	case scaled:
		o.Why = "it is scaled to 0 replicas"
	default:
		i := slices.IndexFunc(found, func(w workload) bool { return w.wanted > 0 })
		w = found[i]
		o.Controller = &w.ref
		o.Why = fmt.Sprintf("none of its %d pods is available", w.wanted)
		if w.wanted == 1 {
			o.Why = "its pod is not available"
		}
		if !w.since.IsZero() {
			o.Why += ", for " + scope.Short(max(s.Now().Sub(w.since), 0))
		}
	}
	switch {
	case renewed != nil:
		o.Why += fmt.Sprintf(", and yet the lease %s/%s was renewed %s ago", renewed.Namespace, renewed.Name, scope.Short(max(s.Now().Sub(renewed.Spec.RenewTime.Time), 0)))
		return // unknown: it went down just now, or runs somewhere else
	case !scaled && !w.since.IsZero() && s.Now().Sub(w.since) < restart:
		o.Why += ": it may be starting"
		return
	case !scaled && w.since.IsZero() && s.Now().Sub(h.deleted) < restart:
		o.Why += ", since when is not recorded: it may be starting"
		return
	case old != nil:
		o.Why += fmt.Sprintf(", and its lease was last renewed %s ago", scope.Short(s.Now().Sub(old.Spec.RenewTime.Time)))
	}
	o.Alive, o.Sure = Gone, diagnose.Likely
	if match > byPart && (scaled || !w.since.IsZero()) {
		o.Sure = diagnose.Certain
	}
	if !strong(match) {
		o.Alive, o.Sure = Unknown, diagnose.Possible // something else may be its owner
		o.Why += "; that it is the owner is a guess by its name"
	}
}

// missing judges an owner of which nothing was found.
func (o *Owner) missing(s *snapshot.Snapshot, h hints, whole bool) {
	defined := s.Complete(snapshot.CustomResourceDefinition, "")
	switch {
	case !whole:
		o.Why = "the workloads of the cluster could not be read in full"
		o.Decide = "Whether a controller of " + h.subject() + " runs: kubectl get deployments,statefulsets,daemonsets -A."
		return
	case h.entry != nil && h.entry.outside:
		o.Why = "nothing of it was found in this cluster, and it may run outside"
		o.Decide = "Whether " + h.entry.name + " runs where it manages this cluster from."
		return
	case h.entry != nil && len(h.entry.workloads) == 0 && h.entry.sidecar == "", h.entry == nil && !h.controller():
		// What it is called is not known, so that nothing is called like it proves little.
		o.Why = "nothing in the cluster is called like it"
		if len(h.groups) > 0 {
			o.Why = "no workload is called like " + h.subject() + ", whose CustomResourceDefinitions are installed"
		} else if defined && h.entry == nil {
			o.Why += ", and no CustomResourceDefinition of its domain is installed"
		}
		if o.Writer != "" {
			o.Why += fmt.Sprintf("; %q, which wrote the finalizer, tells nothing of the owner", o.Writer)
			o.Telling = false
		}
		o.Decide = "Who installs controllers in this cluster, and whether one of " + h.subject() + " was removed."
		return
	case !defined && (h.entry == nil || h.entry.group != ""):
		o.Why = "no workload of its name runs, and whether its CustomResourceDefinitions are installed could not be read"
		o.Decide = "Whether the project is installed: kubectl get customresourcedefinitions | grep " + h.subject() + "."
		return
	case h.entry != nil && h.entry.sidecar != "" && h.driver == "":
		o.Why = "which driver it belongs to is not recorded"
		o.Decide = "Whether the controller of the volume's driver runs."
		return
	}
	o.Alive, o.Sure = Gone, diagnose.Likely
	o.Why = "no Deployment, StatefulSet or DaemonSet of its name exists"
	if h.writer != "" && h.entry == nil {
		o.Why = fmt.Sprintf("no Deployment, StatefulSet or DaemonSet is called like %q, which put it there", o.Writer)
	}
	switch {
	case h.entry != nil && h.entry.group != "" && len(h.groups) == 0:
		o.Sure = diagnose.Certain
		o.Why += ", and no CustomResourceDefinition of " + h.entry.group + ": it was uninstalled"
		o.Evidence = append(o.Evidence, diagnose.Evidence{Object: "customresourcedefinitions of " + h.entry.group, Field: "existence", Value: "none"})
	case len(h.groups) > 0:
		o.Why += ", although its CustomResourceDefinitions are still there"
	}
	o.Decide = "Whether it runs under another name: kubectl get deployments,statefulsets,daemonsets -A."
}

func (h *hints) subject() string {
	if h.entry != nil && h.entry.group != "" {
		return h.entry.group
	}
	if h.domain == "" {
		return h.finalizer
	}
	return h.domain
}

// fresh tells whether the lease is being renewed. Leader election renews every 2s and gives up after 15s (component-base
// RecommendedDefaultLeaderElectionConfiguration); a minute, or four times the lease's own duration, leaves room for a change of leaders.
func fresh(s *snapshot.Snapshot, l *coordinationv1.Lease) bool {
	limit := time.Minute
	if d := l.Spec.LeaseDurationSeconds; d != nil && *d > 0 && *d <= 3600 {
		limit = max(limit, time.Duration(*d)*4*time.Second)
	}
	return s.Now().Sub(l.Spec.RenewTime.Time) <= limit
}

// clockRuns tells whether the age of a lease means anything: some other lease is being renewed. In a picture whose time is wrong, or that was put together
// at different times, all are old.
func clockRuns(s *snapshot.Snapshot, but string) bool {
	if t := s.FreshestNodeLease(); !t.IsZero() && s.Now().Sub(t) <= time.Minute {
		return true
	}
	return slices.ContainsFunc(s.Objects(snapshot.Lease), func(o runtime.Object) bool {
		l, ok := o.(*coordinationv1.Lease)
		return ok && l.Spec.RenewTime != nil && !(l.Namespace == metav1.NamespaceSystem && l.Name == but) && fresh(s, l)
	})
}
