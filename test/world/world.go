package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
)

// auditPolicy keeps who changed what.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
- level: None
  userGroups: ["system:nodes"]
- level: Request
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// World is a cluster, and the plugin to use on it.
type World struct {
	*bed.Cluster

	Plugin *plugin.Plugin
	Dir    string // for files of the tests
	audit  string // file
}

// Main makes what the tests of a package share in a temporary folder, lets them run and takes it down: the body of a TestMain. It returns the exit code.
func Main(name string, within time.Duration, run func(ctx context.Context, dir string) (int, error)) int {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	defer os.RemoveAll(dir)
	code, err := run(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return max(code, 1)
	}
	return code
}

// With starts a cluster that keeps an audit log, builds the plugin, and takes the cluster down when the function returns.
func With(ctx context.Context, dir string, do func(*World) (int, error)) (code int, err error) {
	policy := filepath.Join(dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return 1, fmt.Errorf("write the audit policy: %w", err)
	}
	w := &World{Dir: dir, audit: filepath.Join(dir, "audit.log")}
	w.Cluster, err = bed.Start(ctx, bed.Options{Log: os.Stderr, APIServerArgs: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + w.audit}})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, w.Stop()) }()
	if w.Plugin, err = plugin.Build(ctx, dir, w.Cluster); err != nil {
		return 1, err
	}
	return do(w)
}

// Token makes a cluster admin and returns a token of it, for clients that come through a proxy.
func (w *World) Token(ctx context.Context, name string) (string, error) {
	accounts := w.Client().CoreV1().ServiceAccounts(metav1.NamespaceSystem)
	if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("create ServiceAccount %s: %w", name, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: name}},
	}
	if _, err := w.Client().RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("create ClusterRoleBinding %s: %w", name, err)
	}
	token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("issue a token: %w", err)
	}
	return token.Status.Token, nil
}
