package e2e

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestEveryFormatOfEveryView(t *testing.T) {
	d := shared.report(t, everything...)
	if len(d.Groups) == 0 {
		t.Fatal("nothing is stuck")
	}
	first := d.Groups[0].Pods[0]
	for _, view := range [][]string{
		{"pods", "-A"},
		{"node"},
		{"node", d.Groups[0].Node},
		{"explain", "pod/" + first.Name, "-n", first.Namespace},
		{"explain", "node/" + d.Groups[0].Node},
	} {
		for _, format := range []string{"", "wide", "json", "yaml", "name", "html", "jsonpath={.summary.stuckPods}", "custom-columns=NAME:.name"} {
			args := view
			if format != "" {
				args = append(args[:len(args):len(args)], "-o", format)
			}
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				a := shared.stuck(t, args...)
				if a.code != 0 || strings.TrimSpace(a.out) == "" {
					t.Errorf("exit code %d, %d bytes\n%s", a.code, len(a.out), a.errOut)
				}
				if strings.Contains(a.out, "\x1b") {
					t.Error("escapes although stdout is no terminal")
				}
			})
		}
	}
}

func TestExitCodesOnALiveCluster(t *testing.T) {
	if a := shared.stuck(t, "pods", "-A", "--exit-code"); a.code != 3 {
		t.Errorf("something is stuck: exit code %d, want 3\n%s", a.code, a.errOut)
	}
	if a := shared.stuck(t, "pods", "-n", "support", "--exit-code"); a.code != 0 {
		t.Errorf("nothing is stuck in support: exit code %d, want 0\n%s%s", a.code, a.out, a.errOut)
	}
	if a := shared.stuck(t, "node", "no-such-node"); a.code != 1 || !strings.Contains(a.errOut, "no-such-node") {
		t.Errorf("a node that does not exist: %+v", a)
	}
	if a := shared.stuck(t, "explain", "pod/no-such-pod", "-n", "shop"); a.code != 1 || !strings.Contains(a.errOut, "shop/no-such-pod") {
		t.Errorf("a pod that does not exist: %+v", a)
	}
}

func TestSelectorsLimitWhatIsShown(t *testing.T) {
	all := shared.report(t, everything...)
	for name, c := range map[string]struct {
		args []string
		ok   func(pod) bool
	}{
		"namespace":      {[]string{"pods", "-n", "shop", "--older-than", "5s"}, func(p pod) bool { return p.Namespace == "shop" }},
		"state":          {append(everything, "--state", "Terminating"), func(p pod) bool { return p.State == "Terminating" }},
		"node":           {append(everything, "--node", all.Groups[0].Node), func(p pod) bool { return p.Node == all.Groups[0].Node }},
		"field selector": {append(everything, "--field-selector", "metadata.namespace=shop"), func(p pod) bool { return p.Namespace == "shop" }},
		"label selector": {append(everything, "-l", "app.kubernetes.io/name=cart"), func(p pod) bool { return strings.HasPrefix(p.Name, "cart-") }},
	} {
		t.Run(name, func(t *testing.T) {
			d := shared.report(t, c.args...)
			n := 0
			for _, g := range d.Groups {
				for _, p := range g.Pods {
					n++
					if !c.ok(p) {
						t.Errorf("%s/%s on %s in %s was not asked for", p.Namespace, p.Name, p.Node, p.State)
					}
				}
			}
			if n == 0 {
				t.Error("nothing was shown")
			}
			if n != d.Summary.StuckPods {
				t.Errorf("%d pods, and the summary says %d", n, d.Summary.StuckPods)
			}
			if n >= all.Summary.StuckPods {
				t.Errorf("%d of %d pods: nothing was left out", n, all.Summary.StuckPods)
			}
		})
	}
}

