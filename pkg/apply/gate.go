package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// ErrNoTicket is returned, wrapped, for a request that the gate refused. It never left the process.
var ErrNoTicket = errors.New("refused: no journal entry stands for this request")

// subEviction is the subresource of a pod that evicts it.
const subEviction = "eviction"

// Requests larger than this are no business of this tool: etcd takes objects of 1.5 MiB, and the API server bodies of 3 MiB.
const maxBody = 3 << 20

// gate is the transport of a client that writes only what it was told to. It passes
//   - GET and HEAD of one object of a kind that a snapshot can hold, whose data is anybody's business,
//   - questions of a user about themselves: selfsubjectaccessreviews, selfsubjectreviews,
//   - DELETE, PATCH and POST of such an object with dryRun=All, not of a subresource,
//   - POST of the eviction of a pod with dryRun=All, in the parameters and in the body,
//   - the one request that a ticket stands for, once.
//
// It stands directly before the connection, below all that adds credentials.
type gate struct {
	next      http.RoundTripper
	host      string
	base      string // path of the server's own address, without a slash at its end
	resources map[string]snapshot.Info

	mu     sync.Mutex
	ticket *call
}

func newGate(next http.RoundTripper, server *url.URL) *gate {
	g := &gate{next: next, host: server.Host, base: strings.TrimSuffix(server.Path, "/"), resources: map[string]snapshot.Info{}}
	for _, k := range snapshot.Kinds() {
		if !k.MetadataOnly {
			g.resources[k.GVR.Group+"/"+k.GVR.Version+"/"+k.GVR.Resource] = k
		}
	}
	return g
}

// open lets one request through, once, until the returned function is called. There is one ticket at a time.
func (g *gate) open(c call) (void func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ticket != nil {
		return nil, fmt.Errorf("%s: another request has a ticket: %w", c, ErrNoTicket)
	}
	t := &c
	g.ticket = t
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.ticket == t {
			g.ticket = nil
		}
	}, nil
}

// take uses the ticket up where it stands for the request.
func (g *gate) take(c call) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.ticket
	if t == nil || t.method != c.method || t.path != c.path || t.query != c.query || t.contentType != c.contentType || !bytes.Equal(t.body, c.body) {
		return false
	}
	g.ticket = nil
	return true
}

// RoundTrip sends the request on if it may pass.
//
// What it sends cannot be sent again below it: the body has no GetBody, so neither does HTTP/1 repeat it on another connection (net/http isReplayable,
// which passes no POST, PATCH or DELETE anyway), nor HTTP/2 a stream that the server refused (GOAWAY). Each call that reaches a server so has its own
// entry in the journal.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		_ = r.Body.Close() // a RoundTripper closes the body even where it fails
		if err != nil {
			return nil, fmt.Errorf("%s %s: its body: %w", r.Method, r.URL.Path, err)
		}
	}
	if err := g.check(r, body); err != nil {
		return nil, err
	}
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body, r.GetBody, r.ContentLength = io.NopCloser(bytes.NewReader(body)), nil, int64(len(body))
	}
	return g.next.RoundTrip(r)
}

func (g *gate) check(r *http.Request, body []byte) error {
	refuse := func(why string) error {
		return fmt.Errorf("%s %s: %s: %w", r.Method, r.URL.Path, why, ErrNoTicket)
	}
	path, below := strings.CutPrefix(r.URL.EscapedPath(), g.base)
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case r.URL.Host != g.host || r.Host != "" && r.Host != g.host:
		return refuse("not the API server")
	case r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "":
		return refuse("it asks to change the protocol")
	case !below || strings.Contains(path, "%"): // no name that is written here needs an escape
		return refuse("not a path of the API")
	case err != nil:
		return refuse("malformed parameters")
	case len(body) > maxBody:
		return refuse("its body is too large")
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == "" { // "" is GET, says net/http
		switch where, ok := g.parse(path); {
		case !ok || where.name == "":
			return refuse("not the path of one object that this client reads")
		case len(body) > 0:
			return refuse("it has a body")
		case len(query) > 0:
			return refuse("it has parameters") // resourceVersion=0 would read a cache
		}
		return nil
	}
	if r.Method == http.MethodPost && len(query) == 0 && (path == pathAccessReview || path == pathSelfReview) {
		return nil
	}
	c := call{method: r.Method, path: path, query: r.URL.RawQuery, contentType: r.Header.Get("Content-Type"), body: body}
	if query.Has("dryRun") {
		if why := g.harmless(c, query); why != "" {
			return refuse(why)
		}
		return nil
	}
	if !g.take(c) {
		return refuse("it would change the cluster")
	}
	return nil
}

