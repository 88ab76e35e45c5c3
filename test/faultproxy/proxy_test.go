package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

const podPath = "/api/v1/namespaces/shop/pods/cart-0"

// server answers everything with 200, a body that says whether it was a dry run, and counts what it was asked in earnest.
func server(t *testing.T) (*rest.Config, *atomic.Int32) {
	t.Helper()
	var did atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("dryRun") == "" {
			did.Add(1)
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, `{"kind":"Pod","metadata":{"name":"cart-0"},"dryRun":"`+r.URL.Query().Get("dryRun")+`"}`)
	}))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, &did
}

func start(t *testing.T, cfg *rest.Config, o faultproxy.Options) (*faultproxy.Proxy, *http.Client) {
	t.Helper()
	p, err := faultproxy.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := p.Kubeconfig(path, "shop-prod", "secret"); err != nil {
		t.Fatal(err)
	}
	client, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := rest.HTTPClientFor(client)
	if err != nil {
		t.Fatal(err)
	}
	h.Timeout = 500 * time.Millisecond
	return p, h
}

// ask sends a deletion and returns the code and the body; 0 where the answer was not whole.
func ask(t *testing.T, p *faultproxy.Proxy, c *http.Client) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, p.URL()+podPath, bytes.NewReader([]byte(`{"kind":"DeleteOptions"}`)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, ""
	}
	return resp, string(body)
}

func TestEveryFaultDoesWhatItSays(t *testing.T) {
	for _, tt := range []struct {
		fault faultproxy.Fault
		code  int // 0: no answer
		did   int32
	}{
		{faultproxy.Late(50 * time.Millisecond), 200, 1},
		{faultproxy.Late(700 * time.Millisecond), 0, 1},
		{faultproxy.AnswerLate(700 * time.Millisecond), 0, 1},
		{faultproxy.CutBefore(), 0, 0},
		{faultproxy.CutAfter(), 0, 1},
		{faultproxy.CutBody(), 0, 1},
		{faultproxy.Answers(409, -1), 409, 0},
		{faultproxy.Answers(503, time.Second), 503, 0},
		{faultproxy.AnswersAfter(504), 504, 1},
		{faultproxy.Garbage(), 200, 0},
		{faultproxy.GarbageAfter(), 200, 1},
		{faultproxy.Lie(), 200, 0},
		{faultproxy.World("world", func(*faultproxy.Exchange) {}), 200, 1},
	} {
		t.Run(tt.fault.Name, func(t *testing.T) {
			cfg, did := server(t)
			p, c := start(t, cfg, faultproxy.Options{})
			p.Inject(func(r *faultproxy.Request) bool { return r.Kind == faultproxy.Write }, 2, tt.fault)
			if r, _ := ask(t, p, c); r == nil || r.StatusCode != http.StatusOK {
				t.Fatalf("the first request was hurt: %v", r)
			}
			r, body := ask(t, p, c)
			code := 0
			if r != nil {
				code = r.StatusCode
			}
			if code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			time.Sleep(300 * time.Millisecond) // what is late arrives
			if got := did.Load() - 1; got != tt.did {
				t.Errorf("it was done %d times, want %d", got, tt.did)
			}
			if tt.fault.Name == faultproxy.Lie().Name && !json.Valid([]byte(body)) {
				t.Errorf("the lie is not believable: %s", body)
			}
			if !p.Fired() {
				t.Error("the fault says that it was not done")
			}
			log := p.Reset()
			if len(log) != 2 || log[1].Fault != tt.fault.Name || log[0].Fault != "" || log[1].Effective() != (tt.did == 1) {
				t.Errorf("log: %+v", log)
			}
			if tt.code == 503 && (r.Header.Get("Retry-After") != "1" || log[1].RetryAfter != time.Second) {
				t.Errorf("Retry-After %q, %s", r.Header.Get("Retry-After"), log[1].RetryAfter)
			}
			if r, _ := ask(t, p, c); r == nil || r.StatusCode != http.StatusOK {
				t.Errorf("it is not well afterwards: %v", r)
			}
		})
	}
}

func TestTheClientIsEndedBeforeOrAfterItsRequestIsDone(t *testing.T) {
	for name, tt := range map[string]struct {
		fault faultproxy.Fault
		did   int32
	}{
		"before": {faultproxy.SignalBefore(syscall.SIGKILL), 0},
		"after":  {faultproxy.SignalAfter(syscall.SIGKILL), 1},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, did := server(t)
			p, c := start(t, cfg, faultproxy.Options{})
			p.Inject(func(*faultproxy.Request) bool { return true }, 1, tt.fault)
			client := exec.CommandContext(t.Context(), "sleep", "60")
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			p.Process(client.Process)
			if r, _ := ask(t, p, c); r != nil {
				t.Errorf("answered %d", r.StatusCode)
			}
			st, err := client.Process.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if ws, ok := st.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
				t.Errorf("the client ended with %s", st)
			}
			if did.Load() != tt.did {
				t.Errorf("it was done %d times, want %d", did.Load(), tt.did)
			}
		})
	}
}

