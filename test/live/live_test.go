package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/live/crowd"
)

const agent = "the-plugin-under-test"

// start starts a control plane without controllers, which nothing but the test changes.
func start(t *testing.T, o bed.Options) *bed.Cluster {
	t.Helper()
	o.NoControllerManager, o.NoScheduler, o.Log = true, true, t.Output()
	c, err := bed.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func newBackend(t *testing.T, cfg *rest.Config) *live.Backend {
	t.Helper()
	cfg.UserAgent = agent
	b, err := live.New(cfg, live.Options{Context: "test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func configOf(t *testing.T, kubeconfig string, err error) *rest.Config {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func needs() []snapshot.Kind {
	var out []snapshot.Kind
	for _, i := range snapshot.Kinds() {
		out = append(out, i.Kind)
	}
	return out
}

func load(t *testing.T, cfg *rest.Config, q source.Query) *snapshot.Snapshot {
	t.Helper()
	q.Needs = needs()
	s, err := source.Load(t.Context(), newBackend(t, cfg), q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOnACrowd runs everything that wants many pods on one API server with 10,000 of them.
func TestOnACrowd(t *testing.T) {
	binary, err := bed.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan := crowd.Sized(10_000)
	store := t.TempDir() + "/etcd"
	if err := crowd.Seed(t.Context(), binary, store, plan, t.Output()); err != nil {
		t.Fatal(err)
	}
	audit := filepath.Join(t.TempDir(), "audit.log")
	c := start(t, bed.Options{Binary: binary, EtcdDir: store, APIServerArgs: []string{
		"--audit-policy-file=" + auditPolicy(t), "--audit-log-path=" + audit, "--audit-log-mode=blocking",
		"--runtime-config=policy/v1=false", // a kind that this server does not serve
	}})
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := crowd.KeepAlive(ctx, c.Client(), plan)
	if err != nil {
		t.Fatal(err)
	}
	defer wait()
	defer cancel()
	reader(t, c.Client(), "stuck-reader", nil)
	reader(t, c.Client(), "no-events", []string{"events", "secrets", "persistentvolumes"})

	t.Run("finds the same pods as a full list", func(t *testing.T) { sameAsFullList(t, c, plan) })
	t.Run("tells a kind that is not served from an object that does not exist", func(t *testing.T) {
		s := load(t, c.Config(), source.Query{})
		if g := gap(s, snapshot.PodDisruptionBudget); g.Reason != snapshot.ReasonNotFound || s.Complete(snapshot.PodDisruptionBudget, "") {
			t.Errorf("policy/v1 is not served: %+v", s.Gaps())
		}
		if len(s.Gaps()) != 1 {
			t.Errorf("other gaps: %v", s.Gaps())
		}
		pod := stuckIn(t, s)
		if s.Has(snapshot.ConfigMap, pod.Namespace, pod.Labels["app.kubernetes.io/name"]+"-config") != snapshot.Absent {
			t.Error("a ConfigMap that does not exist is absent")
		}
	})
	t.Run("reads no more than the bounds for a person with rights in one namespace", func(t *testing.T) {
		path, err := c.ServiceAccountKubeconfig(t.Context(), "team-00", "narrow", "stuck-reader")
		oneNamespace(t, configOf(t, path, err))
	})
	t.Run("says that all namespaces are forbidden, and what to do", func(t *testing.T) {
		path, err := c.NamespaceKubeconfig(t.Context(), "bob", "team-00", "stuck-reader")
		_, err = source.Load(t.Context(), newBackend(t, configOf(t, path, err)), source.Query{})
		var f *source.ForbiddenError
		if !errors.As(err, &f) || !strings.Contains(err.Error(), "-n") || !apierrors.IsForbidden(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("reads as the user that is impersonated", func(t *testing.T) {
		cfg := c.Config()
		cfg.Impersonate = rest.ImpersonationConfig{UserName: "nobody-in-particular"}
		var f *source.ForbiddenError
		if _, err := source.Load(t.Context(), newBackend(t, cfg), source.Query{}); !errors.As(err, &f) || !strings.Contains(err.Error(), "nobody-in-particular") {
			t.Errorf("got %v", err)
		}
		cfg = c.Config()
		cfg.Impersonate = rest.ImpersonationConfig{UserName: "carol", Groups: []string{"system:masters"}}
		if s := load(t, cfg, source.Query{}); s.Census().Pods() != plan.Pods {
			t.Errorf("counted %d pods", s.Census().Pods())
		}
	})
	t.Run("goes on without the kinds that are forbidden", func(t *testing.T) {
		bind(t, c.Client(), "dave", "no-events")
		cfg := c.Config()
		cfg.Impersonate = rest.ImpersonationConfig{UserName: "dave"}
		s := load(t, cfg, source.Query{})
		for _, k := range []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume} {
			if gap(s, k).Reason != snapshot.ReasonForbidden {
				t.Errorf("%s: %v", k, s.Gaps())
			}
		}
		if got := stuck(s); got != plan.Stuck {
			t.Errorf("%d stuck pods, want %d", got, plan.Stuck)
		}
	})
	t.Run("reads named pods, and knows which do not exist", func(t *testing.T) {
		all := load(t, c.Config(), source.Query{})
		pod := stuckIn(t, all)
		s := load(t, c.Config(), source.Query{Namespace: pod.Namespace, Names: []string{pod.Name, "ghost"}})
		if s.Pod(pod.Namespace, pod.Name) == nil || s.Has(snapshot.Pod, pod.Namespace, "ghost") != snapshot.Absent {
			t.Error("the named pods")
		}
		if got, whole := s.PodsOnNode(pod.Spec.NodeName); !whole || len(got) != plan.Pods/plan.Nodes {
			t.Errorf("%d pods of its node, whole=%v", len(got), whole)
		}
		if len(s.Events(snapshot.RefOf(pod))) != 2 {
			t.Errorf("events of the pod: %v", s.Events(snapshot.RefOf(pod)))
		}
	})
	t.Run("ends soon where the time for a request is up", func(t *testing.T) {
		cfg := c.Config()
		cfg.Timeout = time.Millisecond
		begin := time.Now()
		if _, err := source.Load(t.Context(), newBackend(t, cfg), source.Query{}); err == nil || time.Since(begin) > 10*time.Second {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
	})
	t.Run("only read", func(t *testing.T) { onlyReads(t, audit) })
}

func auditPolicy(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// onlyReads looks into the server's own audit log.
func onlyReads(t *testing.T, audit string) {
	f, err := os.Open(audit)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	seen, lines := 0, bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Verb, UserAgent, RequestURI string
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.UserAgent != agent {
			continue
		}
		seen++
		if e.Verb != "get" && e.Verb != "list" {
			t.Errorf("%s %s", e.Verb, e.RequestURI)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if seen < 100 {
		t.Errorf("the audit log holds %d requests of the plugin; those of all the tests above are due", seen)
	}
	t.Logf("%d requests, all of them reads", seen)
}

// sameAsFullList compares with what a person would find who reads every pod.
func sameAsFullList(t *testing.T, c *bed.Cluster, plan crowd.Plan) {
	s := load(t, c.Config(), source.Query{})
	full, err := c.Client().CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	census := snapshot.Census{}
	for i := range full.Items {
		p := &full.Items[i]
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending {
			want = append(want, p.Namespace+"/"+p.Name)
		}
		w := snapshot.StatusOf(p)
		census.Add(p.Spec.NodeName, w.Word, w.Ready, w.Containers)
	}
	for _, p := range s.Pods() {
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending {
			got = append(got, p.Namespace+"/"+p.Name)
		}
	}
	slices.Sort(want)
	if len(want) != plan.Stuck || !slices.Equal(got, want) {
		t.Errorf("found %d stuck pods, a full list has %d of the %d that were seeded", len(got), len(want), plan.Stuck)
	}
	a, _ := json.Marshal(census.Nodes)
	b, _ := json.Marshal(s.Census().Nodes)
	if string(a) != string(b) {
		t.Error("the server's STATUS column and the count of full objects differ")
	}
	if len(s.Pods()) > plan.Pods/10 {
		t.Errorf("%d pods were read in full; the suspect nodes hold fewer", len(s.Pods()))
	}
	if s.Origin().Version == "" || s.Origin().Clock != "API server" || time.Since(s.Now()).Abs() > time.Minute {
		t.Errorf("origin %+v at %s", s.Origin(), s.Now())
	}
}

func oneNamespace(t *testing.T, cfg *rest.Config) {
	s := load(t, cfg, source.Query{Namespace: "team-00"})
	if !s.Census().Partial || stuck(s) == 0 {
		t.Errorf("partial=%v, %d stuck pods", s.Census().Partial, stuck(s))
	}
	for _, k := range []snapshot.Kind{snapshot.Pod, snapshot.Node, snapshot.Lease} {
		if gap(s, k).Reason != snapshot.ReasonForbidden {
			t.Errorf("%s: %v", k, s.Gaps())
		}
	}
	for _, p := range s.Pods() {
		if p.Namespace != "team-00" {
			t.Errorf("a pod of another namespace: %s/%s", p.Namespace, p.Name)
		}
	}
	i := slices.IndexFunc(s.Pods(), func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	if i < 0 {
		t.Fatal("team-00 has a pod that is Terminating")
	}
	pod := s.Pods()[i]
	if len(s.Events(snapshot.RefOf(pod))) == 0 {
		t.Error("events of the namespace may be read, and were not")
	}
	if s.Has(snapshot.Node, "", pod.Spec.NodeName) != snapshot.Unknown {
		t.Error("a node that may not be read is unknown")
	}
}

func TestADeadServerIsOneClearError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err = source.Load(t.Context(), newBackend(t, &rest.Config{Host: "https://" + address}), source.Query{})
	if err == nil || !strings.Contains(err.Error(), address) || time.Since(begin) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

func TestAServerThatNeverAnswersIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	host := "https://" + l.Addr().String()
	begin := time.Now()
	_, err = source.Load(t.Context(), newBackend(t, &rest.Config{Host: host, Timeout: 300 * time.Millisecond}), source.Query{})
	if err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("--request-timeout: after %s: %v", time.Since(begin), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin = time.Now()
	if _, err = source.Load(ctx, newBackend(t, &rest.Config{Host: host}), source.Query{}); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("a context that ends: after %s: %v", time.Since(begin), err)
	}
}

// reader makes a ClusterRole that may read what a snapshot holds, but for some resources.
func reader(t *testing.T, client kubernetes.Interface, name string, but []string) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, k := range snapshot.Kinds() {
		if !slices.Contains(but, k.GVR.Resource) {
			role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{k.GVR.Group}, Resources: []string{k.GVR.Resource}, Verbs: []string{"get", "list"}})
		}
	}
	if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func bind(t *testing.T, client kubernetes.Interface, user, role string) {
	t.Helper()
	_, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func gap(s *snapshot.Snapshot, k snapshot.Kind) snapshot.Gap {
	for _, g := range s.Gaps() {
		if g.Kind == k {
			return g
		}
	}
	return snapshot.Gap{}
}

func stuck(s *snapshot.Snapshot) int {
	n := 0
	for _, p := range s.Pods() {
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending {
			n++
		}
	}
	return n
}

// stuckIn returns a pod that does not start.
func stuckIn(t *testing.T, s *snapshot.Snapshot) *corev1.Pod {
	t.Helper()
	for _, p := range s.Pods() {
		if p.Status.Phase == corev1.PodPending {
			return p
		}
	}
	t.Fatal("no pod is stuck")
	return nil
}
