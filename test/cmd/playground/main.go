// Command playground starts a cluster in trouble to try the plugin on, and
// keeps it until Enter is pressed or it is interrupted:
//
//	go run ./cmd/playground                       every scenario
//	go run ./cmd/playground -demo                 the story that the README tells
//	go run ./cmd/playground -scenario node-lost,dead-nfs-server
//	go run ./cmd/playground -list                 what there is
//
// A script starts it with -ready-file FILE: the file, with the path of the
// kubeconfig in it, appears when the API shows all failures; SIGTERM ends it.
//
// The machines stand beside the kubeconfig, in a folder of that name with a file for each: what is written to it is done to the machine, and
// what came of it is written back.
//
//	echo reboot > machines/worker-a3    or off, on, freeze, thaw
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

type options struct {
	scenarios string
	demo      bool
	list      bool
	dir       string
	readyFile string
	age       time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.scenarios, "scenario", "", "names of scenarios, with commas between them; all when empty")
	flag.BoolVar(&o.demo, "demo", false, "only the scenarios of the demo")
	flag.BoolVar(&o.list, "list", false, "list the scenarios and end")
	flag.StringVar(&o.dir, "dir", "", "directory for logs and keys, kept afterwards; a temporary one when empty")
	flag.StringVar(&o.readyFile, "ready-file", "", "file to write the kubeconfig's path to when everything shows; Enter is not waited for then")
	flag.DurationVar(&o.age, "age", 0, "how long to go on waiting after everything shows, so that pods count as stuck")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, in io.Reader, out io.Writer) (err error) {
	scenarios, err := o.pick()
	if err != nil {
		return err
	}
	if o.list {
		for _, s := range scenarios {
			fmt.Fprintf(out, "%-24s %s\n", s.Name, s.Doc)
		}
		return nil
	}
	fleet, err := scenario.NewFleet(scenarios...)
	if err != nil {
		return err
	}
	started := time.Now()
	c, err := bed.Start(ctx, bed.Options{Dir: o.dir, Log: out})
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(out, "cleaning up")
		err = errors.Join(err, c.Stop())
	}()
	if err := fleet.Setup(ctx, c); err != nil {
		return err
	}
	bin, err := c.LinkKubectl()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nset up after %s; what goes wrong shows bit by bit:\n\n", time.Since(started).Round(time.Second))
	path := bin
	// `make playground` runs here, in the folder of this module, after it built the plugin beside it.
	if plugin, err := filepath.Abs(filepath.Join("..", "bin")); err == nil {
		if _, err := os.Stat(filepath.Join(plugin, "kubectl-stuck")); err == nil {
			path += string(os.PathListSeparator) + plugin
		}
	}
	fmt.Fprintf(out, "  export KUBECONFIG=%s\n  export PATH=%s:$PATH\n", c.Kubeconfig(), path)
	machines, err := standMachines(ctx, c, scenarios)
	if err != nil {
		return err
	}
	defer machines.wait()
	fmt.Fprintf(out, "  export MACHINES=%s   # echo reboot > $MACHINES/NODE; also off, on, freeze, thaw\n", machines.dir)
	fmt.Fprintf(out, "  kubectl get pods -A\n  kubectl stuck pods -A\n  kubectl stuck node\n\n")
	for _, s := range scenarios {
		fmt.Fprintf(out, "  %-24s %s\n", s.Name, s.Doc)
	}
	fmt.Fprintln(out, "\nwaiting until the API shows all of it")
	if err := fleet.Settled(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(out, "everything shows after %s\n", time.Since(started).Round(time.Second))
	select {
	case <-time.After(o.age):
	case <-ctx.Done():
	}
	printTries(out, scenarios)
	return o.stay(ctx, c, in, out)
}

// printTries shows what changes something, and so can be tried only once.
func printTries(out io.Writer, scenarios []scenario.Scenario) {
	var page strings.Builder
	for _, s := range scenarios {
		if len(s.Try) == 0 {
			continue
		}
		fmt.Fprintf(&page, "\n  # %s\n", s.Doc)
		for _, command := range s.Try {
			fmt.Fprintf(&page, "  %s\n", command)
		}
	}
	if page.Len() > 0 {
		fmt.Fprintf(out, "\nto see what changes would do, and make them:\n%s\n", page.String())
	}
}

func (o options) pick() ([]scenario.Scenario, error) {
	switch {
	case o.demo && o.scenarios != "":
		return nil, errors.New("-demo and -scenario exclude each other")
	case o.demo:
		return scenario.Demo(), nil
	case o.scenarios != "":
		return scenario.ByName(strings.Split(o.scenarios, ",")...)
	default:
		return append(scenario.All(), scenario.Fixes()...), nil
	}
}

// stay waits for Enter or, with a ready file, for the end of the context.
func (o options) stay(ctx context.Context, c *bed.Cluster, in io.Reader, out io.Writer) error {
	if o.readyFile != "" {
		if err := writeReadyFile(o.readyFile, c.Kubeconfig()); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	fmt.Fprintln(out, "press Enter to end and clean up")
	enter := make(chan struct{})
	go func() {
		// The end of the input is no Enter: without a terminal only a signal
		// ends the playground.
		if _, err := bufio.NewReader(in).ReadString('\n'); err == nil {
			close(enter)
		}
	}()
	select {
	case <-enter:
	case <-ctx.Done():
	}
	return nil
}

// writeReadyFile makes the file appear with its content in it.
func writeReadyFile(path, kubeconfig string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	_, err = fmt.Fprintln(temporary, kubeconfig)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the ready file: %w", err), os.Remove(temporary.Name()))
	}
	return nil
}
