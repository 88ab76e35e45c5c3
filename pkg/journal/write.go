package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// Limits of a run, in bytes and lines. They are those of reading too: what is written can be read back. etcd takes no object larger than 1.5 MiB
// (--max-request-bytes), so that a replan with its object fits, and a pod of 20 KiB fits into a record more than a thousand times.
const (
	maxFile    = 64 << 20
	maxRecord  = 32 << 20
	maxLine    = 8 << 20
	maxEntries = 100_000
	// maxParts is how many JSON objects plans may have in one run: two bytes of a file become hundreds of memory with each.
	maxParts = 500_000
)

// reserve is how much of the disk a run keeps for what is to be told of a call that is about to be sent: its outcome, what was seen afterwards, and
// the end, each a few hundred bytes unless the API server is very talkative.
const reserve = 64 << 10

// blank is what the reserve is filled with. Empty lines mean nothing, so that a file that was never ended is a good one.
const blank = '\n'

// Run is the journal of one run while it goes on. Its methods may be called from several goroutines.
type Run struct {
	id, path string

	mu     sync.Mutex
	f      file
	at     int64 // where the next line begins
	size   int64 // the end of the file: from at on there is nothing but the reserve
	lines  int
	acts   int
	failed error
	ended  bool
}

// ID names the run, and Path is its file.
func (r *Run) ID() string { return r.id }

// Path is the run's file.
func (r *Run) Path() string { return r.path }

// Create begins a run's journal: it writes the record, with an ID that it makes from the record's time, to a file of its own in the folder dir. When
// it returns without an error the record is on disk and lasts through a power cut, and there is room for what is to be told of the first call. With
// an error nothing is on disk that List would show, unless the error says that it could not be removed again, and no cluster may be touched.
func Create(dir string, rec remedy.Record) (*Run, error) {
	return create(system{}, rand.Reader, dir, rec)
}

func create(d disk, chance io.Reader, dir string, rec remedy.Record) (*Run, error) {
	r, err := begin(d, chance, dir, rec)
	if err != nil {
		return nil, &WriteError{Dir: dir, Err: err}
	}
	return r, nil
}

// WriteError says that the journal could not be written.
type WriteError struct {
	Dir string
	Err error
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("the journal could not be written to %s: %v; %s", e.Dir, e.Err, advice(e.Err))
}

func (e *WriteError) Unwrap() error { return e.Err }

// advice says what to do about a disk that does not take the journal.
func advice(err error) string {
	const elsewhere = "keep the journal elsewhere with --journal DIR"
	switch {
	case isFull(err):
		return "free some space there, or " + elsewhere
	case errors.Is(err, fs.ErrPermission):
		return "let yourself write there, or " + elsewhere
	case isUnfit(err):
		return "plan less for one run"
	default:
		return elsewhere
	}
}

func begin(d disk, chance io.Reader, dir string, rec remedy.Record) (*Run, error) {
	if err := fit(&rec); err != nil {
		return nil, err
	}
	if err := makeDir(d, dir); err != nil {
		return nil, err
	}
	tidy(d, dir, rec.Time)
	// Whoever makes the draft has the ID: the name is taken from then on, first by the draft, then by the file.
	for range 8 {
		id, err := newID(rec.Time, chance)
		if err != nil {
			return nil, err
		}
		rec.ID = id
		draft := filepath.Join(dir, draftName(id))
		f, err := d.Open(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, fileName(id))
		if _, err := d.Lstat(path); err == nil {
			err = errors.Join(f.Close(), d.Remove(draft))
			if err != nil {
				return nil, err
			}
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, f.Close(), d.Remove(draft))
		}
		return publish(d, f, draft, path, rec)
	}
	return nil, errors.New("eight random names in a row are taken")
}

// publish fills the draft and gives it its name. The file is closed for that, and opened again, because Windows does not rename open files.
func publish(d disk, f file, draft, path string, rec remedy.Record) (*Run, error) {
	r := &Run{id: rec.ID, path: path, acts: len(rec.Plan.Acts)}
	made, err := r.fill(f, rec)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, d.Remove(draft))
	}
	if err := d.Rename(draft, path); err != nil {
		return nil, errors.Join(err, d.Remove(draft))
	}
	err = d.SyncDir(filepath.Dir(path))
	if err == nil {
		r.f, err = d.Open(path, os.O_WRONLY, 0)
	}
	if err == nil {
		var now fs.FileInfo
		if now, err = r.f.Stat(); err == nil && !os.SameFile(made, now) {
			err = fmt.Errorf("%s is not the file that was just made", path)
		}
	}
	if err != nil {
		if r.f != nil {
			_ = r.f.Close()
		}
		return nil, errors.Join(err, takeBack(d, path))
	}
	return r, nil
}

