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

const dryEviction = `{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"cart-0","namespace":"shop"},"deleteOptions":{"preconditions":{"uid":"u"},"dryRun":["All"]}}`

func TestTheGatePassesAnEvictionThatIsTriedAndNoOther(t *testing.T) {
	good := call{method: "POST", path: pathPod + "/eviction", query: "dryRun=All", contentType: contentJSON, body: []byte(dryEviction)}
	made, err := callOf(remedy.Step{Verb: remedy.Evict, Ref: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]call{"as written here": good, "as made": made} {
		g, s := testGate(t)
		if err := pass(g, c); err != nil || s.requests != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	with := func(f func(*call)) call { c := good; f(&c); return c }
	in := func(from, to string) call {
		return with(func(c *call) { c.body = []byte(strings.Replace(dryEviction, from, to, 1)) })
	}
	for name, c := range map[string]call{
		"that is not tried":               with(func(c *call) { c.query = "" }),
		"by its body alone":               with(func(c *call) { c.query = "fieldManager=x" }),
		"by its parameter alone":          in(`,"dryRun":["All"]`, ""),
		"of an unknown kind":              in(`["All"]`, `["Some"]`),
		"that says it twice":              in(`"dryRun":["All"]`, `"dryRun":["All"],"dryRun":[]`),
		"in other letters":                in(`"dryRun"`, `"DryRun"`),
		"without options":                 in(`"deleteOptions":{"preconditions":{"uid":"u"},"dryRun":["All"]}`, `"x":1`),
		"of another pod":                  in("cart-0", "cart-1"),
		"in another namespace":            in(`"shop"`, `"kube-system"`),
		"of the old version":              in("policy/v1", "policy/v1beta1"),
		"with another parameter":          with(func(c *call) { c.query = "dryRun=All&fieldManager=x" }),
		"as YAML":                         with(func(c *call) { c.contentType = "application/yaml" }),
		"of a node":                       with(func(c *call) { c.path = "/api/v1/nodes/worker-a1/eviction" }),
		"of all pods":                     with(func(c *call) { c.path = "/api/v1/namespaces/shop/pods/eviction" }),
		"below an eviction":               with(func(c *call) { c.path += "/eviction" }),
		"by PUT":                          with(func(c *call) { c.method = "PUT" }),
		"by GET":                          with(func(c *call) { c.method = "GET" }),
		"with something behind its body ": with(func(c *call) { c.body = append([]byte(dryEviction), "{}"...) }),
	} {
		g, s := testGate(t)
		if err := pass(g, c); !errors.Is(err, ErrNoTicket) || s.requests != 0 {
			t.Errorf("an eviction %s: %v, %d requests", name, err, s.requests)
		}
	}
	// With its ticket the real one passes, once.
	sent, err := callOf(remedy.Step{Verb: remedy.Evict, Ref: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u"}}, false)
	if err != nil || sent.query != "" || strings.Contains(string(sent.body), "dryRun") || !strings.Contains(string(sent.body), `"preconditions":{"uid":"u"}`) {
		t.Fatalf("%v %s %s", err, sent, sent.body)
	}
	g, s := testGate(t)
	void, err := g.open(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer void()
	if err := pass(g, made); err != nil { // a dry run takes no ticket
		t.Error(err)
	}
	if err := pass(g, sent); err != nil {
		t.Error(err)
	}
	if err := pass(g, sent); !errors.Is(err, ErrNoTicket) || s.requests != 2 {
		t.Errorf("a second time: %v, %d requests", err, s.requests)
	}
}

// held answers as an API server does for a disruption budget.
func held(w http.ResponseWriter, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"TooManyRequests","code":429,"message":"Cannot evict pod as it would violate the pod's disruption budget.",`+
		`"details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget keeps needs 2 healthy pods and has 2 currently"}]}}`)
}

// took answers an eviction that was carried out.
func took(w http.ResponseWriter) {
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Success","code":201}`)
}

