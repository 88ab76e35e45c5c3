package journal

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// fullDir tells a child of TestADiskThatFillsUp where it may mount a disk; limited that it is the one with the limit.
const (
	fullDir = "JOURNAL_TEST_FULL"
	limited = "JOURNAL_TEST_LIMITED"
)

// TestADiskThatFillsUpStillTakesTheOutcome runs on a real disk of 512 KiB, in a mount namespace of its own.
func TestADiskThatFillsUpStillTakesTheOutcome(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullChild$", "-test.v")
	cmd.Env = append(os.Environ(), fullDir+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || strings.Contains(string(out), "no disk here")) {
		t.Logf("THIS DID NOT RUN: no disk can be mounted here (%v); TestALimitOnFilesIsAFullDisk has the same with a limit\n%s", err, out)
		return
	}
	if err != nil || !strings.Contains(string(out), "the disk was full") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestFullChild(t *testing.T) {
	dir := os.Getenv(fullDir)
	if dir == "" {
		return // this is no child
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		t.Fatalf("no disk here: %v", err)
	}
	journal := filepath.Join(dir, "journal")
	r := must(Create(journal, record(1000)))(t)
	second := must(Create(journal, record(1000)))(t)
	if err := r.Add(intent(1)); err != nil {
		t.Fatal(err)
	}
	fill(t, filepath.Join(dir, "filler"))
	t.Log("the disk was full")

	// What is to be told of the call that was sent has its place.
	long := outcome(1)
	long.Outcome.Text = strings.Repeat("x", 20_000)
	if err := errors.Join(r.Add(long), r.Add(remedy.Entry{Type: remedy.Proof, Text: strings.Repeat("x", 20_000)})); err != nil {
		t.Error(err)
	}
	// The next call has none, and is not begun; and the run says no more.
	err := r.Add(intent(2))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("an intent without room: %v", err)
	}
	if err := r.Add(outcome(2)); err == nil {
		t.Error("an entry after one that failed")
	}
	_ = r.Close()
	if h := must(Read(journal, r.ID()))(t); len(h.Entries) != 3 || h.Torn || h.Status() != remedy.Done {
		t.Errorf("%d entries, torn %v, %s", len(h.Entries), h.Torn, h.Status())
	}

	fill(t, filepath.Join(dir, "filler2"))
	for _, size := range []int{1, 100_000} {
		if r, err := Create(journal, record(size)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a run on a full disk: %v %v", r, err)
		}
	}
	if err := second.End(at(), remedy.Stopped, "no room"); err != nil {
		t.Errorf("the end of a run that had its reserve: %v", err)
	}
	alone(t, journal, 2)
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	_ = must(Create(journal, record(1)))(t).Close()
	alone(t, journal, 3)

	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(journal, record(1)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a run on a disk that cannot be written to: %v", err)
	}
	alone(t, journal, 3)
}

// fill writes until the disk takes no more.
func fill(t *testing.T, path string) {
	t.Helper()
	f := must(os.Create(path))(t)
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	_ = f.Close()
}

// TestALimitOnFilesIsAFullDisk is the same with a limit on the size of files, which needs no disk.
func TestALimitOnFilesIsAFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestLimitedChild$", "-test.v")
	cmd.Env = append(os.Environ(), limited+"="+folderOf(t))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the limit was met") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestLimitedChild(t *testing.T) {
	dir := os.Getenv(limited)
	if dir == "" {
		return // this is no child
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(n uint64) {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: now.Max}); err != nil {
			t.Fatal(err)
		}
	}
	r := must(Create(dir, record(1)))(t)
	if err := r.Add(intent(1)); err != nil {
		t.Fatal(err)
	}
	limit(uint64(must(os.Stat(r.Path()))(t).Size()))
	if err := errors.Join(r.Add(outcome(1))); err != nil {
		t.Error(err)
	}
	if err := r.Add(intent(2)); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("beyond the limit: %v", err)
	} else {
		t.Log("the limit was met")
	}
	_ = r.Close()
	if h := must(Read(dir, r.ID()))(t); len(h.Entries) != 2 || h.Torn {
		t.Errorf("%d entries, torn %v", len(h.Entries), h.Torn)
	}
	limit(1000)
	if _, err := Create(dir, record(1)); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("beyond the limit: %v", err)
	}
	alone(t, dir, 1)
}

func TestAPlaceThatNobodyCanWriteTo(t *testing.T) {
	for _, dir := range []string{"/proc/journal", "/proc/self/journal/a", "/dev/null/journal", filepath.Join(t.TempDir(), "\x00")} {
		_, err := Create(dir, record(1))
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--journal DIR") {
			t.Errorf("%q: %v", dir, err)
		}
	}
}
