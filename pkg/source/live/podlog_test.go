package live

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func TestTheLogOfOnePodIsReadAndNothingElseIsAsked(t *testing.T) {
	var mu sync.Mutex
	var asked []string // guarded by mu: a request that is given up is still being served
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		mu.Unlock()
		switch {
		case strings.Contains(r.URL.Path, "mute"):
			http.Error(w, "container runtime is down", http.StatusInternalServerError)
		case strings.Contains(r.URL.Path, "barred"):
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"pods \"barred\" is forbidden: User \"eve\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"shop\""}`))
		case strings.Contains(r.URL.Path, "shut"):
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"Forbidden (user=kube-apiserver-kubelet-client, verb=get, resource=nodes, subresource(s)=[proxy])"}`))
		case strings.Contains(r.URL.Path, "away"):
			http.Redirect(w, r, "/api/v1/secrets", http.StatusFound)
		case strings.Contains(r.URL.Path, "slow"):
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte("hello"))
		}
	}))
	defer server.Close()
	for name, c := range map[string]struct {
		says    string
		code    int
		lacking bool
	}{
		"probe":        {},
		"mute":         {says: "container runtime is down", code: 500},
		"barred":       {says: "cannot get resource", code: 403, lacking: true},
		"shut":         {says: "kube-apiserver-kubelet-client", code: 403},
		"away":         {says: "302", code: 302},
		"slow":         {says: "no answer within 1s"},
		"../secrets/x": {says: "not names"},
	} {
		t.Run(name, func(t *testing.T) {
			wait := 20 * time.Second
			if name == "slow" {
				wait = time.Second
			}
			err := PodLog(t.Context(), &rest.Config{Host: server.URL}, "shop", name, "probe", wait)
			var no *LogRefused
			errors.As(err, &no)
			switch {
			case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, and %q was expected", err, c.says)
			case (no != nil) != (c.code != 0) || no != nil && (no.Code != c.code || no.Lacking() != c.lacking):
				t.Errorf("%#v", no)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 6 {
		t.Errorf("asked: %v", asked)
	}
	for _, a := range asked {
		if !strings.HasPrefix(a, "GET /api/v1/namespaces/shop/pods/") || !strings.HasSuffix(a, "/log?container=probe&limitBytes=4096") {
			t.Errorf("asked: %s", a)
		}
	}
}

func TestTheClientOfALogLetsNothingElseOut(t *testing.T) {
	const base = "http://127.0.0.1:1/api/v1/namespaces/shop/pods/p/"
	want, _ := url.Parse(base + "log?limitBytes=1")
	gate := oneRequest{url: want, next: http.NewFileTransport(http.Dir(t.TempDir()))}
	for _, bad := range []struct{ method, url, header, body string }{
		{http.MethodGet, base + "exec?limitBytes=1", "", ""},
		{http.MethodGet, strings.Replace(base, ":1/", ":2/", 1) + "log?limitBytes=1", "", ""},
		{http.MethodGet, base + "log", "", ""},
		{http.MethodGet, base + "log?limitBytes=1&follow=true", "", ""},
		{http.MethodGet, base + "log?limitBytes=1", "Upgrade", ""},
		{http.MethodGet, base + "log?limitBytes=1", "", "x"},
		{http.MethodPost, base + "log?limitBytes=1", "", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), bad.method, bad.url, strings.NewReader(bad.body))
		if err != nil {
			t.Fatal(err)
		}
		if bad.body == "" {
			r.Body = http.NoBody
		}
		if bad.header != "" {
			r.Header.Set(bad.header, "websocket")
		}
		if resp, err := gate.RoundTrip(r); !errors.Is(err, ErrNotALog) {
			if resp != nil {
				_ = resp.Body.Close()
			}
			t.Errorf("%v was let out: %v", bad, err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, want.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := gate.RoundTrip(r); err != nil {
		t.Errorf("the log itself is refused: %v", err)
	} else {
		_ = resp.Body.Close()
	}
}