func TestAUserOfOneNamespaceGetsItsAnswerAndIsToldWhatIsMissing(t *testing.T) {
	config, err := shared.cluster.NamespaceKubeconfig(t.Context(), "dev", "shop", "view")
	if err != nil {
		t.Fatal(err)
	}
	a := shared.as(t, config, "pods", "-n", "shop", "--older-than", "5s", "-o", "json")
	if a.code != 0 {
		t.Fatalf("exit code %d\n%s", a.code, a.errOut)
	}
	d := parse(t, a.out)
	if d.Summary.StuckPods == 0 || d.Summary.Complete {
		t.Errorf("%+v: want stuck pods, and an answer that is not called complete", d.Summary)
	}
	forbidden := map[string]bool{}
	for _, g := range d.Gaps {
		if g.Reason == "Forbidden" {
			forbidden[g.Kind] = true
		}
	}
	if !forbidden["Node"] || len(d.Skipped) == 0 {
		t.Errorf("gaps %+v, skipped %d: want nodes among the gaps, and causes that were skipped", d.Gaps, len(d.Skipped))
	}
	if a := shared.as(t, config, "pods", "-A"); a.code != 1 || !strings.Contains(a.errOut, "-n") {
		t.Errorf("all namespaces: %+v, want an error that tells of -n", a)
	}
}

func TestImpersonation(t *testing.T) {
	if _, err := shared.cluster.NamespaceKubeconfig(t.Context(), "ops", "orders", "view"); err != nil {
		t.Fatal(err)
	}
	if a := shared.stuck(t, "pods", "-n", "orders", "--as", "ops"); a.code != 0 {
		t.Errorf("as somebody who may: exit code %d\n%s", a.code, a.errOut)
	}
	if a := shared.stuck(t, "pods", "-n", "orders", "--as", "nobody-in-particular"); a.code != 1 || !strings.Contains(a.errOut, "orders") {
		t.Errorf("as somebody who may not: %+v", a)
	}
}

func TestADeadAPIServerIsOneClearErrorInTime(t *testing.T) {
	// A server that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, args := range map[string][]string{
		"nobody listens": {"pods", "-A", "--server", "https://127.0.0.1:1"},
		"no answer":      {"pods", "-A", "--server", "https://" + l.Addr().String(), "--request-timeout", "2s"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			a := shared.stuck(t, args...)
			if a.code != 1 || a.out != "" || strings.Count(strings.TrimSpace(a.errOut), "\n") > 1 || !strings.Contains(a.errOut, "127.0.0.1") {
				t.Errorf("%+v", a)
			}
			if d := time.Since(began); d > 30*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
}

// TestNothingWasWritten looks at managedFields, which name every client that ever wrote an object by its user agent.
func TestNothingWasWritten(t *testing.T) {
	shared.stuck(t, "pods", "-A")
	for _, path := range []string{"/api/v1/pods", "/api/v1/nodes", "/api/v1/events", "/apis/coordination.k8s.io/v1/leases"} {
		list, err := shared.cluster.Client().CoreV1().RESTClient().Get().AbsPath(path).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(list), `"manager":"`) {
			t.Errorf("%s: nothing tells who wrote what", path)
		}
		if strings.Contains(string(list), `"manager":"kubectl-stuck"`) {
			t.Errorf("%s: the plugin wrote something", path)
		}
	}
}

func TestEveryNextCommandWorks(t *testing.T) {
	a := shared.stuck(t, "pods", "-A", "--older-than", "5s")
	next := regexp.MustCompile(`(?m)^\s*next: (kubectl stuck .*)$`).FindAllStringSubmatch(a.out, -1)
	if len(next) == 0 {
		t.Fatalf("no next command:\n%s", a.out)
	}
	for _, m := range next {
		args := strings.Fields(strings.TrimPrefix(m[1], "kubectl stuck "))
		if a := shared.stuck(t, args...); a.code != 0 {
			t.Errorf("%s: exit code %d\n%s", m[1], a.code, a.errOut)
		}
	}
}

func TestAWatchPrintsAndEndsWhenInterrupted(t *testing.T) {
	p, err := os.StartProcess(shared.plugin.File(), []string{"kubectl-stuck", "pods", "-A", "-w"}, &os.ProcAttr{
		Env:   []string{"KUBECONFIG=" + shared.cluster.Kubeconfig(), "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")},
		Files: []*os.File{nil, mustCreate(t, "out"), mustCreate(t, "err")},
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	done := make(chan *os.ProcessState, 1)
	go func() {
		st, err := p.Wait()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		done <- st
	}()
	select {
	case st := <-done:
		if st.ExitCode() != 0 {
			t.Errorf("exit code %d", st.ExitCode())
		}
	case <-time.After(10 * time.Second):
		_ = p.Kill()
		t.Fatal("it did not end")
	}
}

func mustCreate(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
