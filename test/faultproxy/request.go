package faultproxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind tells requests apart by what they can do to a cluster.
type Kind string

// The kinds. What cannot be told to be harmless is a Write.
const (
	Read    Kind = "read"
	ReadPod Kind = "read pod" // one pod, by name
	Review  Kind = "review"   // a question about rights or about who one is, which is a POST and changes nothing
	DryRun  Kind = "dry run"
	Event   Kind = "event" // an Event is made: a write, about another object
	Write   Kind = "write"
)

// Request is what arrived, and what came of it.
type Request struct {
	// N counts the requests of one log from 0, in the order in which they arrived.
	N           int
	Method      string
	Path, Query string
	ContentType string
	UserAgent   string
	Body        []byte
	Kind        Kind
	Arrived     time.Time
	Answered    time.Time // zero where no answer was sent
	// Code is what the client was answered; 0 where it was answered nothing, or not all of it.
	Code int
	// Server is what the API server answered; 0 where it was not asked. The two differ where a fault came between.
	Server int
	// Forwarded tells that the request left for the API server, whatever came back.
	Forwarded bool
	// RetryAfter is what the client was told to wait.
	RetryAfter time.Duration
	// Fault is the name of what was done to it.
	Fault string
	// Journal is what Options.Arrived said of a request that changes something.
	Journal string
}

// Effective tells whether the API server took the request and changed something by it.
func (r *Request) Effective() bool {
	return r.Changes() && r.Forwarded && r.Server >= 200 && r.Server < 300
}

// Changes tells whether the request is meant to change something.
func (r *Request) Changes() bool { return r.Kind == Write || r.Kind == Event }

// Clean tells whether the client got a whole answer, which was the API server's own.
func (r *Request) Clean() bool { return r.Code != 0 && r.Code == r.Server }

// Label names the request without the names in it: "write DELETE /api/v1/namespaces/*/pods/*". It is the same in every run of a command.
func (r *Request) Label() string {
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")
	// api/v1/… or apis/GROUP/VERSION/…
	first := 2
	if len(parts) > 0 && parts[0] == "apis" {
		first = 3
	}
	for i := first; i < len(parts); i++ {
		if (i-first)%2 == 1 {
			parts[i] = "*"
		}
	}
	label := string(r.Kind) + " " + r.Method + " /" + strings.Join(parts, "/")
	if q, err := url.ParseQuery(r.Query); err == nil && q.Has("fieldSelector") {
		field, _, _ := strings.Cut(q.Get("fieldSelector"), "=")
		label += " by " + field
	}
	return label
}

// classify decides the kind of a request.
func classify(method, path, query string, body []byte) Kind {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if len(parts) == 6 && parts[0] == "api" && parts[2] == "namespaces" && parts[4] == "pods" {
			return ReadPod
		}
		return Read
	}
	last := parts[len(parts)-1]
	if method == http.MethodPost && strings.HasSuffix(last, "reviews") && len(parts) > 1 &&
		(parts[1] == "authorization.k8s.io" || parts[1] == "authentication.k8s.io") {
		return Review
	}
	if isDryRun(query, body) {
		return DryRun
	}
	if method == http.MethodPost && last == "events" {
		return Event
	}
	return Write
}

// isDryRun looks where the API server does: in the query, and in the body of a deletion. A dry run of something else than All does not exist.
func isDryRun(query string, body []byte) bool {
	q, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	if slices.Equal(q["dryRun"], []string{metav1.DryRunAll}) {
		return true
	}
	var o struct {
		Kind   string   `json:"kind"`
		DryRun []string `json:"dryRun"`
	}
	return json.Unmarshal(body, &o) == nil && o.Kind == "DeleteOptions" && slices.Equal(o.DryRun, []string{metav1.DryRunAll})
}
