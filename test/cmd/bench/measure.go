package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what one command cost: medians of its runs.
type sample struct {
	name     string
	runs     int
	wall     time.Duration
	cpu      time.Duration // user and system
	peak     int64         // bytes of resident memory
	received int64         // bytes from the API server, TLS included
}

type measurer struct {
	proxy *proxy // nil: nothing is received
	env   []string
	log   io.Writer
}

// median runs a command n times. Its output goes to the file, or nowhere.
func (m *measurer) median(ctx context.Context, n int, name, file, path string, args ...string) (sample, error) {
	fmt.Fprintf(m.log, "measuring %s\n", name)
	var all []sample
	for range n {
		s, err := m.once(ctx, file, path, args...)
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, s)
	}
	middle := func(of func(sample) int64) int64 {
		var v []int64
		for _, s := range all {
			v = append(v, of(s))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return sample{
		name: name, runs: n,
		wall:     time.Duration(middle(func(s sample) int64 { return int64(s.wall) })),
		cpu:      time.Duration(middle(func(s sample) int64 { return int64(s.cpu) })),
		peak:     middle(func(s sample) int64 { return s.peak }),
		received: middle(func(s sample) int64 { return s.received }),
	}, nil
}

func (m *measurer) once(ctx context.Context, file, path string, args ...string) (s sample, err error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = m.env
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if file != "" {
		f, err := os.Create(file)
		if err != nil {
			return s, err
		}
		defer func() { _ = f.Close() }()
		cmd.Stdout = f
	}
	before := m.proxy.Received()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	peak := watchPeak(cmd.Process.Pid)
	err = cmd.Wait()
	s.wall = time.Since(start)
	s.peak = peak()
	if err != nil {
		return s, fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	s.received = m.proxy.Received() - before
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, nil
}

// watchPeak follows the high-water mark of a process's memory; the result ends that and returns it, in bytes. The
// rusage of the child would be simpler, but Linux carries the peak of the process that forked into it.
func watchPeak(pid int) (stop func() int64) {
	done, result := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, highWater(pid))
			select {
			case <-tick.C:
			case <-done:
				result <- peak
				return
			}
		}
	}()
	return func() int64 { close(done); return <-result }
}

// highWater reads VmHWM; 0 where there is none (other systems than Linux, a process that ended).
func highWater(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(data), "VmHWM:")
	if !ok {
		return 0
	}
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		return 0
	}
	return n * 1024
}

// stuckPods runs the plugin with -o json and returns how many stuck pods it reports.
func (m *measurer) stuckPods(ctx context.Context, path string, args ...string) (int, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = m.env
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	var report struct {
		Summary struct {
			StuckPods int `json:"stuckPods"`
		} `json:"summary"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return report.Summary.StuckPods, nil
}
