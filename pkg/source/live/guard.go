package live

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// ErrWrite is returned, wrapped, for a request that the guard refused. It never left the process.
var ErrWrite = errors.New("refused: this client only reads")

// maxRetryAfter is for how long, in seconds, a read waits because a server that is busy asks for it. API servers ask for 1 to some 10.
const maxRetryAfter = 10

// guard is the transport of a client that cannot write. It passes GET and HEAD of /version and of the
// resources that a snapshot can hold, and nothing else: not their subresources either, because GET of
// pods/exec, pods/attach, pods/portforward and of the proxy subresources acts on the cluster.
// It also remembers the server's clock.
type guard struct {
	next      http.RoundTripper
	base      string          // path of the server's own address, without a slash at its end
	resources map[string]bool // "" + resource or group/resource
	date      *atomic.Int64   // Date header of the last answer, Unix seconds; 0 before the first
}

func newGuard(next http.RoundTripper, basePath string, date *atomic.Int64) *guard {
	g := &guard{next: next, base: strings.TrimSuffix(basePath, "/"), resources: map[string]bool{}, date: date}
	for _, k := range snapshot.Kinds() {
		g.resources[k.GVR.Group+"/"+k.GVR.Resource] = true
	}
	return g
}

// RoundTrip sends the request on if it only reads.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.check(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body even where it fails
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(r)
	if resp != nil {
		if wait, perr := strconv.Atoi(resp.Header.Get("Retry-After")); perr == nil && wait > maxRetryAfter {
			resp.Header.Del("Retry-After") // client-go waits as long as it is told; without it, the answer becomes an error that is shown
		}
		if t, perr := http.ParseTime(resp.Header.Get("Date")); perr == nil {
			g.date.Store(t.Unix())
		}
	}
	return resp, err
}

// now is the server's clock as of its last answer.
func (g *guard) now() (time.Time, bool) {
	s := g.date.Load()
	return time.Unix(s, 0), s != 0
}

func (g *guard) check(r *http.Request) error {
	refuse := func(why string) error {
		return fmt.Errorf("%s %s: %s: %w", r.Method, r.URL.Path, why, ErrWrite)
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "": // "" is GET, says net/http
		return refuse("not a GET or HEAD")
	case r.Body != nil && r.Body != http.NoBody:
		return refuse("it has a body")
	case r.Header.Get("Upgrade") != "":
		return refuse("it asks to change the protocol")
	case !g.readable(r.URL.EscapedPath()):
		return refuse("not the path of an object or a list that this client reads")
	}
	return nil
}

// readable tells whether the path names a list or one object of a known resource, or the version.
func (g *guard) readable(path string) bool {
	path, ok := strings.CutPrefix(path, g.base)
	if !ok || strings.Contains(path, "%") { // no name that is read here needs an escape
		return false
	}
	s := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, segment := range s {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	group := ""
	switch {
	case len(s) == 1:
		return s[0] == "version"
	case s[0] == "api":
		s = s[2:]
	case s[0] == "apis" && len(s) > 3:
		group, s = s[1], s[3:]
	default:
		return false
	}
	if len(s) >= 3 && s[0] == "namespaces" {
		s = s[2:]
	}
	return (len(s) == 1 || len(s) == 2) && g.resources[group+"/"+s[0]]
}
