package fix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

const (
	// patience is the client's time limit for one request where something is to come too late, and tooLate is when it comes.
	patience = 1500 * time.Millisecond
	tooLate  = 2500 * time.Millisecond
	// atLeast is how many combinations have to run.
	atLeast = 300
)

// troubles are all that can go wrong.
func troubles() []trouble {
	short := []string{"--request-timeout=" + patience.String()}
	changes := func(_ job, p point) bool {
		return p.Kind == faultproxy.Write || p.Kind == faultproxy.DryRun || p.Kind == faultproxy.Event
	}
	writes := func(_ job, p point) bool { return p.Kind == faultproxy.Write || p.Kind == faultproxy.Event }
	var out []trouble
	add := func(f faultproxy.Fault, goes func(job, point) bool, flags ...string) {
		t := trouble{name: f.Name, fault: f, goes: goes, flags: flags}
		switch {
		case strings.Contains(f.Name, "interrupt"):
			t.settle = 300 * time.Millisecond
		case len(flags) > 0:
			t.settle = tooLate - patience + 200*time.Millisecond
		}
		out = append(out, t)
	}
	add(faultproxy.CutAfter(), nil)
	add(faultproxy.CutBefore(), nil)
	add(faultproxy.SignalAfter(syscall.SIGKILL), nil)
	add(faultproxy.SignalBefore(syscall.SIGKILL), nil)
	add(faultproxy.CutBody(), nil)
	add(faultproxy.Late(tooLate), nil, short...)
	add(faultproxy.Answers(503, -1), nil)
	add(faultproxy.Garbage(), nil)
	add(faultproxy.Answers(500, -1), nil)
	add(faultproxy.Answers(409, -1), changes)
	add(faultproxy.Answers(422, -1), changes)
	add(faultproxy.Answers(403, -1), nil)
	add(faultproxy.SignalBefore(syscall.SIGINT), nil)
	add(faultproxy.SignalAfter(syscall.SIGINT), nil)
	add(faultproxy.Answers(429, time.Second), nil)
	add(faultproxy.Answers(503, time.Second), nil)
	add(faultproxy.Answers(429, time.Hour), nil)
	add(faultproxy.Answers(504, -1), nil)
	add(faultproxy.AnswersAfter(504), writes)
	add(faultproxy.AnswersAfter(500), writes)
	add(faultproxy.AnswersAfter(409), writes)
	add(faultproxy.AnswerLate(tooLate), writes, short...)
	add(faultproxy.Answers(401, -1), nil)
	add(faultproxy.GarbageAfter(), writes)
	add(faultproxy.Lie(), writes)
	add(faultproxy.Late(300*time.Millisecond), writes)
	return append(out, worlds()...)
}

// worlds are what others do to the pod at that moment.
func worlds() []trouble {
	// Before the plan is made, which takes a look at each pod, the name is all that was asked for.
	near := func(j job, p point) bool {
		looks := 1
		if j.name == "three pods" {
			looks = 3
		}
		return p.Kind == faultproxy.Write || p.Kind == faultproxy.DryRun || p.Kind == faultproxy.ReadPod && p.Nth > looks
	}
	there := func(j job, p point) bool { return near(j, p) && j.name != "undo" }
	merge := func(name, patch string, goes func(job, point) bool) trouble {
		return trouble{name: name, goes: goes, world: func(ctx context.Context, s *session, _ *evidence, i int) error {
			err := s.w.patch(ctx, s.target.Namespace, s.target.Pods[i].Name, patch)
			if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) { // it is gone, or is being deleted and takes no finalizer
				return nil
			}
			return err
		}}
	}
	return []trouble{
		{name: "swapped", goes: near, world: func(ctx context.Context, s *session, e *evidence, i int) error {
			p, err := s.w.swap(ctx, s.target, i)
			if err == nil {
				e.Bystander = &bystander{UID: p.UID, Version: p.ResourceVersion}
			}
			return err
		}},
		merge("changed", `{"metadata":{"annotations":{"example.com/touched":"yes"}}}`, there),
		merge("let go", `{"metadata":{"finalizers":null}}`, func(j job, p point) bool { return there(j, p) && strings.Contains(j.name, "finalizer") }),
		merge("held", `{"metadata":{"finalizers":["example.com/more"]}}`, func(j job, p point) bool { return there(j, p) && j.name == "delete" }),
		{name: "gone", goes: there, world: func(ctx context.Context, s *session, _ *evidence, i int) error {
			return s.w.erase(ctx, s.target.Namespace, s.target.Pods[i].Name, "")
		}},
		{
			// The node comes back to life with a StatefulSet's pod on it, and tells of itself: now it must not be forced.
			name: "node is back", goes: func(j job, p point) bool {
				return j.name == "at most one" && (p.Kind == faultproxy.Write || p.Kind == faultproxy.DryRun)
			},
			world: func(ctx context.Context, s *session, e *evidence, i int) error {
				e.Guarded = true
				if err := s.w.node(ctx, s.target.Ghost, true); err != nil {
					return err
				}
				return s.w.patch(ctx, s.target.Namespace, s.target.Pods[i].Name, `{"metadata":{"annotations":{"example.com/touched":"yes"}}}`)
			},
		},
	}
}

