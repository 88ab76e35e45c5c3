package causes_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
)

// TestEveryLogMatchHasARareLiteral compiles the catalogue as scan-logs does, cause by cause so that each says what is wrong with it.
func TestEveryLogMatchHasARareLiteral(t *testing.T) {
	n := 0
	for _, c := range catalogue(t) {
		n += len(c.Log)
		if _, err := nodelog.New([]diagnose.Cause{c}); err != nil {
			t.Error(err)
		}
	}
	if n == 0 {
		t.Error("no cause has anything to find in a log")
	}
}

// TestLogFixturesAsAScanSeesThem reads the log fixtures, and their twins, with the whole catalogue, as they are and inside of other formats.
func TestLogFixturesAsAScanSeesThem(t *testing.T) {
	all := catalogue(t)
	s, err := nodelog.New(all)
	if err != nil {
		t.Fatal(err)
	}
	wrap := map[string]func(string) string{
		"as it is": func(l string) string { return l },
		"in syslog": func(l string) string {
			return "Mar 22 15:23:22 worker-3 prog[1]: " + l
		},
		"in JSON": func(l string) string {
			return `{"log":` + quoted(l) + `,"time":"2026-03-22T15:23:22Z"}`
		},
	}
	found := discover(t)
	for _, c := range all {
		f := found[c.Slug]
		if f == nil {
			continue
		}
		for form, in := range wrap {
			for _, path := range f.log {
				for _, line := range lines(t, path) {
					if !claims(t, s, c, in(line)) {
						t.Errorf("%s, %s: not counted for %s: %s", path, form, c.Slug, line)
					}
				}
			}
			for _, path := range f.logTwin {
				for _, line := range lines(t, path) {
					if claims(t, s, c, in(line)) {
						t.Errorf("%s, %s: counted for %s: %s", path, form, c.Slug, line)
					}
				}
			}
		}
	}
}

// TestAScanAgreesWithTheRules reads all log fixtures as one log, with the whole catalogue, and asks every rule about every line. A scan may see more
// in a line with escapes, and never less; in the others it sees the same.
func TestAScanAgreesWithTheRules(t *testing.T) {
	all := catalogue(t)
	s, err := nodelog.New(all)
	if err != nil {
		t.Fatal(err)
	}
	var log []string
	for _, f := range discover(t) {
		for _, path := range slices.Concat(f.log, f.logTwin) {
			for _, line := range lines(t, path) {
				log = append(log, line, strings.ToUpper(line), line[:len(line)*2/3], line[len(line)/3:])
			}
		}
	}
	l, err := s.Scan(strings.NewReader(strings.Join(log, "\n")), nodelog.Input{Name: "all"})
	if err != nil || l.Lines != int64(len(log)) {
		t.Fatalf("%d lines of %d, %v", l.Lines, len(log), err)
	}
	for _, c := range all {
		var got []int64
		for _, m := range l.Matches {
			if m.Code == c.Code {
				got = m.Lines
			}
		}
		for i, line := range log {
			want := slices.ContainsFunc(c.Log, func(m diagnose.LogMatch) bool {
				return m.Match(line) && (m.Pattern == "" || regexp.MustCompile("(?i)"+m.Pattern).MatchString(line))
			})
			if has := slices.Contains(got, int64(i+1)); has != want && (want || !strings.Contains(line, `\`)) {
				t.Errorf("%s: the rules say %v and the scan %v: %s", c.Slug, want, has, line)
			}
		}
	}
}

func claims(t *testing.T, s *nodelog.Scanner, c diagnose.Cause, line string) bool {
	t.Helper()
	l, err := s.Scan(strings.NewReader(line), nodelog.Input{Name: c.Slug, Now: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil || l.Lines != 1 {
		t.Errorf("%d lines, %v: %s", l.Lines, err, line)
	}
	for _, m := range l.Matches {
		if m.Code == c.Code {
			return m.Count == 1
		}
	}
	return false
}

// quoted is a JSON string, with everything escaped that an encoder may escape.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(s) + `"`
}
