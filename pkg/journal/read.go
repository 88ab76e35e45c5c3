package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// maxRuns is how many runs List reads, the latest.
const maxRuns = 10_000

// Listed is one file of the journal.
type Listed struct {
	// ID is that of the run, and Path the file. ID is empty where the file is of no run.
	ID, Path string
	// History is what the file tells, without the objects: Read has those.
	History remedy.History
	// Err says why it could not be read.
	Err error
}

// ErrNoRun says that the journal has no run of that ID.
var ErrNoRun = errors.New("the journal has no such run")

// List reads all runs of a folder, the latest first. A file that cannot be read is listed with its error, and hides no other. A folder that does not
// exist has no runs. Files that are named unlike runs are left alone.
func List(dir string) ([]Listed, error) { return list(system{}, dir) }

func list(d disk, dir string) ([]Listed, error) {
	found, err := d.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the journal in %s: %w", dir, err)
	}
	var out []Listed
	for _, e := range found {
		if strings.HasSuffix(e.Name(), ending) {
			out = append(out, Listed{ID: idOf(e.Name()), Path: filepath.Join(dir, e.Name())})
		}
	}
	slices.SortStableFunc(out, func(a, b Listed) int { return strings.Compare(filepath.Base(b.Path), filepath.Base(a.Path)) })
	for i := range out {
		l := &out[i]
		switch {
		case l.ID == "":
			l.Err = fmt.Errorf("%s is not named like a run", l.Path)
		case i >= maxRuns:
			l.Err = fmt.Errorf("%s was not read: there are more than %d later runs", l.Path, maxRuns)
		default:
			l.History, l.Err = readFile(d, l.Path, l.ID)
			l.History.Objects, l.History.Kept = nil, nil
			for j := range l.History.Entries {
				l.History.Entries[j].Object = nil
			}
		}
	}
	// The names of files tell seconds; of runs within one, the record tells which was first.
	second := func(l Listed) string { base := filepath.Base(l.Path); return base[:min(len(base), idSeconds)] }
	slices.SortStableFunc(out, func(a, b Listed) int {
		if c := strings.Compare(second(b), second(a)); c != 0 {
			return c
		}
		return b.History.Time.Compare(a.History.Time) // of one that could not be read it is zero: those come last
	})
	return out, nil
}

// idSeconds is how much of an ID tells the second of its run: 20261123-214501.
const idSeconds = 15

// Read reads one run, whole. The error is ErrNoRun where there is none.
func Read(dir, id string) (remedy.History, error) { return read(system{}, dir, id) }

func read(d disk, dir, id string) (remedy.History, error) {
	if !ValidID(id) {
		return remedy.History{}, fmt.Errorf("%q is not the ID of a run; they look like 20261123-214501-x7k2p9", id)
	}
	path := filepath.Join(dir, fileName(id))
	h, err := readFile(d, path, id)
	if errors.Is(err, fs.ErrNotExist) {
		return remedy.History{}, fmt.Errorf("%s in %s: %w", id, dir, ErrNoRun)
	}
	return h, err
}

func readFile(d disk, path, id string) (remedy.History, error) {
	info, err := d.Lstat(path)
	switch {
	case err != nil:
		return remedy.History{}, err
	case info.Mode()&fs.ModeSymlink != 0:
		return remedy.History{}, fmt.Errorf("%s is a symbolic link; it was not followed", path)
	case !info.Mode().IsRegular():
		return remedy.History{}, fmt.Errorf("%s is not a plain file", path)
	case info.Size() > maxFile:
		return remedy.History{}, fmt.Errorf("%s has %d MiB; no run has more than %d", path, info.Size()>>20, maxFile>>20)
	}
	f, err := d.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return remedy.History{}, err
	}
	defer func() { _ = f.Close() }()
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		return remedy.History{}, fmt.Errorf("%s became another file while it was opened", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return remedy.History{}, err
	}
	h, err := parse(raw, id)
	if err != nil {
		return remedy.History{}, fmt.Errorf("%s%w", path, err)
	}
	h.Path = path
	return h, nil
}

