package nodelog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog/nodelogtest"
)

// now is when the logs of these tests are read.
var now = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

func matching(code, slug string, log ...diagnose.LogMatch) diagnose.Cause {
	return diagnose.Cause{Code: diagnose.Code(code), Slug: slug, Doc: diagnose.Doc{Title: "Title of " + slug}, Log: log}
}

func parts(all ...string) diagnose.LogMatch { return diagnose.LogMatch{Text: diagnose.Text{All: all}} }

// few is a small catalogue with every kind of match in it.
func few() []diagnose.Cause {
	noFork := diagnose.LogMatch{Text: diagnose.Text{All: []string{"Resource temporarily unavailable"}, Any: []string{"fork", "clone("}}, Confidence: diagnose.Certain}
	denied := diagnose.LogMatch{Text: diagnose.Text{Any: []string{`apparmor="DENIED"`, "signal init: permission denied"}, None: []string{"profile=\"snap"}}}
	late := diagnose.LogMatch{
		Text: diagnose.Text{All: []string{"failed to kill container"}}, Confidence: diagnose.Possible, Alternatives: []string{"noFork", "other"}, Decide: "Look.",
	}
	long := diagnose.LogMatch{Text: diagnose.Text{All: []string{"blocked for more than"}}, Pattern: `TASK \S+ blocked for more than [0-9]{3,} seconds`}
	arrow := parts("moved volume a->b & back")
	return []diagnose.Cause{
		matching("ST901", "no-fork", noFork, parts("pthread_create failed")),
		matching("ST902", "denied", denied),
		matching("ST903", "late", late),
		matching("ST904", "long-task", long),
		matching("ST905", "arrow", arrow),
	}
}