// choose picks the combinations: everything at what writes, and at other requests a few each, in turn, so that every fault meets every kind of request.
func choose(j job, ps []point, turn map[faultproxy.Kind]int) []combination {
	all := troubles()
	each := map[faultproxy.Kind]int{faultproxy.DryRun: 4, faultproxy.ReadPod: 1, faultproxy.Review: 1, faultproxy.Read: 1, faultproxy.Event: 3}
	var out []combination
	for i, p := range ps {
		// There are many requests that only read: two of three are left to the other jobs.
		if p.Kind == faultproxy.Read && i%3 != len(j.name)%3 && os.Getenv("FAULTS_ALL") == "" {
			continue
		}
		var fits []trouble
		for _, t := range all {
			if t.goes == nil || t.goes(j, p) {
				fits = append(fits, t)
			}
		}
		n := len(fits)
		if p.Kind != faultproxy.Write && os.Getenv("FAULTS_ALL") == "" {
			n = min(n, each[p.Kind])
		}
		for k := range n {
			out = append(out, combination{j, p, fits[(turn[p.Kind]+k)%len(fits)]})
		}
		turn[p.Kind] += n
	}
	return out
}

func TestWhateverGoesWrongAtWhateverRequestTheClusterAndTheStoryStayTrue(t *testing.T) {
	w := shared
	root := t.TempDir()
	filter := regexp.MustCompile(os.Getenv("FAULTS"))
	var all []combination
	turn := map[faultproxy.Kind]int{}
	for i, j := range jobs() {
		e, err := w.clean1(t.Context(), filepath.Join(root, fmt.Sprintf("clean-%d", i)), j)
		if err != nil {
			t.Errorf("%s: %v", j.name, err)
			continue
		}
		for _, v := range check(e) {
			t.Errorf("%s, with nothing wrong: %s\n%s", j.name, v, story(e))
		}
		if e.Code != j.code {
			t.Errorf("%s, with nothing wrong: exit code %d\n%s", j.name, e.Code, story(e))
			continue
		}
		ps := points(e.Log)
		t.Logf("%s: %d requests: %s", j.name, len(ps), kinds(ps))
		all = append(all, choose(j, ps, turn)...)
	}
	if t.Failed() {
		return
	}
	if os.Getenv("FAULTS") != "" {
		all = slices.DeleteFunc(all, func(c combination) bool { return !filter.MatchString(c.name()) })
	} else if brief() {
		var some []combination
		for i := 0; i < len(all); i += 8 {
			some = append(some, all[i])
		}
		all = some
	}

	t.Logf("%d combinations", len(all))
	var (
		mu      sync.Mutex
		count   [invariants + 1]int
		ran     atomic.Int32
		missed  []string
		wg      sync.WaitGroup
		next    = make(chan int)
		slowest = map[string]time.Duration{}
	)
	for range slots {
		wg.Go(func() {
			for i := range next {
				c := all[i]
				began := time.Now()
				e, err := w.try(t.Context(), filepath.Join(root, fmt.Sprint(i)), c)
				mu.Lock()
				slowest[c.trouble.name] = max(slowest[c.trouble.name], time.Since(began))
				switch {
				case errors.Is(err, errNotReached):
					missed = append(missed, c.name())
				case err != nil:
					t.Errorf("%s: the test itself failed: %v", c.name(), err)
				default:
					ran.Add(1)
					if vs := check(e); len(vs) > 0 {
						var says []string
						for _, v := range vs {
							count[v.Invariant]++
							says = append(says, v.String())
						}
						t.Errorf("%s\n  %s\n%s", e.Name, strings.Join(says, "\n  "), story(e))
					}
				}
				mu.Unlock()
				_ = os.RemoveAll(filepath.Join(root, fmt.Sprint(i)))
			}
		})
	}
	began := time.Now()
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	total := 0
	var per []string
	for i := 1; i <= invariants; i++ {
		total += count[i]
		per = append(per, fmt.Sprintf("%s %d", invariantName(i), count[i]))
	}
	fmt.Printf("faults: %d combinations, %d violations (%s); %d never came to their request; %s\n", ran.Load(), total, strings.Join(per, ", "), len(missed), time.Since(began).Round(time.Second))
	for _, m := range missed {
		t.Logf("never came: %s", m)
	}
	for name, d := range slowest {
		if d > 15*time.Second {
			t.Logf("slow: %s took up to %s", name, d.Round(time.Second))
		}
	}
	if os.Getenv("FAULTS") == "" && !brief() && ran.Load() < atLeast {
		t.Errorf("%d combinations ran, fewer than %d", ran.Load(), atLeast)
	}
	if len(missed)*10 > len(all) {
		t.Errorf("%d of %d combinations never came to their request", len(missed), len(all))
	}
}

