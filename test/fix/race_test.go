package fix

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

// TestTwoRunsAtOnceOnOnePod has two people, or one person twice, do the same at the same time; every other time into the same journal.
func TestTwoRunsAtOnceOnOnePod(t *testing.T) {
	w := shared
	js := named("force", "finalizers", "force and finalizers", "delete", "three pods")
	rounds := 20
	if brief() {
		rounds = 5
	}
	var mu sync.Mutex
	codes := map[string]int{}
	each(t, rounds, func(i int, dir string) (e *evidence, err error) {
		sl := <-w.slots
		defer func() { w.slots <- sl }()
		first, err := w.open(filepath.Join(dir, "first"), sl)
		if err != nil {
			return nil, err
		}
		defer first.proxy.Close()
		other, err := w.open(filepath.Join(dir, "other"), sl)
		if err != nil {
			return nil, err
		}
		defer other.proxy.Close()
		if i%2 == 0 {
			other.journal = first.journal
		}
		j := js[i%len(js)]
		target, err := j.make(t.Context(), w, sl, first)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.clean(context.WithoutCancel(t.Context()), target)) }()
		first.target, other.target = target, target
		es := []*evidence{
			{Name: j.name + "/two at once, the first", Target: target, Args: j.args(target), Limit: limit, World: true},
			{Name: j.name + "/two at once, the other", Target: target, Args: j.args(target), Limit: limit, World: true},
		}
		as := make([]answer, 2)
		var wg sync.WaitGroup
		for k, s := range []*session{first, other} {
			wg.Go(func() {
				time.Sleep(time.Duration(k*rand.IntN(100)) * time.Millisecond)
				as[k] = s.act(t.Context(), es[k].Args...)
			})
		}
		wg.Wait()
		for k, s := range []*session{first, other} {
			s.gather(t.Context(), es[k], as[k], 0)
			var own []journal
			for _, r := range es[k].Runs {
				if strings.Contains(as[k].out+as[k].errOut, r.Record.ID) {
					own = append(own, r)
				}
			}
			if other.journal == first.journal {
				es[k].Runs = own
			}
		}
		// One object is deleted by one of them. A deletion that only asks may come twice; and of two patches that each take the last finalizer off at the same
		// moment, the API server answers both with success (apiserver registry/generic/registry Store.deleteWithoutFinalizers).
		once := map[string]int{}
		for _, e := range es {
			for _, r := range effective(e.Log) {
				if once[r.Method+r.Path]++; once[r.Method+r.Path] > 1 && j.name != "delete" && r.Method != http.MethodPatch {
					t.Errorf("%s: %s %s was done twice\n%s\n%s", j.name, r.Method, r.Path, story(es[0]), story(es[1]))
				}
			}
		}
		mu.Lock()
		codes[fmt.Sprintf("%d and %d", min(as[0].code, as[1].code), max(as[0].code, as[1].code))]++
		mu.Unlock()
		if ok, missing := w.reached(t.Context(), target); !ok {
			t.Errorf("%s: two runs, and two more, did not finish: %s\n%s\n%s", j.name, missing, story(es[0]), story(es[1]))
		}
		for _, v := range check(es[1]) {
			t.Errorf("%s: %s\n%s", es[1].Name, v, story(es[1]))
		}
		return es[0], nil
	})
	fmt.Printf("two at once: %d rounds, exit codes %v\n", rounds, codes)
}

// TestOthersAtWorkOnThePod has somebody else change the pod at a random moment of the run, or all the time.
func TestOthersAtWorkOnThePod(t *testing.T) {
	w := shared
	const longest = 600 // milliseconds: about as long as a run takes
	soon := func(ctx context.Context) {
		select {
		case <-time.After(time.Duration(rand.IntN(longest)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
	for _, tt := range []struct {
		name   string
		jobs   []job
		rounds int
		actor  func(context.Context, *session, *evidence) error
	}{
		{"the kubelet, or PodGC, is faster", named("force", "finalizers", "force and finalizers", "three pods", "at most one"), 15, func(ctx context.Context, s *session, _ *evidence) error {
			soon(ctx)
			return s.w.erase(context.WithoutCancel(ctx), s.target.Namespace, s.target.Pods[0].Name, s.target.Pods[0].UID)
		}},
		{"another pod takes the name", named("force", "finalizers", "force and finalizers", "delete", "plan", "undo"), 18, func(ctx context.Context, s *session, e *evidence) error {
			// Before the plan is made the name is all that was asked for, and the other pod may be meant.
			for !s.proxy.Saw(func(r *faultproxy.Request) bool { return r.Kind == faultproxy.Review }) {
				if ctx.Err() != nil {
					return nil
				}
				time.Sleep(2 * time.Millisecond)
			}
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			p, err := s.w.swap(context.WithoutCancel(ctx), s.target, 0)
			if apierrors.IsAlreadyExists(err) { // undo was faster
				return nil
			}
			if err == nil {
				e.Bystander = &bystander{UID: p.UID, Version: p.ResourceVersion}
			}
			return err
		}},
		{"somebody touches it all the time", named("force", "finalizers", "delete"), 6, func(ctx context.Context, s *session, _ *evidence) error {
			for i := 0; ctx.Err() == nil; i++ {
				err := s.w.patch(ctx, s.target.Namespace, s.target.Pods[0].Name, fmt.Sprintf(`{"metadata":{"annotations":{"example.com/touched":"%d"}}}`, i))
				if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
					return err
				}
			}
			return nil
		}},
		{"an operator puts a finalizer on", named("delete", "force", "finalizers"), 9, func(ctx context.Context, s *session, _ *evidence) error {
			soon(ctx)
			// The API server takes none on a pod that is being deleted.
			_ = s.w.patch(context.WithoutCancel(ctx), s.target.Namespace, s.target.Pods[0].Name, `{"metadata":{"finalizers":["example.com/mine"]}}`)
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := tt.rounds
			if brief() {
				n = len(tt.jobs)
			}
			var mu sync.Mutex
			codes := map[int]int{}
			ran := each(t, n, func(i int, dir string) (*evidence, error) {
				e, err := w.alongside(t.Context(), dir, tt.jobs[i%len(tt.jobs)], tt.name, tt.actor)
				if err == nil {
					mu.Lock()
					codes[e.Code]++
					mu.Unlock()
					for _, r := range e.Runs {
						if st := ended(r); st == remedy.Open {
							t.Errorf("%s: nothing hid an answer, and the run ended with %q\n%s", e.Name, st, story(e))
						}
					}
				}
				return e, err
			})
			fmt.Printf("%s: %d rounds, exit codes %v\n", tt.name, ran, codes)
		})
	}
}
