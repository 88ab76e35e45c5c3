package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
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

// command is what is measured.
type command struct {
	name string
	file string // where its output goes; "" is nowhere
	path string
	args []string
}

// median runs a command n times.
func (m *measurer) median(ctx context.Context, n int, c command) (sample, error) {
	all, err := m.alternate(ctx, n, c)
	if err != nil {
		return sample{}, err
	}
	return all[0], nil
}

// alternate runs the commands in turn, n times each, so that whatever else the machine and the server do (collect
// garbage, most of all) falls on all of them alike.
func (m *measurer) alternate(ctx context.Context, n int, commands ...command) ([]sample, error) {
	runs := make([][]sample, len(commands))
	for range n {
		for i, c := range commands {
			fmt.Fprintf(m.log, "measuring %s", c.name)
			s, err := m.once(ctx, c.file, c.path, c.args...)
			fmt.Fprintf(m.log, ": %s\n", round(s.wall))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			runs[i] = append(runs[i], s)
		}
	}
	out := make([]sample, len(commands))
	for i, c := range commands {
		middle := func(of func(sample) int64) int64 {
			var v []int64
			for _, s := range runs[i] {
				v = append(v, of(s))
			}
			slices.Sort(v)
			return v[len(v)/2]
		}
		out[i] = sample{
			name: c.name, runs: n,
			wall:     time.Duration(middle(func(s sample) int64 { return int64(s.wall) })),
			cpu:      time.Duration(middle(func(s sample) int64 { return int64(s.cpu) })),
			peak:     middle(func(s sample) int64 { return s.peak }),
			received: middle(func(s sample) int64 { return s.received }),
		}
	}
	return out, nil
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
	return kilobytes(string(data), "VmHWM:")
}

// availableMemory is how much memory processes can have, in bytes; without end where that is not known.
func availableMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return math.MaxInt64
	}
	return kilobytes(string(data), "MemAvailable:")
}

// kilobytes finds a line like "VmHWM: 12 kB" and returns it in bytes; 0 where there is none.
func kilobytes(text, name string) int64 {
	_, rest, _ := strings.Cut(text, name)
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(number, 10, 64)
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
