package cli

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
)

// nodeLog is what somebody copied from worker-1, whose kubelet is dead.
const nodeLog = "testdata/worker-1.log"

// logged is the part of the report that is about logs.
type logged struct {
	Summary struct{ Complete bool }
	Nodes   []struct {
		Why      []string
		Findings []struct {
			Slug, Confidence string
			Evidence         []struct{ Object, Field string }
		}
		Logs *struct {
			Asked   []string
			Since   string
			Sources []struct {
				What, Reason string
				Read         bool
				Lines        int64
			}
			Matches, TooOld []struct{ Slug, File string }
		}
	}
}

func logReport(t *testing.T, args ...string) logged {
	t.Helper()
	r := run(t, append(args, "-o", "json")...)
	if r.code != ExitDone {
		t.Fatalf("%q: exit code %d\n%s", args, r.code, r.errOut)
	}
	var d logged
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestALogThatWasCopiedFromTheNodeTellsWhatTheAPICannot(t *testing.T) {
	nowhere(t)
	const expired = "kubelet-client-cert-expired"
	plain := logReport(t, "node", "worker-1", "--from", fixture)
	if plain.Nodes[0].Findings[0].Slug != "node-lost" || plain.Nodes[0].Logs != nil {
		t.Fatalf("without the log: %+v", plain.Nodes[0])
	}
	raw, err := os.ReadFile(nodeLog)
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "worker-1.log.gz")
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{nodeLog, packed} {
		n := logReport(t, "node", "worker-1", "--from", fixture, "--log-file", file).Nodes[0]
		at := func(slug string) int {
			for i, f := range n.Findings {
				if f.Slug == slug {
					return i
				}
			}
			return -1
		}
		if at(expired) < 0 || at(expired) > at("node-lost") || n.Findings[at("node-lost")].Confidence != "possible" {
			t.Errorf("%s: findings %+v", file, n.Findings)
			continue
		}
		var objects []string
		for _, e := range n.Findings[at(expired)].Evidence {
			objects = append(objects, e.Object+" "+e.Field)
		}
		if !slices.Contains(objects, "file "+file+" of node worker-1 line 3") || !slices.Contains(objects, "node worker-1 status.conditions[Ready]") {
			t.Errorf("%s: both kinds of evidence are due: %q", file, objects)
		}
		if n.Logs == nil || len(n.Logs.Sources) != 1 || n.Logs.Sources[0].Lines != 5 || len(n.Logs.TooOld) != 1 || len(n.Logs.Matches) == 0 || n.Logs.Asked[0] != file {
			t.Errorf("%s: %+v", file, n.Logs)
		}
		if !slices.ContainsFunc(n.Why, func(w string) bool { return strings.Contains(w, "its own log speaks for the node") }) {
			t.Errorf("%s: why %q", file, n.Why)
		}
	}
	day := logReport(t, "node", "worker-1", "--from", fixture, "--log-file", nodeLog, "--logs-since", "24h").Nodes[0]
	if len(day.Logs.TooOld) != 0 || day.Logs.Since == "" {
		t.Errorf("lines of a day were asked for: %+v", day.Logs)
	}
	text := run(t, "node", "worker-1", "--from", fixture, "--log-file", nodeLog).out
	for _, want := range []string{"What the node's own log says", "too old", "part of the existing bootstrap client certificate", "line 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
}

func TestALogFromStdinIsReadAndAPodIsExplainedByIt(t *testing.T) {
	nowhere(t)
	raw, err := os.ReadFile(nodeLog)
	if err != nil {
		t.Fatal(err)
	}
	stdin := func(w *World) { w.Streams.In = strings.NewReader(string(raw)) }
	r := runIn(t, stdin, "explain", "pod/cart-0", "-n", "shop", "--from", fixture, "--log-file", "-")
	if r.code != ExitDone || !strings.Contains(r.out, "ST103") || !strings.Contains(r.out, "What the node's own log says") {
		t.Errorf("%+v", r)
	}
	r = run(t, "explain", "pod/pay-1", "-n", "pay", "--from", fixture, "--log-file", nodeLog)
	if r.code != ExitDone || !strings.Contains(r.errOut, "no log was read: pay-1 is not stuck") {
		t.Errorf("a pod that is well: %+v", r)
	}
}

func TestFlagsOfLogsThatMakeNoSense(t *testing.T) {
	nowhere(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"node", "--logs"}, ExitUsage, "--logs needs the name of a node"},
		{[]string{"node", "worker-1", "--logs", "--from", fixture}, ExitUsage, "--log-file"},
		{[]string{"node", "worker-1", "worker-2", "--log-file", nodeLog, "--from", fixture}, ExitUsage, "one node"},
		{[]string{"node", "--log-file", nodeLog, "--from", fixture}, ExitUsage, "one node"},
		{[]string{"node", "worker-1", "--logs-since", "1h", "--from", fixture}, ExitUsage, "goes with --logs"},
		{[]string{"node", "worker-1", "--log-file", nodeLog, "--logs-since", "-1h", "--from", fixture}, ExitUsage, "--logs-since"},
		{[]string{"node", "worker-1", "--log-file", nodeLog, "--logs-since", "0s", "--from", fixture}, ExitUsage, "--logs-since"},
		{[]string{"node", "worker-1", "--log-file", "-", "--from", "-"}, ExitUsage, "stdin"},
		{[]string{"explain", "ST101", "--logs"}, ExitUsage, "without a cluster"},
		{[]string{"explain", "ST101", "--log-file", nodeLog}, ExitUsage, "without a cluster"},
		{[]string{"node", "worker-1", "--log-file", "testdata/none.log", "--from", fixture}, ExitError, "none.log"},
		{[]string{"node", "worker-1", "--log-file", "testdata", "--from", fixture}, ExitError, "folder"},
	} {
		if r := run(t, c.args...); r.code != c.code || !strings.Contains(r.errOut, c.says) {
			t.Errorf("%q: exit code %d, stderr %q; want %d and %q", c.args, r.code, r.errOut, c.code, c.says)
		}
	}
}