// takeBack removes a file that has its name already. What is left where that fails tells of a run that did nothing, which is true.
func takeBack(d disk, path string) error {
	if err := d.Remove(path); err != nil {
		return fmt.Errorf("%s is left, and tells of a run that did nothing: %w", path, err)
	}
	return d.SyncDir(filepath.Dir(path))
}

// fill writes the record and the reserve.
func (r *Run) fill(f file, rec remedy.Record) (fs.FileInfo, error) {
	line, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	if len(line) > maxRecord {
		return nil, unfitf("the plan and its objects take %d MiB, and a run has %d", len(line)>>20, maxRecord>>20)
	}
	if parts(line) > maxParts {
		return nil, unfitf("the plan has too many parts")
	}
	page := append(bytes.Clone(line), blank)
	r.at = int64(len(page))
	page = append(page, bytes.Repeat([]byte{blank}, reserve)...)
	r.size = int64(len(page))
	if err := writeAt(f, page, 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// writeAt writes all or fails: a disk that takes less without saying why is an error too.
func writeAt(f file, b []byte, at int64) error {
	n, err := f.WriteAt(b, at)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// Add writes an entry and returns when it is on disk. After an error every further call fails: what cannot be told must not be done. An intent is
// only written where there is room for what is to be told of the call afterwards.
func (r *Run) Add(e remedy.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return fmt.Errorf("%s: the run has ended", r.path)
	}
	if r.failed != nil {
		return fmt.Errorf("an earlier entry could not be written: %w", r.failed)
	}
	if err := r.add(e); err != nil {
		r.failed = &WriteError{Dir: r.path, Err: err}
		return r.failed
	}
	r.ended = e.Type == remedy.End
	return nil
}

func (r *Run) add(e remedy.Entry) error {
	if r.f == nil {
		return fs.ErrClosed
	}
	if err := errors.Join(harmless(e.Object), placed(e, r.acts)); err != nil {
		return err
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, blank)
	switch {
	case len(line) > maxLine:
		return unfitf("the entry takes %d MiB, and may take %d", len(line)>>20, maxLine>>20)
	case r.lines >= maxEntries || r.at+int64(len(line))+reserve > maxFile:
		return unfitf("the run has grown too large")
	}
	if e.Type == remedy.Intent {
		if err := r.extend(r.at + int64(len(line)) + reserve); err != nil {
			return err
		}
	}
	if err := writeAt(r.f, line, r.at); err != nil {
		r.cut()
		return err
	}
	if err := r.f.Sync(); err != nil {
		if e.Type == remedy.Intent { // it will not be sent; of anything else that is whole it is better to have it than not
			r.cut()
		}
		return err
	}
	r.at += int64(len(line))
	r.size = max(r.size, r.at)
	r.lines++
	return nil
}

// extend lengthens the reserve, and makes sure of it: without the sync, a file system may promise blocks that it has not got.
func (r *Run) extend(to int64) error {
	if to <= r.size {
		return nil
	}
	if err := writeAt(r.f, bytes.Repeat([]byte{blank}, int(to-r.size)), r.size); err != nil {
		r.cut()
		return err
	}
	if err := r.f.Sync(); err != nil {
		r.cut()
		return err
	}
	r.size = to
	return nil
}

// cut takes the rest of a line away. Where that fails, reading knows a last line that is not whole.
func (r *Run) cut() {
	if r.f.Truncate(r.at) == nil {
		_ = r.f.Sync()
	}
}

// End says how the run ended, and closes the journal: no entry can follow.
func (r *Run) End(now time.Time, status remedy.Status, text string) error {
	err := r.Add(remedy.Entry{Time: now.UTC(), Type: remedy.End, Status: status, Text: text})
	return errors.Join(err, r.Close())
}

// Close gives what is left of the reserve back. A run that was closed and not ended is one that was interrupted. Closing again does nothing.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f == nil {
		return nil
	}
	if r.size > r.at && r.failed == nil {
		r.cut() // that empty lines stay is no failure
	}
	err := r.f.Close()
	r.f = nil
	return err
}

// tidy removes drafts of runs that were killed long ago. It is a courtesy: what fails here does not matter.
func tidy(d disk, dir string, now time.Time) {
	list, err := d.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		if e.Type().IsRegular() && staleDraft(e.Name(), now) {
			_ = d.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
