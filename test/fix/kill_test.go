package fix

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

// moments is how many runs are killed at a random moment.
const moments = 56

func named(names ...string) []job {
	var out []job
	for _, n := range names {
		for _, j := range jobs() {
			if j.name == n {
				out = append(out, j)
			}
		}
	}
	return out
}

// each runs something for every number below n, as many at once as there are slots, and reports what does not hold.
func each(t *testing.T, n int, do func(i int, dir string) (*evidence, error)) (ran int32) {
	t.Helper()
	root := t.TempDir()
	var (
		wg   sync.WaitGroup
		done atomic.Int32
		next = make(chan int)
	)
	for range slots {
		wg.Go(func() {
			for i := range next {
				e, err := do(i, filepath.Join(root, fmt.Sprint(i)))
				switch {
				case errors.Is(err, errNotReached):
				case err != nil:
					t.Errorf("%d: the test itself failed: %v", i, err)
				default:
					done.Add(1)
					for _, v := range check(e) {
						t.Errorf("%s: %s\n%s", e.Name, v, story(e))
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return done.Load()
}

func TestKilledAtEveryRequestItCanBeReadAndFinished(t *testing.T) {
	w := shared
	var all []combination
	for i, j := range named("force and finalizers") {
		e, err := w.clean1(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(i)), j)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points(e.Log) {
			for _, f := range []faultproxy.Fault{faultproxy.SignalBefore(syscall.SIGKILL), faultproxy.SignalAfter(syscall.SIGKILL)} {
				all = append(all, combination{j, p, trouble{name: f.Name, fault: f}})
			}
		}
	}
	if brief() {
		all = all[len(all)-min(len(all), 20):]
	}
	ran := each(t, len(all), func(i int, dir string) (*evidence, error) { return w.try(t.Context(), dir, all[i]) })
	fmt.Printf("killed at requests: %d of %d\n", ran, len(all))
	if int(ran) < len(all)*9/10 || ran == 0 {
		t.Errorf("%d of %d ran", ran, len(all))
	}
}

func TestKilledAtRandomMomentsItCanBeReadAndFinished(t *testing.T) {
	w := shared
	js := named("force and finalizers", "three pods", "delete", "undo")
	took := make([]time.Duration, len(js))
	for i, j := range js {
		e, err := w.clean1(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(i)), j)
		if err != nil {
			t.Fatal(err)
		}
		took[i] = e.Took
	}
	n := moments
	if brief() {
		n = 8
	}
	var killed atomic.Int32
	ran := each(t, n, func(i int, dir string) (*evidence, error) {
		e, err := w.alongside(t.Context(), dir, js[i%len(js)], "killed", func(_ context.Context, s *session, _ *evidence) error {
			time.Sleep(time.Duration(rand.Int64N(int64(took[i%len(js)]) * 5 / 4)))
			// It may have ended.
			_ = s.proxy.Client().Signal(syscall.SIGKILL)
			return nil
		})
		if err == nil {
			e.World = false
			if e.Killed {
				killed.Add(1)
			}
		}
		return e, err
	})
	fmt.Printf("killed at random moments: %d of %d runs, the others had ended\n", killed.Load(), ran)
	if !brief() && int(killed.Load()) < moments/2 {
		t.Errorf("%d of %d runs were killed", killed.Load(), moments)
	}
}

// alongside runs a job while somebody else is at work.
func (w *world) alongside(ctx context.Context, dir string, j job, name string, actor func(context.Context, *session, *evidence) error) (e *evidence, err error) {
	err = w.with(ctx, dir, j, func(s *session) error {
		e = s.evidence(j, j.name+"/"+name)
		e.World = true
		running, stop := context.WithCancel(ctx)
		acted := make(chan error, 1)
		started := make(chan struct{})
		s.started = started
		go func() {
			<-started
			acted <- actor(running, s, e)
		}()
		a := s.act(ctx, e.Args...)
		stop()
		if err := <-acted; err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		s.gather(ctx, e, a, 0)
		return nil
	})
	return e, err
}