func TestTheHelpOfLogsNamesTheDanger(t *testing.T) {
	for _, cmd := range []string{"node", "explain"} {
		out := strings.Join(strings.Fields(run(t, cmd, "--help").out), " ")
		for _, want := range []string{"nodes/proxy", "run commands in every container", "docs/RIGHTS.md"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s --help does not say %q", cmd, want)
			}
		}
	}
}

// TestTimesWithoutAZoneAreMovedToUTC knows the zone from when the file was last written.
func TestTimesWithoutAZoneAreMovedToUTC(t *testing.T) {
	written := time.Date(2026, 3, 1, 10, 0, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		last, want time.Time
	}{
		"UTC":                      {written.Add(-3 * time.Second), written.Add(-3 * time.Second)},
		"eight hours ahead":        {written.Add(8*time.Hour - time.Second), written.Add(-time.Second)},
		"five hours behind":        {written.Add(-5 * time.Hour), written},
		"five and a half ahead":    {written.Add(5*time.Hour + 30*time.Minute), written},
		"quiet since a while":      {written.Add(-47 * time.Minute), written.Add(-47 * time.Minute)},
		"more than a zone can be":  {written.Add(-40 * time.Hour), written.Add(-40 * time.Hour)},
		"no time in it":            {time.Time{}, time.Time{}},
		"nobody knows the writing": {written.Add(8 * time.Hour), written.Add(8 * time.Hour)},
	} {
		l := nodelog.Log{First: c.last, Last: c.last, Matches: []nodelog.Match{{Last: c.last}}}
		w := written
		if strings.HasPrefix(name, "nobody") {
			w = time.Time{}
		}
		toUTC(&l, w)
		if !l.Last.Equal(c.want) || !l.Matches[0].Last.Equal(c.want) || !l.Matches[0].First.IsZero() {
			t.Errorf("%s: %s and %s, want %s", name, l.Last, l.Matches[0].Last, c.want)
		}
	}
}

func TestALogThatBreaksOffIsUsedAndSaidToBe(t *testing.T) {
	nowhere(t)
	broken := func(w *World) {
		w.Streams.In = io.MultiReader(strings.NewReader("kubelet.service: Main process exited, code=exited\n"), failing{})
	}
	r := runIn(t, broken, "node", "worker-1", "--from", fixture, "--log-file", "-")
	if r.code != ExitDone || !strings.Contains(r.out, "broke off") || !strings.Contains(r.out, "ST102") {
		t.Errorf("%+v", r)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
