package drain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// victims are nodes on which the tool is killed, one run at a time each.
const victims = 3

func victim(i int) string      { return fmt.Sprintf("victim-%d", i+1) }
func victimSpace(i int) string { return fmt.Sprintf("crew-%d", i+1) }

// crew is how many pods each of them has.
const crew = 2

// killed is what is left, and what can still be done, when the tool is killed at any request.
func killed() scene {
	return scene{
		name: "killed at any request, it leaves a journal, and who runs it again finishes it",
		setup: func(ctx context.Context, w *world.World) error {
			var all []func() error
			for i := range victims {
				all = append(all, func() error {
					return w.Deploy(ctx, victimSpace(i), "crew", victim(i), crew, world.Spec("crew", world.Grace(1), world.Tolerate(victim(i)), world.Prefer(victim(i))))
				})
			}
			return together(all)
		},
		test: testKilled,
	}
}

// point is one request of a run: the nth with that label.
type point struct {
	label string
	nth   int
	kind  faultproxy.Kind
}

// pointsOf lists where it is to be killed: at every request that changes something, and at the first of each other label, which are all alike.
func pointsOf(log []faultproxy.Request) []point {
	seen := map[string]int{}
	var out []point
	for i := range log {
		l := log[i].Label()
		seen[l]++
		if seen[l] == 1 || log[i].Kind == faultproxy.Write {
			out = append(out, point{l, seen[l], log[i].Kind})
		}
	}
	return out
}

// session is one drain of a victim through a proxy.
type session struct {
	w       *world.World
	i       int
	node    *corev1.Node // as it was
	proxy   *faultproxy.Proxy
	journal string
	config  string

	mu      sync.Mutex
	unknown []string // writes that the journal did not have
}

func (s *session) args() []string {
	name := victim(s.i)
	return []string{"node", name, "--drain-and-delete", "--even-if-healthy", "--timeout", "30s", "--yes=" + name, "--journal", s.journal}
}

