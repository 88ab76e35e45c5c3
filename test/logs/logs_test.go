package logs

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/node"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

const (
	broken = "worker-b1"    // of the scenario: it has a pod that cannot be killed
	files  = "worker-files" // its kubelet passes ?query= over
	off    = "worker-off"   // its kubelet serves no logs
)

// document is the part of the report that the tests look at. It is spelled out because it is a contract with other programs.
type document struct {
	Nodes []struct {
		Name     string
		Why      []string
		Findings []finding
		Logs     *struct {
			Sources []source
			Matches []struct {
				Slug, File, First, Last string
				Count                   int
			}
		}
	}
	Groups []struct {
		Pods []struct {
			Name     string
			Findings []finding
		}
	}
	Summary struct{ Complete bool }
}

type finding struct {
	Slug, Confidence string
	Evidence         []struct{ Object, Field, Value string }
}

type source struct {
	What, Reason string
	Status       int
	Read         bool
	Lines        int
}

// site is the cluster and the plugin.
type site struct {
	*bed.Cluster
	plugin *plugin.Plugin
}

func (s *site) ask(t *testing.T, kubeconfig string, args ...string) document {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a, err := s.plugin.Run(ctx, kubeconfig, append(args, "-o", "json")...)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if a.Code != 0 || json.Unmarshal([]byte(a.Out), &d) != nil {
		t.Fatalf("kubectl stuck %q: exit code %d\n%s%.300s", args, a.Code, a.ErrOut, a.Out)
	}
	return d
}

// sources reads the logs of a node and returns the attempts.
func (s *site) sources(t *testing.T, kubeconfig, node string) (document, []source) {
	t.Helper()
	d := s.ask(t, kubeconfig, "node", node, "--logs")
	if len(d.Nodes) != 1 || d.Nodes[0].Logs == nil {
		t.Fatalf("the report has no logs: %+v", d)
	}
	return d, d.Nodes[0].Logs.Sources
}

func of(sources []source, what string) source {
	i := slices.IndexFunc(sources, func(s source) bool { return s.What == what })
	if i < 0 {
		return source{Reason: "never asked for"}
	}
	return sources[i]
}

