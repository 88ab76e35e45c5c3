package apply

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const pathPod = "/api/v1/namespaces/shop/pods/cart-0"

type sink struct{ requests int }

func (s *sink) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests++
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func testGate(t *testing.T) (*gate, *sink) {
	t.Helper()
	u, err := url.Parse("https://api.example:6443/prefix")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	return newGate(s, u), s
}

func pass(g *gate, c call, change ...func(*http.Request)) error {
	var body io.Reader
	if c.body != nil {
		body = bytes.NewReader(c.body)
	}
	r, err := http.NewRequest(c.method, "https://api.example:6443/prefix"+c.path, body)
	if err != nil {
		return err
	}
	r.URL.RawQuery = c.query
	r.Header.Set("Content-Type", c.contentType)
	for _, f := range change {
		f(r)
	}
	resp, err := g.RoundTrip(r)
	if resp != nil {
		_ = resp.Body.Close()
	}
	return err
}

const dryBody = `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`

func TestTheGatePassesWhatReadsAsksOrTries(t *testing.T) {
	for name, c := range map[string]call{
		"a pod":                        {method: "GET", path: pathPod},
		"its head":                     {method: "HEAD", path: pathPod},
		"a node":                       {method: "GET", path: "/api/v1/nodes/worker-a1"},
		"the namespace kube-system":    {method: "GET", path: "/api/v1/namespaces/kube-system"},
		"a deployment":                 {method: "GET", path: "/apis/apps/v1/namespaces/shop/deployments/cart"},
		"whether something is allowed": {method: "POST", path: pathAccessReview, contentType: contentJSON, body: []byte(`{}`)},
		"who asks":                     {method: "POST", path: pathSelfReview, contentType: contentJSON, body: []byte(`{}`)},
		"a deletion that is tried":     {method: "DELETE", path: pathPod, query: "dryRun=All", contentType: contentJSON, body: []byte(dryBody)},
		"a patch that is tried":        {method: "PATCH", path: pathPod, query: "dryRun=All&fieldManager=x", contentType: "application/json-patch+json", body: []byte(`[]`)},
		"a creation that is tried":     {method: "POST", path: "/api/v1/namespaces/shop/pods", query: "dryRun=All", contentType: contentJSON, body: []byte(`{}`)},
	} {
		g, s := testGate(t)
		if err := pass(g, c); err != nil || s.requests != 1 {
			t.Errorf("%s: %v, %d requests", name, err, s.requests)
		}
	}
}

