package guards

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
	share "github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// The nodes that the tests speak of, beside the healthy ones of every fleet.
const (
	// edge is cut off from the API server: its containers run on, and nobody hears of it.
	edge = "edge-1"
	// near is well; it has a static pod.
	near = "worker-b1"
)

// auditPolicy keeps who changed what, of the users of these tests.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  userGroups: ["system:masters", "guards"]
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// world is the cluster that all tests share.
type world struct {
	*bed.Cluster

	plugin *plugin.Plugin
	audit  string // file
	dir    string
}

// shared is set once by TestMain.
var shared *world

// scene is one case: what has to be there before the node is cut off, and the test.
type scene struct {
	name  string
	setup func(context.Context, *world) error
	test  func(*testing.T, *world)
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait; as many as there are may wait at once.
	if err := flag.Set("test.parallel", "64"); err != nil {
		fmt.Fprintln(os.Stderr, "guards:", err)
		os.Exit(1)
	}
	os.Exit(share.Main("guards", 15*time.Minute, func(ctx context.Context, dir string) (int, error) { return run(ctx, dir, m) }))
}

func run(ctx context.Context, dir string, m *testing.M) (code int, err error) {
	policy := filepath.Join(dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return 1, err
	}
	w := &world{dir: dir, audit: filepath.Join(dir, "audit.log")}
	w.Cluster, err = bed.Start(ctx, bed.Options{Log: os.Stderr, APIServerArgs: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + w.audit}})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, w.Stop()) }()
	if w.plugin, err = plugin.Build(ctx, dir, w.Cluster); err != nil {
		return 1, err
	}
	if err := w.startNodes(ctx); err != nil {
		return 1, err
	}
	if err := w.setUp(ctx); err != nil {
		return 1, err
	}
	if err := w.Node(edge).Cut(); err != nil {
		return 1, err
	}
	fmt.Fprintln(os.Stderr, "everything is set up, and node "+edge+" is cut off")
	shared = w
	return m.Run(), nil
}

func (w *world) startNodes(ctx context.Context) error {
	if _, err := w.StartNode(ctx, near, bed.NodeOptions{Zone: "eu-central-1b", StaticPods: true}); err != nil {
		return err
	}
	_, err := w.StartNode(ctx, edge, bed.NodeOptions{Zone: "eu-central-1a", Line: true, Taints: edgeTaints(), Labels: edgeLabels()})
	return err
}

// setUp sets up every scene, and the scenarios that tests use, at once.
func (w *world) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	fleet, err := scenario.NewFleet(scenario.TwoFinalizers(), scenario.PolicyBlocksPatch(), scenario.FinalizerOwners())
	if err != nil {
		return err
	}
	if err := fleet.Setup(ctx, w.Cluster); err != nil {
		return err
	}
	var wait sync.WaitGroup
	all := scenes()
	errs := make([]error, len(all))
	for i, s := range all {
		if s.setup == nil {
			continue
		}
		wait.Go(func() {
			if err := s.setup(ctx, w); err != nil {
				errs[i] = fmt.Errorf("set up %q: %w", s.name, err)
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return fleet.Settled(ctx, w.Cluster)
}

func scenes() []scene {
	var all []scene
	for _, some := range [][]scene{edgeScenes(), nearScenes(), gateScenes(), userScenes(), undoScenes()} {
		all = append(all, some...)
	}
	return all
}

func TestGuards(t *testing.T) {
	t.Run("together", func(t *testing.T) {
		for _, s := range scenes() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				s.test(t, shared)
			})
		}
	})
	// These two are about the machine, and about the cluster as a whole.
	t.Run("a node that is truly off", func(t *testing.T) { testTrulyOff(t, shared) })
	t.Run("a storm", func(t *testing.T) { testStorm(t, shared) })
}
