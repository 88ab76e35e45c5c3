package journal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// faulty is the disk of the machine, of which one call fails, or every call from one on.
type faulty struct {
	system
	n, fail int // the calls so far, and which of them fails
	on      bool
	err     error
	half    bool     // a write that fails has written half
	calls   []string // what failed
	stop    func()   // where it is set, the call does not fail: a write is half done, and then this is called
}

func (d *faulty) check(what string) error {
	d.n++
	if d.stop != nil {
		if d.n == d.fail {
			d.stop()
		}
		return nil
	}
	if d.n == d.fail || d.on && d.n > d.fail {
		d.calls = append(d.calls, what)
		return &fs.PathError{Op: what, Path: "somewhere", Err: d.err}
	}
	return nil
}

func ask[T any](d *faulty, what string, do func() (T, error)) (T, error) {
	if err := d.check(what); err != nil {
		var none T
		return none, err
	}
	return do()
}

func tell(d *faulty, what string, do func() error) error {
	if err := d.check(what); err != nil {
		return err
	}
	return do()
}

func (d *faulty) Lstat(p string) (fs.FileInfo, error) {
	return ask(d, "lstat", func() (fs.FileInfo, error) { return d.system.Lstat(p) })
}
func (d *faulty) Stat(p string) (fs.FileInfo, error) {
	return ask(d, "stat", func() (fs.FileInfo, error) { return d.system.Stat(p) })
}
func (d *faulty) ReadDir(p string) ([]fs.DirEntry, error) {
	return ask(d, "readdir", func() ([]fs.DirEntry, error) { return d.system.ReadDir(p) })
}
func (d *faulty) Mkdir(p string, m fs.FileMode) error {
	return tell(d, "mkdir", func() error { return d.system.Mkdir(p, m) })
}
func (d *faulty) Rename(a, b string) error {
	return tell(d, "rename", func() error { return d.system.Rename(a, b) })
}
func (d *faulty) Remove(p string) error {
	return tell(d, "remove", func() error { return d.system.Remove(p) })
}
func (d *faulty) SyncDir(p string) error {
	return tell(d, "syncdir", func() error { return d.system.SyncDir(p) })
}
func (d *faulty) Open(p string, flag int, m fs.FileMode) (file, error) {
	return ask(d, "open", func() (file, error) {
		f, err := d.system.Open(p, flag, m)
		return &faultyFile{f, d}, err
	})
}

type faultyFile struct {
	file
	d *faulty
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if f.d.stop != nil && f.d.n+1 == f.d.fail {
		_, _ = f.file.WriteAt(b[:len(b)/2], off)
	}
	if err := f.d.check("write"); err != nil {
		n := 0
		if f.d.half {
			n, _ = f.file.WriteAt(b[:len(b)/2], off)
			err = nil // less than was asked for, and no word of why
		}
		return n, err
	}
	return f.file.WriteAt(b, off)
}
func (f *faultyFile) Truncate(n int64) error {
	return tell(f.d, "truncate", func() error { return f.file.Truncate(n) })
}
func (f *faultyFile) Sync() error { return tell(f.d, "sync", f.file.Sync) }
func (f *faultyFile) Stat() (fs.FileInfo, error) {
	return ask(f.d, "fstat", f.file.Stat)
}
func (f *faultyFile) Close() error {
	err := f.file.Close()
	return errors.Join(f.d.check("close"), err)
}

// faults are the ways in which a call can fail.
func faults() map[string]faulty {
	out := map[string]faulty{}
	for _, err := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EIO} {
		out[err.Error()] = faulty{err: err}
		out[err.Error()+" and ever after"] = faulty{err: err, on: true}
	}
	out["half a write"] = faulty{err: syscall.EIO, half: true}
	out["half a write, and ever after"] = faulty{err: syscall.EIO, half: true, on: true}
	return out
}

