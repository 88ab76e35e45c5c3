package fix

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

const (
	goodID  = "20261123-214501-x7k2p9"
	goodPod = "/api/v1/namespaces/shop/pods/cart-0"
)

// good is the evidence of a run at which nothing is wrong: a force delete and a finalizer taken off.
func good() *evidence {
	at := time.Date(2026, 11, 23, 21, 45, 1, 0, time.UTC)
	n := 0
	req := func(kind faultproxy.Kind, method, path, content, body string, code int) faultproxy.Request {
		n++
		at = at.Add(10 * time.Millisecond)
		return faultproxy.Request{
			N: n, Kind: kind, Method: method, Path: path, ContentType: content, Body: []byte(body), Code: code, Server: code, Forwarded: true,
			Arrived: at, Answered: at.Add(5 * time.Millisecond),
		}
	}
	const (
		del   = `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{"uid":"u1","resourceVersion":"7"}}`
		patch = `[{"op":"test","path":"/metadata/uid","value":"u1"},{"op":"test","path":"/metadata/resourceVersion","value":"8"},` +
			`{"op":"test","path":"/metadata/finalizers/0","value":"example.com/report"},{"op":"remove","path":"/metadata/finalizers/0"}]`
		event = `{"involvedObject":{"name":"cart-0","uid":"u1"}}`
	)
	e := &evidence{
		Target: &target{Namespace: "shop", Pods: []planned{{Name: "cart-0", UID: "u1"}}, Finalizers: []string{"example.com/report"}},
		Log: []faultproxy.Request{
			req(faultproxy.Read, "GET", "/api/v1/pods", "", "", 200),
			req(faultproxy.Review, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "", "{}", 201),
			req(faultproxy.DryRun, "DELETE", goodPod, "application/json", del, 200),
			req(faultproxy.DryRun, "PATCH", goodPod, string(types.JSONPatchType), patch, 200),
			req(faultproxy.ReadPod, "GET", goodPod, "", "", 200),
			req(faultproxy.Write, "DELETE", goodPod, "application/json", del, 200),
			req(faultproxy.ReadPod, "GET", goodPod, "", "", 200),
			req(faultproxy.Write, "PATCH", goodPod, string(types.JSONPatchType), patch, 200),
			req(faultproxy.ReadPod, "GET", goodPod, "", "", 404),
			req(faultproxy.Event, "POST", "/api/v1/namespaces/shop/events", "application/json", event, 201),
		},
		Runs: []journal{{
			Path: goodID + ".jsonl",
			Record: remedy.Record{ID: goodID, Plan: remedy.Plan{Acts: []remedy.Act{{Steps: []remedy.Step{
				{Verb: remedy.Delete, Ref: snapshot.Ref{Name: "cart-0"}, What: "delete it"}, {Verb: remedy.Patch, Ref: snapshot.Ref{Name: "cart-0"}, What: "let it go"},
			}}}}},
			Entries: []remedy.Entry{
				{Type: remedy.Intent, Request: "DELETE " + goodPod + "?fieldManager=kubectl-stuck", Body: json.RawMessage(del)},
				{Type: remedy.Result, Outcome: &remedy.Outcome{Status: remedy.Done, Time: at}},
				{Type: remedy.Intent, Request: "PATCH " + goodPod, Body: json.RawMessage(patch)},
				{Type: remedy.Result, Step: 1, Outcome: &remedy.Outcome{Step: 1, Status: remedy.Done, Time: at}},
				{Type: remedy.Message, Request: "POST /api/v1/namespaces/shop/events", Body: json.RawMessage(event)},
				{Type: remedy.End, Status: remedy.Done},
			},
		}},
		Out: "run " + goodID, Took: time.Second, Limit: time.Minute, Reached: true,
		History: second{Out: `["` + goodID + `"]`},
		Again:   &second{Code: 1, Before: true, Reached: true, ErrOut: "error: pod shop/cart-0 does not exist: nothing to do"},
	}
	return e
}