func TestEveryAnswerToAnEviction(t *testing.T) {
	for _, r := range []struct {
		name     string
		write    func(w http.ResponseWriter, n int, do func())
		blind    bool
		want     remedy.Status
		attempts int
		waits    string
		says     string
	}{
		{"201", func(w http.ResponseWriter, _ int, do func()) { do(); took(w) }, false, remedy.Done, 1, "[]", "the API server took the eviction"},
		{"201, then it cannot be read", func(w http.ResponseWriter, _ int, do func()) { do(); took(w) }, true, remedy.Done, 1, "[1s 2s]", "took the eviction"},
		{"201, not done", func(w http.ResponseWriter, _ int, _ func()) { took(w) }, false, remedy.Open, 1, "[]", "direct read shows that it did not"},
		{"201, a page", func(w http.ResponseWriter, _ int, _ func()) { _, _ = io.WriteString(w, "<html>") }, true, remedy.Open, 1, "[1s 2s]", "look with"},
		{"201 of several budgets", func(w http.ResponseWriter, _ int, _ func()) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":500,"message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}`)
		}, false, remedy.Rejected, 1, "[]", "more than one"},
		{"201 of a failure that nobody knows", func(w http.ResponseWriter, _ int, _ func()) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","message":"odd"}`)
		}, false, remedy.Open, 3, "[1s 2s]", "odd"},
		{"held once", func(w http.ResponseWriter, n int, do func()) {
			if n == 1 {
				held(w, "")
				return
			}
			do()
			took(w)
		}, false, remedy.Done, 2, "[5s]", "took"},
		{"held, and asks for longer", func(w http.ResponseWriter, n int, do func()) {
			if n < 3 {
				held(w, map[int]string{1: "3600", 2: "7"}[n])
				return
			}
			do()
			took(w)
		}, false, remedy.Done, 3, "[10s 2s]", "took"},
		{"held for ever", func(w http.ResponseWriter, _ int, _ func()) { held(w, "") }, false, remedy.Rejected, 4, "[5s 5s 2s]", "The disruption budget keeps needs 2 healthy pods"},
		{"held, then gone", func(w http.ResponseWriter, _ int, do func()) { do(); held(w, "") }, false, remedy.Already, 1, "[5s]", "as wanted already"},
		{"busy once", func(w http.ResponseWriter, n int, do func()) {
			if n == 1 {
				status(w, 429, "TooManyRequests", "too many requests, please try again later")
				return
			}
			do()
			took(w)
		}, false, remedy.Done, 2, "[1s]", "took"},
		{"busy always", func(w http.ResponseWriter, _ int, _ func()) { status(w, 429, "TooManyRequests", "too many requests") }, false, remedy.Error, 3, "[1s 2s]", "changed nothing"},
		{"403 of a budget", func(w http.ResponseWriter, _ int, _ func()) {
			status(w, 403, "Forbidden", `poddisruptionbudgets.policy "keeps" is forbidden: pdb disruptions allowed is negative`)
		}, false, remedy.Rejected, 1, "[]", "negative"},
		{"429 of a webhook", func(w http.ResponseWriter, n int, do func()) {
			if n < 3 {
				status(w, 429, "TooManyRequests", `admission webhook "moves.example.com" denied the request: its machine is being moved`)
				return
			}
			do()
			took(w)
		}, false, remedy.Done, 3, "[5s 5s]", "took"},
		{"429 of a webhook for ever", func(w http.ResponseWriter, _ int, _ func()) {
			status(w, 429, "TooManyRequests", `admission webhook "moves.example.com" denied the request: its machine is being moved`)
		}, false, remedy.Rejected, 4, "[5s 5s 2s]", "moves.example.com did not allow it within 12s, asked 4 times"},
		{"500 of a webhook", func(w http.ResponseWriter, _ int, _ func()) {
			status(w, 500, "InternalError", `Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post "https://engine.policy.svc:443/?timeout=1s": no endpoints available`)
		}, false, remedy.Rejected, 1, "[]", "check.example.com refused it"},
		{"409, unchanged", func(w http.ResponseWriter, _ int, _ func()) { status(w, 409, "Conflict", "conflict") }, false, remedy.Rejected, 1, "[]", "conflict"},
		{"cut, done all the same", func(w http.ResponseWriter, _ int, do func()) { do(); cutOff(w) }, false, remedy.Done, 1, "[1s]", "answer to the call was lost"},
		{"cut always", func(w http.ResponseWriter, _ int, _ func()) { cutOff(w) }, false, remedy.Open, 3, "[1s 2s]", "unchanged"},
		{"cut once, then held", func(w http.ResponseWriter, n int, _ func()) {
			if n == 1 {
				cutOff(w)
			}
			held(w, "")
		}, false, remedy.Open, 5, "[1s 5s 5s 1s]", "call before was not answered"},
	} {
		s := &evictee{}
		s.write, s.blind = r.write, r.blind
		m := &memory{}
		out, err, waits := s.carry(t, t.Context(), m, Hooks{}, 12, evictionOf("cart-0"))
		o := out[0]
		t.Logf("%-36s %-9s %d sent, waits %v: %.200s", r.name, o.Status, o.Attempts, waits, o.Text)
		if o.Status != r.want || o.Attempts != r.attempts || s.writes != r.attempts || err != nil || fmt.Sprint(waits) != r.waits || !strings.Contains(o.Text, r.says) {
			t.Errorf("%s: %s after %d attempts, %d writes, waits %v (%v): %s; want %s after %d, %s, saying %q", r.name, o.Status, o.Attempts, s.writes, waits, err, o.Text, r.want, r.attempts, r.waits, r.says)
		}
		if got := (remedy.History{Record: remedy.Record{Plan: remedy.Plan{Acts: []remedy.Act{evictionOf("cart-0")}}}, Entries: m.entries}).Status(); got != r.want {
			t.Errorf("%s: the journal tells %s, and the outcome %s", r.name, got, r.want)
		}
	}
}