func scanner(t testing.TB, causes []diagnose.Cause) *nodelog.Scanner {
	t.Helper()
	s, err := nodelog.New(causes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scan(t testing.TB, s *nodelog.Scanner, r io.Reader) nodelog.Log {
	t.Helper()
	l, err := s.Scan(r, nodelog.Input{Name: "messages", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func read(t testing.TB, s *nodelog.Scanner, log string) nodelog.Log {
	t.Helper()
	return scan(t, s, strings.NewReader(log))
}

// only is the one match that there should be.
func only(t *testing.T, l nodelog.Log) nodelog.Match {
	t.Helper()
	if len(l.Matches) != 1 {
		t.Fatalf("%d matches where one was expected: %+v", len(l.Matches), l.Matches)
	}
	return l.Matches[0]
}

// naive says which lines are whose, by looking for everything everywhere.
func naive(causes []diagnose.Cause, log string) map[string][]int64 {
	out := map[string][]int64{}
	n := int64(0)
	for line := range strings.Lines(log) {
		n++
		line = strings.TrimRight(line, "\n")
		for _, c := range causes {
			if slices.ContainsFunc(c.Log, func(m diagnose.LogMatch) bool {
				return m.Match(line) && (m.Pattern == "" || regexp.MustCompile("(?i)"+m.Pattern).MatchString(line))
			}) {
				out[c.Slug] = append(out[c.Slug], n)
			}
		}
	}
	return out
}

func found(l nodelog.Log) map[string][]int64 {
	out := map[string][]int64{}
	for _, m := range l.Matches {
		out[m.Slug] = m.Lines
	}
	return out
}

// scraps are what random logs are made of: whole literals, their pieces, and what looks like them.
func scraps(causes []diagnose.Cause) []string {
	out := []string{" ", ": ", "x", "fork", "FORK", "\n", "\n", "\n\n", "\r", "\x00", "\xff", "ü", "=", "[", "{", "seconds", "task runc blocked for more than 120 seconds"}
	for _, c := range causes {
		for _, m := range c.Log {
			for _, p := range slices.Concat(m.All, m.Any, m.None) {
				out = append(out, p, strings.ToUpper(p), p[:len(p)/2], p[len(p)/2:], p[1:])
			}
		}
	}
	return out
}

func TestAScanFindsWhatASearchForEveryPartFinds(t *testing.T) {
	causes := few()
	s, pieces := scanner(t, causes), scraps(causes)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		var b strings.Builder
		for b.Len() < 4000 {
			b.WriteString(pieces[r.IntN(len(pieces))])
			for range r.IntN(3) {
				b.WriteByte(byte('a' + r.IntN(26)))
			}
		}
		log := b.String()
		l := read(t, s, log)
		if want, got := naive(causes, log), found(l); !reflect.DeepEqual(want, got) {
			t.Fatalf("seed %d:\nwant %v\ngot  %v", seed, want, got)
		}
		if want := int64(strings.Count(log, "\n")); l.Lines != want && l.Lines != want+1 || l.Bytes != int64(len(log)) {
			t.Fatalf("seed %d: %d lines and %d bytes, want %d and %d", seed, l.Lines, l.Bytes, want, len(log))
		}
	}
}

func TestALiteralOfAnyLengthIsFoundAtAnyPlace(t *testing.T) {
	for n := 5; n < 40; n++ {
		literal := "Qx7#-_zWkj+vB9!pLm2~rTy5%sGd8@hFc3^nJe6?"[:n]
		s := scanner(t, []diagnose.Cause{matching("ST901", "one", parts(literal))})
		for at := range 50 {
			line := strings.Repeat(".", at) + strings.ToLower(literal) + strings.Repeat(",", at%7)
			if m := read(t, s, line).Matches; len(m) != 1 || m[0].Count != 1 {
				t.Fatalf("%d bytes after %d others: %d matches", n, at, len(m))
			}
			if m := read(t, s, strings.Replace(line, "qx7#-", "qx7#_", 1)).Matches; len(m) != 0 {
				t.Fatalf("%d bytes after %d others: found where it is not", n, at)
			}
		}
	}
}

func TestALineAcrossTheEndOfABlockIsFoundOnce(t *testing.T) {
	const block = 256 << 10
	s := scanner(t, few())
	hit := "worker-3 kubelet[1]: pthread_create failed\n"
	filler := strings.Repeat(strings.Repeat("f", 99)+"\n", block/100-1)
	for shift := -120; shift < 120; shift++ {
		pad := block + shift - len(filler) - len(hit)/2
		log := filler + strings.Repeat("p", pad) + "\n" + hit + filler
		m := only(t, read(t, s, log))
		if want := int64(strings.Count(filler, "\n") + 2); m.Count != 1 || m.Lines[0] != want || m.SampleLine != want || m.Sample != strings.TrimSpace(hit) {
			t.Fatalf("shift %d: %+v, want line %d", shift, m, want)
		}
	}
}

func TestOfALineWithoutEndTheBeginningIsLookedAt(t *testing.T) {
	s := scanner(t, few())
	long := strings.Repeat("l", nodelog.MaxLine)
	for name, c := range map[string]struct {
		log   string
		lines []int64
		cut   int64
		all   int64
	}{
		"at the beginning":              {"pthread_create failed " + long + "\npthread_create failed\n", []int64{1, 2}, 1, 2},
		"behind what is looked at":      {long + " pthread_create failed\nx\n", nil, 1, 2},
		"across the end of it":          {long[:nodelog.MaxLine-5] + "pthread_create failed\n", nil, 1, 1},
		"just as long as can be":        {long[:nodelog.MaxLine-21] + "pthread_create failed\npthread_create failed", []int64{1, 2}, 0, 2},
		"megabytes":                     {"pthread_create failed" + strings.Repeat(long, 40) + "\npthread_create failed\n", []int64{1, 2}, 1, 2},
		"megabytes and no end":          {"x\npthread_create failed" + strings.Repeat(long, 40), []int64{2}, 1, 2},
		"many of them":                  {strings.Repeat(long+"x\n", 20) + "pthread_create failed", []int64{21}, 20, 21},
		"a whole block and no line end": {strings.Repeat(long, 4) + "\npthread_create failed", []int64{2}, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := read(t, s, c.log)
			if got := found(l)["no-fork"]; !slices.Equal(got, c.lines) || l.CutLines != c.cut || l.Lines != c.all {
				t.Errorf("lines %v, %d cut of %d; want %v, %d of %d", got, l.CutLines, l.Lines, c.lines, c.cut, c.all)
			}
			for _, m := range l.Matches {
				if len(m.Sample) > nodelog.MaxSample {
					t.Errorf("a sample of %d bytes", len(m.Sample))
				}
			}
		})
	}
}

func TestMemoryForLineNumbersIsBounded(t *testing.T) {
	s := scanner(t, few())
	n := nodelog.MaxLineNumbers + 10
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Mar 22 15:23:22 worker-3 p%d[1]: pthread_create failed pod=\"ns/pod-%d\"\n", i, i)
	}
	m := only(t, read(t, s, b.String()))
	if m.Count != int64(n) || len(m.Lines) != nodelog.MaxLineNumbers || !m.LinesCut || len(m.Units) != nodelog.MaxNames || len(m.Pods) != nodelog.MaxNames {
		t.Errorf("%d counted, %d numbers, cut: %v, %d units, %d pods", m.Count, len(m.Lines), m.LinesCut, len(m.Units), len(m.Pods))
	}
}

func compress(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func powerShell(s string, order binary.AppendByteOrder) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestHowTheTextIsPackedMakesNoDifference(t *testing.T) {
	s := scanner(t, few())
	log := "Mar 22 15:23:22 worker-3 dockerd[9]: nothing 😀 ü\nMar 22 15:24:00 worker-3 dockerd[9]: pthread_create failed\n"
	plain := only(t, read(t, s, log))
	for name, c := range map[string]struct{ log, format string }{
		"gzip":                       {string(compress(t, log)), "syslog, gzip"},
		"gzip in two pieces":         {string(compress(t, log[:30])) + string(compress(t, log[30:])), "syslog, gzip"},
		"bzip2":                      {string(bzipped()), "syslog, bzip2"},
		"UTF-16, as PowerShell's":    {powerShell(log, binary.LittleEndian), "syslog, utf-16"},
		"UTF-16 the other way round": {powerShell(log, binary.BigEndian), "syslog, utf-16"},
		"UTF-16 in gzip":             {string(compress(t, powerShell(log, binary.LittleEndian))), "syslog, utf-16, gzip"},
		"a byte order mark":          {"\xef\xbb\xbf" + log, "syslog"},
		"line ends of Windows":       {strings.ReplaceAll(log, "\n", "\r\n"), "syslog"},
		"zeros that a crash left":    {strings.Replace(log, "\n", "\n\x00\x00\x00\x00\x00", 1), "syslog"},
	} {
		t.Run(name, func(t *testing.T) {
			l := read(t, s, c.log)
			if m := only(t, l); !reflect.DeepEqual(m, plain) || l.Format != c.format || l.Lines != 2 {
				t.Errorf("%s, %d lines: %+v\nplain: %+v", l.Format, l.Lines, m, plain)
			}
		})
	}
}

// bzipped is the log of the test above in bzip2, which Go can only read.
func bzipped() []byte {
	const data = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x65\xda\xc1\x00\x00\x00\x15\xdf\xec\x80\x10\x40\x02\x7e\x30\x00\x02\x00\x0a\xaf\xed\xd4\x80\x40\x00\x00\x40\x80\x04\x08\x00\x40\x00\x20\x00\x72\x29\x32\x64\xd3\x4c\x46\x26\x4c\x08\x0f\x50\x4a\xa6\x11\xa6\xa3\x11\xfa\x9a\x47\xa0\x7a\x93\xd2\x19\x3e\xc0\x52\x26\x58\x0f\xed\x49\xc0\x75\x7d\xcb\x2a\x60\xda\xae\x1c\x5e\x62\x48\xf3\x7a\x08\x21\x88\xc4\x9e\x43\x54\xf6\xd9\x13\x91\xf1\xc2\xa8\x3f\x8a\xcb\x16\x02\x9c\x10\xf0\x50\x8b\xad\x2e\x08\xdb\x80\xf6\x50\xe2\xf3\xd0\x0c\x45\xf8\xbb\x92\x29\xc2\x84\x83\x2e\xd6\x08\x00"
	return []byte(data)
}

func TestWhatCannotBeReadSaysSoAfterWhatCould(t *testing.T) {
	s := scanner(t, few())
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %d\n", rand.New(rand.NewPCG(uint64(i), 1)).Uint64())
	}
	whole := compress(t, "pthread_create failed\n"+b.String())
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		r     io.Reader
		says  string
		is    error
		count int
	}{
		"gzip that was cut off":     {bytes.NewReader(whole[:len(whole)/2]), "messages: the gzip data ends too early", io.ErrUnexpectedEOF, 1},
		"gzip without its end":      {bytes.NewReader(whole[:len(whole)-4]), "ends too early", io.ErrUnexpectedEOF, 1},
		"gzip cut in its head":      {bytes.NewReader(whole[:5]), "ends too early", io.ErrUnexpectedEOF, 0},
		"gzip and then something":   {strings.NewReader(string(whole) + "something else that is longer"), "follows the gzip data", gzip.ErrHeader, 1},
		"gzip with a broken middle": {bytes.NewReader(slices.Concat(whole[:len(whole)/2], make([]byte, 1000), whole[len(whole)/2+1000:])), "the gzip data is broken", nil, 1},
		"a disk that fails":         {io.MultiReader(strings.NewReader("pthread_create failed\nx"), iotest.ErrReader(boom)), "messages: boom", boom, 1},
		"a disk that fails at once": {iotest.ErrReader(boom), "messages: boom", boom, 0},
		"a reader that gives none":  {never{}, "multiple Read calls", io.ErrNoProgress, 0},
		"xz":                        {strings.NewReader("\xfd7zXZ\x00..."), "xz -dc", nil, 0},
		"zstd":                      {strings.NewReader("\x28\xb5\x2f\xfd..."), "zstd -dc", nil, 0},
		"a journal":                 {strings.NewReader("LPKSHHRH..."), "journalctl --file", nil, 0},
		"an export that was cut":    {strings.NewReader("__CURSOR=a\nMESSAGE=pthread_create failed\n\nMESSAGE\n\x50\x00\x00\x00\x00\x00\x00\x00abc"), "in the middle of a field", io.ErrUnexpectedEOF, 1},
		"an export that is none":    {strings.NewReader("__CURSOR=a\nMESSAGE=pthread_create failed\n\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffabc"), "line 5 of the journal export", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := s.Scan(c.r, nodelog.Input{Name: "messages", Now: now})
			if err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("the error is %v, want %q", err, c.says)
			}
			if len(l.Matches) != c.count || c.count > 0 && l.Lines == 0 {
				t.Errorf("%d matches in %d lines, want %d", len(l.Matches), l.Lines, c.count)
			}
		})
	}
}