// parse reads the lines of a run. Its errors begin with the number of the line: ":3: …".
func parse(raw []byte, id string) (remedy.History, error) {
	if len(raw) > maxFile {
		return remedy.History{}, fmt.Errorf(": more than %d MiB", maxFile>>20)
	}
	// What a power cut leaves of the reserve may be zeroes.
	raw = bytes.TrimRight(raw, "\x00 \t\r\n")
	h := remedy.History{Entries: []remedy.Entry{}}
	number, whole, all := 0, false, 0
	for len(raw) > 0 {
		number++
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if all += parts(line); all > maxParts {
			return h, fmt.Errorf(":%d: a plan with too many parts", number)
		}
		if !whole {
			if err := parseRecord(line, id, &h.Record); err != nil {
				return h, fmt.Errorf(":%d: %w", number, err)
			}
			whole = true
			continue
		}
		if len(h.Entries) == maxEntries {
			return h, fmt.Errorf(":%d: more than %d entries", number, maxEntries)
		}
		e, err := parseEntry(line, len(h.Plan.Acts))
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && len(raw) == 0 {
			h.Torn = true
			break
		}
		if err != nil {
			return h, fmt.Errorf(":%d: %w", number, err)
		}
		h.Entries = append(h.Entries, e)
	}
	if !whole {
		return h, errors.New(": an empty file")
	}
	return h, nil
}

func parseRecord(line []byte, id string, rec *remedy.Record) error {
	if len(line) > maxRecord {
		return fmt.Errorf("more than %d MiB in one line", maxRecord>>20)
	}
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return fmt.Errorf("not the beginning of a run: %w", err)
	}
	group, _, _ := strings.Cut(remedy.APIVersion, "/")
	switch {
	case kind.APIVersion == remedy.APIVersion && kind.Kind == remedy.KindRun:
	case strings.HasPrefix(kind.APIVersion, group+"/") && kind.APIVersion != remedy.APIVersion:
		return fmt.Errorf("apiVersion %q is of another release of this tool; this one reads %s: use the later release", kind.APIVersion, remedy.APIVersion)
	default:
		return fmt.Errorf("not the beginning of a run: %q %q", kind.APIVersion, kind.Kind)
	}
	if err := json.Unmarshal(line, rec); err != nil {
		return fmt.Errorf("not the beginning of a run: %w", err)
	}
	if rec.ID != id {
		return fmt.Errorf("the file is named after run %s, and is of run %q", id, rec.ID)
	}
	if len(rec.Objects) != len(rec.Plan.Acts) {
		return fmt.Errorf("a plan with %d acts, and %d objects", len(rec.Plan.Acts), len(rec.Objects))
	}
	return nil
}

func parseEntry(line []byte, acts int) (remedy.Entry, error) {
	var e remedy.Entry
	if len(line) > maxLine {
		return e, fmt.Errorf("more than %d MiB in one line", maxLine>>20)
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("not an entry: %w", err)
	}
	return e, placed(e, acts)
}

// placed tells whether an entry is about something that the plan has.
func placed(e remedy.Entry, acts int) error {
	switch e.Type {
	case remedy.Intent, remedy.Result, remedy.Proof, remedy.Replan:
		if e.Act < 0 || e.Act >= acts || e.Step < 0 {
			return unfitf("an entry about step %d of act %d, of a plan with %d acts", e.Step, e.Act, acts)
		}
	case "":
		return unfitf("an entry without a type")
	}
	return nil
}

// parts counts the JSON objects of the plan, or of the act, that a line holds.
func parts(line []byte) int {
	var of struct {
		Plan json.RawMessage `json:"plan"`
		Now  json.RawMessage `json:"now"`
	}
	if json.Unmarshal(line, &of) != nil {
		return 0 // it will not be read in any other way
	}
	return bytes.Count(of.Plan, []byte{'{'}) + bytes.Count(of.Now, []byte{'{'})
}
