package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

const someID = "20261123-214501-x7k2p9"

// page is the file of a run with two entries.
func page(t *testing.T) []byte {
	t.Helper()
	dir := folderOf(t)
	r := must(Create(dir, record(20)))(t)
	if err := errors.Join(r.Add(intent(1)), r.Add(outcome(1)), r.Close()); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(must(os.ReadFile(r.Path()))(t), []byte(r.ID()), []byte(someID))
}

func TestAFileThatEndsAnywhereIsReadAsFarAsItGoes(t *testing.T) {
	whole := page(t)
	first := bytes.IndexByte(whole, '\n')
	second := first + 1 + bytes.IndexByte(whole[first+1:], '\n')
	for n := range whole {
		for _, tail := range []string{"", "\n", strings.Repeat("\n", 5000), strings.Repeat("\x00", 5000), "\n\x00\x00"} {
			h, err := parse([]byte(string(whole[:n])+tail), someID)
			var entries int
			switch {
			case n < first:
				if err == nil {
					t.Fatalf("%d bytes and %.3q: a record that is not whole was read", n, tail)
				}
				continue
			case n >= len(whole)-1:
				entries = 2
			case n >= second:
				entries = 1
			}
			torn := n > first+1 && n < second || n > second+1 && n < len(whole)-1
			if err != nil || len(h.Entries) != entries || h.Torn != torn {
				t.Fatalf("%d bytes and %.3q: %v, %d entries, torn %v; want %d, %v", n, tail, err, len(h.Entries), h.Torn, entries, torn)
			}
		}
	}
}

