package fix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

const (
	// wait is --wait: how long a run looks for proof. Nothing here takes longer than an actor's moment.
	wait = 3 * time.Second
	// limit is how long a run may take. The tool may wait 30 s in all for a server that asks for patience.
	limit = 40 * time.Second
)

// job is one use of the tool: the pods that it needs, and the command.
type job struct {
	name string
	make func(context.Context, *world, *slot, *session) (*target, error)
	args func(*target) []string
	// code is the exit code where nothing goes wrong.
	code int
}

const (
	holdA = "example.com/report"
	holdB = "example.com/bill"
)

func jobs() []job {
	fix := func(flags ...string) func(*target) []string {
		return func(t *target) []string {
			return append([]string{"fix", "pod", t.Pods[0].Name, "-n", t.Namespace, "--max-share=100", "--yes=" + t.Pods[0].Name}, flags...)
		}
	}
	pods := func(n int, s func(*slot) shape, more func(*target)) func(context.Context, *world, *slot, *session) (*target, error) {
		return func(ctx context.Context, w *world, sl *slot, _ *session) (*target, error) {
			t := &target{Namespace: sl.namespace}
			for range n {
				sl.pods++
				name := fmt.Sprintf("cart-%d", sl.pods)
				p, err := w.podNamed(ctx, sl.namespace, name, s(sl))
				if err != nil {
					return nil, err
				}
				t.Pods = append(t.Pods, planned{Name: name, UID: p.UID, Again: s(sl)})
			}
			if more != nil {
				more(t)
			}
			return t, nil
		}
	}
	terminating := func(s *slot) shape { return shape{node: s.dead, deleted: true} }
	held := func(s *slot) shape {
		return shape{node: s.live, ended: true, deleted: true, finalizers: []string{holdA, holdB}}
	}
	return []job{
		{"delete", pods(1, func(s *slot) shape { return shape{node: s.live, pulling: true} }, func(t *target) { t.Kubelet = true }), fix("--delete"), 0},
		{"force", pods(1, terminating, nil), fix("--force"), 0},
		{"finalizer", pods(1, held, func(t *target) { t.Finalizers = []string{holdA} }), fix("--finalizers=" + holdA), 0},
		{"finalizers", pods(1, held, func(t *target) { t.Finalizers = []string{holdA, holdB} }), fix("--finalizers=" + holdA + "," + holdB), 0},
		{"force and finalizers", pods(1, func(s *slot) shape {
			return shape{node: s.dead, deleted: true, finalizers: []string{holdA}}
		}, func(t *target) { t.Finalizers = []string{holdA} }), fix("--force", "--finalizers="+holdA, "--attest=dead-0 dead-1 dead-2 dead-3 are off, seen by me"), 0},
		{"three pods", pods(3, terminating, nil), func(t *target) []string {
			return append(append([]string{"fix", "pods"}, t.names()...), "-n", t.Namespace, "--max-share=100", "--yes=3", "--force")
		}, 0},
		{"plan", func(ctx context.Context, w *world, sl *slot, s *session) (*target, error) {
			t, err := pods(1, terminating, nil)(ctx, w, sl, s)
			if err != nil {
				return nil, err
			}
			a := s.run(ctx, "fix", "pod", t.Pods[0].Name, "-n", t.Namespace, "--max-share=100", "--force", "--dry-run=client", "-o", "json")
			if a.code != 0 {
				return nil, fmt.Errorf("make a plan: exit code %d: %s%s", a.code, a.out, a.errOut)
			}
			t.Plan = filepath.Join(s.dir, "plan.json")
			return t, os.WriteFile(t.Plan, []byte(a.out), 0o600)
		}, func(t *target) []string { return []string{"fix", "-f", t.Plan, "--yes=" + t.Pods[0].Name} }, 0},
		{"undo", func(ctx context.Context, w *world, sl *slot, s *session) (*target, error) {
			t, err := pods(1, terminating, func(t *target) { t.Creates = true })(ctx, w, sl, s)
			if err != nil {
				return nil, err
			}
			a := s.run(ctx, fix("--force", "--wait="+wait.String(), "--journal", s.journal)(t)...)
			if a.code != 0 {
				return nil, fmt.Errorf("delete what is to be made again: exit code %d: %s%s", a.code, a.out, a.errOut)
			}
			runs := readJournal(s.journal)
			if len(runs) != 1 {
				return nil, fmt.Errorf("%d runs in the journal", len(runs))
			}
			t.ID = runs[0].Record.ID
			// Made again, it hangs about on a node that is well.
			t.Pods[0].Again = shape{node: sl.live}
			s.before = t.ID
			return t, nil
		}, func(t *target) []string { return []string{"undo", t.ID, "--yes=" + t.Pods[0].Name} }, 0},
		{"at most one", func(ctx context.Context, w *world, sl *slot, _ *session) (*target, error) {
			sl.pods++
			name := fmt.Sprintf("ledger-%d", sl.pods)
			owner, err := w.statefulSet(ctx, sl.namespace, name)
			if err != nil {
				return nil, err
			}
			s := shape{node: fmt.Sprintf("ghost-%s-%d", sl.namespace, sl.pods), deleted: true, owner: owner}
			t := &target{Namespace: sl.namespace, Ghost: s.node, Controller: true, owner: owner}
			p, err := w.podNamed(ctx, sl.namespace, name+"-0", s)
			if err != nil {
				return nil, errors.Join(err, w.clean(ctx, t))
			}
			t.Pods = []planned{{Name: p.Name, UID: p.UID, Again: s}}
			return t, nil
		}, fix("--force"), 1}, // by the clock that the tool sees, what the controller makes is older than the picture, and proves nothing
	}
}