func TestRequestsAreToldApart(t *testing.T) {
	cfg, _ := server(t)
	asked := 0
	p, c := start(t, cfg, faultproxy.Options{Ahead: time.Hour, Arrived: func(*faultproxy.Request) string { asked++; return "seen" }})
	for _, tt := range []struct {
		method, path, body string
		kind               faultproxy.Kind
		label              string
	}{
		{"GET", podPath, "", faultproxy.ReadPod, "read pod GET /api/v1/namespaces/*/pods/*"},
		{"GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Da", "", faultproxy.Read, "read GET /api/v1/pods by spec.nodeName"},
		{"GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a", "", faultproxy.Read, "read GET /apis/coordination.k8s.io/v1/namespaces/*/leases/*"},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}", faultproxy.Review, "review POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"},
		{"POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}", faultproxy.Review, "review POST /apis/authentication.k8s.io/v1/selfsubjectreviews"},
		{"DELETE", podPath + "?dryRun=All", "{}", faultproxy.DryRun, "dry run DELETE /api/v1/namespaces/*/pods/*"},
		{"DELETE", podPath, `{"kind":"DeleteOptions","dryRun":["All"]}`, faultproxy.DryRun, "dry run DELETE /api/v1/namespaces/*/pods/*"},
		{"DELETE", podPath, `{"kind":"DeleteOptions","dryRun":[]}`, faultproxy.Write, "write DELETE /api/v1/namespaces/*/pods/*"},
		{"DELETE", podPath + "?dryRun=", "{}", faultproxy.Write, "write DELETE /api/v1/namespaces/*/pods/*"},
		{"PATCH", podPath, `[{"op":"add","path":"/dryRun","value":["All"]}]`, faultproxy.Write, "write PATCH /api/v1/namespaces/*/pods/*"},
		{"POST", "/api/v1/namespaces/shop/pods", `{"kind":"Pod","dryRun":["All"]}`, faultproxy.Write, "write POST /api/v1/namespaces/*/pods"},
		{"POST", "/api/v1/namespaces/shop/events", "{}", faultproxy.Event, "event POST /api/v1/namespaces/*/events"},
		{"POST", "/api/v1/namespaces/shop/pods/cart-0/eviction", "{}", faultproxy.Write, "write POST /api/v1/namespaces/*/pods/*/eviction"},
	} {
		before := asked
		req, err := http.NewRequestWithContext(t.Context(), tt.method, p.URL()+tt.path, bytes.NewReader([]byte(tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
			t.Errorf("%s, code %d: want HTTP/2 and the client's own credentials", resp.Proto, resp.StatusCode)
		}
		if at, err := http.ParseTime(resp.Header.Get("Date")); err != nil || time.Until(at) < 59*time.Minute {
			t.Errorf("Date %q is not an hour ahead", resp.Header.Get("Date"))
		}
		log := p.Reset()
		if len(log) != 1 || log[0].Kind != tt.kind || log[0].Label() != tt.label {
			t.Errorf("%s %s %s: %+v", tt.method, tt.path, tt.body, log)
			continue
		}
		changes := tt.kind == faultproxy.Write || tt.kind == faultproxy.Event
		if (asked > before) != changes || (log[0].Journal == "seen") != changes {
			t.Errorf("%s %s: whether the journal was looked at: %t, want %t", tt.method, tt.path, asked > before, changes)
		}
	}
}

func TestACutTakesTheConnectionAndNotTheServer(t *testing.T) {
	cfg, _ := server(t)
	p, c := start(t, cfg, faultproxy.Options{})
	p.Inject(func(r *faultproxy.Request) bool { return r.Path == "/cut" }, 1, faultproxy.CutBefore())
	slow := make(chan error, 1)
	p.Inject(func(r *faultproxy.Request) bool { return r.Path == "/slow" }, 1, faultproxy.Late(200*time.Millisecond))
	get := func(path string) error {
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, p.URL()+path, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get("/warm"); err != nil {
		t.Fatal(err)
	}
	go func() { slow <- get("/slow") }()
	time.Sleep(50 * time.Millisecond)
	if get("/cut") == nil {
		t.Error("it was answered")
	}
	if <-slow == nil {
		t.Error("a request on the same connection was answered")
	}
	if err := get("/again"); err != nil {
		t.Error(err)
	}
}

func TestItRefusesWhoseAuthorityItDoesNotKnow(t *testing.T) {
	if _, err := faultproxy.New(&rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("no")}}, faultproxy.Options{}); err == nil {
		t.Error("want an error")
	}
	cfg, _ := server(t)
	p, _ := start(t, cfg, faultproxy.Options{})
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(req); err == nil {
		resp.Body.Close()
		t.Error("a stranger was served")
	}
}
