package journal

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// childDir names the folder in which a process that a test started writes until it is killed; childStop is the call to the disk at which it stops and
// waits for that.
const (
	childDir  = "JOURNAL_TEST_DIR"
	childStop = "JOURNAL_TEST_STOP"
)

// TestChild is what such a process does: runs, one after the other, telling each entry that is on disk on its stdout.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return // this is no child
	}
	var d disk = system{}
	if stop := os.Getenv(childStop); stop != "" {
		var n int
		must(fmt.Sscan(stop, &n))(t)
		d = &faulty{fail: n, stop: func() {
			fmt.Print("\nstopped\n")
			time.Sleep(time.Hour)
		}}
	}
	for {
		r := must(create(d, randomly{}, dir, record(rand.IntN(100_000))))(t)
		fmt.Printf("\n%s 0\n", r.ID())
		for i := range 5 {
			for j, e := range []remedy.Entry{intent(i), outcome(i)} {
				if err := r.Add(e); err != nil {
					t.Fatal(err)
				}
				fmt.Printf("%s %d\n", r.ID(), 2*i+j+1)
			}
		}
		if err := r.End(at(), remedy.Done, ""); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s 11\n", r.ID())
	}
}

// kill starts a child, kills it when the time has come, and holds what it said to be on disk against the folder.
func kill(t *testing.T, dir, stop string, when func(lines <-chan string)) (entries int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childStop+"="+stop)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	lines := make(chan string, 100_000)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			var id string
			var n int
			if _, err := fmt.Sscanf(s.Text(), "%s %d", &id, &n); err == nil && ValidID(id) {
				said[id] = n
			}
			select {
			case lines <- s.Text():
			default:
			}
		}
	})
	when(lines)
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	reading.Wait()
	_ = cmd.Wait()
	for id, n := range said {
		h, err := Read(dir, id)
		if err != nil || len(h.Entries) < n {
			t.Errorf("%s: %d entries were on disk, and %d are there: %v", id, n, len(h.Entries), err)
		}
		entries += n
	}
	return entries
}

// sound fails where a file of the folder cannot be read.
func sound(t *testing.T, dir string) (runs, torn, open int) {
	t.Helper()
	for _, l := range must(List(dir))(t) {
		if l.Err != nil {
			t.Error(l.Err)
		}
		runs++
		if l.History.Torn {
			torn++
		}
		if l.History.Status() == remedy.Open {
			open++
		}
	}
	return runs, torn, open
}

func TestAKilledProcessLeavesWhatItHadWritten(t *testing.T) {
	dir := folderOf(t)
	const kills = 100
	entries := 0
	for range kills {
		after := time.Duration(rand.IntN(30)) * time.Millisecond
		entries += kill(t, dir, "", func(lines <-chan string) {
			<-lines // it has begun
			time.Sleep(after)
		})
	}
	runs, torn, open := sound(t, dir)
	t.Logf("%d kills: %d runs, %d entries, %d torn, %d with an intent of which nothing is known", kills, runs, entries, torn, open)
	if runs < kills/2 || entries == 0 {
		t.Errorf("%d runs, %d entries", runs, entries)
	}
}

// TestAProcessThatIsKilledAtAnyCallLeavesASoundFolder kills at the first, second, … call to the disk, just before it and in the middle of each write.
func TestAProcessThatIsKilledAtAnyCallLeavesASoundFolder(t *testing.T) {
	base := t.TempDir()
	for n := 1; n <= 45; n++ {
		dir := filepath.Join(base, fmt.Sprint(n), "journal")
		kill(t, dir, fmt.Sprint(n), func(lines <-chan string) {
			for l := range lines {
				if strings.HasSuffix(l, "stopped") {
					return
				}
			}
			t.Errorf("call %d: it ended by itself", n)
		})
		if _, err := os.Lstat(dir); err == nil {
			sound(t, dir)
		}
		// The next run is not disturbed by what is left.
		r := must(Create(dir, record(1)))(t)
		if err := errors.Join(r.Add(intent(1)), r.End(at(), remedy.Done, "")); err != nil {
			t.Errorf("call %d: %v", n, err)
		}
	}
}

func TestEightProcessesAtOnceDoNotDisturbEachOther(t *testing.T) {
	for _, n := range []int{2, 8} {
		dir := filepath.Join(t.TempDir(), "new", "journal")
		var all sync.WaitGroup
		var sum sync.Map
		for i := range n {
			all.Go(func() {
				sum.Store(i, kill(t, dir, "", func(lines <-chan string) {
					for range 200 {
						<-lines
					}
				}))
			})
		}
		all.Wait()
		runs, _, _ := sound(t, dir)
		if runs < n*200/13 {
			t.Errorf("%d processes: only %d runs", n, runs)
		}
		sum.Range(func(_, v any) bool {
			if v == 0 {
				t.Error("a process wrote nothing")
			}
			return true
		})
	}
}

// randomly is chance for IDs: runs of one process have the same time.
type randomly struct{}

func (randomly) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(rand.IntN(256))
	}
	return len(b), nil
}