// session is a proxy, a folder and a journal, for the runs that belong to one combination.
type session struct {
	w       *world
	slot    *slot
	target  *target
	proxy   *faultproxy.Proxy
	dir     string
	journal string
	config  string
	// started is closed when the command that is looked at has started; nil where nobody waits for that.
	started chan struct{}
	// before is the run that the journal held before the one that is looked at.
	before string
}

type answer struct {
	code        int
	out, errOut string
	killed      bool
	timedOut    bool
	took        time.Duration
}

// open makes a session.
func (w *world) open(dir string, sl *slot) (*session, error) {
	s := &session{w: w, slot: sl, dir: dir, journal: filepath.Join(dir, "journal"), config: filepath.Join(dir, "kubeconfig")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := faultproxy.New(w.cluster.Config(), faultproxy.Options{Ahead: ahead, Arrived: s.arrived, Forwarded: s.forwarded})
	if err != nil {
		return nil, err
	}
	s.proxy = p
	return s, p.Kubeconfig(s.config, bed.ContextName, w.token)
}

// arrived holds what arrives against the journal as it is on disk at this moment. It must hold as many entries for this call as it was sent.
func (s *session) arrived(r *faultproxy.Request) string {
	if n := inJournal(readJournal(s.journal), r); n == 0 {
		files, _ := filepath.Glob(filepath.Join(s.journal, "*"))
		return fmt.Sprintf("none among %d files", len(files))
	}
	return ""
}

// forwarded lets the kubelet, the scheduler and the controller do their part: the kubelet after a while, the others before the client hears of it, because
// by the clock that it sees a pod that does not run at once is stuck.
func (s *session) forwarded(r *faultproxy.Request) {
	t := s.target
	switch {
	case t == nil || r.Kind != faultproxy.Write || !r.Effective():
		return
	case t.Creates:
		s.w.settle(context.Background(), t.Namespace, t.Pods[0].Name, s.slot.live)
	}
	if r.Method != http.MethodDelete {
		return
	}
	for _, p := range t.Pods {
		if r.Path != "/api/v1/namespaces/"+t.Namespace+"/pods/"+p.Name {
			continue
		}
		if t.Kubelet {
			go func() {
				time.Sleep(100 * time.Millisecond)
				s.w.finish(context.Background(), t.Namespace, p.Name, p.UID)
			}()
		}
		if t.Controller {
			s.w.replace(context.Background(), t, p, s.slot.live)
		}
	}
}

// run runs the plugin.
func (s *session) run(ctx context.Context, args ...string) answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, s.w.binary, args...)
	cmd.Env = []string{"PATH=/nonexistent", "KUBECONFIG=" + s.config, "HOME=" + s.dir, "GOMAXPROCS=2"}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return answer{code: -1, errOut: err.Error()}
	}
	s.proxy.Process(cmd.Process)
	if s.started != nil {
		close(s.started)
		s.started = nil
	}
	_ = cmd.Wait()
	a := answer{code: cmd.ProcessState.ExitCode(), out: out.String(), errOut: errOut.String(), took: time.Since(began), timedOut: ctx.Err() != nil}
	a.killed = a.code == -1 && !a.timedOut
	return a
}

