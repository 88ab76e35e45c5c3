package control

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// TestWhatIsSaidDependsOnHowTheOwnerIs holds a pod that a finalizer keeps against owners that live, are gone, or cannot be told.
func TestWhatIsSaidDependsOnHowTheOwnerIs(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	owner := func(replicas int32) runtime.Object {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kueue-system", Name: "kueue-controller-manager"}}
		d.Spec.Replicas, d.Status.AvailableReplicas = &replicas, replicas
		return d
	}
	lease := func(namespace, name string, age time.Duration) runtime.Object {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: now.Add(-age)}}}
	}
	node := lease(corev1.NamespaceNodeLease, "n", 3*time.Second)
	const kueue, own, waits = "kueue.x-k8s.io/managed", "batch.kubernetes.io/job-tracking", "foregroundDeletion"
	for name, c := range map[string]struct {
		cause      diagnose.Cause
		finalizers []string
		objects    []runtime.Object
		unread     []snapshot.Kind
		want       diagnose.Confidence
		says, not  string
		suspects   string // an alternative that is named
		acquits    string // and one that is not
	}{
		"the owner is gone": {
			cause: foreignFinalizerControllerGone(), finalizers: []string{kueue}, objects: []runtime.Object{node, owner(0)}, want: diagnose.Certain,
			says: "Kueue (deployment kueue-system/kueue-controller-manager), which is gone: it is scaled to 0 replicas", acquits: "webhook-unavailable-blocks-update",
		},
		"the owner lives": {
			cause: foreignFinalizerControllerGone(), finalizers: []string{kueue}, objects: []runtime.Object{node, owner(1)}, want: diagnose.Possible,
			says: "which is alive and has not removed it: its pod is available", not: "gone:", suspects: "webhook-unavailable-blocks-update",
		},
		"nobody can tell": {
			cause: foreignFinalizerControllerGone(), finalizers: []string{kueue}, objects: []runtime.Object{node}, unread: []snapshot.Kind{snapshot.Deployment}, want: diagnose.Likely,
			says: "whether it runs is not known", not: "gone:", suspects: "webhook-unavailable-blocks-update",
		},
		"one of two owners is gone": {
			cause: foreignFinalizerControllerGone(), finalizers: []string{"karpenter.sh/termination", own, kueue}, objects: []runtime.Object{node, owner(0)}, want: diagnose.Certain,
			says: "The finalizer karpenter.sh/termination belongs to Karpenter; whether it runs is not known",
		},
		"the Job controller works": {
			cause: jobTrackingFinalizerOrphan(), finalizers: []string{own}, objects: []runtime.Object{node, lease("kube-system", "kube-controller-manager", time.Second)}, want: diagnose.Likely,
			says: "The Job controller works", acquits: "control-plane-down", suspects: "webhook-unavailable-blocks-update",
		},
		"the Job controller does not": {
			cause: jobTrackingFinalizerOrphan(), finalizers: []string{own}, objects: []runtime.Object{node, lease("kube-system", "kube-controller-manager", time.Hour)}, want: diagnose.Likely,
			says: "has not renewed its lease for 60m", suspects: "control-plane-down", acquits: "webhook-unavailable-blocks-update",
		},
		"time stood still": {
			cause: jobTrackingFinalizerOrphan(), finalizers: []string{own}, want: diagnose.Likely, not: "does not work", suspects: "control-plane-down",
			objects: []runtime.Object{lease(corev1.NamespaceNodeLease, "n", time.Hour), lease("kube-system", "kube-controller-manager", time.Hour)},
		},
		"the garbage collector does not work": {
			cause: foregroundDeletionWaiting(), finalizers: []string{waits}, objects: []runtime.Object{node, lease("kube-system", "kube-controller-manager", time.Hour)}, want: diagnose.Possible,
			says: "It does not work: kube-controller-manager has not renewed its lease", suspects: "control-plane-down", acquits: "webhook-unavailable-blocks-update",
		},
	} {
		t.Run(name, func(t *testing.T) {
			at, none := metav1.NewTime(now.Add(-40*time.Minute)), int64(0)
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", UID: "u", DeletionTimestamp: &at, DeletionGracePeriodSeconds: &none, Finalizers: c.finalizers}}
			pod.Status.Phase = corev1.PodFailed
			b := snapshot.NewBuilder()
			for _, o := range append([]runtime.Object{pod}, c.objects...) {
				b.Add(o)
			}
			for _, i := range snapshot.Kinds() {
				if !slices.Contains(c.unread, i.Kind) {
					b.SetComplete(i.Kind, "")
				}
			}
			s, err := b.Build(now)
			if err != nil {
				t.Fatal(err)
			}
			found := stuck.Find(s, stuck.Options{})
			if len(found.Stuck) != 1 {
				t.Fatalf("%+v", found)
			}
			f, ok := c.cause.Pod(s, found.Stuck[0])
			if !ok || f.Confidence != c.want {
				t.Fatalf("found: %t, %s, want %s: %s", ok, f.Confidence, c.want, f.Message)
			}
			if !strings.Contains(f.Message, c.says) || c.not != "" && strings.Contains(f.Message, c.not) {
				t.Errorf("%s\nwant %q, and not %q", f.Message, c.says, c.not)
			}
			if c.suspects != "" && !slices.Contains(f.Alternatives, c.suspects) || c.acquits != "" && slices.Contains(f.Alternatives, c.acquits) {
				t.Errorf("alternatives %q: want %q, and not %q", f.Alternatives, c.suspects, c.acquits)
			}
		})
	}
}
