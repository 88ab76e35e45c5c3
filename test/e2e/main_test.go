package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// world is the cluster in trouble, and the commands to look at it with.
type world struct {
	cluster *bed.Cluster
	fleet   *scenario.Fleet
	path    string // PATH with a real kubectl and the plugin on it
}

// shared is set once by TestMain: the cluster takes minutes to get into all of its trouble.
var shared *world

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := buildPlugin(ctx, dir); err != nil {
		return 1, err
	}
	fleet, err := scenario.NewFleet(scenario.All()...)
	if err != nil {
		return 1, err
	}
	cluster, err := bed.Start(ctx, bed.Options{Log: os.Stderr})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	kubectl, err := cluster.LinkKubectl()
	if err != nil {
		return 1, err
	}
	if err := fleet.Setup(ctx, cluster); err != nil {
		return 1, err
	}
	if err := fleet.Settled(ctx, cluster); err != nil {
		return 1, err
	}
	shared = &world{cluster: cluster, fleet: fleet, path: kubectl + string(os.PathListSeparator) + dir}
	return m.Run(), nil
}

// buildPlugin builds the plugin as users install it: with the main module's own dependencies.
func buildPlugin(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "kubectl-stuck"), "./cmd/kubectl-stuck")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return nil
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
	var out, errOut bytes.Buffer
	kubectl, err := lookPath(w.path, "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, kubectl, append([]string{"stuck"}, args...)...)
	cmd.Env = []string{"PATH=" + w.path, "KUBECONFIG=" + kubeconfig, "HOME=" + t.TempDir()}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("kubectl stuck %q: %v", args, err)
	}
	return answer{code: cmd.ProcessState.ExitCode(), out: out.String(), errOut: errOut.String()}
}

func lookPath(path, name string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); isFile(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("no %s on %s", name, path)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
