package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func controlPlaneDown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST511", Slug: "control-plane-down",
		Doc: diagnose.Doc{
			Title:   "A control-plane controller does not run",
			Symptom: "Pods stay Pending without a single event, pods of nodes that are gone are not removed, finalizers that Kubernetes itself sets are not taken away: everything that a controller does stands still, while running pods go on.",
			Mechanism: "kube-controller-manager and kube-scheduler hold a lease in kube-system and renew it every few seconds. A lease that nobody renews means that no replica works: " +
				"crashed, without access to the API server or etcd, with an expired certificate, or stopped. Where not one lease of the cluster is renewed, the nodes' included, nothing is written any more: " +
				"etcd is full (its quota is used up and the NOSPACE alarm raised), has no quorum, or is too slow; reading may go on meanwhile.",
			Confirm: []string{
				"kubectl get lease kube-controller-manager kube-scheduler -o custom-columns=NAME:.metadata.name,HOLDER:.spec.holderIdentity,RENEWED:.spec.renewTime -n kube-system",
				"kubectl get pods -l tier=control-plane -o wide -n kube-system",
				"kubectl get --raw /readyz?verbose",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "look-at-controller", Risk: diagnose.RiskNone, Command: "kubectl get pods -l tier=control-plane -o wide -n kube-system",
					Text: "Find why the controller does not run: its static pod's state and log on the control-plane hosts, its certificates, its way to the API server. In a managed cluster, ask the provider.",
				},
				{
					ID: "look-at-etcd", Risk: diagnose.RiskNone, Command: "kubectl get --raw /readyz?verbose",
					Text: "If nothing is written: on an etcd host, etcdctl endpoint status and alarm list tell whether it is full or has no leader. Full: compact, defragment member by member, disarm the alarm.",
				},
				{ID: "restart-controller", Risk: diagnose.RiskLow, Text: "Restart it on its host (kubelet does, when the manifest in /etc/kubernetes/manifests is moved away and back). Everything that waited is worked off then."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/architecture/leases/",
				"https://kubernetes.io/docs/tasks/debug/debug-cluster/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/podgc/gc_controller.go",
				"https://etcd.io/docs/latest/op-guide/maintenance/#space-quota",
			},
		},
		Reach:   scope.ReachCluster,
		Needs:   []snapshot.Kind{snapshot.Lease},
		Cluster: controlPlaneDownCluster,
		Object:  controllersDoNotLook,
		Log: []diagnose.LogMatch{
			// client-go/tools/leaderelection, and the two controllers themselves; the words differ by version.
			{Text: diagnose.Text{All: []string{"failed to renew lease"}, Any: []string{"kube-controller-manager", "kube-scheduler"}}},
			{Text: diagnose.Text{All: []string{"failed to update lease"}, Any: []string{"kube-controller-manager", "kube-scheduler"}}},
			{Text: diagnose.Text{All: []string{"error retrieving"}, Any: []string{"kube-system/kube-controller-manager", "kube-system/kube-scheduler"}}},
			// Every program that elects a leader says this, so it has to be one of these two by its name or its file.
			{Text: diagnose.Text{All: []string{"leaderelection lost"}, Any: []string{"kube-controller-manager", "kube-scheduler", " controllermanager.go:", " server.go:"}}},
			// etcd says these (api/v3rpc/rpctypes), and everybody who hears them repeats them.
			{Text: diagnose.Text{All: []string{"etcdserver: mvcc: database space exceeded"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"alarm:NOSPACE"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"etcdserver: no leader"}}},
			{Text: diagnose.Text{All: []string{"etcdserver: request timed out"}}},
		},
	}
}

func controlPlaneDownCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	if f, ok := nothingIsWritten(s, r); ok {
		return []diagnose.Finding{f}
	}
	var out []diagnose.Finding
	for _, c := range []struct {
		lease string
		waits func(stuck.Pod) bool
		what  string
	}{
		{controllerManager, waitsForControllers, "pods without a node are not removed, finalizers of Jobs and of the garbage collector stay, and dead nodes are not cleared"},
		{scheduler, waitsForScheduler, "no pod gets a node"},
	} {
		l, age, stale := staleLease(s, c.lease)
		if !stale {
			continue
		}
		var explains []snapshot.Ref
		for _, p := range all(r) {
			if c.waits(p.Pod) {
				explains = append(explains, p.Ref)
			}
		}
		if len(explains) == 0 {
			continue
		}
		holder := "nobody"
		if h := l.Spec.HolderIdentity; h != nil && *h != "" {
			holder = *h
		}
		f := diagnose.Finding{
			Subject:    snapshot.Ref{Kind: snapshot.Lease, Namespace: metav1.NamespaceSystem, Name: c.lease},
			Explains:   explains,
			Confidence: diagnose.Likely,
			Message: fmt.Sprintf("No %s has renewed its lease for %s (last holder %s): %s. %s for it: %s.",
				c.lease, scope.Short(age), holder, c.what, waitVerb(len(explains)), some(explains)),
			Evidence: []diagnose.Evidence{{
				Object: "lease " + metav1.NamespaceSystem + "/" + c.lease, Field: "spec.renewTime",
				Value: l.Spec.RenewTime.UTC().Format(time.RFC3339),
			}},
		}
		for _, p := range all(r) {
			if p.Ref.Namespace == metav1.NamespaceSystem && strings.HasPrefix(p.Ref.Name, c.lease+"-") {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "STATUS", Value: p.Word})
				f.Message += fmt.Sprintf(" Its own pod %s/%s is stuck as well (%s): begin there.", p.Ref.Namespace, p.Ref.Name, p.Word)
				break
			}
		}
		out = append(out, f)
	}
	return out
}