// TestLogsOfNodes is one cluster for all the tests below, which follow each other.
func TestLogsOfNodes(t *testing.T) {
	audit, policy := filepath.Join(t.TempDir(), "audit.log"), filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := bed.Start(t.Context(), bed.Options{Log: t.Output(), APIServerArgs: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + audit, "--audit-log-mode=blocking"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	apart := []corev1.Taint{{Key: "test", Value: "logs", Effect: corev1.TaintEffectNoSchedule}}
	for name, mode := range map[string]string{files: node.LogsFiles, off: node.LogsOff} {
		if _, err := c.StartNode(t.Context(), name, bed.NodeOptions{Taints: apart, Logs: mode}); err != nil {
			t.Fatal(err)
		}
	}
	fleet, err := scenario.NewFleet(scenario.ContainerIgnoresKill())
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.Setup(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := fleet.Settled(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	p, err := plugin.Build(t.Context(), t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Cluster: c, plugin: p}
	// The last two take nodes down.
	for _, test := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"tell what the API cannot", tellMore},
		{"need the documented right, and no more", needTheRight},
		{"are files where the kubelet serves no units", areFiles},
		{"are off", areOff},
		{"of a node that does not exist", ofNoNode},
		{"of a kubelet that is frozen", ofAFrozenKubelet},
		{"of a kubelet that is dead", ofADeadKubelet},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	nothingElseWasAsked(t, audit)
}

// kernelLine is a line of the kernel in a file of rsyslog, on a node whose clock is that of Shanghai.
func kernelLine(text string) string {
	return time.Now().UTC().Add(8*time.Hour).Format("Jan _2 15:04:05") + " node kernel: [812.1] " + text + "\n"
}

func tellMore(t *testing.T, s *site) {
	const slug = "kernel-hung-task"
	var plain document
	err := bed.Poll(t.Context(), 2*time.Minute, func(context.Context) error {
		plain = s.ask(t, s.Kubeconfig(), "node", broken)
		if len(plain.Groups) == 0 || len(plain.Groups[0].Pods) == 0 {
			return fmt.Errorf("nothing is stuck on node %s yet", broken)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plain.Groups[0].Pods[0].Findings {
		if f.Slug == slug && f.Confidence != "possible" || f.Confidence == "certain" {
			t.Fatalf("the API alone tells already: %+v", f)
		}
	}
	err = s.Node(broken).WriteLog("kern.log", kernelLine("usb 1-1: new device")+kernelLine("watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [ffmpeg:4711]"))
	if err != nil {
		t.Fatal(err)
	}
	d, sources := s.sources(t, s.Kubeconfig(), broken)
	for _, what := range []string{"unit kubelet", "unit containerd", "file kern.log"} {
		// The runtime of the bed has nothing to say of what hangs.
		if src := of(sources, what); !src.Read || (src.Lines == 0 || src.Reason != "") && what != "unit containerd" {
			t.Errorf("%s: %+v", what, src)
		}
	}
	i := slices.IndexFunc(d.Nodes[0].Findings, func(f finding) bool { return f.Slug == slug })
	if i < 0 {
		t.Fatalf("findings %+v, logs %+v", d.Nodes[0].Findings, d.Nodes[0].Logs)
	}
	f := d.Nodes[0].Findings[i]
	if f.Confidence == "possible" || !slices.ContainsFunc(f.Evidence, func(e struct{ Object, Field, Value string }) bool {
		return e.Object == "file kern.log of node "+broken && e.Field == "line 2" && strings.Contains(e.Value, "soft lockup")
	}) {
		t.Errorf("%+v", f)
	}
	if best := d.Groups[0].Pods[0].Findings[0]; best.Slug != slug {
		t.Errorf("the pod's best explanation is %+v", best)
	}
	for _, m := range d.Nodes[0].Logs.Matches {
		at, err := time.Parse(time.RFC3339, m.Last)
		if m.File == "file kern.log of node "+broken && (err != nil || time.Since(at).Abs() > 5*time.Minute) {
			t.Errorf("the node's local time was not understood: %+v", m)
		}
	}
	text, err := s.plugin.Run(t.Context(), s.Kubeconfig(), "explain", "pod/"+plain.Groups[0].Pods[0].Name, "-n", "media", "--logs")
	if err != nil || text.Code != 0 || !strings.Contains(text.Out, "soft lockup") || !strings.Contains(text.Out, "What the node's own log says") {
		t.Errorf("explain: %v %+v", err, text)
	}
}

// roles are the ClusterRoles that docs/RIGHTS.md prints.
func roles(t *testing.T) map[string]*rbacv1.ClusterRole {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "RIGHTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*rbacv1.ClusterRole{}
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		role := &rbacv1.ClusterRole{}
		if err := yaml.UnmarshalStrict([]byte(text), role); err != nil {
			t.Fatal(err)
		}
		out[role.Name] = role
	}
	return out
}

func needTheRight(t *testing.T, s *site) {
	grant := func(role *rbacv1.ClusterRole) {
		t.Helper()
		if role == nil {
			t.Fatal("docs/RIGHTS.md does not print the role")
		}
		rbac := s.Client().RbacV1()
		if _, err := rbac.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "oncall"}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := s.UserKubeconfig("oncall")
	if err != nil {
		t.Fatal(err)
	}
	all := roles(t)
	grant(all["stuck-reader"])
	d, sources := s.sources(t, config, broken)
	if len(sources) != 1 || sources[0].Status != 403 || !strings.Contains(sources[0].Reason, "right to get nodes/proxy") || !strings.Contains(sources[0].Reason, "stuck-node-logs") || d.Summary.Complete {
		t.Errorf("without the right: %+v, complete %v", sources, d.Summary.Complete)
	}
	if len(d.Nodes[0].Findings) == 0 {
		t.Error("without the logs the rest is not said")
	}
	grant(all["stuck-node-logs"])
	err = bed.Poll(t.Context(), 20*time.Second, func(context.Context) error { // the authorizer watches roles
		if _, sources = s.sources(t, config, broken); !of(sources, "unit kubelet").Read {
			return fmt.Errorf("with the right: %+v", sources)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func areFiles(t *testing.T, s *site) {
	if err := s.Node(files).WriteLog("messages", kernelLine("nfs: server 10.9.8.7 not responding, still trying")); err != nil {
		t.Fatal(err)
	}
	d, sources := s.sources(t, s.Kubeconfig(), files)
	if src := of(sources, "unit kubelet"); src.Read || src.Status != 200 || !strings.Contains(src.Reason, "does not serve units") {
		t.Errorf("%+v", src)
	}
	for _, what := range []string{"file kubelet.log", "file messages"} {
		if src := of(sources, what); !src.Read || src.Lines == 0 || src.Status != 206 {
			t.Errorf("%s: %+v", what, src)
		}
	}
	if !slices.ContainsFunc(d.Nodes[0].Logs.Matches, func(m struct {
		Slug, File, First, Last string
		Count                   int
	}) bool {
		return m.Slug == "nfs-server-unreachable" && m.Count == 1
	}) {
		t.Errorf("matches: %+v", d.Nodes[0].Logs.Matches)
	}
}

func areOff(t *testing.T, s *site) {
	if _, sources := s.sources(t, s.Kubeconfig(), off); len(sources) != 1 || sources[0].Status != 405 || !strings.Contains(sources[0].Reason, "enableSystemLogHandler") {
		t.Errorf("%+v", sources)
	}
}

func ofNoNode(t *testing.T, s *site) {
	a, err := s.plugin.Run(t.Context(), s.Kubeconfig(), "node", "worker-none", "--logs")
	if err != nil || a.Code != 1 || !strings.Contains(a.ErrOut, "worker-none does not exist") {
		t.Errorf("%v %+v", err, a)
	}
}

func ofAFrozenKubelet(t *testing.T, s *site) {
	n := s.Node(files)
	if err := n.Freeze(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, sources := s.sources(t, s.Kubeconfig(), files)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s to give up", took)
	}
	if len(sources) != 1 || sources[0].Read || !strings.Contains(sources[0].Reason, "no answer from its kubelet") && !strings.Contains(sources[0].Reason, "does not reach its kubelet") {
		t.Errorf("%+v", sources)
	}
	if err := n.Thaw(); err != nil {
		t.Fatal(err)
	}
}

func ofADeadKubelet(t *testing.T, s *site) {
	n := s.Node(files)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	err := bed.Poll(t.Context(), 2*time.Minute, func(ctx context.Context) error {
		found, err := s.Client().CoreV1().Nodes().Get(ctx, files, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range found.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown {
				return nil
			}
		}
		return fmt.Errorf("node %s is still Ready", files)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, sources := s.sources(t, s.Kubeconfig(), files)
	if len(sources) != 1 || sources[0].Status != 503 || !strings.Contains(sources[0].Reason, "Ready=Unknown") || !strings.Contains(sources[0].Reason, "--log-file") {
		t.Errorf("%+v", sources)
	}
	d := s.ask(t, s.Kubeconfig(), "node", files, "--log-file", n.LogPath())
	if l := d.Nodes[0].Logs; l == nil || len(l.Sources) != 1 || !l.Sources[0].Read || l.Sources[0].Lines == 0 {
		t.Errorf("with a copied log: %+v", l)
	}
}

// nothingElseWasAsked looks into the API server's own log of requests.
func nothingElseWasAsked(t *testing.T, audit string) {
	t.Helper()
	f, err := os.Open(audit)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	requests, proxied := 0, 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e struct{ Stage, Verb, RequestURI, UserAgent string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(e.UserAgent, "kubectl-stuck/") {
			continue
		}
		requests++
		if e.Verb != "get" && e.Verb != "list" {
			t.Errorf("it asked to %s %s", e.Verb, e.RequestURI)
		}
		if !strings.Contains(e.RequestURI, "/proxy") {
			continue
		}
		proxied++
		allowed := false
		for _, n := range []string{broken, files, off} {
			path, _, _ := strings.Cut(e.RequestURI, "?")
			rest, ok := strings.CutPrefix(path, "/api/v1/nodes/"+n+"/proxy/logs/")
			allowed = allowed || ok && !strings.Contains(rest, "/")
		}
		if !allowed {
			t.Errorf("it asked for %s", e.RequestURI)
		}
	}
	if err := lines.Err(); err != nil || requests == 0 || proxied == 0 {
		t.Errorf("%d requests, %d of them for logs, %v", requests, proxied, err)
	}
}
