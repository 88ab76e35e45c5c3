package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const (
	pathAccessReview = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	pathSelfReview   = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

	contentJSON = "application/json"

	// requestTimeout is how long one request may take, unless --request-timeout is shorter. The API server works on one for at most 34 s
	// (apiserver/pkg/endpoints/handlers requestTimeoutUpperBound).
	requestTimeout = 30 * time.Second

	// manager is the name under which the API server keeps what fields this tool wrote (metadata.managedFields).
	manager = "kubectl-stuck"
)

// Options are what a Client needs beside the connection.
type Options struct {
	// Now is the clock that outcomes, entries and Events are dated by, and plans expire by where the API server's answers carry no Date. Required.
	Now func() time.Time
	// Sleep waits, or returns the context's error when that ends first; nil waits in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client changes one cluster, by plans. It is for one run at a time.
type Client struct {
	http    *http.Client
	server  *url.URL
	gate    *gate
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
	timeout time.Duration
	as      string
	date    atomic.Int64 // Date header of the last answer, Unix seconds; 0 before the first
}

// New makes a Client from a connection. It sends nothing yet. Impersonation, proxies and credentials of the configuration hold; its rate limits and
// client-go's retries do not: what is sent again is decided by Carry, and written down before.
func New(cfg *rest.Config, opts Options) (*Client, error) {
	if opts.Now == nil {
		return nil, errors.New("apply: no clock was given")
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	c := &Client{server: base, now: opts.Now, sleep: opts.Sleep, timeout: requestTimeout, as: cfg.Impersonate.UserName}
	if c.sleep == nil {
		c.sleep = sleep
	}
	if cfg.Timeout > 0 {
		c.timeout = min(c.timeout, cfg.Timeout)
	}
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout = 0 // of our own, per request
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		c.gate = newGate(next, base)
		return c.gate
	})
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", cfg.Host, err)
	}
	if c.gate == nil {
		return nil, errors.New("apply: the transport took no gate")
	}
	c.http = &http.Client{
		Transport: client.Transport,
		// An API server redirects nobody, and a call that changes something goes where it was meant to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// call is one request, as the gate compares it.
type call struct {
	method, path, query, contentType string
	body                             []byte
}

func (c call) String() string {
	if c.query == "" {
		return c.method + " " + c.path
	}
	return c.method + " " + c.path + "?" + c.query
}

// reply is what came back.
type reply struct {
	code   int
	body   []byte
	status *metav1.Status // where the API server answered with one
	after  time.Duration  // Retry-After; 0 where there is none
	sent   bool           // something may have left this machine
}

// do sends one request, once. An error says that there is no answer, or none that is whole.
func (c *Client) do(ctx context.Context, q call) (reply, error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	var body io.Reader
	if len(q.body) > 0 {
		body = io.NopCloser(bytes.NewReader(q.body)) // so that nothing learns how to read it twice
	}
	u := *c.server
	u.Path, u.RawQuery = strings.TrimSuffix(c.server.Path, "/")+q.path, q.query
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return reply{}, fmt.Errorf("%s: %w", q, err)
	}
	req.ContentLength = int64(len(q.body))
	req.Header.Set("Accept", contentJSON)
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{sent: sent.Load()}, fmt.Errorf("%s: %w", q.method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.date.Store(t.Unix())
	}
	a := reply{code: resp.StatusCode, sent: true}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		a.after = time.Duration(min(s, 3600)) * time.Second
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, 2*maxBody))
	if err != nil {
		return a, fmt.Errorf("%s %s: the answer (%d) was cut: %w", q.method, u.Path, a.code, err)
	}
	var s metav1.Status
	if json.Unmarshal(a.body, &s) == nil && s.Kind == "Status" && s.APIVersion == "v1" {
		a.status = &s
		if a.code < http.StatusBadRequest && s.Status == metav1.StatusFailure && s.Code >= http.StatusBadRequest {
			a.code = int(s.Code) // an eviction that several budgets forbid is "201 Created", with this in it
		}
	}
	return a, nil
}

// clusterNow is the API server's clock as of its last answer; plans were made by it.
func (c *Client) clusterNow() time.Time {
	if s := c.date.Load(); s != 0 {
		return time.Unix(s, 0)
	}
	return c.now()
}

func (a reply) ok() bool {
	return a.code >= 200 && a.code <= 202 && (a.status == nil || a.status.Status != metav1.StatusFailure)
}

// says is what the server said, for people.
func (a reply) says() string {
	if a.status != nil && a.status.Message != "" {
		return brief(a.status.Message)
	}
	text := http.StatusText(a.code)
	if text == "" {
		text = "no HTTP status that is known"
	}
	if a.status == nil {
		return fmt.Sprintf("%d %s, and not in the words of an API server", a.code, text)
	}
	return fmt.Sprintf("%d %s", a.code, text)
}

// brief shortens what a server says of many lines: a change of what may not change comes with the whole pod, of which only the lines that differ tell
// something (pkg/apis/core/validation ValidatePodUpdate).
func brief(text string) string {
	const most = 1024 // bytes
	lines := strings.Split(strings.ReplaceAll(text, "\u00a0", " "), "\n")
	short := strings.TrimSpace(lines[0])
	for _, l := range lines[1:] {
		l = strings.Join(strings.Fields(l), " ")
		if len(l) > 1 && (l[0] == '+' || l[0] == '-') {
			short += " " + l
		}
	}
	if len(lines) == 1 {
		short = text
	}
	if len(short) > most {
		short = cut(short, most) + "…"
	}
	return short
}

