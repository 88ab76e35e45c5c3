package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const savedW1 = `{"apiVersion":"v1","kind":"Node","metadata":{"name":"w1","uid":"old","labels":{"disk":"ssd"},"annotations":{"note":"a: *b"}},"spec":{"unschedulable":false}}`

func TestASavedNodeIsReadFromWhatKubectlPrints(t *testing.T) {
	yamlW1 := "apiVersion: v1\nkind: Node\nmetadata:\n  name: w1\n  labels: {disk: ssd}\n"
	other := strings.ReplaceAll(savedW1, "w1", "w2")
	for name, tc := range map[string]struct{ text, want string }{
		"JSON":                                {savedW1, ""},
		"YAML":                                {yamlW1, ""},
		"YAML with a mark and CRLF":           {"\xef\xbb\xbf---\r\n" + strings.ReplaceAll(yamlW1, "\n", "\r\n"), ""},
		"a List":                              {`{"apiVersion":"v1","kind":"List","items":[null,` + other + `,` + savedW1 + `]}`, ""},
		"a NodeList":                          {`{"apiVersion":"v1","kind":"NodeList","items":[{"metadata":{"name":"w1","labels":{"disk":"ssd"}}}]}`, ""},
		"several documents":                   {"apiVersion: v1\nkind: Pod\nmetadata: {name: w1}\n---\n" + yamlW1 + "---\n", ""},
		"JSON in a row":                       {other + "\n" + savedW1, ""},
		"a star in quotes is no alias":        {yamlW1 + "  annotations: {note: 'a: *b'}\n", ""},
		"nothing":                             {"", "no object of Kubernetes"},
		"another node":                        {other, "it holds node w2, and not w1"},
		"another kind":                        {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w1"}}`, "it holds no Node, but v1 Pod"},
		"a Node of another group":             {`{"apiVersion":"longhorn.io/v1","kind":"Node","metadata":{"name":"w1"}}`, "no Node, but longhorn.io/v1 Node"},
		"the node twice":                      {savedW1 + savedW1, "twice"},
		"a list in a list":                    {`{"kind":"List","items":[{"kind":"List","items":[` + savedW1 + `]}]}`, "no Node"},
		"text":                                {"hello", "not an object"},
		"a wrong shape":                       {`{"apiVersion":"v1","kind":"Node","metadata":{"name":"w1","labels":3}}`, "not a Node"},
		"half of it":                          {savedW1[:60], "document at line 1"},
		"a second half":                       {savedW1 + savedW1[:60], "at byte"},
		"aliases":                             {"a: &a [1]\nb: [*a, *a]\n", "YAML aliases"},
		"no YAML, in the second document":     {yamlW1 + "---\n\t{\n", "document at line 6"},
		"more than it may have":               {strings.Repeat(" ", maxSaved+1), "more than 8 MiB"},
		"more objects than a cluster's nodes": {strings.Repeat("{}\n", maxSavedObjects+1), "more than 20000"},
		"deep":                                {strings.Repeat(`{"a":`, 200_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "n")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			n, id, err := savedNode(World{}, "", file, "w1", remedy.Cluster{})
			if tc.want != "" || name == "deep" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), file) {
					t.Errorf("%.300v", err)
				}
				return
			}
			if err != nil || id != "" || n.Name != "w1" || n.Labels["disk"] != "ssd" {
				t.Fatalf("%v %q %+v", err, id, n)
			}
			in := World{Streams: genericiooptions.IOStreams{In: strings.NewReader(tc.text)}}
			if n, _, err := savedNode(in, "", "-", "w1", remedy.Cluster{}); err != nil || n.Name != "w1" {
				t.Errorf("stdin: %v", err)
			}
		})
	}
	var usage usageError
	if _, _, err := savedNode(World{}, "", filepath.Join(t.TempDir(), "none"), "w1", remedy.Cluster{}); err == nil || !strings.Contains(err.Error(), "neither a file nor the ID of a run") || !errors.As(err, &usage) {
		t.Errorf("%v", err)
	}
	if _, _, err := savedNode(World{}, "", t.TempDir(), "w1", remedy.Cluster{}); err == nil {
		t.Error("a folder was read")
	}
}

func FuzzASavedNodeNeverPanics(f *testing.F) {
	for _, s := range []string{savedW1, "a: &a [*a]", "---\n---\n- x", "{", "kind: NodeList\nitems: [null, 3, {metadata: {name: w1}}]", "? {a: b}\n: c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n, err := parseSaved(raw, "w1"); (n == nil) == (err == nil) || n != nil && n.Name != "w1" {
			t.Errorf("%v %v", n, err)
		}
	})
}

