package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// server plays an API server with one pod, and whatever stands before it. What a real one answers is held against it by test/apply; here it is what
// this package makes of each answer.
type server struct {
	mu      sync.Mutex
	pod     map[string]any // metadata; nil where there is none
	version int
	// write answers the n-th write, from 1; do carries it out.
	write  func(w http.ResponseWriter, n int, do func())
	writes int
	// read may answer a read in place of the pod.
	read func(w http.ResponseWriter, writes int) bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", contentJSON)
	if r.Method != http.MethodGet {
		s.writes++
		body, _ := io.ReadAll(r.Body)
		s.write(w, s.writes, func() { s.apply(r, body) })
		return
	}
	if strings.HasSuffix(r.URL.Path, "/kube-system") || s.read != nil && s.read(w, s.writes) {
		return
	}
	s.answer(w)
}

func (s *server) answer(w http.ResponseWriter) {
	if s.pod == nil {
		status(w, 404, "NotFound", `pods "cart-0" not found`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": s.pod})
}

func (s *server) apply(r *http.Request, body []byte) {
	s.version++
	switch r.Method {
	case http.MethodDelete:
		s.pod["deletionTimestamp"], s.pod["deletionGracePeriodSeconds"] = "2026-01-01T00:00:00Z", 30
		if strings.Contains(string(body), `"gracePeriodSeconds":0`) {
			s.pod["deletionGracePeriodSeconds"] = 0
		}
	case http.MethodPatch:
		s.pod["finalizers"] = []string{"example.com/keep"}
	case http.MethodPost:
		s.pod = fresh("new")
		s.pod["managedFields"] = []map[string]any{{"manager": manager}}
	}
	s.pod["resourceVersion"] = fmt.Sprint(s.version)
}

func fresh(uid string) map[string]any {
	return map[string]any{"name": "cart-0", "namespace": "shop", "uid": uid, "resourceVersion": "5", "finalizers": []string{"example.com/keep", "example.com/hold"}}
}

func status(w http.ResponseWriter, code int, reason, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code, "details": map[string]any{"name": "cart-0", "kind": "pods"},
	})
}

type memory struct{ entries []remedy.Entry }

func (m *memory) Add(e remedy.Entry) error { m.entries = append(m.entries, e); return nil }

