package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// Plugin is a built kubectl-stuck and a kubectl that finds it.
type Plugin struct {
	kubectl string
	path    string // PATH with both on it
	home    string
}

// Answer is what one command printed, and its exit code.
type Answer struct {
	Code        int
	Out, ErrOut string
}

// Build builds the plugin into dir, with the main module's own dependencies, and takes the cluster's kubectl.
func Build(ctx context.Context, dir string, c *bed.Cluster) (*Plugin, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return nil, fmt.Errorf("the repository's root: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "kubectl-stuck"), "./cmd/kubectl-stuck") //nolint:gosec // fixed arguments
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	bin, err := c.LinkKubectl()
	if err != nil {
		return nil, fmt.Errorf("a kubectl: %w", err)
	}
	return &Plugin{
		kubectl: filepath.Join(bin, "kubectl"), path: bin + string(os.PathListSeparator) + dir, home: dir,
	}, nil
}

// Run runs `kubectl stuck ARGS` with the kubeconfig. A command that fails is an Answer; the error is for one that cannot be run.
func (p *Plugin) Run(ctx context.Context, kubeconfig string, args ...string) (Answer, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, p.kubectl, append([]string{"stuck"}, args...)...) //nolint:gosec // a test's own arguments
	cmd.Env = []string{"PATH=" + p.path, "KUBECONFIG=" + kubeconfig, "HOME=" + p.home}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Answer{}, fmt.Errorf("kubectl stuck %q: %w", args, err)
	}
	return Answer{Code: cmd.ProcessState.ExitCode(), Out: out.String(), ErrOut: errOut.String()}, nil
}