func TestTheCheckerFindsNothingWhereNothingIsWrong(t *testing.T) {
	for _, v := range check(good()) {
		t.Error(v)
	}
}

// TestTheCheckerFindsWhatIsWrong doctors the evidence: a check that cannot fail proves nothing.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	write := func(e *evidence, method string) *faultproxy.Request {
		i := slices.IndexFunc(e.Log, func(r faultproxy.Request) bool { return r.Kind == faultproxy.Write && r.Method == method })
		return &e.Log[i]
	}
	replace := func(r *faultproxy.Request, from, to string) {
		r.Body = []byte(strings.ReplaceAll(string(r.Body), from, to))
	}
	seen := map[int]int{}
	for name, tt := range map[string]struct {
		doctor func(*evidence)
		want   int
	}{
		"a deletion of another UID":    {func(e *evidence) { replace(write(e, "DELETE"), `"u1"`, `"u2"`) }, rightObject},
		"a deletion without a UID":     {func(e *evidence) { replace(write(e, "DELETE"), `"uid":"u1",`, ``) }, rightObject},
		"a deletion without a version": {func(e *evidence) { replace(write(e, "DELETE"), `,"resourceVersion":"7"`, ``) }, rightObject},
		"a patch of another UID":       {func(e *evidence) { replace(write(e, "PATCH"), `"u1"`, `"u2"`) }, rightObject},
		"a patch that removes what it did not test": {func(e *evidence) {
			replace(write(e, "PATCH"), `{"op":"test","path":"/metadata/finalizers/0","value":"example.com/report"},`, ``)
		}, rightObject},
		"a patch of a finalizer nobody named":   {func(e *evidence) { e.Target.Finalizers = []string{"example.com/other"} }, rightObject},
		"a merge patch":                         {func(e *evidence) { write(e, "PATCH").ContentType = string(types.MergePatchType) }, rightObject},
		"a write to another object":             {func(e *evidence) { write(e, "DELETE").Path = "/api/v1/namespaces/shop/pods/cart-1" }, rightObject},
		"a put":                                 {func(e *evidence) { write(e, "PATCH").Method = "PUT" }, rightObject},
		"an Event on another object":            {func(e *evidence) { e.Log[9].Body = []byte(`{"involvedObject":{"name":"cart-0","uid":"u2"}}`) }, rightObject},
		"a bystander that was changed":          {func(e *evidence) { e.Bystander = &bystander{UID: "b", Version: "1", NowUID: "b", NowVersion: "2"} }, rightObject},
		"a bystander that is gone":              {func(e *evidence) { e.Bystander = &bystander{UID: "b", Version: "1"} }, rightObject},
		"a refusal, and a write":                {func(e *evidence) { e.Code = 4 }, noWrite},
		"a dry run that was refused":            {func(e *evidence) { e.Log[2].Code = 422 }, noWrite},
		"a dry run that was not answered":       {func(e *evidence) { e.Log[3].Code = 0 }, noWrite},
		"no dry run":                            {func(e *evidence) { e.Log[2].Kind = faultproxy.Read }, noWrite},
		"a right that was denied":               {func(e *evidence) { e.Log[1].Code = 403 }, noWrite},
		"a guard that forbids it":               {func(e *evidence) { e.Guarded = true }, noWrite},
		"no entry when the write arrived":       {func(e *evidence) { write(e, "DELETE").Journal = "none" }, journaled},
		"no intent":                             {func(e *evidence) { e.Runs[0].Entries = e.Runs[0].Entries[1:] }, journaled},
		"an intent with another body":           {func(e *evidence) { e.Runs[0].Entries[0].Body = json.RawMessage(`{}`) }, journaled},
		"an Event that is not in the journal":   {func(e *evidence) { e.Runs[0].Entries[4].Request = "" }, journaled},
		"no journal":                            {func(e *evidence) { e.Runs = nil }, journaled},
		"nothing was changed, it says":          {func(e *evidence) { e.ErrOut = "error: it failed; nothing was changed" }, truthful},
		"success, and the pod is there":         {func(e *evidence) { e.Reached, e.Missing = false, "pod cart-0 is there" }, truthful},
		"success, and the journal says stopped": {func(e *evidence) { e.Runs[0].Entries[5].Status = remedy.Stopped }, truthful},
		"no end in the journal":                 {func(e *evidence) { e.Runs[0].Entries = e.Runs[0].Entries[:5] }, truthful},
		"it does not name the run":              {func(e *evidence) { e.Out = "done" }, truthful},
		"it fails without a word":               {func(e *evidence) { e.Code = 1 }, truthful},
		"done, and it was not":                  {func(e *evidence) { write(e, "DELETE").Forwarded = false }, truthful},
		"done, and it was refused":              {func(e *evidence) { write(e, "DELETE").Server = 409 }, truthful},
		"failed, and it was done":               {func(e *evidence) { e.Runs[0].Entries[1].Outcome.Status = remedy.Error }, truthful},
		"unknown, and every call was answered":  {func(e *evidence) { e.Runs[0].Entries[1].Outcome.Status = remedy.Open }, truthful},
		"unknown, and it was seen to be gone": {func(e *evidence) {
			write(e, "PATCH").Code, e.Runs[0].Entries[3].Outcome.Status = 0, remedy.Open
		}, truthful},
		"an Event about what was not done": {func(e *evidence) {
			replace(&e.Log[9], `{"inv`, `{"reason":"CreatedAgain","inv`)
			e.Runs[0].Entries[4].Body = e.Log[9].Body
		}, truthful},
		"more tries than there were": {func(e *evidence) { e.Runs[0].Entries[1].Outcome.Text = "it was not done, after 3 tries" }, truthful},
		"a panic":                    {func(e *evidence) { e.ErrOut = "panic: runtime error: index out of range\n\ngoroutine 1 [running]:" }, orderly},
		"too long":                   {func(e *evidence) { e.TimedOut = true }, orderly},
		"a fourth attempt": {func(e *evidence) {
			w := *write(e, "DELETE")
			e.Log = append(e.Log, w, w, w)
		}, orderly},
		"it does not wait": {func(e *evidence) {
			w := write(e, "DELETE")
			w.RetryAfter = time.Second
			again := *w
			again.Arrived = w.Answered.Add(100 * time.Millisecond)
			e.Log = append(e.Log, again)
		}, orderly},
		"a broken journal":                  {func(e *evidence) { e.Runs[0].Err = "line 3" }, resumable},
		"a history that fails":              {func(e *evidence) { e.History.Code = 1 }, resumable},
		"a history that is no JSON":         {func(e *evidence) { e.History.Out = goodID }, resumable},
		"a history without the run":         {func(e *evidence) { e.History.Out = "[]" }, resumable},
		"a second run that panics":          {func(e *evidence) { e.Again.ErrOut = "panic: no" }, resumable},
		"a second run that does not end it": {func(e *evidence) { e.Again.Before, e.Again.Reached = false, false }, resumable},
		"a second run that fails":           {func(e *evidence) { e.Again.Before = false }, resumable},
		"a second run that does it again":   {func(e *evidence) { e.Again.Log = []faultproxy.Request{*write(e, "DELETE")} }, resumable},
		"a second run that says nothing":    {func(e *evidence) { e.Again.ErrOut = "error: no" }, resumable},
	} {
		t.Run(name, func(t *testing.T) {
			e := good()
			tt.doctor(e)
			vs := check(e)
			if !slices.ContainsFunc(vs, func(v violation) bool { return v.Invariant == tt.want }) {
				t.Errorf("nothing of %q was found: %v", invariantName(tt.want), vs)
			}
			seen[tt.want]++
		})
	}
	for i := 1; i <= invariants; i++ {
		if seen[i] == 0 {
			t.Errorf("nothing here breaks %q", invariantName(i))
		}
	}
}
