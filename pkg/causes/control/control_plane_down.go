package control

import (
	"fmt"
	"slices"
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
				"crashed, without access to the API server or etcd, with an expired certificate, or stopped.",
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
				{ID: "restart-controller", Risk: diagnose.RiskLow, Text: "Restart it on its host (kubelet does, when the manifest in /etc/kubernetes/manifests is moved away and back). Everything that waited is worked off then."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/architecture/leases/",
				"https://kubernetes.io/docs/tasks/debug/debug-cluster/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/podgc/gc_controller.go",
			},
		},
		Reach:   scope.ReachCluster,
		Needs:   []snapshot.Kind{snapshot.Lease},
		Cluster: controlPlaneDownCluster,
	}
}

func controlPlaneDownCluster(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
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
		out = append(out, diagnose.Finding{
			Subject:    snapshot.Ref{Kind: snapshot.Lease, Namespace: metav1.NamespaceSystem, Name: c.lease},
			Explains:   explains,
			Confidence: diagnose.Likely,
			Message: fmt.Sprintf("No %s has renewed its lease for %s (last holder %s): %s. %s for it: %s.",
				c.lease, scope.Short(age), holder, c.what, waitVerb(len(explains)), some(explains)),
			Evidence: []diagnose.Evidence{{
				Object: "lease " + metav1.NamespaceSystem + "/" + c.lease, Field: "spec.renewTime",
				Value: l.Spec.RenewTime.UTC().Format(time.RFC3339),
			}},
		})
	}
	return out
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