// nodeJournal writes a run about node w1.
func nodeJournal(t *testing.T, dir, id string, cluster remedy.Cluster, when time.Time, disk string, deleted remedy.Status) {
	t.Helper()
	ref := snapshot.Ref{Kind: snapshot.Node, Name: "w1", UID: "old"}
	on := true
	node := strings.ReplaceAll(savedW1, "ssd", disk)
	pod := func(name, meta string) json.RawMessage {
		return json.RawMessage(`{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","uid":"` + name + `","name":"` + name + `"` + meta + `},"spec":{"nodeName":"w1","containers":[{"name":"c","image":"i"}]}}`)
	}
	rec := remedy.Record{
		APIVersion: remedy.APIVersion, Kind: remedy.KindRun, ID: id, Time: when,
		Plan: remedy.Plan{APIVersion: remedy.APIVersion, Kind: remedy.KindPlan, Cluster: cluster, Acts: []remedy.Act{
			{Target: ref, Remedies: []remedy.ID{remedy.Cordon}, Steps: []remedy.Step{{Verb: remedy.Patch, Ref: ref, Change: &remedy.NodeChange{Unschedulable: &on}, What: "cordon"}}},
			{Target: ref, Remedies: []remedy.ID{remedy.DeleteNode}, Steps: []remedy.Step{{Verb: remedy.Delete, Ref: ref, What: "delete"}}},
		}},
		Objects: []json.RawMessage{json.RawMessage(node), json.RawMessage(strings.ReplaceAll(node, "false", "true"))},
		Kept:    []json.RawMessage{pod("bare", ""), pod("web", `,"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"r","controller":true}]`)},
	}
	lines := []any{
		rec, remedy.Entry{Type: remedy.Intent, Act: 0}, remedy.Entry{Type: remedy.Result, Act: 0, Outcome: &remedy.Outcome{Status: remedy.Done}},
		remedy.Entry{Type: remedy.Intent, Act: 1}, remedy.Entry{Type: remedy.Result, Act: 1, Outcome: &remedy.Outcome{Act: 1, Status: deleted}},
	}
	var b strings.Builder
	for _, l := range lines {
		raw, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(raw, '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, id+".jsonl"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASavedNodeIsTheLatestThatWasDeletedOnThisCluster(t *testing.T) {
	dir := t.TempDir()
	here, there := remedy.Cluster{ID: "c-1"}, remedy.Cluster{ID: "c-2"}
	at := func(h int) time.Time { return time.Date(2026, 3, 1, h, 0, 0, 0, time.UTC) }
	nodeJournal(t, dir, "20260301-080000-aaaaaa", here, at(8), "first", remedy.Done)
	nodeJournal(t, dir, "20260301-090000-aaaaaa", here, at(9), "second", remedy.Done)
	nodeJournal(t, dir, "20260301-100000-aaaaaa", here, at(10), "refused", remedy.Rejected)
	nodeJournal(t, dir, "20260301-110000-aaaaaa", there, at(11), "elsewhere", remedy.Done)
	for arg, want := range map[string]string{"": "second", "20260301-080000-aaaaaa": "first", "20260301-100000-aaaaaa": "refused"} {
		n, id, err := savedNode(World{}, dir, arg, "w1", here)
		if err != nil || n.Labels["disk"] != want || n.Spec.Unschedulable || id == "" || arg != "" && id != arg {
			t.Errorf("%q: %v %q %+v", arg, err, id, n)
		}
	}
	for _, tc := range []struct{ arg, node, want string }{
		{"", "w2", "no run in " + dir + " deleted node w2"},
		{"20260301-110000-aaaaaa", "w1", "another cluster"},
		{"20260301-080000-aaaaaa", "w2", "kept no Node"},
		{"20260301-070000-aaaaaa", "w1", "no such run"},
	} {
		if n, _, err := savedNode(World{}, dir, tc.arg, tc.node, here); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v %v", tc, err, n)
		}
	}
	// What cannot be read may be the run that is looked for, unless a later one is known to be it.
	broken := func(id string) string { return filepath.Join(dir, id+".jsonl") }
	for id, want := range map[string]string{"20260301-083000-bbbbbb": "", "20260301-093000-bbbbbb": "run 20260301-093000-bbbbbb cannot be read"} {
		if err := os.WriteFile(broken(id), []byte("{\"kind\":\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		n, _, err := savedNode(World{}, dir, "", "w1", here)
		if want == "" && (err != nil || n.Labels["disk"] != "second") || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--saved")) {
			t.Errorf("%s: %v", id, err)
		}
		if n, _, err := savedNode(World{}, dir, "20260301-080000-aaaaaa", "w1", here); err != nil || n.Labels["disk"] != "first" {
			t.Errorf("%s, and the run is named: %v", id, err)
		}
		if _, _, err := savedNode(World{}, dir, "", "w2", here); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("%s, and no run is known of: %v", id, err)
		}
		if err := os.Remove(broken(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := savedNode(World{}, dir, "", "w1", remedy.Cluster{ID: "c-3"}); err == nil || !strings.Contains(err.Error(), "on another cluster") {
		t.Errorf("%v", err)
	}
}

func TestHistoryPrintsASavedNodeThatARestoreReads(t *testing.T) {
	dir := t.TempDir()
	nodeJournal(t, dir, "20260301-080000-aaaaaa", remedy.Cluster{ID: "c-1"}, time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), "ssd", remedy.Done)
	r := run(t, "history", "20260301-080000-aaaaaa", "--manifest", "--journal", dir)
	if r.code != ExitDone || strings.Count(r.out, "kind: Node") != 1 || strings.Contains(r.out, "unschedulable") || strings.Contains(r.out, "uid") ||
		!strings.Contains(r.out, "name: bare") || strings.Contains(r.out, "name: web") {
		t.Fatalf("%d\n%s%s", r.code, r.out, r.errOut)
	}
	n, err := parseSaved([]byte(r.out), "w1")
	if err != nil || n.Labels["disk"] != "ssd" || n.Annotations["note"] != "a: *b" {
		t.Errorf("%v %+v", err, n)
	}
}