// arrived holds every write against the journal as it is on disk when the API server would get it.
func (s *session) arrived(r *faultproxy.Request) string {
	if r.Kind != faultproxy.Write {
		return ""
	}
	want := r.Method + " " + r.Path
	for _, j := range world.ReadJournal(s.journal) {
		for _, e := range j.Entries {
			path, _, _ := strings.Cut(e.Request, "?")
			if e.Type == remedy.Intent && path == want {
				return ""
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown = append(s.unknown, want)
	return "not in the journal"
}

// open gets the victim ready, with its pods on it.
func open(ctx context.Context, w *world.World, token string, i int, dir string) (*session, error) {
	name := victim(i)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n, err := w.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// Its kubelet does not register again by itself.
		if err := w.Node(name).Restart(ctx); err != nil {
			return nil, err
		}
		n, err = w.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("get node %s: %w", name, err)
	}
	if n.Spec.Unschedulable {
		if err := w.Merge(ctx, name, `{"spec":{"unschedulable":null}}`); err != nil {
			return nil, err
		}
	}
	if err := w.Merge(ctx, name, `{"metadata":{"labels":{"world.example.com/rack":"r9"}}}`); err != nil {
		return nil, err
	}
	if err := home(ctx, w, i); err != nil {
		return nil, err
	}
	if n, err = w.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
		return nil, fmt.Errorf("get node %s: %w", name, err)
	}
	s := &session{w: w, i: i, node: n, journal: filepath.Join(dir, "journal"), config: filepath.Join(dir, "kubeconfig")}
	if s.proxy, err = faultproxy.New(w.Config(), faultproxy.Options{Arrived: s.arrived}); err != nil {
		return nil, err
	}
	if err := s.proxy.Kubeconfig(s.config, bed.ContextName, token); err != nil {
		s.proxy.Close()
		return nil, err
	}
	return s, nil
}

// home gets the crew onto the victim: whoever is elsewhere is deleted, until the scheduler knows that the node takes pods again.
func home(ctx context.Context, w *world.World, i int) error {
	name, space := victim(i), victimSpace(i)
	return bed.Poll(ctx, world.Soon, func(ctx context.Context) error {
		pods, err := w.Pods(ctx, space, "crew")
		if err != nil {
			return err
		}
		var away []error
		for _, p := range pods {
			why := world.On(name)(&p)
			if why == nil {
				continue
			}
			away = append(away, why)
			if p.DeletionTimestamp != nil || p.Spec.NodeName == name || p.Spec.NodeName == "" {
				continue
			}
			if err := w.Client().CoreV1().Pods(space).Delete(ctx, p.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete pod %s: %w", p.Name, err)
			}
		}
		if len(pods) != crew {
			away = append(away, fmt.Errorf("%d pods", len(pods)))
		}
		return errors.Join(away...)
	})
}

func (s *session) run(ctx context.Context, args ...string) (world.Answer, error) {
	a, err := s.w.Plugin.RunAs(ctx, s.config, s.proxy.Process, append(args, "-o", "json")...)
	if err != nil {
		return world.Answer{}, err
	}
	return world.Read(a, args)
}

// finished tells what is missing of what was wanted: the Node gone, its pods gone, and others Ready elsewhere.
func (s *session) finished(ctx context.Context) error {
	name := victim(s.i)
	n, err := s.w.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err == nil && n.UID == s.node.UID {
		return fmt.Errorf("node %s is there", name)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get node %s: %w", name, err)
	}
	return s.w.Until(ctx, victimSpace(s.i), "crew", crew, world.Off(name))
}

// journaled tells that the journal has what a Node object was that is gone, and that its deletion was about to be sent.
func (s *session) journaled(ctx context.Context) error {
	n, err := s.w.Client().CoreV1().Nodes().Get(ctx, victim(s.i), metav1.GetOptions{})
	if err == nil && n.UID == s.node.UID {
		return nil // it is there
	}
	for _, j := range world.ReadJournal(s.journal) {
		if j.Err != "" {
			return errors.New(j.Err)
		}
		for act, raw := range j.Record.Objects {
			var saved corev1.Node
			if json.Unmarshal(raw, &saved) != nil || saved.UID != s.node.UID || saved.Labels["world.example.com/rack"] != "r9" {
				continue
			}
			if slices.ContainsFunc(j.Entries, func(e remedy.Entry) bool {
				return e.Type == remedy.Intent && e.Act == act && strings.HasPrefix(e.Request, http.MethodDelete+" /api/v1/nodes/"+victim(s.i))
			}) {
				return nil
			}
		}
	}
	return fmt.Errorf("node %s was deleted, and the journal does not have it: %s", victim(s.i), asJSON(world.ReadJournal(s.journal)))
}

// kill runs it, kills it at the request, and runs it again.
func (s *session) kill(ctx context.Context, p point, f faultproxy.Fault) (story string, err error) {
	defer s.proxy.Close()
	s.proxy.Inject(func(r *faultproxy.Request) bool { return r.Label() == p.label }, p.nth, f)
	a, err := s.run(ctx, s.args()...)
	if err != nil {
		return "", err
	}
	story = fmt.Sprintf("first: exit %d\n%s", a.Code, a.ErrOut)
	if !s.proxy.Fired() {
		return story, errNotReached
	}
	var wrong []error
	if a.Code != -1 {
		wrong = append(wrong, fmt.Errorf("it was to be killed, and ended with %d", a.Code))
	}
	wrong = append(wrong, s.journaled(ctx))
	for _, j := range world.ReadJournal(s.journal) {
		if j.Err != "" {
			wrong = append(wrong, fmt.Errorf("the journal: %s", j.Err))
		}
	}
	if h, err := s.run(ctx, "history", "--journal", s.journal); err != nil || h.Code != 0 {
		wrong = append(wrong, fmt.Errorf("history: exit %d: %s (%w)", h.Code, h.ErrOut, err))
	}
	again, err := s.run(ctx, s.args()...)
	if err != nil {
		return story, err
	}
	story += fmt.Sprintf("\nagain: exit %d\n%s%s", again.Code, again.Out, again.ErrOut)
	if again.Code != 0 {
		wrong = append(wrong, fmt.Errorf("run again, it ends with exit code %d", again.Code))
	}
	if again.Doc.Node == nil || len(again.Doc.Node.Host) == 0 {
		wrong = append(wrong, errors.New("run again, it does not tell what to do on the machine"))
	}
	wrong = append(wrong, s.finished(ctx), s.journaled(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unknown) > 0 {
		wrong = append(wrong, fmt.Errorf("sent without being in the journal before: %v", s.unknown))
	}
	return story, errors.Join(wrong...)
}

var errNotReached = errors.New("the request never came")

func testKilled(t *testing.T, w *world.World) {
	ctx := t.Context()
	token, err := w.Token(ctx, "oncall-through-a-proxy")
	ok(t, err)
	root := t.TempDir()

	// With nothing wrong, for its requests.
	s, err := open(ctx, w, token, 0, filepath.Join(root, "clean"))
	ok(t, err)
	a, err := s.run(ctx, s.args()...)
	ok(t, err)
	must(t, a, 0)
	ok(t, errors.Join(s.finished(ctx), s.journaled(ctx)))
	log := s.proxy.Reset()
	s.proxy.Close()
	points := pointsOf(log)
	writes := 0
	for _, p := range points {
		if p.kind == faultproxy.Write {
			writes++
		}
	}
	if writes < crew+2 {
		t.Fatalf("%d writes, and a cordon, %d evictions and a deletion are the least: %v", writes, crew, points)
	}
	type combination struct {
		point
		fault faultproxy.Fault
	}
	var all []combination
	for _, p := range points {
		// What only reads leaves the same behind, whether it was answered or not.
		if p.kind != faultproxy.Read && p.kind != faultproxy.ReadPod {
			all = append(all, combination{p, faultproxy.SignalBefore(syscall.SIGKILL)})
		}
		all = append(all, combination{p, faultproxy.SignalAfter(syscall.SIGKILL)})
	}
	var (
		wait       sync.WaitGroup
		mu         sync.Mutex
		ran        int
		next       = make(chan int)
		began      = time.Now()
		notReached []string
	)
	for i := range victims {
		wait.Go(func() {
			for k := range next {
				c := all[k]
				s, err := open(ctx, w, token, i, filepath.Join(root, fmt.Sprint(k)))
				if err != nil {
					t.Errorf("%s #%d %s: the test itself failed: %v", c.label, c.nth, c.fault.Name, err)
					continue
				}
				story, err := s.kill(ctx, c.point, c.fault)
				mu.Lock()
				switch {
				case errors.Is(err, errNotReached):
					notReached = append(notReached, c.label)
				case err != nil:
					t.Errorf("%s #%d %s: %v\n%s", c.label, c.nth, c.fault.Name, err, story)
				default:
					ran++
				}
				mu.Unlock()
			}
		})
	}
	for k := range all {
		next <- k
	}
	close(next)
	wait.Wait()
	fmt.Printf("drains killed: %d of %d finished by a second run, %d never came to their request; %s\n", ran, len(all), len(notReached), time.Since(began).Round(time.Second))
	if len(notReached)*10 > len(all) {
		t.Errorf("%d of %d never came to their request: %v", len(notReached), len(all), notReached)
	}
}