// never is a reader that breaks the rules.
type never struct{}

func (never) Read([]byte) (int, error) { return 0, nil }

func TestEveryFormatGivesUpItsLines(t *testing.T) {
	s := scanner(t, few())
	at := time.Date(2026, 3, 22, 15, 23, 22, 0, time.UTC)
	apparmor := `apparmor="DENIED" operation="signal"`
	asArray, err := json.Marshal(bytesAsNumbers("\x1b[31mpthread_create failed"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		line, slug, unit, sample string // sample where it is not the line
		timeless                 bool
	}{
		"klog with quotes in quotes": {`E0322 15:23:22.000000 1 a.go:1] "Error" err="audit: apparmor=\"DENIED\" operation"`, "denied", "", "", false},
		"logfmt with quotes":         {`time="2026-03-22T15:23:22Z" level=error msg="audit: apparmor=\"DENIED\""`, "denied", "", "", false},
		"JSON with quotes":           {`{"ts":1774193002000.0,"msg":"audit: apparmor=\"DENIED\""}`, "denied", "", "", false},
		"JSON with what HTML fears":  {`{"time":"2026-03-22T15:23:22Z","msg":"moved volume a-\u003eb \u0026 back"}`, "arrow", "", "", false},
		"JSON in JSON":               {`{"log":"{\"msg\":\"apparmor=\\\"DENIED\\\"\"}\n","time":"2026-03-22T15:23:22Z"}`, "denied", "", "", false},
		"journald's JSON":            {`{"__REALTIME_TIMESTAMP":"1774193002000000","_SYSTEMD_UNIT":"docker.service","MESSAGE":"time=\"x\" msg=\"audit: apparmor=\\\"DENIED\\\"\""}`, "denied", "docker.service", `time="x" msg="audit: apparmor=\"DENIED\""`, false},
		"journald's array of bytes":  {`{"__REALTIME_TIMESTAMP":"1774193002000000","SYSLOG_IDENTIFIER":"kernel","MESSAGE":` + string(asArray) + `}`, "no-fork", "kernel", "\x1b[31mpthread_create failed", false},
		"the same with spaces":       {`{ "__REALTIME_TIMESTAMP" : "1774193002000000", "SYSLOG_IDENTIFIER" : "kernel", "MESSAGE" : ` + strings.ReplaceAll(string(asArray), ",", ", ") + ` }`, "no-fork", "kernel", "\x1b[31mpthread_create failed", false},
		"the kernel's audit":         {`[123.456789] audit: type=1400 ` + apparmor, "denied", "kernel", "", true},
		"a line of a container":      {`2026-03-22T15:23:22.0Z stderr F runtime/cgo: pthread_create failed: x`, "no-fork", "", "", false},
		"syslog":                     {`Mar 22 15:23:22 worker-3 systemd-udevd[5]: PTHREAD_CREATE Failed`, "no-fork", "systemd-udevd", "", false},
		"a line of nobody":           {`pthread_create failed`, "no-fork", "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, log := range []string{c.line, "x\n" + c.line + "\r\ny\n"} {
				m := only(t, read(t, s, log))
				want := c.sample
				if want == "" {
					want = c.line
				}
				if m.Slug != c.slug || strings.Join(m.Units, " ") != c.unit || m.Sample != want || m.Count != 1 {
					t.Errorf("%+v", m)
				}
				if when := m.First; !when.Equal(m.Last) || c.timeless != when.IsZero() || !c.timeless && !when.Equal(at) {
					t.Errorf("at %s to %s", m.First, m.Last)
				}
			}
		})
	}
}

