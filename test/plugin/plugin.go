package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// Plugin is a built kubectl-stuck and a kubectl that finds it.
type Plugin struct {
	kubectl string
	path    string // PATH with both on it
	home    string // the folder of the plugin, too
}

// Answer is what one command printed, and its exit code.
type Answer struct {
	Code        int
	Out, ErrOut string
}

// Binary builds the plugin into dir, as users install it: with the main module's own dependencies, without cgo, and so without the race detector. It returns
// the file.
func Binary(ctx context.Context, dir string, tags ...string) (string, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", fmt.Errorf("the repository's root: %w", err)
	}
	file := filepath.Join(dir, "kubectl-stuck")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", strings.Join(tags, ","), "-o", file, "./cmd/kubectl-stuck") //nolint:gosec // fixed arguments
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return file, nil
}

// Build builds the plugin into dir and takes the cluster's kubectl.
func Build(ctx context.Context, dir string, c *bed.Cluster) (*Plugin, error) {
	if _, err := Binary(ctx, dir); err != nil {
		return nil, err
	}
	bin, err := c.LinkKubectl()
	if err != nil {
		return nil, fmt.Errorf("a kubectl: %w", err)
	}
	return &Plugin{
		kubectl: filepath.Join(bin, "kubectl"), path: bin + string(os.PathListSeparator) + dir, home: dir,
	}, nil
}

// File is the plugin itself, to be run without a kubectl.
func (p *Plugin) File() string { return filepath.Join(p.home, "kubectl-stuck") }

// Run runs `kubectl stuck ARGS` with the kubeconfig. A command that fails is an Answer; the error is for one that cannot be run.
func (p *Plugin) Run(ctx context.Context, kubeconfig string, args ...string) (Answer, error) {
	return p.RunAs(ctx, kubeconfig, nil, args...)
}

// RunAs is Run, and names the process when it has started: kubectl becomes the plugin, so that it is the plugin's too. One that was killed has the exit
// code -1.
func (p *Plugin) RunAs(ctx context.Context, kubeconfig string, started func(*os.Process), args ...string) (Answer, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, p.kubectl, append([]string{"stuck"}, args...)...) //nolint:gosec // a test's own arguments
	cmd.Env = []string{"PATH=" + p.path, "KUBECONFIG=" + kubeconfig, "HOME=" + p.home}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		return Answer{}, fmt.Errorf("kubectl stuck %q: %w", args, err)
	}
	if started != nil {
		started(cmd.Process)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Answer{}, fmt.Errorf("kubectl stuck %q: %w", args, err)
	}
	return Answer{Code: cmd.ProcessState.ExitCode(), Out: out.String(), ErrOut: errOut.String()}, nil
}