// act runs the command that is looked at.
func (s *session) act(ctx context.Context, args ...string) answer {
	return s.run(ctx, append(args, "--journal", s.journal, "--wait", wait.String())...)
}

var otherWord = regexp.MustCompile(`is not the word that is asked for here, which is ([^ ;]+)`)

// history asks for the history.
func (s *session) history(ctx context.Context) second {
	a := s.run(ctx, "history", "--journal", s.journal)
	if a.code != 0 {
		return second{Code: a.code, Out: a.out, ErrOut: a.errOut}
	}
	a = s.run(ctx, "history", "--journal", s.journal, "-o", "json")
	h := second{Code: a.code, Out: a.out, ErrOut: a.errOut}
	// Each run can be asked for by its name, too.
	for _, j := range readJournal(s.journal) {
		if a := s.run(ctx, "history", j.Record.ID, "--journal", s.journal, "-o", "json"); a.code != 0 || !json.Valid([]byte(a.out)) {
			return second{Code: max(a.code, 1), Out: a.out, ErrOut: "history " + j.Record.ID + ": " + a.errOut}
		}
	}
	return h
}

// point is one request of a run: the nth of its label.
type point struct {
	Label string
	Nth   int
	Kind  faultproxy.Kind
}

func (p point) String() string { return p.Label + "#" + strconv.Itoa(p.Nth) }

func (p point) match(r *faultproxy.Request) bool { return r.Label() == p.Label }

// points lists the requests of a clean run.
func points(log []faultproxy.Request) []point {
	seen := map[string]int{}
	var out []point
	for i := range log {
		l := log[i].Label()
		seen[l]++
		out = append(out, point{l, seen[l], log[i].Kind})
	}
	return out
}

// trouble is a fault, or a change of the world by somebody else.
type trouble struct {
	name string
	// fault is for faults that need nothing.
	fault faultproxy.Fault
	// world makes a change; it gets the pod that the request is about, by index.
	world func(context.Context, *session, *evidence, int) error
	// goes tells for which requests of which job it makes sense; nil is all.
	goes func(job, point) bool
	// flags are added to the command.
	flags []string
	// settle is how long something may be on its way after the client has left.
	settle time.Duration
}

// about is the index of the pod that a request is about; 0 where it does not say.
func about(t *target, path string) int {
	for i, p := range t.Pods {
		if filepath.Base(path) == p.Name {
			return i
		}
	}
	return 0
}

// combination is one run with one thing going wrong.
type combination struct {
	job     job
	point   point
	trouble trouble
}

func (c combination) name() string {
	return c.job.name + "/" + c.point.String() + "/" + c.trouble.name
}

// errNotReached says that the request never came, so that nothing went wrong.
var errNotReached = errors.New("the request never came")

