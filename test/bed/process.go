package bed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// logTail is how much of a component's log an error shows.
const logTail = 4000

// process is one child: remembered by its own process id and ended by it.
type process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	started time.Time
	done    chan struct{} // closed when the child has been reaped
	err     error         // how it ended; read after done
}

// startProcess runs a component of the multi-call binary, its output in
// dir/<name>.log.
func startProcess(binary, dir, name string, attributes *syscall.SysProcAttr, args ...string) (*process, error) {
	p := &process{name: name, logPath: filepath.Join(dir, name+".log"), done: make(chan struct{}), started: time.Now()}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = attributes

	started := make(chan error, 1)
	go func() {
		// The kernel ends a child with Pdeathsig when the thread that
		// started it ends, not the process. So that thread is kept for as
		// long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s (pid %d): %w", sig, p.name, p.pid(), err)
	}
	return nil
}

// stop asks the child to end, and ends it when it has not after the given
// time. It returns when the child is gone.
func (p *process) stop(within time.Duration) error {
	if p == nil {
		return nil
	}
	// A frozen child answers nothing but SIGKILL, so let it run first.
	err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT))
	select {
	case <-p.done:
		return err
	case <-time.After(within):
	}
	return errors.Join(err, p.kill())
}

func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// failure says that the component did not come up and shows the end of its log.
func (p *process) failure(reason error) error {
	select {
	case <-p.done:
		reason = fmt.Errorf("%w (it ended: %w)", reason, p.err)
	default:
	}
	return &StartError{Component: p.name, Reason: reason, LogTail: tail(p.logPath)}
}

// StartError says that a component did not start, with the end of its log.
type StartError struct {
	Component string
	Reason    error
	LogTail   string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("%s did not start: %v\nthe end of its log:\n%s", e.Component, e.Reason, e.LogTail)
}

func (e *StartError) Unwrap() error { return e.Reason }

func (e *StartError) portTaken() bool {
	return strings.Contains(e.LogTail, "address already in use")
}

func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(data) > logTail {
		data = data[len(data)-logTail:]
	}
	return string(data)
}

// waitUntil polls the check until it returns nil, the child ends or time is up.
func (p *process) waitUntil(ctx context.Context, within time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		if last = check(ctx); last == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.failure(last)
		case <-ctx.Done():
			return p.failure(fmt.Errorf("%w; last: %w", context.Cause(ctx), last))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freePorts returns ports of 127.0.0.1 that nobody listens on. Somebody may
// take one before the component does; Start tries again then.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		// All are held until the last is found, or the kernel could hand out
		// the same one twice.
		defer l.Close()
		address, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("find a free port: %s is no TCP address", l.Addr())
		}
		ports = append(ports, address.Port)
	}
	return ports, nil
}