func bytesAsNumbers(s string) []int {
	var out []int
	for _, c := range []byte(s) {
		out = append(out, int(c))
	}
	return out
}

func TestAJournalExportIsReadEntryByEntry(t *testing.T) {
	s := scanner(t, few())
	binaryField := func(name, value string) string {
		return name + "\n" + string(binary.LittleEndian.AppendUint64(nil, uint64(len(value)))) + value + "\n"
	}
	log := "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1774193002000000\nMESSAGE=pthread_create failed\n_SYSTEMD_UNIT=containerd.service\n\n" + // the message is line 3
		"__CURSOR=s=2\n__REALTIME_TIMESTAMP=1774193003000000\n_SYSTEMD_UNIT=pthread_create failed\nMESSAGE=nothing\n\n" + // only messages count
		"__CURSOR=s=3\n__REALTIME_TIMESTAMP=1774193004000000\n" + binaryField("MESSAGE", "first\n\npthread_create failed\nlast") + "SYSLOG_IDENTIFIER=kernel\n\n" +
		"__CURSOR=s=4\n" + binaryField("COREDUMP", strings.Repeat("pthread_create failed\n", 20000)) + "__REALTIME_TIMESTAMP=1774193005000000\nMESSAGE=pthread_create failed"
	l := read(t, s, log)
	m := only(t, l)
	lineOf := func(nth int) int64 {
		rest, n := log, int64(1)
		for ; nth > 0; nth-- {
			i := strings.Index(rest, "MESSAGE")
			n += int64(strings.Count(rest[:i], "\n"))
			rest = rest[i:]
			if nth > 1 {
				rest = rest[1:]
			}
		}
		return n
	}
	want := []int64{lineOf(1), lineOf(3) + 1, lineOf(4)}
	if !slices.Equal(m.Lines, want) || strings.Join(m.Units, " ") != "containerd.service kernel" || l.Format != "journald-export" {
		t.Errorf("%s: lines %v of %v, want %v", l.Format, m.Lines, m.Units, want)
	}
	if first, last := time.Unix(1774193002, 0), time.Unix(1774193005, 0); !m.First.Equal(first) || !m.Last.Equal(last) || !l.First.Equal(first) || !l.Last.Equal(last) {
		t.Errorf("from %s to %s", m.First, m.Last)
	}
	if l.Bytes != int64(len(log)) || l.Lines != int64(strings.Count(log, "\n"))+1 || l.CutLines != 1 {
		t.Errorf("%d bytes, %d lines, %d cut; want %d and %d", l.Bytes, l.Lines, l.CutLines, len(log), strings.Count(log, "\n")+1)
	}
}

