package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// The exit codes.
const (
	ExitDone       = 0
	ExitError      = 1
	ExitUsage      = 2
	ExitStuck      = 3 // with --exit-code
	ExitRefused    = 4
	ExitIncomplete = 5 // with --exit-code
)

// World is what a command gets from the machine it runs on. Tests give their own.
type World struct {
	Streams genericiooptions.IOStreams
	Now     func() time.Time
	// Getenv reads the environment.
	Getenv func(string) string
	// Width is how many cells a line of the terminal behind w has; 0 where there is none.
	Width func(w io.Writer) int
	// Interactive tells whether somebody sits there who can be asked: stdin and stderr are a terminal.
	Interactive func() bool
	// Host and User are the names of this machine and of who uses it; empty where they are not known.
	Host, User func() string
	// Context ends when the person interrupts.
	Context func() (context.Context, context.CancelFunc)
}

// System is the machine that the process runs on.
func System() World {
	return World{
		Streams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Now:     time.Now,
		Getenv:  os.Getenv,
		Width: func(w io.Writer) int {
			f, ok := w.(*os.File)
			if !ok || !term.IsTerminal(int(f.Fd())) {
				return 0
			}
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width <= 0 {
				return 80
			}
			return width
		},
		Interactive: func() bool { return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())) },
		Host: func() string {
			name, err := os.Hostname()
			if err != nil {
				return ""
			}
			return name
		},
		User: func() string {
			u, err := user.Current()
			if err != nil {
				return ""
			}
			return u.Username
		},
		Context: func() (context.Context, context.CancelFunc) {
			return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		},
	}
}

// completionName is what kubectl calls to complete the arguments of this plugin (kubectl/pkg/cmd/plugin_completion.go).
const completionName = "kubectl_complete-stuck"

// Main runs the command line and returns the exit code.
func Main(args []string, w World) int {
	ctx, cancel := w.Context()
	defer cancel()
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	rest := args[1:]
	if name == completionName {
		rest = append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	root := NewCommand(w)
	root.SetArgs(rest)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if msg := message(ctx, err); msg != "" {
		fmt.Fprintln(w.Streams.ErrOut, "error: "+msg)
	}
	return code
}

// toldError is about a cluster that may have been changed: what happened is told in it, also after an interruption.
type toldError struct{ error }

func (e toldError) Unwrap() error { return e.error }

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

func (e usageError) Unwrap() error { return e.error }

// codeError carries an exit code that is no failure and needs no message.
type codeError int

func (e codeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode is the one place that maps errors to exit codes.
func exitCode(err error) int {
	var code codeError
	var usage usageError
	var refused refusedError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &refused):
		return ExitRefused
	default:
		return ExitError
	}
}

func message(ctx context.Context, err error) string {
	var code codeError
	var usage usageError
	var forbidden *source.ForbiddenError
	var told toldError
	switch {
	case err == nil, errors.As(err, &code):
		return ""
	case ctx.Err() != nil && !errors.As(err, &told):
		return "interrupted; nothing was changed"
	case errors.As(err, &usage):
		return render.Clean(err.Error()) + "\nSee 'kubectl stuck --help' for usage."
	case errors.As(err, &forbidden):
		return render.Clean(forbidden.Error())
	default:
		return render.Clean(err.Error())
	}
}