// clean1 runs a job with nothing wrong.
func (w *world) clean1(ctx context.Context, dir string, j job) (e *evidence, err error) {
	err = w.with(ctx, dir, j, func(s *session) error {
		e = s.evidence(j, j.name)
		s.gather(ctx, e, s.act(ctx, e.Args...), 0)
		return nil
	})
	return e, err
}

func kinds(ps []point) string {
	n := map[faultproxy.Kind]int{}
	for _, p := range ps {
		n[p.Kind]++
	}
	return fmt.Sprint(n)
}

// story is what happened, for who has to find out why.
func story(e *evidence) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  kubectl stuck %s\n  exit code %d after %s", strings.Join(e.Args, " "), e.Code, e.Took.Round(time.Millisecond))
	if e.Killed {
		b.WriteString(" (killed)")
	}
	fmt.Fprintf(&b, "; reached: %t %s\n", e.Reached, e.Missing)
	for i := range e.Log {
		r := &e.Log[i]
		if r.Kind == faultproxy.Read && r.Fault == "" {
			continue
		}
		fmt.Fprintf(&b, "    %3d %s %s %s?%s -> %d (server %d) %s %s\n", r.N, r.Kind, r.Method, r.Path, r.Query, r.Code, r.Server, r.Arrived.Format("05.000"), r.Fault)
		if r.Changes() {
			fmt.Fprintf(&b, "        %.400s\n", r.Body)
		}
	}
	for _, j := range e.Runs {
		for _, en := range j.Entries {
			fmt.Fprintf(&b, "    journal: %s act %d step %d attempt %d %s %s %s", en.Type, en.Act, en.Step, en.Attempt, en.Request, en.Status, en.Text)
			if en.Outcome != nil {
				fmt.Fprintf(&b, " %s (%d): %s", en.Outcome.Status, en.Outcome.Code, en.Outcome.Text)
			}
			b.WriteString("\n")
		}
	}
	fmt.Fprintf(&b, "  stdout: %s\n  stderr: %s\n", indent(e.Out), indent(e.ErrOut))
	if a := e.Again; a != nil {
		fmt.Fprintf(&b, "  again: exit code %d; reached before %t, after %t %s\n  stdout: %s\n  stderr: %s\n", a.Code, a.Before, a.Reached, a.Missing, indent(a.Out), indent(a.ErrOut))
	}
	return b.String()
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    | ")
}

var metaGet = metav1.GetOptions{}
