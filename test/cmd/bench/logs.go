package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog/nodelogtest"
)

// logRate is what scan-logs promises on one core for lines that match nothing, in bytes a second.
const logRate = 200e6

// lastLine ends each log and is among what grep looks for, because grep that finds nothing says that it failed.
const lastLine = "here ends the log that was written to be measured"

// hitLines are lines of several causes, without time.
func hitLines() []string {
	return []string{
		`worker-3 kubelet[1234]: E0322 15:23:22.123456    1234 kubelet.go:2480] "Skipping pod synchronization" err="[PLEG is not healthy: pleg was last seen active 3m12s ago; threshold is 3m0s]"`,
		`worker-3 dockerd[987]: time="2026-03-22T15:23:22.123456789Z" level=error msg="failed to retrieve runc version: fork/exec /usr/bin/runc: resource temporarily unavailable"`,
		`worker-3 kernel: [123456.789012] nfs: server nas-7 not responding, still trying`,
		`worker-3 kubelet[1234]: E0322 15:23:22.123456    1234 kubelet_volumes.go:263] "There were many similar errors." err="orphaned pod \"0f3a1b2c-4d5e-6f70-8192-a3b4c5d6e7f8\" found, but volume paths are still present on disk" numErrs=3`,
	}
}

// logs measures scan-logs beside grep with the same literals: over lines that match nothing, and where one line in a hundred does. What is measured
// runs on one core, and reads a file that is in the page cache.
func (b *bench) logs(ctx context.Context) (err error) {
	scanner, err := nodelog.New(causes.All())
	if err != nil {
		return err
	}
	literals := scanner.Literals()
	dir, err := os.MkdirTemp("", "bench-logs-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	patterns := filepath.Join(dir, "literals")
	if err := os.WriteFile(patterns, []byte(strings.Join(literals, "\n")+"\n"+lastLine+"\n"), 0o600); err != nil {
		return err
	}
	grep, err := exec.LookPath("grep")
	if err != nil {
		return err
	}
	for _, of1000 := range []int{0, 10} {
		file := filepath.Join(dir, fmt.Sprintf("messages-%d", of1000))
		lines, hits, err := writeLog(file, int64(b.logSize)<<20, of1000)
		if err != nil {
			return err
		}
		if err := b.verifyLogs(ctx, file, lines, hits); err != nil {
			return err
		}
		fmt.Fprintf(b.out, "\n## %d MiB of log, %d lines, %d of them of some cause; %d literals\n\n", b.logSize, lines, hits, len(literals))
		// C is the locale in which grep is the fastest. Its answer goes to a file: to /dev/null, it would stop at the first line that it finds.
		grepped := func(flags ...string) command {
			return command{
				name: "grep " + strings.Join(flags, " ") + " FILE", file: filepath.Join(dir, "count"), path: grep,
				args: slices.Concat(flags, []string{patterns, file}),
			}
		}
		exact, folded := grepped("-c", "-F", "-f"), grepped("-c", "-i", "-F", "-f")
		ours := command{name: "kubectl-stuck scan-logs FILE", path: b.binary, args: []string{"scan-logs", file, "-o", "json"}}
		m := &measurer{env: append(os.Environ(), "GOMAXPROCS=1", "LC_ALL=C", "NO_COLOR=1"), log: b.log}
		rows, err := m.alternate(ctx, b.runs, ours, exact, folded)
		if err != nil {
			return err
		}
		b.printLogs(file, rows)
		if of1000 == 0 {
			b.expect(rate(file, rows[0].cpu) > logRate, "200 MB/s of log on one core")
			b.expect(rows[0].peak < 100e6, "a log in 100 MB")
		}
	}
	return nil
}

func (b *bench) printLogs(file string, rows []sample) {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(w, "command\truns\ttime\tCPU\trate\tper second of CPU\tpeak memory\ttime ÷ ours\tCPU ÷ ours\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.0f MB/s\t%.0f MB\t%.0f MB\t%.2f\t%.2f\t\n", r.name, r.runs, round(r.wall), round(r.cpu), rate(file, r.wall)/1e6,
			rate(file, r.cpu)/1e6, mega(r.peak), ratio(r.wall.Seconds(), rows[0].wall.Seconds()), ratio(r.cpu.Seconds(), rows[0].cpu.Seconds()))
	}
	_ = w.Flush()
}

// rate is how many bytes of the file go into a second of that time: of the command's, its start included, or of its CPU time, which tells more where
// other programs keep the machine busy.
func rate(file string, took time.Duration) float64 {
	info, err := os.Stat(file)
	if err != nil || took == 0 {
		return 0
	}
	return float64(info.Size()) / took.Seconds()
}

func writeLog(path string, size int64, of1000 int) (lines, hits int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, 0, err
	}
	lines, hits, err = nodelogtest.Write(f, nodelogtest.Options{Bytes: size, Hits: of1000, Lines: hitLines(), Seed: 1})
	if err == nil {
		_, err = f.WriteString(lastLine + "\n")
	}
	return lines + 1, hits, errors.Join(err, f.Close())
}

// verifyLogs checks that what is measured gives the right answer. It reads the file once, so that it is in memory from then on.
func (b *bench) verifyLogs(ctx context.Context, file string, lines, hits int64) error {
	cmd := exec.CommandContext(ctx, b.binary, "scan-logs", file, "-o", "json")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("scan-logs: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	var doc struct {
		Files []struct {
			Lines int64 `json:"lines"`
		} `json:"files"`
		Matches []struct {
			Slug  string `json:"slug"`
			Count int64  `json:"count"`
		} `json:"matches"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return fmt.Errorf("scan-logs: %w", err)
	}
	var most int64
	for _, m := range doc.Matches {
		most += m.Count
	}
	if len(doc.Files) != 1 || doc.Files[0].Lines != lines || most < hits || hits == 0 && most > 0 {
		return fmt.Errorf("scan-logs finds %d lines of causes in %+v, where %d of %d were written", most, doc.Files, hits, lines)
	}
	return nil
}
