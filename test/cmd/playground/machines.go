package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// machines are the buttons of the machines: a file for each, into which somebody writes what is to be done to it.
type machines struct {
	dir  string
	work sync.WaitGroup
	stop context.CancelFunc
}

// standMachines makes the folder and does what is written in it, until the context ends.
func standMachines(ctx context.Context, c *bed.Cluster, scenarios []scenario.Scenario) (*machines, error) {
	m := &machines{dir: filepath.Join(c.Dir(), "machines")}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the machines: %w", err)
	}
	names := scenario.HealthyNodes()
	for _, s := range scenarios {
		names = append(names, s.Nodes...)
	}
	ctx, m.stop = context.WithCancel(ctx)
	for _, n := range names {
		node, path := c.Node(n.Name), filepath.Join(m.dir, n.Name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			m.wait()
			return nil, fmt.Errorf("make the buttons of machine %s: %w", n.Name, err)
		}
		m.work.Go(func() { watchMachine(ctx, node, path) })
	}
	return m, nil
}

// wait ends the watching, before the machines go.
func (m *machines) wait() {
	m.stop()
	m.work.Wait()
}

func watchMachine(ctx context.Context, n *bed.Node, path string) {
	buttons := map[string]func() error{
		"reboot": func() error { return n.Restart(ctx) },
		"on":     func() error { return n.Restart(ctx) },
		"off":    n.Stop,
		"freeze": n.Freeze,
		"thaw":   n.Thaw,
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		said, err := os.ReadFile(path)
		press, known := buttons[strings.TrimSpace(string(said))]
		if err != nil || !known {
			continue
		}
		came := "done"
		if err := press(); err != nil {
			came = err.Error()
		}
		// Where it cannot be written the button stays pressed, and is tried again.
		_ = os.WriteFile(path, fmt.Appendf(nil, "%s %s: %s\n", time.Now().Format(time.TimeOnly), strings.TrimSpace(string(said)), came), 0o600)
	}
}