func TestTheGateRefusesEverythingElse(t *testing.T) {
	del := call{method: "DELETE", path: pathPod, query: "dryRun=All", contentType: contentJSON}
	with := func(c call, body string) call { c.body = []byte(body); return c }
	on := func(method, path string) call {
		return call{method: method, path: path, query: "dryRun=All", contentType: contentJSON, body: []byte(dryBody)}
	}
	for name, c := range map[string]call{
		"a list":                      {method: "GET", path: "/api/v1/namespaces/shop/pods"},
		"a read of the watch cache":   {method: "GET", path: pathPod, query: "resourceVersion=0"},
		"the data of a Secret":        {method: "GET", path: "/api/v1/namespaces/shop/secrets/key"},
		"exec by GET":                 {method: "GET", path: pathPod + "/exec", query: "command=rm"},
		"the proxy of a node":         {method: "GET", path: "/api/v1/nodes/worker-a1/proxy"},
		"a log":                       {method: "GET", path: pathPod + "/log"},
		"a path that climbs":          {method: "GET", path: "/api/v1/namespaces/shop/pods/../secrets/key"},
		"an escaped path":             {method: "GET", path: "/api/v1/namespaces/shop/pods%2Fcart-0/exec"},
		"a deletion":                  {method: "DELETE", path: pathPod, contentType: contentJSON, body: []byte(`{}`)},
		"a deletion without anything": {method: "DELETE", path: pathPod},
		"a deletion that is tried by parameter only":  with(del, `{"kind":"DeleteOptions","apiVersion":"v1"}`),
		"a deletion that is tried without a body":     del,
		"a deletion with two answers":                 with(del, `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"],"dryRun":[]}`),
		"a deletion with a look-alike":                with(del, `{"kind":"DeleteOptions","apiVersion":"v1","DryRun":["All"]}`),
		"a dry run of nothing known":                  {method: "PATCH", path: pathPod, query: "dryRun=Some", contentType: "application/json-patch+json", body: []byte(`[]`)},
		"a dry run said twice":                        {method: "PATCH", path: pathPod, query: "dryRun=All&dryRun=", contentType: "application/json-patch+json", body: []byte(`[]`)},
		"an apply that is tried":                      {method: "PATCH", path: pathPod, query: "dryRun=All", contentType: "application/apply-patch+yaml", body: []byte(`{}`)},
		"an update that is tried":                     on("PUT", pathPod),
		"an eviction that is tried":                   on("POST", pathPod+"/eviction"),
		"exec with a parameter that it does not heed": on("POST", pathPod+"/exec"),
		"a port forward":                              on("POST", pathPod+"/portforward"),
		"an attach":                                   on("POST", pathPod+"/attach"),
		"a binding that is tried":                     on("POST", pathPod+"/binding"),
		"the deletion of all pods that is tried":      on("DELETE", "/api/v1/namespaces/shop/pods"),
		"a Secret that is tried":                      on("POST", "/api/v1/namespaces/shop/secrets"),
		"a token":                                     on("POST", "/api/v1/namespaces/shop/serviceaccounts/default/token"),
		"an Event":                                    {method: "POST", path: "/api/v1/namespaces/shop/events", contentType: contentJSON, body: []byte(`{}`)},
		"a method that nobody knows":                  {method: "PURGE", path: pathPod},
		"a cluster-scoped pod":                        {method: "GET", path: "/api/v1/pods/cart-0"},
		"a node in a namespace":                       {method: "GET", path: "/api/v1/namespaces/shop/nodes/worker-a1"},
		"no path":                                     {method: "GET", path: ""},
		"the API itself":                              {method: "GET", path: "/api"},
	} {
		g, s := testGate(t)
		if err := pass(g, c); !errors.Is(err, ErrNoTicket) || s.requests != 0 {
			t.Errorf("%s: %v, %d requests", name, err, s.requests)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"another server":     func(r *http.Request) { r.URL.Host = "evil.example" },
		"another virtual":    func(r *http.Request) { r.Host = "evil.example" },
		"another protocol":   func(r *http.Request) { r.Header.Set("Upgrade", "SPDY/3.1") },
		"beside the server":  func(r *http.Request) { r.URL.Path = pathPod },
		"an escape in it":    func(r *http.Request) { r.URL.RawPath = "/prefix/api/v1/namespaces/shop/pods/cart%2d0" },
		"a body that is big": func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader(make([]byte, maxBody+1))) },
	} {
		g, s := testGate(t)
		if err := pass(g, call{method: "GET", path: pathPod}, change); !errors.Is(err, ErrNoTicket) || s.requests != 0 {
			t.Errorf("%s: %v, %d requests", name, err, s.requests)
		}
	}
}

func TestATicketIsForOneRequest(t *testing.T) {
	c := call{method: "DELETE", path: pathPod, contentType: contentJSON, body: []byte(`{"kind":"DeleteOptions"}`)}
	g, s := testGate(t)
	void, err := g.open(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.open(c); !errors.Is(err, ErrNoTicket) {
		t.Errorf("a second ticket at once: %v", err)
	}
	if err := pass(g, c); err != nil || s.requests != 1 {
		t.Errorf("with its ticket: %v", err)
	}
	if err := pass(g, c); !errors.Is(err, ErrNoTicket) || s.requests != 1 {
		t.Errorf("a second time: %v", err)
	}
	void()

	for name, other := range map[string]call{
		"method": {method: "PATCH", path: c.path, contentType: c.contentType, body: c.body},
		"path":   {method: c.method, path: "/api/v1/namespaces/shop/pods/cart-1", contentType: c.contentType, body: c.body},
		"query":  {method: c.method, path: c.path, query: "gracePeriodSeconds=0", contentType: c.contentType, body: c.body},
		"type":   {method: c.method, path: c.path, contentType: "application/yaml", body: c.body},
		"body":   {method: c.method, path: c.path, contentType: c.contentType, body: []byte(`{"kind":"DeleteOptions" }`)},
	} {
		g, s := testGate(t)
		void, err := g.open(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := pass(g, other); !errors.Is(err, ErrNoTicket) || s.requests != 0 {
			t.Errorf("another %s: %v", name, err)
		}
		void()
		if err := pass(g, c); !errors.Is(err, ErrNoTicket) || s.requests != 0 {
			t.Errorf("after the ticket was void: %v", err)
		}
	}
}

func TestATicketPassesOnceUnderAStampede(t *testing.T) {
	var through atomic.Int64
	g, _ := testGate(t)
	g.next = roundTrip(func(r *http.Request) (*http.Response, error) {
		through.Add(1)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	})
	c := call{method: "DELETE", path: pathPod, contentType: contentJSON, body: []byte(`{}`)}
	void, err := g.open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer void()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _ = pass(g, c) })
	}
	all.Wait()
	if through.Load() != 1 {
		t.Errorf("%d requests passed", through.Load())
	}
}