// TestOnlyABudgetCanBeGonePast holds what --even-past-budget excuses. What else refused an eviction may know a reason why the pod must not go.
func TestOnlyABudgetCanBeGonePast(t *testing.T) {
	node := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "last", UID: "u"}
	last := remedy.Act{Target: node, Risk: diagnose.RiskLow, Steps: []remedy.Step{{Verb: remedy.Delete, Ref: node, ResourceVersion: "5", What: "delete last"}}}
	for name, r := range map[string]struct {
		write func(w http.ResponseWriter, n int)
		past  bool
	}{
		"a budget at its limit": {func(w http.ResponseWriter, _ int) { held(w, "") }, true},
		"several budgets": {func(w http.ResponseWriter, _ int) {
			status(w, 500, "InternalError", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
		}, true},
		"a budget whose status is wrong": {func(w http.ResponseWriter, _ int) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"poddisruptionbudget.policy \"keeps\" is forbidden: pdb disruptions allowed is negative","details":{"name":"keeps","group":"policy","kind":"poddisruptionbudget"}}`)
		}, true},
		"a budget, after a busy server": {func(w http.ResponseWriter, n int) {
			if n == 1 {
				status(w, 429, "TooManyRequests", "too many requests, please try again later")
				return
			}
			held(w, "")
		}, true},
		"a webhook that denies": {func(w http.ResponseWriter, _ int) {
			status(w, 403, "Forbidden", `admission webhook "check.example.com" denied the request: a backup is being made`)
		}, false},
		"a webhook that denies for now": {func(w http.ResponseWriter, _ int) {
			status(w, 429, "TooManyRequests", `admission webhook "moves.example.com" denied the request: its machine is being moved`)
		}, false},
		"a webhook that cannot be called": {func(w http.ResponseWriter, _ int) {
			status(w, 500, "InternalError", `Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post "https://engine.policy.svc:443/?timeout=1s": no endpoints available`)
		}, false},
		"a webhook that speaks of a budget": {func(w http.ResponseWriter, _ int) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"TooManyRequests","code":429,"message":"admission webhook \"moves.example.com\" denied the request: wait",`+
				`"details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget keeps needs 2 healthy pods and has 2 currently"}]}}`)
		}, false},
		"a missing right": {func(w http.ResponseWriter, _ int) {
			status(w, 403, "Forbidden", `pods "cart-0" is forbidden: User "ana" cannot create resource "pods/eviction" in API group "" in the namespace "shop"`)
		}, false},
		"a request that is not understood": {func(w http.ResponseWriter, _ int) {
			status(w, 400, "BadRequest", "name in URL does not match name in Eviction object")
		}, false},
		"a server that is busy always": {func(w http.ResponseWriter, _ int) { status(w, 429, "TooManyRequests", "too many requests") }, false},
	} {
		for _, lifted := range []bool{false, true} {
			s := &evictee{}
			if lifted {
				s.lifted = []string{pastBudget}
			}
			s.write = func(w http.ResponseWriter, n int, do func()) {
				if s.last != http.MethodDelete {
					r.write(w, n)
					return
				}
				do()
			}
			out, err, _ := s.carry(t, t.Context(), &memory{}, Hooks{}, 12, evictionOf("cart-0"), last)
			if err != nil {
				t.Fatal(err)
			}
			went := out[1].Status != remedy.Skipped
			if want := r.past && lifted; went != want || out[0].Status == remedy.Done {
				t.Errorf("%s, lifted %v: goes on %v, want %v: %+v", name, lifted, went, want, out)
			}
			if out[0].Budget != r.past {
				t.Errorf("%s: of a budget %v: %+v", name, out[0].Budget, out[0])
			}
		}
	}
}