// controllersDoNotLook is about a workload that no controller ever looked at, and about a namespace that was deleted and of which no controller says
// anything. What was there long before the controllers stopped may have another reason.
func controllersDoNotLook(s *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	const lag = 5 * time.Minute // a controller looks within seconds, unless it has much to do
	var what string
	switch w := o.Object.(type) {
	case *corev1.Namespace:
		if o.State != stuck.Going || len(w.Status.Conditions) > 0 || len(w.Finalizers) > 0 || len(podsHolding(s, w.Name)) > 0 {
			return diagnose.Finding{}, false
		}
		what = fmt.Sprintf("nobody empties %s and lets it go", o.Ref)
	default:
		if o.State != stuck.NoPods || !stuck.Unseen(o.Object) {
			return diagnose.Finding{}, false
		}
		what = fmt.Sprintf("no controller has looked at %s since it was made, and it has %d of %s", o.Ref, o.Created, count(o.Wanted, "pod"))
	}
	l, age, stale := staleLease(s, controllerManager)
	if !stale {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject:    snapshot.Ref{Kind: snapshot.Lease, Namespace: metav1.NamespaceSystem, Name: controllerManager},
		Confidence: diagnose.Likely,
		Message:    fmt.Sprintf("No %s has renewed its lease for %s: %s.", controllerManager, scope.Short(age), what),
		Evidence: []diagnose.Evidence{{
			Object: "lease " + metav1.NamespaceSystem + "/" + controllerManager, Field: "spec.renewTime", Value: l.Spec.RenewTime.UTC().Format(time.RFC3339),
		}},
	}
	if o.Since.Before(l.Spec.RenewTime.Add(-lag)) {
		f.Confidence = diagnose.Possible
		f.Decide = "It waited before the lease went stale: see whether it moves on once kube-controller-manager runs again, and what the log of that says of it."
	}
	return f, true
}

// nothingIsWritten tells whether not one lease is renewed any more, of the controllers or of the nodes. That is also how a picture looks whose clock
// is wrong, so it is only said where the clock is the API server's own.
func nothingIsWritten(s *snapshot.Snapshot, r scope.Result) (diagnose.Finding, bool) {
	const most = 3 * time.Minute // nodes renew every 10s, controllers every 2s
	newest := s.FreshestNodeLease()
	if clock := s.Origin().Clock; newest.IsZero() || clock != "API server" && clock != "recorded in the dump" {
		return diagnose.Finding{}, false
	}
	nodes, controllers := 0, 0
	for _, l := range s.Leases() {
		if l.Spec.RenewTime == nil {
			continue
		}
		switch {
		case l.Namespace == corev1.NamespaceNodeLease:
			nodes++
		case l.Namespace == metav1.NamespaceSystem && (l.Name == controllerManager || l.Name == scheduler):
			controllers++
		}
		if l.Spec.RenewTime.After(newest) {
			newest = l.Spec.RenewTime.Time
		}
	}
	age := s.Now().Sub(newest)
	if nodes == 0 || controllers == 0 || age <= most {
		return diagnose.Finding{}, false
	}
	var explains []snapshot.Ref
	for _, p := range all(r) {
		explains = append(explains, p.Ref)
	}
	if len(explains) == 0 {
		return diagnose.Finding{}, false
	}
	return diagnose.Finding{
		Subject: snapshot.Ref{Kind: snapshot.Lease, Namespace: metav1.NamespaceSystem, Name: controllerManager}, Explains: explains, Confidence: diagnose.Likely,
		Message: fmt.Sprintf("No lease has been renewed for %s, of no node and of no controller: nothing is written to the API server. Its etcd is full or has no quorum, or neither nodes nor controllers reach it. %s: %s.",
			scope.Short(age), waitVerb(len(explains)), some(explains)),
		Evidence: []diagnose.Evidence{{Object: "leases of all nodes and controllers", Field: "spec.renewTime", Value: "the newest is " + newest.UTC().Format(time.RFC3339)}},
		Decide:   "Whether a write works: kubectl auth can-i does not write, but kubectl annotate of any object with --dry-run=none does; and what etcd says of its space and leader.",
	}, true
}

func waitVerb(n int) string {
	if n == 1 {
		return "1 pod waits"
	}
	return fmt.Sprintf("%d pods wait", n)
}

// waitsForControllers tells whether the next step is kube-controller-manager's: PodGC's, the job controller's, the
// garbage collector's or the taint manager's.
func waitsForControllers(p stuck.Pod) bool {
	switch p.Stage {
	case stuck.NodeGone, stuck.NeverScheduled:
		return true
	case stuck.FinalizersOnly:
		return slices.ContainsFunc(p.Object.Finalizers, func(f string) bool {
			return f == batchv1.JobTrackingFinalizer || f == metav1.FinalizerDeleteDependents || f == metav1.FinalizerOrphanDependents
		})
	}
	return p.State == stuck.NodeLost
}

// waitsForScheduler tells whether no scheduler ever looked at the pod.
func waitsForScheduler(p stuck.Pod) bool {
	name := p.Object.Spec.SchedulerName
	return p.Node == "" && (p.State == stuck.Pending || p.State == stuck.Unschedulable) && (name == "" || name == corev1.DefaultSchedulerName) &&
		snapshot.PodCondition(p.Object, corev1.PodScheduled) == nil
}
