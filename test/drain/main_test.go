package drain

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// The nodes, each of one scene.
const (
	hung   = "hung-1"  // its runtime will hang
	cut    = "cut-1"   // it will be cut off from the API server, and runs on
	quiet  = "quiet-1" // it is well
	diskly = "disk-1"  // it will be switched off, with a volume attached
)

// scene is one story: what has to be there before, and the test.
type scene struct {
	name  string
	setup func(context.Context, *world.World) error
	test  func(*testing.T, *world.World)
}

// shared is set once by TestMain.
var shared *world.World

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait; as many as there are may wait at once.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, "drain:", err)
		os.Exit(1)
	}
	os.Exit(world.Main("drain", 20*time.Minute, func(ctx context.Context, dir string) (int, error) {
		return world.With(ctx, dir, func(w *world.World) (int, error) {
			if err := setUp(ctx, w); err != nil {
				return 1, err
			}
			fmt.Fprintln(os.Stderr, "everything is set up")
			shared = w
			return m.Run(), nil
		})
	}))
}

func scenes() []scene {
	return []scene{story(), living(), gated(), powered(), killed()}
}

func setUp(ctx context.Context, w *world.World) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	nodes := map[string]bed.NodeOptions{
		"worker-a1": {Zone: "eu-central-1a"}, "worker-b1": {Zone: "eu-central-1b"}, "worker-c1": {Zone: "eu-central-1c"},
		hung:   world.Own(hung, bed.NodeOptions{Zone: "eu-central-1a", StaticPods: true, RuntimeRequestTimeout: 20 * time.Second}),
		cut:    world.Own(cut, bed.NodeOptions{Zone: "eu-central-1b", Line: true}),
		quiet:  world.Own(quiet, bed.NodeOptions{Zone: "eu-central-1c"}),
		diskly: world.Own(diskly, bed.NodeOptions{Zone: "eu-central-1c"}),
	}
	for i := range victims {
		nodes[victim(i)] = world.Own(victim(i), bed.NodeOptions{Zone: "eu-central-1b"})
	}
	var starts []func() error
	slots := make(chan struct{}, 3) // more at once are not sooner Ready
	for name, o := range nodes {
		starts = append(starts, func() error {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, err := w.StartNode(ctx, name, o)
			return err
		})
	}
	if err := together(starts); err != nil {
		return err
	}
	var setups []func() error
	for _, s := range scenes() {
		setups = append(setups, func() error {
			if err := s.setup(ctx, w); err != nil {
				return fmt.Errorf("set up %q: %w", s.name, err)
			}
			return nil
		})
	}
	return together(setups)
}

func together(all []func() error) error {
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, do := range all {
		wait.Go(func() { errs[i] = do() })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func TestANodeFromItsTroubleToItsProof(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.test(t, shared)
		})
	}
}

// journalIn is a folder for the journal of one scene.
func journalIn(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "journal")
}

// stuck runs the plugin, and tells the log what came of it.
func stuck(t *testing.T, w *world.World, args ...string) world.Answer {
	t.Helper()
	began := time.Now()
	a, err := w.Stuck(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kubectl stuck %s: exit %d, status %q after %s\n%s", strings.Join(args, " "), a.Code, a.Doc.Status, time.Since(began).Round(100*time.Millisecond), a.ErrOut)
	return a
}

// must expects an exit code.
func must(t *testing.T, a world.Answer, code int) {
	t.Helper()
	if a.Code != code {
		t.Fatalf("exit code %d, want %d\n%s", a.Code, code, &a)
	}
}

// says expects that a text is in what a person reads.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not said:\n%s", word, text)
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// untouched runs something that must not change the node, nor what is in the namespace.
func untouched(t *testing.T, w *world.World, node, namespace string, do func()) {
	t.Helper()
	look := func() string {
		n := getNode(t, w, node)
		out := fmt.Sprintf("%s %t %d labels %d annotations", n.UID, n.Spec.Unschedulable, len(n.Labels), len(n.Annotations))
		for _, p := range podsIn(t, w, namespace) {
			out += fmt.Sprintf("\n%s %s on %s, deleted %v", p.Name, p.UID, p.Spec.NodeName, p.DeletionTimestamp != nil)
		}
		return out
	}
	writes := func() int {
		all, err := w.Writes(world.About(node, namespace))
		ok(t, err)
		return len(all)
	}
	before, n := look(), writes()
	do()
	if after := look(); after != before {
		t.Errorf("before the refusal:\n%s\nafter it:\n%s", before, after)
	}
	if m := writes(); m != n {
		t.Errorf("%d writes were sent", m-n)
	}
}
