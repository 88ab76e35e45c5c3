package live

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// counting is the network: it counts what reaches it.
type counting struct{ reached int }

func (c *counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.reached++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}, nil
}

func TestGuardPassesReadsAndNothingElse(t *testing.T) {
	cases := []struct {
		name, method, path string
		passes             bool
	}{
		{"the version", "GET", "/version", true},
		{"a list in all namespaces", "GET", "/api/v1/pods?limit=5", true},
		{"a list in a namespace", "GET", "/api/v1/namespaces/shop/pods", true},
		{"one pod", "GET", "/api/v1/namespaces/shop/pods/cart-1", true},
		{"a pod with the name of a subresource", "GET", "/api/v1/namespaces/shop/pods/exec", true},
		{"a namespace", "GET", "/api/v1/namespaces/shop", true},
		{"a namespace with the name of a resource", "GET", "/api/v1/namespaces/pods", true},
		{"a kind of a group", "GET", "/apis/storage.k8s.io/v1/volumeattachments", true},
		{"HEAD", "HEAD", "/api/v1/nodes/worker-1", true},
		{"create", "POST", "/api/v1/namespaces/shop/pods", false},
		{"update", "PUT", "/api/v1/namespaces/shop/pods/cart-1", false},
		{"patch", "PATCH", "/api/v1/namespaces/shop/pods/cart-1", false},
		{"delete", "DELETE", "/api/v1/namespaces/shop/pods/cart-1", false},
		{"delete of a list", "DELETE", "/api/v1/namespaces/shop/pods", false},
		{"a method in small letters", "delete", "/api/v1/namespaces/shop/pods", false},
		{"CONNECT", "CONNECT", "/api/v1/nodes", false},
		{"exec by GET", "GET", "/api/v1/namespaces/shop/pods/cart-1/exec?command=rm", false},
		{"attach by GET", "GET", "/api/v1/namespaces/shop/pods/cart-1/attach", false},
		{"port-forward by GET", "GET", "/api/v1/namespaces/shop/pods/cart-1/portforward", false},
		{"proxy to a pod", "GET", "/api/v1/namespaces/shop/pods/cart-1/proxy/delete-everything", false},
		{"proxy to a service", "GET", "/api/v1/namespaces/shop/services/cart/proxy/", false},
		{"proxy to a kubelet", "GET", "/api/v1/nodes/worker-1/proxy/run/shop/cart-1/main", false},
		{"the old proxy path", "GET", "/api/v1/proxy/nodes/worker-1", false},
		{"logs, which this client has no use for", "GET", "/api/v1/namespaces/shop/pods/cart-1/log", false},
		{"a resource that no snapshot holds", "GET", "/apis/apps/v1/controllerrevisions", false},
		{"a resource of another group under a known name", "GET", "/apis/example.com/v1/pods", false},
		{"a path that climbs", "GET", "/api/v1/namespaces/shop/pods/../../nodes/worker-1/proxy/", false},
		{"an escaped slash", "GET", "/api/v1/nodes/worker-1%2fproxy", false},
		{"an empty segment", "GET", "/api/v1//nodes", false},
		{"no path", "GET", "/", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			network := &counting{}
			g := newGuard(network, "", &atomic.Int64{})
			req, err := http.NewRequest(c.method, "https://cluster.example"+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := g.RoundTrip(req)
			if resp != nil {
				_ = resp.Body.Close()
			}
			if c.passes != (err == nil) || c.passes != (network.reached == 1) {
				t.Errorf("err=%v, reached the network %d times; passes=%v is due", err, network.reached, c.passes)
			}
			if !c.passes && !errors.Is(err, ErrWrite) {
				t.Errorf("refused with %v, which is not ErrWrite", err)
			}
		})
	}
}

func TestGuardRefusesBodiesAndUpgrades(t *testing.T) {
	network := &counting{}
	g := newGuard(network, "/k8s/clusters/c-1/", &atomic.Int64{})
	body, _ := http.NewRequest(http.MethodGet, "https://rancher.example/k8s/clusters/c-1/api/v1/pods", strings.NewReader("x"))
	upgrade, _ := http.NewRequest(http.MethodGet, "https://rancher.example/k8s/clusters/c-1/api/v1/pods", nil)
	upgrade.Header.Set("Upgrade", "SPDY/3.1")
	outside, _ := http.NewRequest(http.MethodGet, "https://rancher.example/api/v1/pods", nil)
	for _, r := range []*http.Request{body, upgrade, outside} {
		if _, err := g.RoundTrip(r); !errors.Is(err, ErrWrite) { //nolint:bodyclose // there is no response
			t.Errorf("%s: %v", r.URL, err)
		}
	}
	if network.reached != 0 {
		t.Error("a refused request left the process")
	}
	fine, _ := http.NewRequest(http.MethodGet, "https://rancher.example/k8s/clusters/c-1/api/v1/pods", nil)
	resp, err := g.RoundTrip(fine)
	if err != nil {
		t.Fatalf("a server behind a path is not read: %v", err)
	}
	_ = resp.Body.Close()
}

// TestNothingOfAnyClientGetsThroughTheTransport puts a full typed client on the Backend's transport and tries to write.
func TestNothingOfAnyClientGetsThroughTheTransport(t *testing.T) {
	var methods []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"Pod","apiVersion":"v1"}`))
	}))
	defer server.Close()
	b, err := New(&rest.Config{Host: server.URL}, Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfigAndClient(&rest.Config{Host: server.URL}, b.client.Client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, pods := context.Background(), c.CoreV1().Pods("shop")
	_, create := pods.Create(ctx, &corev1.Pod{}, metav1.CreateOptions{})
	_, update := pods.Update(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.UpdateOptions{})
	_, patch := pods.Patch(ctx, "x", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
	_, dryRun := pods.Patch(ctx, "x", types.MergePatchType, []byte("{}"), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	evict := c.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/shop/pods/x/exec").Do(ctx).Error()
	for what, err := range map[string]error{
		"create": create, "update": update, "patch": patch, "patch as a dry run": dryRun, "exec": evict,
		"delete":            pods.Delete(ctx, "x", metav1.DeleteOptions{}),
		"delete collection": pods.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}),
	} {
		if !errors.Is(err, ErrWrite) {
			t.Errorf("%s: %v, want ErrWrite", what, err)
		}
	}
	if len(methods) != 0 {
		t.Errorf("the server saw %v", methods)
	}
	if _, err := pods.Get(ctx, "x", metav1.GetOptions{}); err != nil || len(methods) != 1 {
		t.Errorf("a read: %v, the server saw %v", err, methods)
	}
}

func TestNobodyWaitsForAnHour(t *testing.T) {
	for header, want := range map[string]string{"3600": "", "11": "", "10": "10", "1": "1", "": "", "soon": "soon"} {
		var date atomic.Int64
		g := newGuard(roundTrip(func(*http.Request) (*http.Response, error) {
			h := http.Header{}
			if header != "" {
				h.Set("Retry-After", header)
			}
			return &http.Response{StatusCode: http.StatusTooManyRequests, Header: h, Body: http.NoBody}, nil
		}), "", &date)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1/version", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := g.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Retry-After"); got != want {
			t.Errorf("Retry-After %q became %q, want %q", header, got, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
