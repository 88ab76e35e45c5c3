package faultproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options are for one proxy.
type Options struct {
	// Ahead moves the clock that the client sees in the Date header, so that what was made a moment ago is old.
	Ahead time.Duration
	// Arrived is called when a request that changes something has arrived, before anything else happens. What it returns is kept in Request.Journal.
	Arrived func(*Request) string
	// Forwarded is called when the API server has answered, before the client hears of it.
	Forwarded func(*Request)
}

// Proxy is one proxy with its own log.
type Proxy struct {
	options   Options
	server    *httptest.Server
	upstream  *url.URL
	transport *http.Transport

	mu      sync.Mutex
	log     []*Request
	rules   []*rule
	process *os.Process
	named   chan struct{} // closed when there is a process
}

type rule struct {
	match func(*Request) bool
	nth   int // from 1
	seen  int
	fault Fault
	fired bool
}

// connKey is where the connection of a request is kept in its context.
type connKey struct{}

// New starts a proxy in front of the API server of the configuration, of which only the address and the authority are used: the client's
// credentials are its own.
func New(server *rest.Config, o Options) (*Proxy, error) {
	upstream, err := url.Parse(server.Host)
	if err != nil {
		return nil, fmt.Errorf("the API server's address: %w", err)
	}
	roots := x509.NewCertPool()
	if ca := server.CAData; len(ca) > 0 && !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the API server's authority is no certificate")
	}
	p := &Proxy{
		options: o, upstream: upstream, named: make(chan struct{}),
		transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			DisableCompression: true, // what the client asked for is what it gets
		},
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are cut on purpose
	p.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	p.server.StartTLS()
	return p, nil
}

// Close ends the proxy, whatever it is waiting for.
func (p *Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
	p.transport.CloseIdleConnections()
}

// URL is the address that clients talk to.
func (p *Proxy) URL() string { return p.server.URL }

// Kubeconfig writes a kubeconfig that leads through the proxy, with a bearer token.
func (p *Proxy) Kubeconfig(path, contextName, token string) error {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{contextName: {Server: p.server.URL, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"oncall": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{contextName: {Cluster: contextName, AuthInfo: "oncall"}},
		CurrentContext: contextName,
	}
	if err := clientcmd.WriteToFile(config, path); err != nil {
		return fmt.Errorf("write the proxy's kubeconfig: %w", err)
	}
	return nil
}

// Process names the client, for faults that end it. It may be called after the client's first request.
func (p *Proxy) Process(c *os.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = c
	select {
	case <-p.named:
	default:
		close(p.named)
	}
}

// Client is the process that sends the requests. It waits until Process has named one.
func (p *Proxy) Client() *os.Process {
	<-p.named
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// Inject does the fault to the nth request that matches, counted from 1.
func (p *Proxy) Inject(match func(*Request) bool, nth int, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &rule{match: match, nth: nth, fault: f})
}

// Fired tells whether every fault that was to be done was done.
func (p *Proxy) Fired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if !r.fired {
			return false
		}
	}
	return true
}

// Saw tells whether a request that matches has arrived.
func (p *Proxy) Saw(match func(*Request) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.log, match)
}

// Reset forgets the log and the faults, and returns the log.
func (p *Proxy) Reset() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Request
	for _, r := range p.log {
		out = append(out, *r)
	}
	p.log, p.rules = nil, nil
	return out
}

// Exchange is one request on its way. It belongs to one goroutine.
type Exchange struct {
	*Request
	proxy *Proxy
	http  *http.Request
}

// Answer is what the client will get.
type Answer struct {
	Code   int
	Header http.Header
	Body   []byte
	// Half cuts the connection in the middle of the body.
	Half bool
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.cut(r)
	}
	req := &Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type"), UserAgent: r.UserAgent(),
		Body: body, Arrived: time.Now(),
	}
	req.Kind = classify(req.Method, req.Path, req.Query, body)
	f := p.enter(req)
	if req.Changes() && p.options.Arrived != nil {
		said := p.options.Arrived(req)
		p.mu.Lock()
		req.Journal = said
		p.mu.Unlock()
	}
	x := &Exchange{Request: req, proxy: p, http: r}
	var a *Answer
	if f != nil {
		a = f.Do(x)
	} else {
		a = x.Forward()
	}
	if a == nil {
		p.cut(r)
	}
	p.answer(w, r, req, a)
}