func TestWhatBelongsTogetherIsOneStory(t *testing.T) {
	s := scanner(t, few())
	l := read(t, s, strings.Join([]string{
		`Mar 22 15:23:22 worker-3 kubelet[1]: failed to kill container: fork/exec runc: resource temporarily unavailable`,
		`Mar 22 15:23:23 worker-3 systemd-udevd[2]: fork of child: Resource temporarily unavailable`,
		`Mar 22 15:23:24 worker-3 dockerd[3]: pthread_create failed`,
		`Mar 22 15:23:25 worker-3 kubelet[1]: failed to kill container: something else`,
		`Mar 22 15:23:26 worker-3 kubelet[1]: Resource temporarily unavailable`, // nothing was started
	}, "\n"))
	if len(l.Matches) != 2 {
		t.Fatalf("%+v", l.Matches)
	}
	sure, late := l.Matches[0], l.Matches[1]
	if sure.Slug != "no-fork" || sure.Confidence != diagnose.Certain || sure.Count != 3 || sure.Explained != 0 || !slices.Equal(sure.Units, []string{"kubelet", "systemd-udevd", "dockerd"}) {
		t.Errorf("%+v", sure)
	}
	if sure.Title != "Title of no-fork" || sure.SampleLine != 1 || !sure.First.Equal(time.Date(2026, 3, 22, 15, 23, 22, 0, time.UTC)) || !sure.Last.Equal(time.Date(2026, 3, 22, 15, 23, 24, 0, time.UTC)) {
		t.Errorf("%+v", sure)
	}
	if late.Slug != "late" || late.Count != 2 || late.Explained != 1 || !slices.Equal(late.ExplainedBy, []string{"no-fork"}) ||
		!slices.Equal(late.Alternatives, []string{"noFork", "other"}) || late.Decide != "Look." {
		t.Errorf("%+v", late)
	}
	if facts := l.Facts(); len(facts) != 2 || facts[0].Source != "messages" || facts[0].Line != 1 || facts[0].Sample != sure.Sample {
		t.Errorf("%+v", facts)
	}

	l = read(t, s, "a pthread_create failed\nfailed to kill container: fork: resource temporarily unavailable\nTASK runc blocked for more than 120 seconds\n"+
		"task runc blocked for more than 120 seconds\ntask runc blocked for more than 12 seconds\n")
	var slugs []string
	for _, m := range l.Matches {
		slugs = append(slugs, m.Slug)
	}
	if !slices.Equal(slugs, []string{"no-fork", "long-task", "late"}) {
		t.Errorf("in order: %v", slugs)
	}
	if m := l.Matches[0]; m.SampleLine != 2 || m.Confidence != diagnose.Certain {
		t.Errorf("the sample is not of the surest line: %+v", m)
	}
	if facts := l.Facts(); len(facts) != 2 {
		t.Errorf("a cause whose lines another explains is a fact: %+v", facts)
	}
}