// try runs one combination and gathers the evidence.
func (w *world) try(ctx context.Context, dir string, c combination) (e *evidence, err error) {
	err = w.with(ctx, dir, c.job, func(s *session) error {
		e = s.evidence(c.job, c.name())
		e.Args = append(e.Args, c.trouble.flags...)
		fault := c.trouble.fault
		failed := make(chan error, 1)
		if c.trouble.world != nil {
			e.World = true
			fault = faultproxy.World(c.trouble.name, func(x *faultproxy.Exchange) {
				failed <- c.trouble.world(ctx, s, e, about(s.target, x.Path))
			})
		}
		s.proxy.Inject(c.point.match, c.point.Nth, fault)
		a := s.act(ctx, e.Args...)
		if a.timedOut && ctx.Err() != nil {
			return ctx.Err()
		}
		if !s.proxy.Fired() {
			return errNotReached
		}
		if e.World {
			if err := <-failed; err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
		}
		s.gather(ctx, e, a, c.trouble.settle)
		return nil
	})
	return e, err
}

// with opens a session for a job in a free slot, makes the job's pods, and takes both down in the end.
func (w *world) with(ctx context.Context, dir string, j job, do func(*session) error) (err error) {
	sl := <-w.slots
	defer func() { w.slots <- sl }()
	s, err := w.open(dir, sl)
	if err != nil {
		return err
	}
	defer s.proxy.Close()
	t, err := j.make(ctx, w, sl, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.clean(context.WithoutCancel(ctx), t)) }()
	s.target = t
	s.proxy.Reset()
	return do(s)
}

// evidence is that of a run that is about to be made.
func (s *session) evidence(j job, name string) *evidence {
	return &evidence{Name: name, Target: s.target, Args: j.args(s.target), Limit: limit, Wanted: j.code}
}

// gather looks at what came of the run, and runs the rest.
func (s *session) gather(ctx context.Context, e *evidence, a answer, settle time.Duration) {
	if s.target.Kubelet || s.target.Controller || s.target.Creates {
		time.Sleep(200 * time.Millisecond) // until the kubelet and the controller have done their part
	}
	e.Code, e.Out, e.ErrOut, e.Killed, e.TimedOut, e.Took = a.code, a.out, a.errOut, a.killed, a.timedOut, a.took
	time.Sleep(settle) // what was still on its way when the client left arrives
	e.Log = s.proxy.Reset()
	e.Runs = readJournal(s.journal)
	e.Runs = slices.DeleteFunc(e.Runs, func(j journal) bool { return s.before != "" && j.Record.ID == s.before })
	e.Reached, e.Missing = s.w.reached(ctx, e.Target)
	if b := e.Bystander; b != nil {
		p, err := s.w.client.CoreV1().Pods(e.Target.Namespace).Get(ctx, s.bystanderName(e), metaGet)
		if err == nil {
			b.NowUID, b.NowVersion = p.UID, p.ResourceVersion
		}
	}
	e.History = s.history(ctx)
	again := &second{Before: e.Reached}
	b := s.act(ctx, e.Args...)
	// Where fewer pods are left another word is asked for, and the person gives that.
	if m := otherWord.FindStringSubmatch(b.errOut); m != nil {
		var args []string
		for _, a := range e.Args {
			if strings.HasPrefix(a, "--yes=") {
				a = "--yes=" + m[1]
			}
			args = append(args, a)
		}
		b = s.act(ctx, args...)
	}
	again.Code, again.Out, again.ErrOut = b.code, b.out, b.errOut
	if s.target.Kubelet || s.target.Controller || s.target.Creates {
		time.Sleep(200 * time.Millisecond)
	}
	again.Reached, again.Missing = s.w.reached(ctx, e.Target)
	again.Log = s.proxy.Reset()
	e.Again = again
}

func (s *session) bystanderName(e *evidence) string {
	for _, p := range e.Target.Pods {
		if q, err := s.w.client.CoreV1().Pods(e.Target.Namespace).Get(context.Background(), p.Name, metaGet); err == nil && q.UID == e.Bystander.UID {
			return p.Name
		}
	}
	return e.Target.Pods[0].Name
}