func TestWhatPassesCannotBeReadTwiceBelowTheGate(t *testing.T) {
	g, _ := testGate(t)
	c := call{method: "DELETE", path: pathPod, contentType: contentJSON, body: []byte(`{}`)}
	g.next = roundTrip(func(r *http.Request) (*http.Response, error) {
		if body, err := io.ReadAll(r.Body); r.GetBody != nil || err != nil || !bytes.Equal(body, c.body) || r.ContentLength != int64(len(c.body)) {
			t.Errorf("%s, %d bytes, and a way to read them again: %v", body, r.ContentLength, r.GetBody != nil)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	})
	void, err := g.open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer void()
	if err := pass(g, c); err != nil { // net/http gives a body of bytes its GetBody
		t.Error(err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ticketed sends one real deletion to a server through a Client of New.
func ticketed(t *testing.T, cfg *rest.Config) (reply, error) {
	t.Helper()
	c, err := New(cfg, Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return ticketedBy(t, c)
}

func ticketedBy(t *testing.T, c *Client) (reply, error) {
	t.Helper()
	q := call{method: "DELETE", path: pathPod, contentType: contentJSON, body: []byte(`{"kind":"DeleteOptions","apiVersion":"v1"}`)}
	void, err := c.gate.open(q)
	if err != nil {
		t.Fatal(err)
	}
	defer void()
	return c.do(t.Context(), q)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		var requests atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			http.Redirect(w, r, "/api/v1/namespaces/shop/pods/cart-1", code)
		}))
		a, err := ticketed(t, &rest.Config{Host: server.URL})
		if err != nil || a.code != code || requests.Load() != 1 {
			t.Errorf("%d: %v %+v, %d requests", code, err, a, requests.Load())
		}
		server.Close()
	}
}

func TestNothingBelowTheGateSendsAWriteTwice(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"cart-0","namespace":"shop","uid":"u"}}`)
					return
				}
				writes.Add(1)
				panic(http.ErrAbortHandler) // cuts the connection, or resets the stream
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			c, err := New(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, Options{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			// The connection was used before: that is where net/http repeats requests.
			if _, err := c.Read(t.Context(), snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0"}); err != nil {
				t.Fatal(err)
			}
			a, err := ticketedBy(t, c)
			if err == nil || !a.sent || writes.Load() != 1 {
				t.Errorf("%v, sent %v, %d writes", err, a.sent, writes.Load())
			}
			if err != nil && strings.Contains(err.Error(), ErrNoTicket.Error()) {
				t.Errorf("something tried again and met the gate: %v", err)
			}
		})
	}
}

func TestWhatNeverReachedAServerWasNotSent(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	a, err := ticketed(t, &rest.Config{Host: url})
	if err == nil || a.sent {
		t.Errorf("%v, sent %v", err, a.sent)
	}
}

func TestAPlanFromAFileSendsNothingOfItsOwn(t *testing.T) {
	zero := int64(0)
	pod := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u"}
	ok := remedy.Step{Verb: remedy.Delete, Ref: pod, ResourceVersion: "5", Grace: &zero}
	change := func(f func(*remedy.Step)) remedy.Step { s := ok; f(&s); return s }
	for name, s := range map[string]remedy.Step{
		"no UID":              change(func(s *remedy.Step) { s.Ref.UID = "" }),
		"no resourceVersion":  change(func(s *remedy.Step) { s.ResourceVersion = "" }),
		"another kind":        change(func(s *remedy.Step) { s.Ref = snapshot.Ref{Kind: snapshot.Namespace, Name: "shop", UID: "u"} }),
		"a Secret":            change(func(s *remedy.Step) { s.Ref.Kind = snapshot.Secret }),
		"a name that climbs":  change(func(s *remedy.Step) { s.Ref.Name = "../x" }),
		"a name with a slash": change(func(s *remedy.Step) { s.Ref.Name = "cart-0/exec" }),
		"a name with a query": change(func(s *remedy.Step) { s.Ref.Name = "cart-0?x" }),
		"no name":             change(func(s *remedy.Step) { s.Ref.Name = "" }),
		"another object":      change(func(s *remedy.Step) { s.Ref.Name = "cart-1" }),
		"another verb":        change(func(s *remedy.Step) { s.Verb = "update" }),
		"a negative grace":    change(func(s *remedy.Step) { n := int64(-1); s.Grace = &n }),
		"a nameless patch":    change(func(s *remedy.Step) { s.Verb = remedy.Patch }),
		"a foreign manifest": {
			Verb: remedy.Create, Ref: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0"},
			Manifest: []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"other","namespace":"kube-system"}}`),
		},
		"no manifest": {Verb: remedy.Create, Ref: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0"}},
	} {
		var bad *BadPlan
		if err := check(remedy.Act{Target: pod}, s); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := check(remedy.Act{Target: pod}, ok); err != nil {
		t.Error(err)
	}
}