func TestWhatIsLeftOfACreationThatWasCutOffIsDeleted(t *testing.T) {
	for name, late := range map[string]bool{"it is there at once": false, "it appears a moment later": true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &evictee{}
		s.absent = true
		s.write = func(w http.ResponseWriter, n int, do func()) {
			if n > 1 {
				s.answer(w)
				s.pod = nil
				return
			}
			cancel()
			if late {
				s.later = do
			} else {
				do()
			}
			cutOff(w)
		}
		create := stepsOf()["create"]
		zero := int64(0)
		act := remedy.Act{Target: create.Ref, Risk: diagnose.RiskLow, Steps: []remedy.Step{create, {Verb: remedy.Delete, Ref: create.Ref, OfBefore: true, Grace: &zero}}}
		out, _, _ := s.carry(t, ctx, &memory{}, Hooks{}, 0, act)
		t.Logf("%s: %+v", name, out)
		if out[0].Status != remedy.Done || out[1].Status != remedy.Done || s.pod != nil || s.writes != 2 || !strings.Contains(s.body, `"uid":"new"`) || strings.Contains(s.body, "resourceVersion") {
			t.Errorf("%s: %+v, %s", name, out, s.body)
		}
	}
}

func evictionOf(name string) remedy.Act {
	ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: name, UID: "u"}
	return remedy.Act{Target: ref, Risk: diagnose.RiskLow, Steps: []remedy.Step{{Verb: remedy.Evict, Ref: ref, ResourceVersion: "4", What: "evict " + name}}}
}

// evictee is a server with a pod that is evicted; one whose write is a POST to its eviction deletes it.
type evictee struct {
	server
	blind, absent bool
	later         func()
	reads         int
	body, last    string
	lifted        []string
	guard         sync.Mutex
}

func (s *evictee) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.guard.Lock()
	defer s.guard.Unlock()
	w.Header().Set("Content-Type", contentJSON)
	if r.Method == http.MethodGet {
		if s.blind && s.writes > 0 {
			status(w, 503, "ServiceUnavailable", "no etcd")
			return
		}
		if s.writes > 0 {
			if s.reads++; s.reads == 2 && s.later != nil {
				s.later()
			}
		}
		s.answer(w)
		return
	}
	s.writes++
	body, _ := io.ReadAll(r.Body)
	s.body, s.last = string(body), r.Method
	s.write(w, s.writes, func() {
		if strings.HasSuffix(r.URL.Path, "/eviction") {
			s.pod["deletionTimestamp"], s.pod["deletionGracePeriodSeconds"], s.pod["resourceVersion"] = "2026-01-01T00:00:00Z", 30, "6"
			return
		}
		s.apply(r, body)
	})
}

