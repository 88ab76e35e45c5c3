package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestTheGuardOfLogsPassesTheLogsOfItsNodeAndNothingElse(t *testing.T) {
	const logs = "/api/v1/nodes/worker-1/proxy/logs/"
	for name, c := range map[string]struct {
		method, path string
		passes       bool
	}{
		"the list":                           {"GET", logs, true},
		"a unit":                             {"GET", logs + "?query=kubelet&sinceTime=2026-03-01T10%3A00%3A00Z&tailLines=5", true},
		"a file":                             {"GET", logs + "kern.log", true},
		"a rotated file":                     {"GET", logs + "messages-20260301", true},
		"HEAD":                               {"HEAD", logs, false},
		"POST, which kubelet takes as well":  {"POST", logs + "?query=kubelet", false},
		"DELETE":                             {"DELETE", logs, false},
		"no method":                          {"", logs + "kern.log", false},
		"the logs without the slash":         {"GET", strings.TrimSuffix(logs, "/"), false},
		"the kubelet itself":                 {"GET", "/api/v1/nodes/worker-1/proxy/", false},
		"exec":                               {"GET", "/api/v1/nodes/worker-1/proxy/exec/shop/cart-1/app?command=rm", false},
		"run":                                {"GET", "/api/v1/nodes/worker-1/proxy/run/shop/cart-1/app", false},
		"logs of containers":                 {"GET", "/api/v1/nodes/worker-1/proxy/containerLogs/shop/cart-1/app", false},
		"a folder of logs":                   {"GET", logs + "pods/", false},
		"a file in a folder":                 {"GET", logs + "containers/cart-1.log", false},
		"a path that climbs":                 {"GET", logs + "../exec/shop/cart-1/app", false},
		"dots alone":                         {"GET", logs + "..", false},
		"an escaped climb":                   {"GET", logs + "%2e%2e%2fexec", false},
		"an escaped slash":                   {"GET", logs + "pods%2fx", false},
		"a hidden file":                      {"GET", logs + ".ssh", false},
		"another node":                       {"GET", "/api/v1/nodes/worker-2/proxy/logs/", false},
		"another port of the node":           {"GET", "/api/v1/nodes/worker-1:10255/proxy/logs/", false},
		"a file by its path as a query":      {"GET", logs + "?query=/etc/shadow", false},
		"a file by a backslash":              {"GET", logs + "?query=%5Cx", false},
		"a unit that begins like an option":  {"GET", logs + "?query=--root", false},
		"an unknown parameter":               {"GET", logs + "?query=kubelet&pattern=x", false},
		"parameters of a file":               {"GET", logs + "kern.log?query=kubelet", false},
		"malformed parameters":               {"GET", logs + "?query=%zz", false},
		"an ordinary read of the API":        {"GET", "/api/v1/nodes/worker-1", false},
		"a pod's proxy":                      {"GET", "/api/v1/namespaces/shop/pods/cart-1/proxy/logs/", false},
		"the old path of proxies":            {"GET", "/api/v1/proxy/nodes/worker-1/logs/", false},
		"an empty segment before the logs":   {"GET", "/api/v1/nodes/worker-1//proxy/logs/", false},
		"an empty segment behind the logs":   {"GET", logs + "/kern.log", false},
		"another server":                     {"GET", "//elsewhere.example" + logs, false},
		"the logs behind somebody else's UI": {"GET", "/k8s" + logs, false},
	} {
		t.Run(name, func(t *testing.T) {
			network := &counting{}
			g := newLogGuard(network, &url.URL{Scheme: "https", Host: "cluster.example"}, "worker-1")
			target := "https://cluster.example" + c.path
			if strings.HasPrefix(c.path, "//") {
				target = "https:" + c.path
			}
			req, err := http.NewRequest(http.MethodGet, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Method = c.method
			resp, err := g.RoundTrip(req)
			if resp != nil {
				_ = resp.Body.Close()
			}
			if c.passes != (err == nil) || c.passes != (network.reached == 1) {
				t.Errorf("err=%v, reached the network %d times; passes=%v is due", err, network.reached, c.passes)
			}
			if !c.passes && !errors.Is(err, ErrNotALog) {
				t.Errorf("refused with %v, which is not ErrNotALog", err)
			}
		})
	}
}

func TestTheGuardOfLogsRefusesBodiesAndUpgrades(t *testing.T) {
	network := &counting{}
	g := newLogGuard(network, &url.URL{Scheme: "https", Host: "rancher.example", Path: "/k8s/clusters/c-1/"}, "worker-1")
	const logs = "https://rancher.example/k8s/clusters/c-1/api/v1/nodes/worker-1/proxy/logs/"
	body, _ := http.NewRequest(http.MethodGet, logs, strings.NewReader("x"))
	upgrade, _ := http.NewRequest(http.MethodGet, logs, nil)
	upgrade.Header.Set("Upgrade", "websocket")
	connection, _ := http.NewRequest(http.MethodGet, logs, nil)
	connection.Header.Set("Connection", "Upgrade")
	outside, _ := http.NewRequest(http.MethodGet, "https://rancher.example/api/v1/nodes/worker-1/proxy/logs/", nil)
	host, _ := http.NewRequest(http.MethodGet, logs, nil)
	host.Host = "elsewhere.example"
	for _, r := range []*http.Request{body, upgrade, connection, outside, host} {
		if _, err := g.RoundTrip(r); !errors.Is(err, ErrNotALog) { //nolint:bodyclose // there is no response
			t.Errorf("%s: %v", r.URL, err)
		}
	}
	if network.reached != 0 {
		t.Error("a refused request left the process")
	}
	fine, _ := http.NewRequest(http.MethodGet, logs, nil)
	resp, err := g.RoundTrip(fine)
	if err != nil {
		t.Fatalf("a server behind a path is not read: %v", err)
	}
	_ = resp.Body.Close()
}

// TestNothingElseGetsThroughTheClientOfLogs puts a full typed client on its transport and tries to use the right that it has.
func TestNothingElseGetsThroughTheClientOfLogs(t *testing.T) {
	k := &kubelet{units: map[string]string{}}
	l := k.logs(t)
	c, err := kubernetes.NewForConfigAndClient(&rest.Config{Host: l.server.String()}, l.client)
	if err != nil {
		t.Fatal(err)
	}
	node := c.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes/worker-1/proxy")
	for what, err := range map[string]error{
		"exec":   node.Suffix("exec/shop/cart-1/app").Do(t.Context()).Error(),
		"create": c.CoreV1().RESTClient().Post().AbsPath("/api/v1/nodes/worker-1/proxy/logs/").Do(t.Context()).Error(),
		"pods":   c.CoreV1().RESTClient().Get().AbsPath("/api/v1/pods").Do(t.Context()).Error(),
	} {
		if !errors.Is(err, ErrNotALog) {
			t.Errorf("%s: %v, want ErrNotALog", what, err)
		}
	}
	if len(k.asked()) != 0 {
		t.Errorf("the server saw %v", k.asked())
	}
}

func TestNamesThatAreNoNodesAreNotAskedFor(t *testing.T) {
	for _, n := range []string{"", "worker-1:10255", "https:worker-1:", "a/b", "..", "a b", "a%2fb", "-a", "A"} {
		if _, err := NewNodeLogs(&rest.Config{Host: "https://cluster.example"}, n, time.Now); err == nil {
			t.Errorf("%q is taken for the name of a node", n)
		}
	}
}

// kubelet is one behind an API server, which answers as those of Kubernetes 1.37 do (pkg/kubelet/kubelet.go Run, kubelet_server_journal.go).
type kubelet struct {
	units  map[string]string // nil: ?query= is not served
	dir    string            // /var/log
	refuse func(http.ResponseWriter, *http.Request) bool

	mu   sync.Mutex
	seen []string
}

// asked lists the requests that came, in order.
func (k *kubelet) asked() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.seen)
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.seen = append(k.seen, r.Method+" "+r.URL.String())
	k.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v1/nodes/worker-1/proxy/logs/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if k.refuse != nil && k.refuse(w, r) {
		return
	}
	if unit := r.URL.Query().Get("query"); unit != "" && k.units != nil {
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
		text, ok := k.units[unit]
		if !ok {
			text = fmt.Sprintf("\noptions present and query resolved to log files for [%s]\ntry without specifying options\n", unit)
		}
		_, _ = io.WriteString(w, text)
		return
	}
	r.URL.Path = "/" + path
	http.FileServer(http.Dir(k.dir)).ServeHTTP(w, r)
}