// object is the object that was answered, if it is one.
func (a reply) object() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	if a.status != nil || o.UnmarshalJSON(a.body) != nil || o.GetUID() == "" {
		return nil
	}
	return o
}

// err is the answer as an error of the API; nil where it is a success.
func (a reply) err() error {
	switch {
	case a.ok():
		return nil
	case a.status != nil:
		return &apierrors.StatusError{ErrStatus: *a.status}
	default:
		return errors.New(a.says())
	}
}

// notFound tells that the API server knows the kind and has no such object. A page that somebody else answers with 404 does not say that.
func (a reply) notFound() bool {
	return a.code == http.StatusNotFound && a.status != nil && a.status.Reason == metav1.StatusReasonNotFound && a.status.Details != nil && a.status.Details.Name != ""
}

// pathOf is the path of an object, or of its kind for one that is to be created.
func pathOf(ref snapshot.Ref, create bool) (string, error) {
	info, ok := snapshot.InfoOf(ref.Kind)
	if !ok || info.MetadataOnly {
		return "", fmt.Errorf("%s: not a kind that is read or written whole", ref)
	}
	for _, segment := range []string{ref.Namespace, ref.Name} {
		if bad := rest.IsValidPathSegmentName(segment); len(bad) > 0 || segment != url.PathEscape(segment) {
			return "", fmt.Errorf("%s: not a name that an object can have: %q", ref.Kind, segment)
		}
	}
	if info.Namespaced != (ref.Namespace != "") || ref.Name == "" {
		return "", fmt.Errorf("%s: not the whole name of an object", ref)
	}
	path := "/apis/" + info.GVR.Group + "/" + info.GVR.Version
	if info.GVR.Group == "" {
		path = "/api/" + info.GVR.Version
	}
	if info.Namespaced {
		path += "/namespaces/" + ref.Namespace
	}
	path += "/" + info.GVR.Resource
	if !create {
		path += "/" + ref.Name
	}
	return path, nil
}

// Read reads one object whole and as it is now: without a resourceVersion the API server asks etcd, by quorum. Its error is apierrors.IsNotFound where
// the API server says that there is none. The UID of the reference is not looked at.
func (c *Client) Read(ctx context.Context, ref snapshot.Ref) (*unstructured.Unstructured, error) {
	const tries = 3
	var last error
	for try := range tries {
		if try > 0 {
			if err := c.sleep(ctx, time.Duration(try)*time.Second); err != nil {
				return nil, fmt.Errorf("read %s: %w", ref, last)
			}
		}
		obj, again, err := c.readOnce(ctx, ref)
		if err == nil {
			return obj, nil
		}
		last = err
		if !again || ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("read %s: %w", ref, last)
}

// readOnce tells too whether asking again could help.
func (c *Client) readOnce(ctx context.Context, ref snapshot.Ref) (_ *unstructured.Unstructured, again bool, err error) {
	path, err := pathOf(ref, false)
	if err != nil {
		return nil, false, err
	}
	a, err := c.do(ctx, call{method: http.MethodGet, path: path})
	switch {
	case err != nil:
		return nil, true, err
	case a.notFound():
		return nil, false, a.err()
	case a.code == http.StatusNotFound:
		return nil, false, errors.New(a.says()) // not apierrors.IsNotFound
	case a.err() != nil:
		return nil, a.code == http.StatusTooManyRequests || a.code >= 500, a.err()
	}
	obj := a.object()
	switch {
	case obj == nil:
		return nil, false, errors.New("the answer is not an object of the API")
	case obj.GetKind() != string(ref.Kind) || obj.GetName() != ref.Name || obj.GetNamespace() != ref.Namespace:
		return nil, false, fmt.Errorf("the answer is about another object: %s %s/%s", obj.GetKind(), obj.GetNamespace(), obj.GetName())
	}
	return obj, false, nil
}

// ClusterID is the UID of the Namespace kube-system, by which clusters are told apart.
func (c *Client) ClusterID(ctx context.Context) (string, error) {
	ns, err := c.Read(ctx, snapshot.Ref{Kind: snapshot.Namespace, Name: metav1.NamespaceSystem})
	if err != nil {
		return "", err
	}
	return string(ns.GetUID()), nil
}

// Who asks the API server whom it takes the user for. Servers before 1.28 may not tell; then only As is set, and the error says why.
func (c *Client) Who(ctx context.Context) (remedy.Who, error) {
	who := remedy.Who{As: c.as}
	a, err := c.do(ctx, call{
		method: http.MethodPost, path: pathSelfReview, contentType: contentJSON,
		body: []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`),
	})
	if err == nil {
		err = a.err()
	}
	if err != nil {
		return who, fmt.Errorf("ask the API server who this is: %w", err)
	}
	var review struct {
		Status struct {
			UserInfo struct {
				Username string   `json:"username"`
				Groups   []string `json:"groups"`
			} `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal(a.body, &review); err != nil {
		return who, fmt.Errorf("ask the API server who this is: its answer: %w", err)
	}
	who.Kubernetes, who.Groups = review.Status.UserInfo.Username, review.Status.UserInfo.Groups
	return who, nil
}