func TestThePodsThatLinesNameAreGathered(t *testing.T) {
	s := scanner(t, few())
	const uid = "0f3a1b2c-4d5e-6f70-8192-a3b4c5d6e7f8"
	for line, want := range map[string][]string{
		`"x" pod="shop/web-5d9f"`:                                                      {"shop/web-5d9f"},
		`"x" pod="shop/web-5d9f" podUID="` + uid + `"`:                                 {"shop/web-5d9f"},
		`"x" pods=["shop/web-5d9f","bill/a.b-1"]`:                                      {"shop/web-5d9f", "bill/a.b-1"},
		`"x" podUID="` + uid + `"`:                                                     {uid},
		`"x" podUID=` + uid + ` containerID="9c"`:                                      {uid},
		`err="x \"/var/lib/kubelet/pods/` + uid + `/volumes/kubernetes.io~nfs/data\""`: {uid},
		`/var/log/pods/shop_web-5d9f_` + uid + `/web/0.log`:                            {"shop/web-5d9f"},
		`/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod` + strings.ReplaceAll(uid, "-", "_") + `.slice`: {uid},
		`/kubepods/burstable/pod` + uid + `/9c1d`:                                                                     {uid},
		`Error syncing pod ` + uid + ` ("web-5d9f_shop(` + uid + `)"), skipping`:                                      {"shop/web-5d9f"},
		`{"msg":"x","pod":{"name":"web-5d9f","namespace":"shop"}}`:                                                    {"shop/web-5d9f"},
		`msg="RunPodSandbox for &PodSandboxMetadata{Name:web-5d9f,Uid:` + uid + `,Namespace:shop,Attempt:0,} failed"`: {"shop/web-5d9f"},
		`args "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-5d9f;K8S_POD_INFRA_CONTAINER_ID=9c"`:           {"shop/web-5d9f"},
		`volume "data" (UniqueName: "x") pod "web-5d9f" (UID: "` + uid + `")`:                                         {uid},
		`a pod of 5e1f0c2b3a4d5e6f708192a3b4c5d6e7 at /pods/5e1f0c2b3a4d5e6f708192a3b4c5d6e7/volumes`:                 {"5e1f0c2b3a4d5e6f708192a3b4c5d6e7"},
		`pod="" pods=[] podUID="" pods/ pod`:                                                                          nil,
		`podman tripod="x/y/z`:                                                                                        {"x/y"},
	} {
		if m := only(t, read(t, s, "pthread_create failed "+line)); !slices.Equal(m.Pods, want) {
			t.Errorf("%s\ngot %v, want %v", line, m.Pods, want)
		}
	}
}

