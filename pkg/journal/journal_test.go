package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func at() time.Time { return time.Date(2026, 11, 23, 21, 45, 1, 0, time.UTC) }

// record is that of a run about one pod, with an object of so many bytes.
func record(size int) remedy.Record {
	pod := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "u-1"}
	return remedy.Record{
		Time: at(), Version: "v1", Who: remedy.Who{User: "sam"},
		Plan: remedy.Plan{
			APIVersion: remedy.APIVersion, Kind: remedy.KindPlan,
			Acts: []remedy.Act{{Target: pod, Steps: []remedy.Step{{Verb: remedy.Delete, Ref: pod, What: "delete it"}}}},
		},
		Objects: []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"kind":"Pod","metadata":{"name":"cart-0","annotations":{"a":%q}}}`, strings.Repeat("x", size)))},
	}
}

func intent(n int) remedy.Entry {
	return remedy.Entry{Time: at(), Type: remedy.Intent, Attempt: n, Request: "DELETE /api/v1/namespaces/shop/pods/cart-0", Body: json.RawMessage(`{"a":1}`)}
}

func outcome(n int) remedy.Entry {
	return remedy.Entry{Time: at(), Type: remedy.Result, Attempt: n, Outcome: &remedy.Outcome{Status: remedy.Done, Attempts: 1, Time: at(), Text: "gone"}}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// folderOf is a new folder that nobody else may write to.
func folderOf(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// alone fails where a folder holds anything but so many whole runs.
func alone(t *testing.T, dir string, runs int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, f := range files {
		if idOf(f.Name()) == "" {
			t.Errorf("%s was left", f.Name())
		}
	}
	found := must(List(dir))(t)
	for _, l := range found {
		if l.Err != nil {
			t.Error(l.Err)
		}
	}
	if len(found) != runs {
		t.Errorf("%d runs, want %d", len(found), runs)
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	rec := record(10)
	r := must(Create(dir, rec))(t)
	rec.ID, rec.APIVersion, rec.Kind = r.ID(), remedy.APIVersion, remedy.KindRun
	var entries []remedy.Entry
	for i := range 50 {
		for _, e := range []remedy.Entry{intent(i), outcome(i)} {
			if err := r.Add(e); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
			h := must(Read(dir, r.ID()))(t)
			if !reflect.DeepEqual(h.Entries, entries) || !reflect.DeepEqual(h.Record, rec) || h.Torn || h.Path != r.Path() || h.Ended() {
				t.Fatalf("%+v", h)
			}
		}
	}
	if err := r.End(at(), remedy.Done, "well"); err != nil {
		t.Fatal(err)
	}
	h := must(Read(dir, r.ID()))(t)
	if last := h.Entries[len(h.Entries)-1]; len(h.Entries) != 101 || last.Type != remedy.End || last.Status != remedy.Done || last.Text != "well" || !h.Ended() {
		t.Errorf("%+v", last)
	}
	if err := r.Add(intent(1)); err == nil {
		t.Error("an entry after the end")
	}
	if raw := must(os.ReadFile(r.Path()))(t); bytes.HasSuffix(raw, []byte("\n\n")) || bytes.Count(raw, []byte("\n")) != 102 {
		t.Error("the reserve was not given back")
	}
	if modesCount {
		for path, mode := range map[string]fs.FileMode{r.Path(): 0o600, dir: 0o700 | fs.ModeDir, filepath.Dir(dir): 0o700 | fs.ModeDir} {
			if info := must(os.Lstat(path))(t); info.Mode() != mode {
				t.Errorf("%s has mode %v, want %v", path, info.Mode(), mode)
			}
		}
	}
	alone(t, dir, 1)
}

func TestRunsAreListedTheLatestFirstWithoutTheirObjects(t *testing.T) {
	dir := folderOf(t)
	var ids []string
	for i := range 3 {
		rec := record(10)
		rec.Time = at().Add(time.Duration(i) * time.Hour)
		r := must(Create(dir, rec))(t)
		ids = append([]string{r.ID()}, ids...)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, l := range must(List(dir))(t) {
		if l.ID != ids[i] || l.Err != nil || l.History.Objects != nil || len(l.History.Plan.Acts) != 1 {
			t.Errorf("%d: %+v", i, l)
		}
	}
	if found, err := List(filepath.Join(dir, "none")); err != nil || found != nil {
		t.Errorf("a folder that does not exist: %v %v", found, err)
	}
}

func TestTwoRunsNeverShareAFile(t *testing.T) {
	dir := folderOf(t)
	same := func() *strings.Reader { return strings.NewReader("aaaaaa" + "aaaaaa" + "bbbbbb" + "cccccc") }
	first, second := must(create(system{}, same(), dir, record(1)))(t), must(create(system{}, same(), dir, record(1)))(t)
	if first.ID() == second.ID() || first.Path() == second.Path() {
		t.Fatalf("both are %s", first.ID())
	}
	// A draft holds its name too.
	if err := os.WriteFile(filepath.Join(dir, draftName(newIDOf(t, "cccccc"))), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := create(system{}, same(), dir, record(1)); err == nil {
		t.Errorf("%s was taken", r.ID())
	}
	found := must(List(dir))(t)
	if len(found) != 2 {
		t.Errorf("%+v", found)
	}
}

func newIDOf(t *testing.T, chance string) string {
	t.Helper()
	return must(newID(at(), strings.NewReader(chance)))(t)
}

func TestDraftsOfKilledRunsAreTidiedAwayAfterADay(t *testing.T) {
	dir := folderOf(t)
	names := map[string]bool{ // whether it stays
		".20261122-214500-aaaaaa.tmp": false, ".20261122-214502-aaaaaa.tmp": true, ".20261123-214501-aaaaaa.tmp": true,
		".20200101-000000-aaaaaa.tmp.bak": true, "20200101-000000-aaaaaa.tmp": true, ".2020.tmp": true, ".20209901-000000-aaaaaa.tmp": true,
	}
	for name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_ = must(Create(dir, record(1)))(t).Close()
	for name, stays := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s stays: %v", name, err == nil)
		}
	}
}

func TestAFolderThatOthersCanChangeIsRefused(t *testing.T) {
	if !modesCount {
		t.Log("modes of files mean nothing here")
		return
	}
	base := t.TempDir()
	target := filepath.Join(base, "real")
	for _, d := range []string{target, filepath.Join(base, "open"), filepath.Join(base, "group")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"link": os.Symlink(target, filepath.Join(base, "link")), "dangling": os.Symlink("/nowhere", filepath.Join(base, "dangling")),
		"file": os.WriteFile(filepath.Join(base, "file"), nil, 0o600),
		"open": os.Chmod(filepath.Join(base, "open"), 0o777), "group": os.Chmod(filepath.Join(base, "group"), 0o770),
	} {
		if err != nil {
			t.Fatal(name, err)
		}
	}
	for name, says := range map[string]string{
		"link": "symbolic link to " + target, "dangling": "symbolic link", "file": "not a folder", "file/below": "not a directory",
		"open": "chmod go-w " + filepath.Join(base, "open"), "group": "chmod go-w",
	} {
		r, err := Create(filepath.Join(base, name), record(1))
		if err == nil {
			t.Errorf("%s: %s was made", name, r.Path())
			continue
		}
		if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--journal DIR") || !strings.Contains(err.Error(), filepath.Join(base, name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	alone(t, target, 0)
	_ = must(Create(filepath.Join(base, "made", "below"), record(1)))(t).Close()
}

func TestDirIsWhereStateBelongs(t *testing.T) {
	if !filepath.IsAbs("/x") {
		t.Log("the paths of this test are no paths here")
		return
	}
	for name, c := range map[string]struct {
		system string
		env    map[string]string
		want   string
	}{
		"XDG_STATE_HOME":         {"linux", map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/kubectl-stuck"},
		"a relative one":         {"linux", map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/kubectl-stuck"},
		"HOME":                   {"darwin", map[string]string{"HOME": "/h"}, "/h/.local/state/kubectl-stuck"},
		"LOCALAPPDATA":           {"windows", map[string]string{"LOCALAPPDATA": "/l", "USERPROFILE": "/u", "HOME": "/h"}, "/l/kubectl-stuck"},
		"USERPROFILE":            {"windows", map[string]string{"USERPROFILE": "/u"}, "/u/.local/state/kubectl-stuck"},
		"XDG_STATE_HOME on both": {"windows", map[string]string{"XDG_STATE_HOME": "/s", "LOCALAPPDATA": "/l"}, "/s/kubectl-stuck"},
		"nothing":                {"linux", nil, ""},
		"a relative HOME":        {"linux", map[string]string{"HOME": "h"}, ""},
	} {
		got, err := dirOn(c.system, func(k string) string { return c.env[k] })
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), "--journal DIR") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestSecretsAndTheDataOfConfigMapsAreRefused(t *testing.T) {
	for raw, fine := range map[string]bool{
		`{"kind":"Pod"}`: true, `null`: true, ``: true, `{"kind":"ConfigMap","metadata":{"name":"a"}}`: true, `{"kind":"Thing","data":"text"}`: true,
		`{"kind":"Secret"}`: false, `{"kind":"Secret","data":{"a":"b"}}`: false, `{"kind":"Secret","data":7}`: false, `{"kind":"ConfigMap","data":{"a":"b"}}`: false,
		`{"kind":"ConfigMap","binaryData":{"a":"b"}}`: false, `{"kind":"List","items":[{"kind":"Pod"},{"kind":"Secret"}]}`: false, `{"kind":"SecretList","items":[]}`: false,
		`{"data":{"a":"b"}}`: false, `[]`: false, `"Secret"`: false, `{"kind":7}`: false, `{`: false,
	} {
		dir := folderOf(t)
		rec := record(1)
		rec.Objects[0] = json.RawMessage(raw)
		if raw == "" {
			rec.Objects[0] = nil
		}
		r, err := Create(dir, rec)
		if (err == nil) != fine {
			t.Errorf("%s as an object: %v", raw, err)
		}
		if err == nil {
			_ = r.Close()
			continue
		}
		alone(t, dir, 0)
		rec = record(1)
		rec.Plan.Acts[0].Steps[0].Manifest = json.RawMessage(raw)
		if _, err := Create(dir, rec); err == nil {
			t.Errorf("%s as a manifest", raw)
		}
		r = must(Create(dir, record(1)))(t)
		if r.Add(remedy.Entry{Type: remedy.Replan, Object: json.RawMessage(raw)}) == nil || r.Add(intent(1)) == nil {
			t.Errorf("%s in an entry", raw)
		}
		_ = r.Close()
		if h := must(Read(dir, r.ID()))(t); len(h.Entries) != 0 {
			t.Errorf("%s is on disk", raw)
		}
	}
}

func TestARecordThatIsNoneIsRefused(t *testing.T) {
	for name, change := range map[string]func(*remedy.Record){
		"no time":             func(r *remedy.Record) { r.Time = time.Time{} },
		"another kind":        func(r *remedy.Record) { r.Kind = remedy.KindPlan },
		"another version":     func(r *remedy.Record) { r.APIVersion = "v9" },
		"an object too few":   func(r *remedy.Record) { r.Objects = nil },
		"an object too large": func(r *remedy.Record) { *r = record(maxRecord) },
		"a plan of too many parts": func(r *remedy.Record) {
			r.Plan.Verdicts = make([]remedy.Verdict, maxParts)
		},
	} {
		dir := filepath.Join(t.TempDir(), "journal")
		rec := record(1)
		change(&rec)
		if _, err := Create(dir, rec); err == nil {
			t.Errorf("%s: it was made", name)
		}
		alone(t, dir, 0)
	}
}

func TestALargeRunIsReadBack(t *testing.T) {
	dir := folderOf(t)
	r := must(Create(dir, record(8<<20)))(t)
	long := remedy.Entry{Type: remedy.Message, Text: strings.Repeat("<", maxLine/6-100)} // six bytes each in JSON
	for range 3 {
		if err := r.Add(long); err != nil {
			t.Fatal(err)
		}
	}
	if h := must(Read(dir, r.ID()))(t); len(h.Entries) != 3 || h.Entries[2].Text != long.Text {
		t.Error("the entries are not as they were")
	}
	if err := r.Add(remedy.Entry{Type: remedy.Message, Text: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("a line that reading would refuse")
	}
	_ = r.Close()
	alone(t, dir, 1)
}

func TestAnEntryThatReadingWouldRefuseIsNotWritten(t *testing.T) {
	for name, e := range map[string]remedy.Entry{
		"another act": {Type: remedy.Intent, Act: 1}, "an act below none": {Type: remedy.Result, Act: -1}, "no type": {}, "a body that is none": {Type: remedy.Intent, Body: json.RawMessage("{")},
	} {
		dir := folderOf(t)
		r := must(Create(dir, record(1)))(t)
		if err := r.Add(e); err == nil {
			t.Errorf("%s was written", name)
		}
		if err := r.Add(intent(1)); err == nil || !strings.Contains(err.Error(), "an earlier entry") {
			t.Errorf("%s: the next: %v", name, err)
		}
		_ = r.Close()
		alone(t, dir, 1)
	}
}

func TestRunsOfOneSecondAreListedInTheirOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	second := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	var want []string
	for i := range 12 {
		rec := record(10)
		rec.Time = second.Add(time.Duration(i) * 50 * time.Millisecond)
		r, err := Create(dir, rec)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want = append([]string{r.ID()}, want...)
	}
	all, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range all {
		if l.ID != want[i] {
			t.Fatalf("place %d has %s of %s, want %s", i, l.ID, l.History.Time, want[i])
		}
	}
}
