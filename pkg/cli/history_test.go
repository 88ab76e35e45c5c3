package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// journalled is a journal with a run that was done, one that was interrupted after its call was sent, and a file that is none.
const (
	journalled     = "testdata/journal"
	journalledRun  = "20260301-100000-abcdef"
	interruptedRun = "20260301-110000-ghjkmn"
)

func TestHistoryListsTheRunsAndHidesNoneForABrokenFile(t *testing.T) {
	r := run(t, "history", "--journal", journalled)
	for _, want := range []string{"2 runs", interruptedRun, "unknown", "interrupted or still running", journalledRun, "done", "120m ago (10:00:00)", "pod shop/cart-0", "Not read", "20260301-113000-pqrstu.jsonl", "line 1"} {
		if !strings.Contains(r.out, want) && !strings.Contains(strings.Join(strings.Fields(r.out), " "), want) {
			t.Errorf("it does not say %q:\n%s", want, r.out)
		}
	}
	if r.code != ExitDone || strings.Index(r.out, interruptedRun) > strings.Index(r.out, journalledRun) {
		t.Errorf("%d\n%s", r.code, r.out)
	}
	var doc report.History
	if err := json.Unmarshal([]byte(run(t, "history", "--journal", journalled, "-o", "json").out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Kind != report.KindHistory || len(doc.Runs) != 2 || doc.Runs[0].Status != "unknown" || doc.Runs[0].Ended || !doc.Runs[0].Torn || doc.Runs[1].Done != 1 || len(doc.Unread) != 1 {
		t.Errorf("%+v", doc)
	}
	if r := run(t, "history", "--journal", journalled, "-o", "name"); r.out != interruptedRun+"\n"+journalledRun+"\n" {
		t.Errorf("%q", r.out)
	}
}

func TestHistoryTellsTheWholeStoryOfARun(t *testing.T) {
	said := func(id string) string {
		r := run(t, "history", id, "--journal", journalled)
		if r.code != ExitDone {
			t.Fatalf("%+v", r)
		}
		return strings.Join(strings.Fields(r.out), " ")
	}
	for _, want := range []string{
		"sam on laptop", "sam@example.com", "context prod", "at-most-one (block, lifted by worker-3 is off: I pulled the plug)", "DELETE /api/v1/namespaces/shop/pods/cart-0", `"preconditions"`,
		"after 0.4s: 200 the API server removed it", "its replacement is Ready on worker-1", "cannot be undone: its controller makes another", "--manifest", "attested: “worker-3 is off",
	} {
		if s := said(journalledRun); !strings.Contains(s, want) {
			t.Errorf("it does not say %q:\n%s", want, s)
		}
	}
	for _, want := range []string{"unknown", "It has no end", "Its last line is not whole", "no answer was written down", "kubectl --context prod get pod/cart-0 -n shop"} {
		if s := said(interruptedRun); !strings.Contains(s, want) {
			t.Errorf("it does not say %q:\n%s", want, s)
		}
	}
	r := run(t, "history", journalledRun, "--journal", journalled, "-o", "jsonpath={.kind} {.summary.id} {.entries[1].outcome.code} {.objects[0].metadata.uid}")
	if r.out != "StuckRun "+journalledRun+" 200 11111111-aaaa-bbbb-cccc-000000000001" {
		t.Errorf("%q", r.out)
	}
}

func TestHistoryPrintsWhatWasKeptAsKubectlCreateTakesIt(t *testing.T) {
	r := run(t, "history", journalledRun, "--journal", journalled, "--manifest")
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(r.out), &obj); err != nil || r.code != ExitDone {
		t.Fatalf("%v %+v", err, r)
	}
	meta, _ := obj["metadata"].(map[string]any)
	if obj["kind"] != "Pod" || obj["status"] != nil || meta["name"] != "cart-0" || meta["uid"] != nil || meta["resourceVersion"] != nil || obj["spec"] == nil {
		t.Errorf("%s", r.out)
	}
}

func TestHistorySaysWhatIsWrong(t *testing.T) {
	home := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an ID that is none":        {[]string{"history", "../../etc/passwd", "--journal", journalled}, ExitUsage, "is not the ID of a run"},
		"a run that does not exist": {[]string{"history", "20200101-000000-aaaaaa", "--journal", journalled}, ExitError, "no such run"},
		"a broken one":              {[]string{"history", "20260301-113000-pqrstu", "--journal", journalled}, ExitError, "20260301-113000-pqrstu.jsonl:1: "},
		"two IDs":                   {[]string{"history", "a", "b"}, ExitUsage, "one ID"},
		"--manifest of all":         {[]string{"history", "--manifest", "--journal", journalled}, ExitUsage, "--manifest is of one run"},
		"--manifest with -o":        {[]string{"history", journalledRun, "--manifest", "-o", "json", "--journal", journalled}, ExitUsage, "--output"},
		"nobody knows where":        {[]string{"history"}, ExitError, "--journal DIR"},
		"a file":                    {[]string{"history", "--journal", fixture}, ExitError, fixture},
		"html":                      {[]string{"history", "-o", "html", "--journal", journalled}, ExitError, "html"},
	} {
		if r := run(t, c.args...); r.code != c.code || !strings.Contains(r.errOut, c.says) || r.out != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	r := runIn(t, func(w *World) {
		w.Getenv = func(k string) string { return map[string]string{"HOME": home}[k] }
	}, "history")
	if want := filepath.Join(home, ".local", "state", "kubectl-stuck"); r.code != ExitDone || !strings.Contains(strings.ReplaceAll(r.out, "\n  ", " "), want) || !strings.Contains(r.out, "No runs") {
		t.Errorf("%+v", r)
	}
}
