package fix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
	share "github.com/kubectl-stuck/kubectl-stuck/test/world"
)

const (
	// slots is how many runs go on at once, each with a namespace and nodes of its own.
	slots = 4
	// others are nodes that are well, so that the broken ones are no storm.
	others = 16
	// ahead is how far the clock that the plugin sees is ahead of the one by which the pods are made: what was made a moment ago is stuck.
	ahead = 15 * time.Minute
)

// world is the control plane without controllers: nothing happens in it but what a test does.
type world struct {
	cluster *bed.Cluster
	client  kubernetes.Interface
	binary  string
	token   string
	slots   chan *slot
}

// slot is the place of one run.
type slot struct {
	namespace  string
	dead, live string // nodes: one whose kubelet is silent, and one that is well
	pods       int
}

var shared *world

func TestMain(m *testing.M) {
	os.Exit(share.Main("fix", 30*time.Minute, func(ctx context.Context, dir string) (int, error) { return run(ctx, dir, m) }))
}

func run(ctx context.Context, dir string, m *testing.M) (code int, err error) {
	w := &world{slots: make(chan *slot, slots)}
	// The race detector costs more time than this test has: it is off.
	if w.binary, err = plugin.Binary(ctx, dir, os.Getenv("FAULTS_TAGS")); err != nil {
		return 1, err
	}
	w.cluster, err = bed.Start(ctx, bed.Options{NoControllerManager: true, NoScheduler: true, Log: os.Stderr})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, w.cluster.Stop()) }()
	w.client = w.cluster.Client()
	if err := w.furnish(ctx); err != nil {
		return 1, err
	}
	beating, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.beat(beating)
	}()
	defer func() {
		stop()
		<-stopped
	}()
	shared = w
	return m.Run(), nil
}

// furnish makes the namespaces, the nodes, and who is on call.
func (w *world) furnish(ctx context.Context) error {
	for i := range slots {
		s := &slot{namespace: fmt.Sprintf("shop-%d", i), dead: fmt.Sprintf("dead-%d", i), live: fmt.Sprintf("live-%d", i)}
		if err := w.cluster.EnsureNamespace(ctx, s.namespace); err != nil {
			return err
		}
		if err := errors.Join(w.node(ctx, s.dead, false), w.node(ctx, s.live, true)); err != nil {
			return err
		}
		w.slots <- s
	}
	for i := range others {
		if err := w.node(ctx, fmt.Sprintf("other-%d", i), true); err != nil {
			return err
		}
	}
	const name = "oncall"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := w.client.CoreV1().ServiceAccounts("kube-system").Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create ServiceAccount %s: %w", name, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "kube-system", Name: name}},
	}
	if _, err := w.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create ClusterRoleBinding %s: %w", name, err)
	}
	token, err := w.client.CoreV1().ServiceAccounts("kube-system").CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("issue a token: %w", err)
	}
	w.token = token.Status.Token
	return nil
}

// node makes a Node object and its lease. Its kubelet is nobody.
func (w *world) node(ctx context.Context, name string, well bool) error {
	status, reason := corev1.ConditionUnknown, "NodeStatusUnknown"
	renewed := metav1.NowMicro()
	if well {
		status, reason = corev1.ConditionTrue, "KubeletReady"
		renewed = metav1.NewMicroTime(time.Now().Add(ahead))
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	made, err := w.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create Node %s: %w", name, err)
	}
	made.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: status, Reason: reason, LastHeartbeatTime: metav1.NewTime(renewed.Time), LastTransitionTime: metav1.Now(),
	}}
	if _, err := w.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("status of Node %s: %w", name, err)
	}
	seconds := int32(40)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &renewed,
	}}
	if _, err := w.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(ctx, lease, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the Lease of Node %s: %w", name, err)
	}
	return nil
}

// unnode takes a Node object and its lease away.
func (w *world) unnode(ctx context.Context, name string) error {
	errs := []error{
		w.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}),
		w.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(ctx, name, metav1.DeleteOptions{}),
	}
	for i, err := range errs {
		if apierrors.IsNotFound(err) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// beat renews the leases of the nodes that are well.
func (w *world) beat(ctx context.Context) {
	leases := w.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for {
		list, err := leases.List(ctx, metav1.ListOptions{})
		if err == nil {
			for i := range list.Items {
				l := &list.Items[i]
				if l.Spec.RenewTime == nil || time.Until(l.Spec.RenewTime.Time) < ahead/2 {
					continue // of a silent one
				}
				now := metav1.NewMicroTime(time.Now().Add(ahead))
				l.Spec.RenewTime = &now
				_, _ = leases.Update(ctx, l, metav1.UpdateOptions{})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(8 * time.Second):
		}
	}
}
