package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	// KubernetesVersion is what the components report: the version of
	// k8s.io/kubernetes in go.mod, which a Go build does not record itself.
	KubernetesVersion = "v1.37.2"

	modulePath = "github.com/kubectl-stuck/kubectl-stuck/test"
)

// Build builds the multi-call binary if it is missing or outdated and returns
// its path, <repository>/.build/testbed. The first build takes minutes, later
// ones are answered from Go's build cache in seconds.
func Build(ctx context.Context) (string, error) {
	module, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(module), ".build")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the build directory: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return "", err
	}
	defer unlock()

	binary := filepath.Join(dir, "testbed")
	ldflags := "-s -w" +
		" -X k8s.io/component-base/version.gitVersion=" + KubernetesVersion +
		" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37" +
		" -X k8s.io/client-go/pkg/version.gitVersion=" + KubernetesVersion
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "-ldflags", ldflags, "./cmd/testbed")
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the testbed binary in %s: %w\n%s", module, err, out)
	}
	return binary, nil
}

// lockDir keeps two test processes from building into one place at once.
func lockDir(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the build lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("take the build lock in %s: %w", dir, err), file.Close())
	}
	return func() { file.Close() }, nil
}

// moduleRoot finds this module from the working directory: tests run in a
// package's folder, programs in the module or the repository.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the test module: %w", err)
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{dir, filepath.Join(dir, "test")} {
			found, err := isModule(candidate)
			if err != nil {
				return "", err
			}
			if found {
				return candidate, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the test module: no go.mod of %s in %s or above", modulePath, start)
		}
	}
}

func isModule(dir string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the test module: %w", err)
	}
	return bytes.HasPrefix(data, []byte("module "+modulePath+"\n")), nil
}
