package e2e

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
	share "github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// world is the cluster in trouble, and the commands to look at it with.
type world struct {
	cluster *bed.Cluster
	fleet   *scenario.Fleet
	plugin  *plugin.Plugin
}

// shared is set once by TestMain: the cluster takes minutes to get into all of its trouble.
var shared *world

func TestMain(m *testing.M) {
	os.Exit(share.Main("e2e", 20*time.Minute, func(ctx context.Context, dir string) (int, error) { return run(ctx, dir, m) }))
}

func run(ctx context.Context, dir string, m *testing.M) (code int, err error) {
	fleet, err := scenario.NewFleet(scenario.All()...)
	if err != nil {
		return 1, err
	}
	cluster, err := bed.Start(ctx, bed.Options{Log: os.Stderr})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	built, err := plugin.Build(ctx, dir, cluster)
	if err != nil {
		return 1, err
	}
	if err := fleet.Setup(ctx, cluster); err != nil {
		return 1, err
	}
	if err := fleet.Settled(ctx, cluster); err != nil {
		return 1, err
	}
	shared = &world{cluster: cluster, fleet: fleet, plugin: built}
	return m.Run(), nil
}

// answer is what one command printed.
type answer struct {
	code        int
	out, errOut string
}

// stuck runs `kubectl stuck ARGS` as the cluster's admin.
func (w *world) stuck(t *testing.T, args ...string) answer {
	t.Helper()
	return w.as(t, w.cluster.Kubeconfig(), args...)
}

// as runs it with another kubeconfig.
func (w *world) as(t *testing.T, kubeconfig string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := w.plugin.Run(ctx, kubeconfig, args...)
	if err != nil {
		t.Fatal(err)
	}
	return answer{code: a.Code, out: a.Out, errOut: a.ErrOut}
}
