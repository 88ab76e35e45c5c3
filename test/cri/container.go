package cri

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// termDelay is how long a simulated process takes to end on SIGTERM.
const termDelay = 100 * time.Millisecond

type sandbox struct {
	id       string
	config   *runtimeapi.PodSandboxConfig
	handler  string
	ip       string
	created  time.Time
	ready    bool
	networks bool // false for host network
}

func (s *sandbox) state() runtimeapi.PodSandboxState {
	if s.ready {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

// container is one simulated process. Its fields but the constant ones are
// guarded by mu.
type container struct {
	id      string
	sandbox *sandbox
	config  *runtimeapi.ContainerConfig
	created time.Time
	program program

	mu       sync.Mutex
	state    runtimeapi.ContainerState
	started  time.Time
	finished time.Time
	code     int32
	end      context.CancelCauseFunc
	gone     chan struct{} // closed when the process has ended
}

// killed is the cause with which a process is ended from outside.
type killed struct{ code int32 }

func (killed) Error() string { return "killed" }

func (c *container) logPath() string {
	return filepath.Join(c.sandbox.config.GetLogDirectory(), c.config.GetLogPath())
}

// writeLog gives `kubectl logs` something to show: one line in the CRI's format.
func (c *container) writeLog() error {
	if c.config.GetLogPath() == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.logPath()), 0o750); err != nil {
		return fmt.Errorf("make the log directory of container %s: %w", c.id, err)
	}
	line := fmt.Sprintf("%s stdout F %s started\n", time.Now().UTC().Format(time.RFC3339Nano), c.config.GetMetadata().GetName())
	if err := os.WriteFile(c.logPath(), []byte(line), 0o640); err != nil {
		return fmt.Errorf("write the log of container %s: %w", c.id, err)
	}
	return nil
}

func (c *container) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != runtimeapi.ContainerState_CONTAINER_CREATED {
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.state = runtimeapi.ContainerState_CONTAINER_RUNNING
	c.started = time.Now()
	c.end = cancel
	go func() {
		code, err := c.program.run(ctx)
		var cause killed
		if err != nil && errors.As(context.Cause(ctx), &cause) {
			code = cause.code
		}
		cancel(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.state = runtimeapi.ContainerState_CONTAINER_EXITED
		c.finished = time.Now()
		c.code = code
		close(c.gone)
	}()
}

// stop is SIGTERM, the grace period, SIGKILL. It returns when the process has
// ended or the caller has given up.
func (c *container) stop(ctx context.Context, grace time.Duration) error {
	c.mu.Lock()
	end := c.end
	running := c.state == runtimeapi.ContainerState_CONTAINER_RUNNING
	if c.state == runtimeapi.ContainerState_CONTAINER_CREATED {
		c.state = runtimeapi.ContainerState_CONTAINER_EXITED
		c.finished = time.Now()
		c.code = codeKilled
	}
	c.mu.Unlock()
	if !running {
		return nil
	}
	if grace > 0 {
		until, code := termDelay, c.program.termCode
		if c.program.ignoresTerm || until > grace {
			until, code = grace, codeKilled
		}
		timer := time.NewTimer(until)
		defer timer.Stop()
		select {
		case <-timer.C:
			end(killed{code})
		case <-c.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	} else {
		end(killed{codeKilled})
	}
	<-c.gone
	return nil
}

func (c *container) kill() {
	// Without a grace period there is nothing to wait for and nothing to fail.
	_ = c.stop(context.Background(), 0)
}

func (c *container) status() *runtimeapi.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := imageName(c.config.GetImage())
	s := &runtimeapi.ContainerStatus{
		Id:          c.id,
		Metadata:    c.config.GetMetadata(),
		State:       c.state,
		CreatedAt:   c.created.UnixNano(),
		Image:       &runtimeapi.ImageSpec{Image: name},
		ImageRef:    digestRef(name),
		ImageId:     imageID(name),
		Labels:      maps.Clone(c.config.GetLabels()),
		Annotations: maps.Clone(c.config.GetAnnotations()),
		Mounts:      c.config.GetMounts(),
		LogPath:     c.logPath(),
		Resources:   &runtimeapi.ContainerResources{Linux: c.config.GetLinux().GetResources()},
	}
	if !c.started.IsZero() {
		s.StartedAt = c.started.UnixNano()
	}
	if c.state == runtimeapi.ContainerState_CONTAINER_EXITED {
		s.FinishedAt = c.finished.UnixNano()
		s.ExitCode = c.code
		s.Reason = "Completed"
		if c.code != 0 {
			s.Reason = "Error"
		}
	}
	return s
}

func (c *container) summary() *runtimeapi.Container {
	s := c.status()
	return &runtimeapi.Container{
		Id:           s.Id,
		PodSandboxId: c.sandbox.id,
		Metadata:     s.Metadata,
		Image:        s.Image,
		ImageRef:     s.ImageRef,
		ImageId:      s.ImageId,
		State:        s.State,
		CreatedAt:    s.CreatedAt,
		Labels:       s.Labels,
		Annotations:  s.Annotations,
	}
}