// harmless says why a request that claims to be a dry run may not be one; empty where it is.
func (g *gate) harmless(c call, query url.Values) string {
	where, ok := g.parse(c.path)
	if pod, evicts := strings.CutSuffix(c.path, "/"+subEviction); !ok && evicts && c.method == http.MethodPost {
		where, ok = g.parse(pod)
		return harmlessEviction(where, ok, c, query)
	}
	for k, v := range query {
		switch {
		case k == "dryRun" && slices.Equal(v, []string{metav1.DryRunAll}):
		case k == "fieldManager":
		default:
			return "a dry run with parameter " + k
		}
	}
	switch {
	case !ok:
		return "not the path of an object that this client writes" // a subresource need not heed dryRun
	case c.method == http.MethodPost && where.name == "" && c.contentType == contentJSON:
	case c.method == http.MethodPatch && where.name != "" && c.contentType == string(types.JSONPatchType):
	case c.method == http.MethodDelete && where.name != "" && c.contentType == contentJSON:
		// A DELETE that has a body is judged by the body alone, and its parameters are not looked at (apiserver/pkg/endpoints/handlers/delete.go
		// DeleteResource). So the body has to say it.
		var o metav1.DeleteOptions
		if err := json.Unmarshal(c.body, &o); err != nil {
			return "its body cannot be read"
		}
		if again, err := json.Marshal(&o); err != nil || !bytes.Equal(again, c.body) {
			return "its body can be read in two ways"
		}
		if !slices.Equal(o.DryRun, []string{metav1.DryRunAll}) {
			return "its parameters say dryRun and its body does not"
		}
	default:
		return "not a dry run that this client makes"
	}
	return ""
}

// harmlessEviction says the same of an eviction. The body decides what is deleted, and the parameter what webhooks are told: both have to say it.
func harmlessEviction(where place, ok bool, c call, query url.Values) string {
	var e policyv1.Eviction
	switch {
	case !ok || where.info.Kind != snapshot.Pod || where.name == "" || c.contentType != contentJSON:
		return "not an eviction that this client makes"
	case len(query) != 1 || !slices.Equal(query["dryRun"], []string{metav1.DryRunAll}):
		return "a dry run of an eviction with other parameters"
	case json.Unmarshal(c.body, &e) != nil:
		return "its body cannot be read"
	}
	again, err := json.Marshal(&e)
	switch {
	case err != nil || !bytes.Equal(again, c.body):
		return "its body can be read in two ways"
	case e.APIVersion != "policy/v1" || e.Kind != "Eviction" || e.Namespace != where.namespace || e.Name != where.name:
		return "its body is not about the eviction of that pod"
	case e.DeleteOptions == nil || !slices.Equal(e.DeleteOptions.DryRun, []string{metav1.DryRunAll}):
		return "its parameters say dryRun and its body does not"
	}
	return ""
}

// place is what a path of the API names.
type place struct {
	info            snapshot.Info
	namespace, name string
}

// parse reads the path of one object, or of the kind where name is empty. Subresources, and kinds whose content is not read, are none.
func (g *gate) parse(path string) (place, bool) {
	s := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, segment := range s {
		if segment == "" || segment == "." || segment == ".." {
			return place{}, false
		}
	}
	group := ""
	switch {
	case s[0] == "api" && len(s) > 2:
		s = s[1:]
	case s[0] == "apis" && len(s) > 3:
		group, s = s[1], s[2:]
	default:
		return place{}, false
	}
	version, s := s[0], s[1:]
	var p place
	if len(s) >= 3 && s[0] == "namespaces" {
		p.namespace, s = s[1], s[2:]
	}
	var ok bool
	p.info, ok = g.resources[group+"/"+version+"/"+s[0]]
	if !ok || len(s) > 2 || p.info.Namespaced != (p.namespace != "") {
		return place{}, false
	}
	if len(s) == 2 {
		p.name = s[1]
	}
	return p, true
}