func TestOlderLinesAreLeftOut(t *testing.T) {
	s := scanner(t, few())
	log := "Mar 22 15:23:22 w k[1]: pthread_create failed\nMar 22 16:23:22 w k[1]: pthread_create failed\npthread_create failed\n"
	l, err := s.Scan(strings.NewReader(log), nodelog.Input{Now: now, Since: time.Date(2026, 3, 22, 16, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if m := only(t, l); !slices.Equal(m.Lines, []int64{2, 3}) {
		t.Errorf("%+v", m)
	}
}

func TestTheTimesOfALogAreThoseOfItsFirstAndLastLines(t *testing.T) {
	s := scanner(t, few())
	first, last := time.Date(2026, 3, 22, 15, 23, 22, 0, time.UTC), time.Date(2026, 3, 23, 1, 0, 0, 0, time.UTC)
	log := "\n-- Logs begin at Sun 2026-03-22 --\nMar 22 15:23:22 w k[1]: x\n" + strings.Repeat("no time here\n", 50_000) + "Mar 23 01:00:00 w k[1]: x\n\ngoroutine 1:\n"
	l := read(t, s, log)
	if !l.First.Equal(first) || !l.Last.Equal(last) || l.Format != "syslog" {
		t.Errorf("%s: from %s to %s", l.Format, l.First, l.Last)
	}
}

func TestWhatCannotBeSearchedForIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		match diagnose.LogMatch
		says  string
	}{
		"a pattern that is none":              {diagnose.LogMatch{Text: diagnose.Text{All: []string{"blocked for more than"}}, Pattern: "("}, "missing closing"},
		"a short word":                        {parts("oom"), "nothing rare"},
		"a word that every node writes":       {parts("containerd"), "nothing rare"},
		"nothing between what may be escaped": {parts(`"pod":"x"`), "nothing rare"},
		"a short word among others":           {diagnose.LogMatch{Text: diagnose.Text{Any: []string{"a long enough one", "oom"}}}, "oom"},
		"nothing at all":                      {diagnose.LogMatch{}, "no part"},
		"only what must not be there":         {diagnose.LogMatch{Text: diagnose.Text{None: []string{"a long enough one"}}}, "no part"},
	} {
		if _, err := nodelog.New([]diagnose.Cause{matching("ST901", "the-slug", c.match)}); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "the-slug") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := scanner(t, []diagnose.Cause{matching("ST901", "x", diagnose.LogMatch{Text: diagnose.Text{All: []string{"oom"}, Any: []string{"invoked the killer", "out of memory"}}})})
	if m := only(t, read(t, s, "invoked the killer of oom\nout of memory\noom\nOOM: Out of Memory")); !slices.Equal(m.Lines, []int64{1, 4}) {
		t.Errorf("%+v", m)
	}
}

func TestAHealthyLogMatchesNothing(t *testing.T) {
	var log bytes.Buffer
	lines, _, err := nodelogtest.Write(&log, nodelogtest.Options{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	l := scan(t, scanner(t, few()), &log)
	if l.Lines != lines || len(l.Matches) != 0 || l.Format != "syslog" || l.First.IsZero() || !l.Last.After(l.First) {
		t.Errorf("%d lines of %d, %s, %d matches", l.Lines, lines, l.Format, len(l.Matches))
	}
}

// mixed is a log with something of everything.
func mixed(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	for i := range 40 {
		hits := []string{
			"worker-3 p[1]: pthread_create failed", `worker-3 p[1]: apparmor=\"DENIED\"`, "worker-3 p[1]: failed to kill container fork resource temporarily unavailable",
		}
		if _, _, err := nodelogtest.Write(&b, nodelogtest.Options{Bytes: 20_000, Hits: 100, Lines: hits, Seed: uint64(i)}); err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.Repeat("\x00", i*7) + `{"__REALTIME_TIMESTAMP":"1774193002000000","MESSAGE":[112,116,104,114,101,97,100,95,99,114,101,97,116,101,32,102,97,105,108,101,100]}` + "\r\n")
		if i%10 == 0 {
			b.WriteString("pthread_create failed" + strings.Repeat("long", 20_000+i) + "\n")
		}
	}
	return b.String()
}

func TestHowTheStreamIsCutUpMakesNoDifference(t *testing.T) {
	s, log := scanner(t, few()), mixed(t)
	want := read(t, s, log)
	if len(want.Matches) != 3 || want.CutLines != 4 {
		t.Fatalf("%d matches, %d cut lines", len(want.Matches), want.CutLines)
	}
	for name, r := range map[string]io.Reader{
		"a byte at a time":           iotest.OneByteReader(strings.NewReader(log)),
		"half of what was asked for": iotest.HalfReader(strings.NewReader(log)),
		"the end with the last data": iotest.DataErrReader(strings.NewReader(log)),
		"odd pieces":                 &odd{r: strings.NewReader(log)},
	} {
		if got := scan(t, s, r); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
	}
}

// odd gives 1, 2, 3 … bytes, and now and then none.
type odd struct {
	r io.Reader
	n int
}

func (o *odd) Read(p []byte) (int, error) {
	o.n++
	if o.n%5 == 0 {
		return 0, nil
	}
	return o.r.Read(p[:min(len(p), o.n%70_000)])
}

// FuzzScan holds that nothing makes a scan fail in an odd way, and that it finds the same however the stream is cut up.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "pthread_create failed", "\x1f\x8b", "\xff\xfe\x00", "__CURSOR=a\nMESSAGE\n\x01\x00\x00\x00\x00\x00\x00\x00a\n\n", "<30>", "<30>1 ", "[", "[1.2] ", "{", `{"a":`, `{"MESSAGE":[`,
		`{"__REALTIME_TIMESTAMP":"9","MESSAGE":[1,2` + "\npthread_create failed", "Mar 22 15:23:22", "Sun 2026-03-22 15:23:22 UTC", "I0322 15:23:22.1 pthread_create failed pod=\"a/b\" (uid: \"", "apparmor=\\\"DENIED\\\" \\u00", "time=\"2026-03-22T15:23:22+0\" pthread_create failed",
		"LPKSHHRH", "BZh9", "pthread_create failed pod pods=[ pods/ sandboxmetadata{name: pod_namespace=a;k8s_pod_name=", "kern  :err   : [", "pthread_create failed <3>[",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	s := scanner(f, few())
	f.Fuzz(func(t *testing.T, log []byte, piece uint8) {
		in := nodelog.Input{Name: "fuzz", Now: now}
		want, wantErr := s.Scan(bytes.NewReader(log), in)
		got, err := s.Scan(&pieces{log, int(piece) + 1}, in)
		if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("in pieces of %d: %+v, %v\nwhole: %+v, %v", int(piece)+1, got, err, want, wantErr)
		}
		for _, m := range want.Matches {
			if m.Count == 0 || m.SampleLine == 0 || m.SampleLine > want.Lines || int64(len(m.Lines)) != m.Count || m.Last.After(now) && strings.HasPrefix(want.Format, "klog") {
				t.Errorf("%+v", m)
			}
		}
		// One line more in front changes nothing but the numbers, where it is text.
		if bytes.ContainsAny(log, "\x00\xff\xfe\x1f\x8b\xef\xbb\xbf") || strings.Contains(want.Format, "export") || wantErr != nil {
			return
		}
		more, err := s.Scan(io.MultiReader(strings.NewReader("x\n"), bytes.NewReader(log)), in)
		if err != nil || len(more.Matches) != len(want.Matches) {
			t.Fatalf("with a line in front: %+v, %v\nwithout: %+v", more, err, want)
		}
		for i, m := range more.Matches {
			if w := want.Matches[i]; m.Count != w.Count || m.SampleLine != w.SampleLine+1 {
				t.Errorf("with a line in front: %+v\nwithout: %+v", m, w)
			}
		}
	})
}

type pieces struct {
	rest []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.n, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}