// carry carries acts out without waiting: time passes as fast as it is waited for.
func (s *evictee) carry(t *testing.T, ctx context.Context, m *memory, h Hooks, seconds int64, acts ...remedy.Act) ([]remedy.Outcome, error, []time.Duration) { //nolint:revive,staticcheck // a test's
	t.Helper()
	if s.version = 5; !s.absent {
		s.pod = fresh("u")
	}
	server := httptest.NewServer(s)
	defer server.Close()
	var waits []time.Duration
	at := time.Now()
	c, err := New(&rest.Config{Host: server.URL, Timeout: 2 * time.Second}, Options{
		Now: func() time.Time { return at },
		Sleep: func(ctx context.Context, d time.Duration) error {
			waits, at = append(waits, d), at.Add(d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	plan := remedy.Plan{APIVersion: remedy.APIVersion, Kind: remedy.KindPlan, Made: time.Now(), Expires: time.Now().Add(remedy.Lifetime), Asked: remedy.Asked{Timeout: seconds, Lifted: s.lifted}, Acts: acts}
	if raw, err := json.Marshal(plan); err != nil || len(raw) == 0 {
		t.Fatal(err)
	}
	out, _, err := c.Carry(ctx, m, plan, h)
	return out, err, waits
}

func TestAPlanFromAFileDoesToANodeOnlyWhatAPlanOfThisToolDoes(t *testing.T) {
	yes, zero := true, int64(0)
	ref := snapshot.Ref{Kind: snapshot.Node, Name: "worker-a1", UID: "u"}
	pod := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u"}
	for name, s := range map[string]remedy.Step{
		"a patch without a change":        {Verb: remedy.Patch, Ref: ref, ResourceVersion: "5", Patch: []byte(`[{"op":"remove","path":"/metadata/labels"}]`)},
		"an empty change":                 {Verb: remedy.Patch, Ref: ref, ResourceVersion: "5", Change: &remedy.NodeChange{}},
		"finalizers of a Node":            {Verb: remedy.Patch, Ref: ref, ResourceVersion: "5", Finalizers: []string{"x"}},
		"a change and finalizers":         {Verb: remedy.Patch, Ref: ref, ResourceVersion: "5", Finalizers: []string{"x"}, Change: &remedy.NodeChange{Unschedulable: &yes}},
		"the change of a Node on a pod":   {Verb: remedy.Patch, Ref: pod, ResourceVersion: "5", Change: &remedy.NodeChange{Unschedulable: &yes}},
		"a grace period of a Node":        {Verb: remedy.Delete, Ref: ref, ResourceVersion: "5", Grace: &zero},
		"a deletion without UID":          {Verb: remedy.Delete, Ref: snapshot.Ref{Kind: snapshot.Node, Name: "worker-a1"}, ResourceVersion: "5"},
		"the eviction of a Node":          {Verb: remedy.Evict, Ref: ref, ResourceVersion: "5"},
		"an eviction without UID":         {Verb: remedy.Evict, Ref: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0"}, ResourceVersion: "5"},
		"an eviction with a grace period": {Verb: remedy.Evict, Ref: pod, ResourceVersion: "5", Grace: &zero},
		"a pod's step in a Node's act":    {Verb: remedy.Evict, Ref: pod, ResourceVersion: "5"},
	} {
		target := s.Ref
		if strings.HasPrefix(name, "a pod's step") {
			target = ref
		}
		if err := checkAt(remedy.Act{Target: target, Steps: []remedy.Step{s}}, 0); !errors.As(err, new(*BadPlan)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []remedy.Step{
		{Verb: remedy.Patch, Ref: ref, ResourceVersion: "5", Change: &remedy.NodeChange{Unschedulable: &yes}}, {Verb: remedy.Delete, Ref: ref, ResourceVersion: "5"}, {Verb: remedy.Evict, Ref: pod, ResourceVersion: "5"},
	} {
		if err := checkAt(remedy.Act{Target: s.Ref, Steps: []remedy.Step{s}}, 0); err != nil {
			t.Error(err)
		}
	}
}