func TestAFileThatIsNotOneSaysWhereAndHidesNoOther(t *testing.T) {
	good := string(page(t))
	lines := strings.SplitAfter(good, "\n")
	with := func(old, now string) string { return strings.Replace(good, old, now, 1) }
	for name, c := range map[string]struct{ content, says string }{
		"an empty file":                {"", "an empty file"},
		"blank lines":                  {strings.Repeat("\n", 100), "an empty file"},
		"garbage":                      {"garbage\n", ":1: "},
		"binary":                       {"\xff\xfe\x00\x01{", ":1: "},
		"garbage in the middle":        {lines[0] + "garbage\n" + lines[2], ":2: "},
		"garbage after a blank line":   {lines[0] + "\n\n" + lines[1] + "{\"time\":\n" + lines[2], ":5: "},
		"another apiVersion":           {with("v1alpha1", "v2"), "another release"},
		"another group":                {with(remedy.APIVersion, "other.dev/v1"), "not the beginning of a run"},
		"another kind":                 {with(remedy.KindRun, "StuckThing"), "not the beginning of a run"},
		"another ID":                   {with(someID, "20261123-214501-x7k2p8"), "is of run"},
		"an ID that climbs":            {with(someID, "../../etc/passwd"), "is of run"},
		"an object too many":           {with(`"objects":[`, `"objects":[null,`), "1 acts, and 2 objects"},
		"no record":                    {lines[1] + lines[2], ":1: "},
		"fields of other types":        {with(`"objects":[`, `"objects":[7],"time":[`), ":1: "},
		"an entry of another type":     {lines[0] + `{"type":7}` + "\n", ":2: "},
		"an entry without a type":      {lines[0] + `{}` + "\n", "without a type"},
		"an entry that is a list":      {lines[0] + `[]` + "\n" + lines[1], ":2: "},
		"an act that the plan has not": {lines[0] + `{"type":"intent","act":5}`, "step 0 of act 5"},
		"an act below none":            {lines[0] + `{"type":"outcome","act":-1}`, "act -1"},
		"a step below none":            {lines[0] + `{"type":"proof","step":-9}`, "step -9"},
		"depth":                        {lines[0] + strings.Repeat("[", 1<<20) + "\n" + lines[1], ":2: "},
		"a bomb":                       {with(`"plan":{`, `"plan":{"verdicts":[`+strings.Repeat("{},", maxParts)+`{}],`), "too many parts"},
		"a bomb in many entries":       {lines[0] + strings.Repeat(`{"type":"replan","now":{"steps":[`+strings.Repeat("{},", maxParts/10)+"{}]}}\n", 11), "too many parts"},
		"a long line":                  {lines[0] + `{"type":"message","text":"` + strings.Repeat("x", maxLine) + `"}` + "\n", "in one line"},
		"many entries":                 {lines[0] + strings.Repeat(`{"type":"message"}`+"\n", maxEntries+1), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folderOf(t)
			_ = must(Create(dir, record(1)))(t).Close()
			path := filepath.Join(dir, fileName(someID))
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err := Read(dir, someID)
			if err == nil || !strings.HasPrefix(err.Error(), path+":") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			found := must(List(dir))(t)
			bad, fine := 0, 0
			for _, l := range found {
				if l.Err != nil {
					bad++
				} else {
					fine++
				}
			}
			if bad != 1 || fine != 1 {
				t.Errorf("%+v", found)
			}
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
}

func TestFieldsThatNobodyKnowsAreTolerated(t *testing.T) {
	content := strings.ReplaceAll(string(page(t)), `{"time"`, `{"later":{"a":[1]},"time"`)
	content = strings.Replace(content, `{"apiVersion"`, `{"newField":true,"apiVersion"`, 1) + `{"type":"ceremony","time":"2026-11-23T21:45:01Z"}` + "\n"
	h, err := parse([]byte(content), someID)
	if err != nil || len(h.Entries) != 3 || h.Entries[2].Type != "ceremony" || h.Status() != remedy.Done {
		t.Errorf("%v %+v", err, h.Entries)
	}
}

func TestOnlyPlainFilesAreRead(t *testing.T) {
	dir := folderOf(t)
	outside := filepath.Join(t.TempDir(), fileName(someID))
	if err := os.WriteFile(outside, page(t), 0o600); err != nil {
		t.Fatal(err)
	}
	name := func(n string) string { return filepath.Join(dir, "20261123-21450"+n+"-aaaaaa.jsonl") }
	large := must(os.Create(name("2")))(t)
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, fileName(someID))), os.Mkdir(name("1"), 0o700), large.Truncate(maxFile+1), large.Close(),
		os.WriteFile(filepath.Join(dir, "notes.jsonl"), nil, 0o600), os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, l := range must(List(dir))(t) {
		if l.Err == nil {
			t.Errorf("%s was read", l.Path)
			continue
		}
		said[filepath.Base(l.Path)] = l.Err.Error()
	}
	for file, says := range map[string]string{
		fileName(someID): "symbolic link", "20261123-214501-aaaaaa.jsonl": "not a plain file", "20261123-214502-aaaaaa.jsonl": "MiB", "notes.jsonl": "not named like a run",
	} {
		if !strings.Contains(said[file], says) {
			t.Errorf("%s: %q", file, said[file])
		}
	}
	if len(said) != 4 {
		t.Errorf("%v", said)
	}
	if _, err := Read(dir, someID); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("%v", err)
	}
}

func TestAnIDNeverLeavesTheFolder(t *testing.T) {
	dir := folderOf(t)
	for _, id := range []string{"", ".", "..", "../" + someID, someID + "/..", "/etc/passwd", someID + "\n", someID + ".jsonl", "20261123-214501-X7K2P9", "2026112３-214501-x7k2p9", "C:" + someID} {
		if _, err := Read(dir, id); err == nil || !strings.Contains(err.Error(), "is not the ID of a run") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := Read(dir, someID); !errors.Is(err, ErrNoRun) {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"kubectl-stuck.dev/v1alpha1","kind":"StuckRun","id":"` + someID + `","plan":{"acts":[{"steps":[{}]}]},"objects":[null]}` + "\n" + `{"type":"intent"}`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if h, err := parse(raw, someID); err == nil {
			_, _, _ = h.Status(), h.Undoable(), h.Steps()
		}
	})
}