// TestWhicheverCallFailsNothingIsHalfDone makes the first, the second, … call to the disk fail until a run goes through without a failure.
func TestWhicheverCallFailsNothingIsHalfDone(t *testing.T) {
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			failed := map[string]bool{}
			n := 1
			for ; ; n++ {
				d := fault
				d.fail = n
				dir := filepath.Join(t.TempDir(), "new", "journal")
				told, created, whole := withFaults(t, &d, dir)
				for _, c := range d.calls {
					failed[c] = true
				}
				found := must(List(dir))(t)
				switch {
				case !created && len(found) > 0:
					// Only where removing it failed as well, and then it says so, and tells of nothing done.
					if !d.on || found[0].Err != nil || found[0].History.Status() != remedy.Skipped || !strings.Contains(told, "is left") {
						t.Fatalf("call %d (%v): %s; and yet %+v", n, d.calls, told, found)
					}
				case !created && !d.on:
					alone(t, dir, 0)
				case created:
					h := must(Read(dir, found[0].ID))(t)
					if len(h.Entries) < whole || h.Torn && !d.on {
						t.Fatalf("call %d (%v): %d entries of %d, torn %v", n, d.calls, len(h.Entries), whole, h.Torn)
					}
				}
				if len(d.calls) == 0 {
					break
				}
			}
			if n < 25 {
				t.Errorf("only %d calls", n)
			}
			for _, c := range []string{"lstat", "stat", "mkdir", "open", "write", "sync", "close", "rename", "syncdir", "fstat", "truncate"} {
				if !failed[c] {
					t.Errorf("%s never failed", c)
				}
			}
		})
	}
}

// withFaults makes a run and adds to it, and returns what Create said, whether it made the run, and how many entries were taken.
func withFaults(t *testing.T, d *faulty, dir string) (told string, created bool, whole int) {
	t.Helper()
	r, err := create(d, rand.Reader, dir, record(100))
	if err != nil {
		var we *WriteError
		if !errors.As(err, &we) || !errors.Is(err, d.err) && !d.half || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--journal DIR") {
			t.Fatalf("%v", err)
		}
		if errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "free some space") {
			t.Fatalf("%v", err)
		}
		return err.Error(), false, 0
	}
	sticky := false
	for i := range 4 {
		for _, e := range []remedy.Entry{intent(i), outcome(i)} {
			err := r.Add(e)
			switch {
			case err == nil && sticky:
				t.Fatal("an entry after one that failed")
			case err == nil:
				whole++
			default:
				sticky = true
			}
		}
	}
	err = r.End(at(), remedy.Done, "")
	if err == nil && sticky {
		t.Fatal("an end after an entry that failed")
	}
	if err == nil {
		whole++
	}
	return "", true, whole
}

// TestAnIntentThatFailedIsNotRead: it is never sent, so that nobody should have to ask what came of it.
func TestAnIntentThatFailedIsNotRead(t *testing.T) {
	for name, fault := range faults() {
		if fault.on {
			continue
		}
		for n := 1; ; n++ {
			dir := folderOf(t)
			d := fault
			r := must(create(&d, rand.Reader, dir, record(1)))(t)
			d.fail = d.n + n
			err := r.Add(intent(1))
			failed := len(d.calls) > 0
			_ = r.Close()
			h := must(Read(dir, r.ID()))(t)
			if (err != nil) != failed || len(h.Entries) > 0 == failed {
				t.Errorf("%s, call %d (%v): %v, and %d entries", name, n, d.calls, err, len(h.Entries))
			}
			if !failed {
				break
			}
		}
	}
}

// TestTheReserveIsThereBeforeACallIsSent: the room that a run keeps is really written, and not a hole.
func TestTheReserveIsThereBeforeACallIsSent(t *testing.T) {
	dir := folderOf(t)
	r := must(Create(dir, record(1)))(t)
	for i := range 100 {
		if err := r.Add(intent(i)); err != nil {
			t.Fatal(err)
		}
		raw := must(system{}.Open(r.Path(), 0, 0))(t)
		info := must(raw.Stat())(t)
		rest := make([]byte, info.Size())
		if _, err := raw.Read(rest); err != nil {
			t.Fatal(err)
		}
		_ = raw.Close()
		if n := len(rest) - len(bytes.TrimRight(rest, "\n")); n < reserve {
			t.Fatalf("after %d intents %d bytes are kept", i+1, n)
		}
		if err := r.Add(outcome(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
