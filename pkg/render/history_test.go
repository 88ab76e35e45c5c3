package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"
	"unicode"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// runsOf are the runs of a journal: one done, one that lost its answer, and one that took another back.
func runsOf() []remedy.History {
	pod := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u-1"}
	run := func(id string, ago time.Duration, can bool, entries ...remedy.Entry) remedy.History {
		var h remedy.History
		h.ID, h.Time, h.Version, h.Path = id, taken().Add(-ago), "v1", "/home/sam/.local/state/kubectl-stuck/"+id+".jsonl"
		h.Who = remedy.Who{User: "sam", Host: "laptop", Kubernetes: "sam@example.com", Groups: []string{"sre"}}
		h.Plan.Cluster = remedy.Cluster{Context: "prod", Server: "https://prod.example:6443", ID: "c-1"}
		h.Plan.Asked = remedy.Asked{Attest: "worker-3 is off", Lifted: []string{"even-in-grace"}}
		h.Plan.Acts = []remedy.Act{{
			Target: pod, Node: "worker-3", Remedies: []remedy.ID{remedy.ForceDelete, remedy.RemoveFinalizers}, Risk: "data-loss", Loses: []string{"what it held in memory"},
			Verdicts: []remedy.Verdict{
				{Guard: "at-most-one", Level: remedy.Block, Reason: "Nothing proves that worker-3 is off.", Lifted: true, By: "worker-3 is off"},
				{Guard: "symptom", Level: remedy.Warn, Reason: "The node is what is broken."},
			},
			Steps: []remedy.Step{
				{Verb: remedy.Delete, Ref: pod, What: "delete pod shop/cart-0 at once", Undo: remedy.Undo{Can: can, How: "creates the pod again from the journal"}},
				{Verb: remedy.Patch, Ref: pod, What: "take finalizer a/b off pod shop/cart-0", Undo: remedy.Undo{How: "the API server takes no new finalizers on an object that is being deleted"}},
			},
		}}
		h.Objects, h.Entries = []json.RawMessage{json.RawMessage(`{"kind":"Pod"}`)}, entries
		for i := range h.Entries {
			h.Entries[i].Time = h.Time.Add(time.Duration(i+1) * time.Second)
		}
		return h
	}
	intent := func(step int) remedy.Entry {
		return remedy.Entry{Type: remedy.Intent, Step: step, Request: "DELETE /api/v1/namespaces/shop/pods/cart-0", Body: json.RawMessage(`{"preconditions":{"uid":"u-1"}}`)}
	}
	outcome := func(step int) remedy.Entry {
		return remedy.Entry{Type: remedy.Result, Step: step, Outcome: &remedy.Outcome{Step: step, Status: remedy.Done, Code: 200, Text: "done"}}
	}
	open := run("20260301-094500-bbbbbb", 15*time.Minute, true, intent(0), outcome(0), remedy.Entry{Type: remedy.Replan}, intent(1))
	open.Torn = true
	undo := run("20260301-095000-cccccc", 10*time.Minute, false, intent(0), outcome(0), intent(1), outcome(1), remedy.Entry{Type: remedy.End, Status: remedy.Done})
	undo.Plan.Undoes = "20260301-090000-aaaaaa"
	done := run("20260301-090000-aaaaaa", time.Hour, true, intent(0), outcome(0), intent(1), outcome(1),
		remedy.Entry{Type: remedy.Proof, Text: "pod shop/cart-0 is gone."}, remedy.Entry{Type: remedy.Message, Text: "no Event was left"}, remedy.Entry{Type: remedy.End, Status: remedy.Done})
	return []remedy.History{undo, open, done}
}

func historyDoc() *report.History {
	return report.NewHistory(taken(), "/home/sam/.local/state/kubectl-stuck", runsOf(), []report.SkippedFile{{Name: "/j/x.jsonl", Reason: "line 1: not the beginning of a run"}})
}

// historyPictures are what the golden files show of journals.
func historyPictures() []golden {
	var out []golden
	for _, o := range []render.Options{{Width: 60}, {Width: 80}, {Width: 160}, {Width: 80, Format: render.Wide}, {Format: render.JSON}, {Format: render.Name}} {
		format := string(o.Format)
		if format == "" {
			format = "table"
		}
		out = append(out, golden{fmt.Sprintf("history.list.%s.%d", format, o.Width), func(w io.Writer) error { return render.History(w, historyDoc(), o) }})
		for i, h := range runsOf() {
			name := []string{"undo", "open", "done"}[i]
			out = append(out, golden{fmt.Sprintf("history.%s.%s.%d", name, format, o.Width), func(w io.Writer) error { return render.Run(w, report.NewRun(taken(), h, runsOf()), o) }})
		}
	}
	out = append(out, golden{"history.empty.table.80", func(w io.Writer) error {
		return render.History(w, report.NewHistory(taken(), "/j", nil, nil), render.Options{Width: 80})
	}})
	return out
}

// TestAHostileJournalDoesNotReachTheTerminal fills everything in the documents with hostile text.
func TestAHostileJournalDoesNotReachTheTerminal(t *testing.T) {
	n := 0
	var list report.History
	poison(reflect.ValueOf(&list).Elem(), &n, 0)
	var run report.Run
	poison(reflect.ValueOf(&run).Elem(), &n, 0)
	for i := range run.Entries {
		run.Entries[i].Act, run.Entries[i].Step = 0, 0
		run.Entries[i].Type = []remedy.EntryType{remedy.Intent, remedy.Result}[i%2]
	}
	for _, f := range []render.Format{render.Table, render.Wide, render.JSON, render.YAML, render.Name} {
		var b bytes.Buffer
		o := render.Options{Format: f, Width: 80}
		if err := render.History(&b, &list, o); err != nil {
			t.Fatal(err)
		}
		if err := render.Run(&b, &run, o); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Fatalf("%q: %q", f, r)
			}
		}
	}
}