func (k *kubelet) logs(t *testing.T) *NodeLogs {
	t.Helper()
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	l, err := NewNodeLogs(&rest.Config{Host: server.URL}, "worker-1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// varLog makes a /var/log. Names that end in a slash are folders.
func varLog(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readAll reads what there is, and returns the texts by name and the attempts.
func readAll(t *testing.T, l *NodeLogs, q LogQuery) (map[string]string, []LogSource) {
	t.Helper()
	if q.Runtime == "" {
		q.Runtime = "containerd://2.1.0"
	}
	got := map[string]string{}
	sources := l.Read(t.Context(), q, func(s LogStream) error {
		text, err := io.ReadAll(s)
		got[s.Name] = string(text)
		return err
	})
	return got, sources
}

// attempts are the attempts as "what status read|reason".
func attempts(sources []LogSource) []string {
	var out []string
	for _, s := range sources {
		l := fmt.Sprintf("%s %d", s.What, s.Status)
		if s.Read {
			l += fmt.Sprintf(" read %d", s.Lines)
		}
		if s.Reason != "" {
			l += ": " + s.Reason
		}
		out = append(out, l)
	}
	return out
}

func expect(t *testing.T, sources []LogSource, want ...string) {
	t.Helper()
	got := attempts(sources)
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("got\n  %s\nwant beginnings\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestUnitsAreAskedForAndTheKernelsLogIsAFile(t *testing.T) {
	k := &kubelet{
		units: map[string]string{"kubelet": "k1\nk2\n", "containerd": "c1\n"},
		dir:   varLog(t, map[string]string{"kern.log": "n1\nn2\nn3", "syslog": "everything\n", "journal/": "", "pods/": "", "kubelet.log": "k1\nk2\n"}),
	}
	since := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	got, sources := readAll(t, k.logs(t), LogQuery{Since: since})
	expect(t, sources, "unit kubelet 200 read 2", "unit containerd 200 read 1", "list of /var/log 200", "file kern.log 206 read 3")
	if got["log of kubelet on node worker-1"] != "k1\nk2\n" || got["file kern.log of node worker-1"] != "n1\nn2\nn3" {
		t.Errorf("got %q", got)
	}
	// Kubelet loses the zone of sinceTime: a node west of UTC must not lose lines by it.
	if q := k.asked()[0]; !strings.Contains(q, "query=kubelet") || !strings.Contains(q, "tailLines=100000") || !strings.Contains(q, "sinceTime=2026-02-28T22%3A00%3A00Z") {
		t.Errorf("asked %s", q)
	}
}

func TestAKubeletThatServesNoUnitsGivesItsFiles(t *testing.T) {
	k := &kubelet{dir: varLog(t, map[string]string{"messages": "m1\n", "kubelet.log": "k1\nk2\n", "kern.log": "n1\n", "containers/": ""})}
	got, sources := readAll(t, k.logs(t), LogQuery{})
	expect(t, sources, "unit kubelet 200: this kubelet does not serve units", "file kubelet.log 206 read 2", "file messages 206 read 1")
	if len(k.asked()) != 3 {
		t.Errorf("its answer was the list already: asked %q", k.asked())
	}
	if len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestAUnitWithoutAJournalIsReadFromItsFile(t *testing.T) {
	k := &kubelet{units: map[string]string{"kubelet": "k1\n"}, dir: varLog(t, map[string]string{"containerd.log": "c1\n", "dmesg": "d\n"})}
	_, sources := readAll(t, k.logs(t), LogQuery{})
	expect(t, sources, "unit kubelet 200 read 1", "unit containerd 200: kubelet knows no journal of that unit: options present", "list of /var/log 200", "file containerd.log 206 read 1", "file dmesg 206 read 1")
}

func TestAJournalThatIsBinaryIsSaidToBe(t *testing.T) {
	k := &kubelet{units: map[string]string{"kubelet": "-- No entries --\n", "containerd": "c\n"}, dir: varLog(t, map[string]string{"journal/": ""})}
	_, sources := readAll(t, k.logs(t), LogQuery{})
	expect(t, sources, "unit kubelet 200 read 0: it wrote nothing", "unit containerd 200 read 1", "list of /var/log 200", "journal 0: /var/log has the kernel's log in journald's binary form only")
}

func TestTheFileBeforeARotationIsReadWhereItIsNewEnough(t *testing.T) {
	for name, c := range map[string]struct {
		older string
		age   time.Duration
		read  bool
	}{
		"numbered":            {"messages.1", time.Minute, true},
		"dated":               {"messages-20260301", time.Minute, true},
		"too old":             {"messages.1", 99 * time.Hour, false},
		"compressed, or else": {"messages.2.gz", time.Minute, false},
	} {
		dir := varLog(t, map[string]string{"messages": "m1\n", c.older: "o1\no2\n"})
		stamp := time.Now().Add(-c.age)
		if err := os.Chtimes(filepath.Join(dir, c.older), stamp, stamp); err != nil {
			t.Fatal(err)
		}
		got, _ := readAll(t, (&kubelet{dir: dir}).logs(t), LogQuery{Since: time.Now().Add(-time.Hour)})
		if _, read := got["file "+c.older+" of node worker-1"]; read != c.read {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestOfALargeFileTheEndIsRead(t *testing.T) {
	line := strings.Repeat("x", 1023) + "\n"
	dir := varLog(t, map[string]string{"messages": strings.Repeat(line, (maxLogFile>>10)+100) + "last\n"})
	for name, refuse := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"with ranges":    nil,
		"without ranges": func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return false },
	} {
		var tail string
		var n int64
		k := &kubelet{dir: dir, refuse: refuse}
		sources := k.logs(t).Read(t.Context(), LogQuery{}, func(s LogStream) error {
			buf := make([]byte, 1<<20)
			for {
				m, err := s.Read(buf)
				n += int64(m)
				if m > 0 {
					tail = (tail + string(buf[:m]))[max(0, len(tail)+m-5):]
				}
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
		s := sources[len(sources)-1]
		if n != maxLogFile || s.Bytes != n || tail != "last\n" || !strings.Contains(s.Reason, "only its last 64 MiB") {
			t.Errorf("%s: %d bytes, ending in %q: %+v", name, n, tail, s)
		}
	}
}

func TestWhyNothingCouldBeReadIsSaidExactly(t *testing.T) {
	status := func(code int, reason, message string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
			return true
		}
	}
	plain := func(code int, message string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { http.Error(w, message, code); return true }
	}
	for name, c := range map[string]struct {
		refuse func(http.ResponseWriter, *http.Request) bool
		stale  bool
		state  string
		want   []string
		asked  int
	}{
		"the right is missing": {status(403, "Forbidden", `nodes "worker-1" is forbidden: User "eve" cannot get resource "nodes/proxy" in API group "" at the cluster scope`), false, "",
			[]string{`unit kubelet 403: forbidden: the right to get nodes/proxy is missing (ClusterRole stuck-node-logs of docs/RIGHTS.md): nodes "worker-1" is forbidden: User "eve"`}, 1},
		"the API server's own right at the kubelet is missing": {plain(403, "Forbidden (user=apiserver, verb=get, resource=nodes, subresource(s)=[log])"), false, "",
			[]string{"unit kubelet 403: kubelet forbids it to the API server, which needs get on nodes/log there"}, 1},
		"the handler is off": {plain(405, "logs endpoint is disabled."), false, "",
			[]string{"unit kubelet 405: kubelet serves no logs: enableSystemLogHandler or enableDebuggingHandlers is false in its configuration: logs endpoint is disabled."}, 1},
		"there is no such node": {status(404, "NotFound", `nodes "worker-1" not found`), false, "", []string{`unit kubelet 404: nodes "worker-1" not found`}, 1},
		"it has no handler of logs, as virtual nodes": {plain(404, "404 page not found"), false, "",
			[]string{"unit kubelet 404: kubelet does not have it", "unit containerd 404: kubelet does not have it", "list of /var/log 404: kubelet does not have it: 404 page not found: this kubelet has no handler"}, 3},
		"kubelet is dead": {status(503, "ServiceUnavailable", "error trying to reach service: dial tcp 10.0.0.1:10250: connect: connection refused"), true, "Ready=Unknown, lease renewed 9m ago",
			[]string{"unit kubelet 503: the API server does not reach its kubelet: error trying to reach service: dial tcp 10.0.0.1:10250: connect: connection refused (Ready=Unknown, lease renewed 9m ago: kubelet is dead, or cut off"}, 1},
		"kubelet lives, and the way to it is cut": {status(503, "ServiceUnavailable", "error trying to reach service: dial tcp 10.0.0.1:10250: i/o timeout"), false, "Ready=True, lease renewed 3s ago",
			[]string{"unit kubelet 503: the API server does not reach its kubelet: error trying to reach service: dial tcp 10.0.0.1:10250: i/o timeout (Ready=True, lease renewed 3s ago: kubelet reaches the API server, so it lives"}, 1},
		"the node has no address": {status(500, "", "no preferred addresses found; known addresses: []"), false, "",
			[]string{"unit kubelet 500: the Node object has no address"}, 1},
		"it fails": {plain(500, "oops"), false, "", []string{"unit kubelet 500: kubelet fails: oops", "unit containerd 500", "list of /var/log 500: kubelet fails: oops"}, 3},
		"the server leads elsewhere": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/api/v1/nodes/worker-1/proxy/exec/x", http.StatusFound)
			return true
		}, false, "", []string{"unit kubelet 302"}, 1},
		"the answer is cut off": {func(_ http.ResponseWriter, _ *http.Request) bool { panic(http.ErrAbortHandler) }, false, "",
			[]string{"unit kubelet 0: no answer from its kubelet: EOF"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kubelet{units: map[string]string{}, refuse: c.refuse}
			_, sources := readAll(t, k.logs(t), LogQuery{Stale: c.stale, State: c.state})
			expect(t, sources, c.want...)
			if len(k.asked()) != c.asked {
				t.Errorf("asked %q", k.asked())
			}
		})
	}
}

func TestAnAnswerThatBreaksOffIsUsedUpToThere(t *testing.T) {
	k := &kubelet{units: map[string]string{}, refuse: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "a line\nhalf")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}
	got, sources := readAll(t, k.logs(t), LogQuery{})
	if got["log of kubelet on node worker-1"] != "a line\nhalf" || !sources[0].Read || !strings.HasPrefix(sources[0].Reason, "broke off") {
		t.Errorf("%q %+v", got, sources[0])
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hang := make(chan struct{})
	defer close(hang)
	k := &kubelet{refuse: func(http.ResponseWriter, *http.Request) bool { cancel(); <-hang; return true }}
	sources := k.logs(t).Read(ctx, LogQuery{}, func(LogStream) error { return nil })
	if len(sources) != 1 || !sources[0].Refused {
		t.Errorf("%+v", sources)
	}
}

func TestLogUnitsAreThoseOfTheRuntimeAndTheDistribution(t *testing.T) {
	for _, c := range []struct{ runtime, kubelet, want string }{
		{"containerd://2.1.0", "v1.37.2", "kubelet containerd"},
		{"cri-o://1.33.1", "v1.33.1", "kubelet crio"},
		{"docker://24.0.7", "v1.28.0", "kubelet docker containerd cri-docker"},
		{"containerd://1.7.20-k3s1", "v1.30.4+k3s1", "k3s-agent k3s"},
		{"containerd://1.7.20-k3s1", "v1.30.4+rke2r1", "rke2-agent rke2-server"},
		{"", "", "kubelet"},
		{"../x://1", "", "kubelet"},
	} {
		if got := strings.Join(LogUnits(c.runtime, c.kubelet), " "); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.runtime, c.kubelet, got, c.want)
		}
	}
}

func TestIndexNamesReadsWhatFileServersWrite(t *testing.T) {
	page := `<!doctype html><pre><a href="messages">messages</a> <a href="/api/v1/nodes/n/proxy/logs/kern.log">kern.log</a> <a href="journal/">journal/</a> <a href="..">up</a> <a href="a%20b">a b</a> <a href=":x">bad</a></pre>`
	if got := IndexNames([]byte(page)); !slices.Equal(got, []string{"messages", "kern.log", "journal/"}) {
		t.Errorf("got %q", got)
	}
}