func stepsOf() map[string]remedy.Step {
	zero := int64(0)
	ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u"}
	fresh := ref
	fresh.UID = ""
	return map[string]remedy.Step{
		"delete": {Verb: remedy.Delete, Ref: ref, ResourceVersion: "5"},
		"force":  {Verb: remedy.Delete, Ref: ref, ResourceVersion: "5", Grace: &zero},
		"patch":  {Verb: remedy.Patch, Ref: ref, ResourceVersion: "5", Finalizers: []string{"example.com/hold"}},
		"create": {Verb: remedy.Create, Ref: fresh, Manifest: []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"cart-0","namespace":"shop"}}`)},
	}
}

// tried carries one step out against the server, without waiting.
func tried(t *testing.T, ctx context.Context, s *server, step remedy.Step) (remedy.Outcome, error, []time.Duration, *memory) { //nolint:revive,staticcheck // a test's
	t.Helper()
	s.version = 5
	if step.Verb != remedy.Create {
		s.pod = fresh("u")
	}
	h := httptest.NewServer(s)
	defer h.Close()
	var waits []time.Duration
	now := time.Now
	c, err := New(&rest.Config{Host: h.URL, Timeout: 2 * time.Second}, Options{Now: now, Sleep: func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	plan := remedy.Plan{
		APIVersion: remedy.APIVersion, Kind: remedy.KindPlan, Made: now(), Expires: now().Add(remedy.Lifetime),
		Acts: []remedy.Act{{Target: step.Ref, Risk: diagnose.RiskLow, Steps: []remedy.Step{step}}},
	}
	m := &memory{}
	out, worst, err := c.Carry(ctx, m, plan, Hooks{})
	if len(out) != 1 || out[0].Status != worst {
		t.Fatalf("%v %s %v", out, worst, err)
	}
	return out[0], err, waits, m
}

func cutOff(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestEveryAnswerToEveryVerb(t *testing.T) {
	always := func(code int, reason, message string) func(http.ResponseWriter, int, func()) {
		return func(w http.ResponseWriter, _ int, _ func()) { status(w, code, reason, message) }
	}
	page := func(code int) func(http.ResponseWriter, int, func()) {
		return func(w http.ResponseWriter, _ int, _ func()) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "<html>nginx</html>")
		}
	}
	once := func(first func(http.ResponseWriter, int, func()), s *server) func(http.ResponseWriter, int, func()) {
		return func(w http.ResponseWriter, n int, do func()) {
			if n == 1 {
				first(w, n, do)
				return
			}
			do()
			s.answer(w)
		}
	}
	after := func(seconds string, then func(http.ResponseWriter, int, func())) func(http.ResponseWriter, int, func()) {
		return func(w http.ResponseWriter, n int, do func()) { w.Header().Set("Retry-After", seconds); then(w, n, do) }
	}
	done := func(then func(http.ResponseWriter)) func(http.ResponseWriter, int, func()) {
		return func(w http.ResponseWriter, _ int, do func()) { do(); then(w) }
	}
	busy := always(429, "TooManyRequests", "too many requests, please try again later")
	blindAfter := func(w http.ResponseWriter, writes int) bool {
		if writes > 0 {
			status(w, 503, "ServiceUnavailable", "no etcd")
		}
		return writes > 0
	}
	type row struct {
		name     string
		set      func(*server)
		want     remedy.Status
		attempts int
		says     string
	}
	rows := []row{
		{"200, done", func(s *server) { s.write = done(s.answer) }, remedy.Done, 1, ""},
		{"200, not done", func(s *server) { s.write = func(w http.ResponseWriter, _ int, _ func()) { s.lie(w) } }, remedy.Open, 1, "says that it"},
		{"200, a page, not done", func(s *server) { s.write = page(200) }, remedy.Open, 1, "says that it"},
		{"200, then it cannot be read", func(s *server) { s.write, s.read = done(s.answer), blindAfter }, remedy.Done, 1, "as the API server answered"},
		{"200, a page, then it cannot be read", func(s *server) { s.write, s.read = page(200), blindAfter }, remedy.Open, 1, "kubectl get pod cart-0 -n shop"},
		{"302", func(s *server) { s.write = page(302) }, remedy.Open, 3, ""},
		{"400", func(s *server) { s.write = always(400, "BadRequest", "bad") }, remedy.Rejected, 1, "bad"},
		{"401", func(s *server) { s.write = always(401, "Unauthorized", "Unauthorized") }, remedy.Error, 1, "log in"},
		{"403 of RBAC", func(s *server) {
			s.write = always(403, "Forbidden", `pods "cart-0" is forbidden: User "x" cannot delete resource "pods" in API group ""`)
		}, remedy.Rejected, 1, "the right is missing"},
		{"403 of admission", func(s *server) {
			s.write = always(403, "Forbidden", `admission webhook "check.example.com" denied the request: no`)
		}, remedy.Rejected, 1, "check.example.com refused it"},
		{"404, and it is there", func(s *server) { s.write = always(404, "NotFound", "not found") }, remedy.Error, 3, "changed nothing"},
		{"404 of a proxy", func(s *server) { s.write = page(404) }, remedy.Open, 3, ""},
		{"409, unchanged", func(s *server) { s.write = always(409, "Conflict", "conflict") }, remedy.Rejected, 1, "conflict"},
		{"422, unchanged", func(s *server) { s.write = always(422, "Invalid", "invalid") }, remedy.Rejected, 1, "invalid"},
		{"429 once", func(s *server) { s.write = after("2", once(busy, s)) }, remedy.Done, 2, ""},
		{"429 always", func(s *server) { s.write = after("2", busy) }, remedy.Error, 3, "changed nothing"},
		{"429 for an hour", func(s *server) { s.write = after("3600", busy) }, remedy.Error, 1, "longer than this run waits"},
		{"500 of a webhook", func(s *server) {
			s.write = always(500, "InternalError", `Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post "https://engine.policy.svc:443/?timeout=1s": no endpoints available`)
		}, remedy.Rejected, 1, "check.example.com refused it"},
		{"500 once", func(s *server) { s.write = once(always(500, "InternalError", "etcdserver: leader changed"), s) }, remedy.Done, 2, ""},
		{"500 always", func(s *server) { s.write = always(500, "InternalError", "etcdserver: leader changed") }, remedy.Open, 3, "unchanged"},
		{"502 page always", func(s *server) { s.write = page(502) }, remedy.Open, 3, "unchanged"},
		{"503 once", func(s *server) {
			s.write = after("1", once(always(503, "ServiceUnavailable", "apiserver is shutting down"), s))
		}, remedy.Done, 2, ""},
		{"504, done all the same", func(s *server) {
			s.write = done(func(w http.ResponseWriter) { status(w, 504, "Timeout", "request did not complete") })
		}, remedy.Done, 1, "answer to the call was lost"},
		{"504, then 403", func(s *server) {
			s.write = func(w http.ResponseWriter, n int, do func()) {
				if n == 1 {
					status(w, 504, "Timeout", "request did not complete")
					return
				}
				status(w, 403, "Forbidden", "no")
			}
		}, remedy.Open, 2, "call before was not answered"},
		{"cut before", func(s *server) { s.write = func(w http.ResponseWriter, _ int, _ func()) { cutOff(w) } }, remedy.Open, 3, "unchanged"},
		{"cut once", func(s *server) { s.write = once(func(w http.ResponseWriter, _ int, _ func()) { cutOff(w) }, s) }, remedy.Done, 2, ""},
		{"cut after", func(s *server) { s.write = done(cutOff) }, remedy.Done, 1, "answer to the call was lost"},
		{"cut, then it cannot be read", func(s *server) { s.write, s.read = done(cutOff), blindAfter }, remedy.Open, 1, "kubectl get pod cart-0 -n shop"},
		{"it cannot be read before", func(s *server) {
			s.read = func(w http.ResponseWriter, _ int) bool { status(w, 503, "ServiceUnavailable", "no etcd"); return true }
		}, remedy.Error, 0, "changed nothing"},
		{"a proxy says 404 before", func(s *server) {
			s.read = func(w http.ResponseWriter, _ int) bool { w.WriteHeader(http.StatusNotFound); return true }
		}, remedy.Error, 0, "changed nothing"},
	}
	for _, verb := range []string{"delete", "force", "patch", "create"} {
		for _, r := range rows {
			if verb == "create" && r.name == "404, and it is there" { // of the namespace
				r.want, r.attempts, r.says = remedy.Rejected, 1, "not found"
			}
			s := &server{write: func(http.ResponseWriter, int, func()) { t.Errorf("%s: nothing should be sent", r.name) }}
			r.set(s)
			o, err, waits, m := tried(t, t.Context(), s, stepsOf()[verb])
			t.Logf("%-7s %-38s %-9s %d sent, waits %v: %.160s", verb, r.name, o.Status, o.Attempts, waits, o.Text)
			if o.Status != r.want || o.Attempts != r.attempts || s.writes != r.attempts || err != nil || !strings.Contains(o.Text, r.says) {
				t.Errorf("%s, %s: %s after %d attempts, %d writes (%v): %s; want %s after %d, saying %q", verb, r.name, o.Status, o.Attempts, s.writes, err, o.Text, r.want, r.attempts, r.says)
			}
			intents := 0
			for _, e := range m.entries {
				if e.Type == remedy.Intent {
					intents++
				}
			}
			var total time.Duration
			for _, d := range waits {
				total += d
			}
			if intents != s.writes || len(m.entries) != intents+1 || total > maxWait {
				t.Errorf("%s, %s: %d intents for %d writes, %d entries, waited %s", verb, r.name, intents, s.writes, len(m.entries), total)
			}
		}
	}
}

// lie answers as if it had been done.
func (s *server) lie(w http.ResponseWriter) {
	pod := fresh("u")
	if s.pod == nil {
		pod = fresh("new")
	}
	pod["resourceVersion"], pod["finalizers"] = "6", []string{"example.com/keep"}
	pod["deletionTimestamp"], pod["deletionGracePeriodSeconds"] = "2026-01-01T00:00:00Z", 0
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": pod})
}

func TestAnInterruptionWhileACallIsUnderWayTellsTheTruth(t *testing.T) {
	for name, tc := range map[string]struct {
		does  bool
		blind bool
		want  remedy.Status
	}{"it was done": {true, false, remedy.Done}, "it was not": {false, false, remedy.Open}, "nobody can tell": {true, true, remedy.Open}} {
		for _, verb := range []string{"delete", "force", "patch", "create"} {
			ctx, cancel := context.WithCancel(t.Context())
			s := &server{}
			s.write = func(w http.ResponseWriter, _ int, do func()) {
				if tc.does {
					do()
				}
				cancel()
				cutOff(w)
			}
			s.read = func(w http.ResponseWriter, writes int) bool {
				if tc.blind && writes > 0 {
					status(w, 500, "InternalError", "no etcd")
					return true
				}
				return false
			}
			o, err, _, m := tried(t, ctx, s, stepsOf()[verb])
			var interrupted *Interrupted
			if o.Status != tc.want || s.writes != 1 || len(m.entries) != 2 || (o.Status != remedy.Done) != errors.As(err, &interrupted) {
				t.Errorf("%s, %s: %s (%v), %d writes, %d entries: %s", verb, name, o.Status, err, s.writes, len(m.entries), o.Text)
			}
		}
	}
}
