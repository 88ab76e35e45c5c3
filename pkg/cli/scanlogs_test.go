package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// forklessLog is what a node wrote that could not start processes any more.
const forklessLog = "testdata/logs/messages"

// scanned runs scan-logs with -o json.
func scanned(t *testing.T, change func(*World), args ...string) report.LogScan {
	t.Helper()
	r := runIn(t, change, append([]string{"scan-logs", "-o", "json"}, args...)...)
	var s report.LogScan
	if err := json.Unmarshal([]byte(r.out), &s); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, r.errOut)
	}
	if s.APIVersion != report.APIVersion || s.Kind != "LogScan" {
		t.Errorf("%s %s", s.APIVersion, s.Kind)
	}
	return s
}

func matchOf(t *testing.T, s report.LogScan, slug string) report.LogMatch {
	t.Helper()
	i := slices.IndexFunc(s.Matches, func(m report.LogMatch) bool { return m.Slug == slug })
	if i < 0 {
		t.Fatalf("no match of %s in %+v", slug, s.Matches)
	}
	return s.Matches[i]
}

// TestANodeThatCannotForkIsOneStory is the case for which there are runbooks: forks of runc, of iptables and of udev's children fail.
func TestANodeThatCannotForkIsOneStory(t *testing.T) {
	nowhere(t)
	s := scanned(t, nil, forklessLog)
	m := s.Matches[0]
	if m.Slug != "pid-thread-exhaustion" || m.Count != 3 || !slices.Equal(m.Lines, []int64{2, 3, 4}) || m.Confidence != "certain" || m.SampleLine != 2 {
		t.Errorf("first: %+v", m)
	}
	if !slices.Equal(m.Units, []string{"dockerd", "systemd-udevd", "kube-proxy"}) || m.Unit != "" || m.File != forklessLog {
		t.Errorf("written by %v in %s", m.Units, m.File)
	}
	how := strings.Join(m.Confirm, "\n")
	for _, r := range m.Remedies {
		how += "\n" + r.Text
	}
	for _, want := range []string{"TasksCurrent", "TasksMax", "/limits", "kernel/pid_max", "threads-max", "pids.current", "ulimit -u"} {
		if !strings.Contains(how, want) {
			t.Errorf("how to check, and what to do, do not say %q:\n%s", want, how)
		}
	}
	var lines []int64
	for _, m := range s.Matches {
		lines = append(lines, m.Lines...)
	}
	for line, what := range map[int64]string{5: "rpc error … DeadlineExceeded", 7: "exits with error context deadline exceeded", 8: "PLEG is not healthy"} {
		if !slices.Contains(lines, line) {
			t.Errorf("line %d (%s) leads to no cause", line, what)
		}
	}
	for _, line := range []int64{1, 9} {
		if slices.Contains(lines, line) {
			t.Errorf("line %d says nothing, and matches", line)
		}
	}
	if f := s.Files[0]; f.Lines != 9 || f.Format != "syslog" || f.First == nil || f.First.Format("15:04:05") != "09:40:01" || f.Last.Format("15:04:05") != "11:50:01" {
		t.Errorf("%+v", f)
	}
	text := run(t, "scan-logs", forklessLog).out
	for _, want := range []string{"ST209", "3 lines", forklessLog + ":2", "fork/exec /usr/bin/runc", "How to check", "What to do", "kubectl stuck explain ST209"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
}

func TestLogsAreReadFromWhereverTheyAre(t *testing.T) {
	nowhere(t)
	raw, err := os.ReadFile(forklessLog)
	if err != nil {
		t.Fatal(err)
	}
	stdin := func(w *World) { w.Streams.In = bytes.NewReader(raw) }
	for name, args := range map[string][]string{"no argument": nil, "a dash": {"-"}} {
		s := scanned(t, stdin, args...)
		if m := matchOf(t, s, "pid-thread-exhaustion"); m.Count != 3 || m.File != "stdin" || s.Files[0].Name != "stdin" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	read := []string{"messages", "messages-20260228.gz", "syslog.1", "kern.log", "kubelet.txt", "journal.export", "kubelet-journal.json.log"}
	for _, name := range read {
		if strings.HasSuffix(name, ".gz") {
			write(name, zipped.Bytes())
		} else {
			write(name, raw)
		}
	}
	for _, name := range []string{"btmp", "wtmp", "system.journal", "pods.yaml", "README"} {
		write(name, raw)
	}
	if err := os.Mkdir(filepath.Join(dir, "pods"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "old.log")); err != nil {
		t.Fatal(err)
	}
	s := scanned(t, nil, dir)
	var files []string
	for _, f := range s.Files {
		files = append(files, filepath.Base(f.Name))
		if f.Lines != 9 {
			t.Errorf("%+v", f)
		}
	}
	slices.Sort(read)
	if !slices.Equal(files, read) || len(s.Skipped) != 7 {
		t.Errorf("read %v, skipped %v", files, s.Skipped)
	}
	n := 0
	for i, m := range s.Matches {
		if m.Slug == "pid-thread-exhaustion" {
			n++
			if i >= len(read) {
				t.Errorf("match %d is of %s: what belongs together does not stand together", i, m.Slug)
			}
		}
	}
	if n != len(read) {
		t.Errorf("%d matches, want one for each of %d files", n, len(read))
	}
	if text := run(t, "scan-logs", dir).out; !strings.Contains(text, "21 lines") || !strings.Contains(text, "system.journal (a") || !strings.Contains(text, "and lines of 1 more file") {
		t.Errorf("the text:\n%s", text)
	}
}

func TestAFileThatCannotBeReadDoesNotLoseTheOthers(t *testing.T) {
	nowhere(t)
	dir := t.TempDir()
	none, cut, empty := filepath.Join(dir, "none"), filepath.Join(dir, "cut.gz"), filepath.Join(dir, "empty")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, "systemd-udevd[1]: fork of child failed: Resource temporarily unavailable\n"+strings.Repeat("x", 1000)+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, zipped.Bytes()[:zipped.Len()-8], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string // on stderr
		out  string
	}{
		"one does not exist":           {[]string{none, forklessLog}, ExitError, []string{none}, "3 lines"},
		"one was cut off":              {[]string{cut, forklessLog}, ExitError, []string{cut, "ends too early"}, "4 lines"},
		"both":                         {[]string{cut, none, "--exit-code"}, ExitError, []string{cut, none}, "1 line"},
		"there is no other":            {[]string{none}, ExitError, []string{none}, ""},
		"a directory without logs":     {[]string{empty}, ExitError, []string{empty}, ""},
		"a match, and a code for it":   {[]string{forklessLog, "--exit-code"}, ExitStuck, nil, "ST209"},
		"no match, and a code for it":  {[]string{"-", "--exit-code"}, ExitDone, nil, "No known cause"},
		"a cause that is none":         {[]string{forklessLog, "--cause", "ST000"}, ExitUsage, []string{"ST000"}, ""},
		"a cause without lines":        {[]string{forklessLog, "--cause", silent()}, ExitUsage, []string{"nothing in a log"}, ""},
		"a time that is none":          {[]string{forklessLog, "--since", "-2h"}, ExitUsage, []string{"--since"}, ""},
		"a format that is none":        {[]string{forklessLog, "-o", "xml"}, ExitUsage, []string{"xml"}, ""},
		"a page that it does not make": {[]string{forklessLog, "-o", "html"}, ExitError, []string{"html"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, append([]string{"scan-logs"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.out, c.out) || c.out == "" && r.out != "" {
				t.Errorf("exit code %d, want %d\n%s%s", r.code, c.code, r.out, r.errOut)
			}
			for _, s := range c.says {
				if !strings.Contains(r.errOut, s) {
					t.Errorf("stderr does not say %q: %s", s, r.errOut)
				}
			}
		})
	}
}

// silent is a cause that nothing in a log tells of.
func silent() string {
	for _, c := range catalogue() {
		if len(c.Log) == 0 {
			return c.Slug
		}
	}
	return "none is silent"
}

func TestATerminalIsNotReadAsALog(t *testing.T) {
	nowhere(t)
	r := runIn(t, func(w *World) {
		w.Streams.In = struct {
			io.Reader
			io.Writer
		}{strings.NewReader(""), io.Discard}
		w.Width = func(io.Writer) int { return 80 }
	}, "scan-logs")
	if r.code != ExitUsage || !strings.Contains(r.errOut, "name the files") {
		t.Errorf("%+v", r)
	}
}

func TestSinceLeavesOutWhatIsOlder(t *testing.T) {
	nowhere(t)
	s := scanned(t, nil, forklessLog, "--since", "2h") // it is 12:00
	for _, m := range s.Matches {
		if slices.ContainsFunc(m.Lines, func(n int64) bool { return n < 8 }) {
			t.Errorf("%s: lines %v", m.Slug, m.Lines)
		}
	}
	if len(s.Matches) == 0 {
		t.Error("and nothing is left")
	}
}

func TestAPipeThatNobodyWritesToEndsWithTheInterrupt(t *testing.T) {
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	ended := make(chan error, 1)
	go func() {
		_, err := readLogBytes(ctx, r, make([]byte, 10))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits for somebody to write")
	}
}
