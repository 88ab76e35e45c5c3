package live

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// ErrNotALog is returned, wrapped, for a request that the guard of a node's logs refused. It never left the process.
var ErrNotALog = errors.New("refused: this client only reads the logs of one node")

var (
	// unitName is what a unit may be called: kubelet's own set of safe characters (pkg/kubelet/kubelet_server_journal.go,
	// reServiceNameUnsafeCharacters). A slash would make a file of it.
	unitName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.:@-]*$`)
	// fileName is a file that stands in /var/log itself: those of containers stand below it, and are none of our business.
	fileName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	// nodeName has no colon: in a request's path those stand for another port of the node (k8s.io/apimachinery/pkg/util/net SplitSchemeNamePort).
	nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// logGuard is the transport of a client that reads the logs of one node through the API server. It passes GET of
// /api/v1/nodes/NODE/proxy/logs/ and of the files directly in it, and nothing else: the same proxy leads to the kubelet's
// /run and /exec.
type logGuard struct {
	next http.RoundTripper
	host string
	path string // of the logs, with a slash at its end
}

func newLogGuard(next http.RoundTripper, server *url.URL, node string) *logGuard {
	return &logGuard{next: next, host: server.Host, path: logsPath(server, node)}
}

func logsPath(server *url.URL, node string) string {
	return strings.TrimSuffix(server.Path, "/") + "/api/v1/nodes/" + node + "/proxy/logs/"
}

// RoundTrip sends the request on if it asks for a log.
func (g *logGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.check(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body even where it fails
		}
		return nil, err
	}
	return g.next.RoundTrip(r)
}

func (g *logGuard) check(r *http.Request) error {
	refuse := func(why string) error {
		return fmt.Errorf("%s %s: %s: %w", r.Method, r.URL.Path, why, ErrNotALog)
	}
	file, below := strings.CutPrefix(r.URL.EscapedPath(), g.path)
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case r.Method != http.MethodGet:
		return refuse("not a GET")
	case r.Body != nil && r.Body != http.NoBody:
		return refuse("it has a body")
	case r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "":
		return refuse("it asks to change the protocol")
	case r.URL.Host != g.host || r.Host != "" && r.Host != g.host:
		return refuse("not the API server")
	case !below || file != "" && !fileName.MatchString(file):
		return refuse("not the path of a log of this node")
	case err != nil:
		return refuse("malformed parameters")
	case file != "" && len(query) > 0:
		return refuse("a file has no parameters")
	}
	for k, values := range query {
		for _, v := range values {
			switch {
			case k == "query" && unitName.MatchString(v):
			case k == "sinceTime", k == "tailLines":
			default:
				return refuse("parameter " + k)
			}
		}
	}
	return nil
}