// enter adds the request to the log and finds the fault that is meant for it.
func (p *Proxy) enter(req *Request) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	req.N = len(p.log)
	p.log = append(p.log, req)
	for _, r := range p.rules {
		if r.fired || !r.match(req) {
			continue
		}
		if r.seen++; r.seen == r.nth {
			r.fired = true
			req.Fault = r.fault.Name
			return &r.fault
		}
	}
	return nil
}

func (p *Proxy) answer(w http.ResponseWriter, r *http.Request, req *Request, a *Answer) {
	h := w.Header()
	for k, v := range a.Header {
		h[k] = v
	}
	h.Set("Date", p.date(a.Header.Get("Date")).UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	p.mu.Lock()
	if s, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil {
		req.RetryAfter = time.Duration(s) * time.Second
	}
	if !a.Half && r.Context().Err() == nil { // nobody hears what is said to a client that has left
		req.Code = a.Code
	}
	req.Answered = time.Now()
	p.mu.Unlock()
	w.WriteHeader(a.Code)
	if a.Half {
		_, _ = w.Write(a.Body[:len(a.Body)/2])
		_ = http.NewResponseController(w).Flush()
		p.cut(r)
	}
	_, _ = w.Write(a.Body)
}

func (p *Proxy) date(header string) time.Time {
	t, err := http.ParseTime(header)
	if err != nil {
		t = time.Now()
	}
	return t.Add(p.options.Ahead)
}

// cut closes the connection under the request, with all else that goes over it, and never returns.
func (p *Proxy) cut(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn() // without a farewell
		}
		_ = c.Close()
	}
	panic(http.ErrAbortHandler) // this is how a handler says that there is no answer
}

// Forward asks the API server, and returns its answer; nil where it gave none. The client's leaving does not stop it: what was sent is sent.
func (x *Exchange) Forward() *Answer { return x.forward(x.Query) }

// ForwardAsDryRun asks the API server what it would answer, and does nothing. A deletion that has a body is judged by that alone.
func (x *Exchange) ForwardAsDryRun() *Answer {
	q, err := url.ParseQuery(x.Query)
	if err != nil {
		return nil
	}
	q.Set("dryRun", metav1.DryRunAll)
	body := x.Body
	if x.Method == http.MethodDelete && len(body) > 0 {
		var o map[string]any
		if json.Unmarshal(body, &o) != nil {
			return nil
		}
		o["dryRun"] = []string{metav1.DryRunAll}
		if body, err = json.Marshal(o); err != nil {
			return nil
		}
	}
	return x.send(q.Encode(), body)
}

func (x *Exchange) forward(query string) *Answer {
	x.set(func(r *Request) { r.Forwarded = true })
	a := x.send(query, x.Body)
	if a != nil {
		x.set(func(r *Request) { r.Server = a.Code })
	}
	if x.proxy.options.Forwarded != nil {
		x.proxy.options.Forwarded(x.Request)
	}
	return a
}

func (x *Exchange) send(query string, body []byte) *Answer {
	u := *x.proxy.upstream
	u.Path, u.RawQuery = x.Path, query
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.http.Context()), time.Minute)
	defer cancel()
	out, err := http.NewRequestWithContext(ctx, x.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil
	}
	out.Header = x.http.Header.Clone()
	resp, err := x.proxy.transport.RoundTrip(out)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	return &Answer{Code: resp.StatusCode, Header: resp.Header.Clone(), Body: data}
}

// set changes the log's entry. Readers see it by Reset only.
func (x *Exchange) set(change func(*Request)) {
	x.proxy.mu.Lock()
	defer x.proxy.mu.Unlock()
	change(x.Request)
}
