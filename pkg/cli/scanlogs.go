package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// scanLogsOptions are what `kubectl stuck scan-logs` was asked.
type scanLogsOptions struct {
	output outputFlags
	since  time.Duration
	causes []string
}

func newScanLogs(w World) *cobra.Command {
	o := &scanLogsOptions{}
	cmd := &cobra.Command{
		Use:   "scan-logs [FILE...|-]",
		Short: "Find known causes in log files of a node",
		Long: templates.LongDesc(`
			Look through logs of a node for the lines that the causes of the catalogue leave, and say for each cause how many there
			are, when, from whom, and what to check and to do. No cluster and no kubeconfig is needed: run it on the node, or on files
			that somebody sent.

			It reads what syslog, journalctl (any of its short formats, json and export), dmesg, kubelet, containerd, dockerd and
			CRI-O write, all of them mixed if need be; gzip and bzip2; and UTF-16, as PowerShell writes it. Of a directory it reads the
			files that are named like logs of a node. "-" is stdin, and so is no argument at all.

			Times without a year are taken to be the last ones that are not in the future, and times without a zone to be in that of the
			machine on which this runs.`),
		Example: templates.Examples(`
			# On the node
			kubectl stuck scan-logs /var/log/messages

			# All that lies in a directory, rotated and compressed files included
			kubectl stuck scan-logs /var/log

			# What systemd's journal has of today: journalctl --since today -o json | kubectl stuck scan-logs
			kubectl stuck scan-logs -

			# Only the last two hours, and only one cause
			kubectl stuck scan-logs kubelet.log --since 2h --cause pid-thread-exhaustion

			# The numbers of the lines, for other programs
			kubectl stuck scan-logs messages.gz -o jsonpath='{.matches[*].lines}'

			# In a script: exit with 3 if anything known is found
			kubectl stuck scan-logs kubelet.log --exit-code`),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), w, args) },
	}
	o.output.addFormat(cmd)
	cmd.Flags().BoolVar(&o.output.exitCode, "exit-code", false, "Exit with 3 if a known cause has lines in the logs.")
	cmd.Flags().DurationVar(&o.since, "since", 0, "Leave out lines that are older than this, like 2h. Lines that carry no time are counted.")
	cmd.Flags().StringSliceVar(&o.causes, "cause", nil, "Look for these causes only, by code or name, as 'kubectl stuck causes' lists them.")
	return cmd
}

func (o *scanLogsOptions) run(ctx context.Context, w World, args []string) error {
	show, err := o.output.options(w, render.Pods)
	if err != nil {
		return err
	}
	if o.since < 0 {
		return usagef("--since %s is not a duration like 2h", o.since)
	}
	causes, err := o.wanted()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if in, ok := w.Streams.In.(io.Writer); ok && w.Width(in) > 0 {
			return usagef("name the files to read, a directory of them, or - for stdin")
		}
		args = []string{"-"}
	}
	scanner, err := nodelog.New(causes)
	if err != nil {
		return err
	}
	files, skipped, failed := logFiles(args)
	in := nodelog.Input{Now: w.Now()}
	if o.since > 0 {
		in.Since = in.Now.Add(-o.since)
	}
	p := newProgress(w)
	read := failed
	some := false
	for _, path := range files {
		in.Name = path
		r := readLog(ctx, w, scanner, in, path, p)
		if ctx.Err() != nil {
			p.clear()
			return ctx.Err()
		}
		read = append(read, r)
		some = some || r.Err == nil || r.Log.Lines > 0
	}
	p.clear()
	s := report.NewLogScan(read, skipped, causes)
	if some {
		var page bytes.Buffer
		if err := render.LogScan(&page, s, show); err != nil {
			return err
		}
		if _, err := w.Streams.Out.Write(page.Bytes()); err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
	}
	return o.verdict(s, args)
}

// verdict decides the exit code: a file that could not be read goes before what was found in the others.
func (o *scanLogsOptions) verdict(s *report.LogScan, args []string) error {
	var failed []string
	for _, f := range s.Files {
		if f.Error != "" {
			failed = append(failed, f.Error)
		}
	}
	switch {
	case len(failed) > 0:
		return errors.New(strings.Join(failed, "; "))
	case len(s.Files) == 0:
		return fmt.Errorf("%s: no file that is named like a log of a node; name the files themselves", strings.Join(args, ", "))
	case o.output.exitCode && len(s.Matches) > 0:
		return codeError(ExitStuck)
	default:
		return nil
	}
}

// wanted are the causes to look for.
func (o *scanLogsOptions) wanted() ([]diagnose.Cause, error) {
	all := catalogue()
	if len(o.causes) == 0 {
		return all, nil
	}
	var out []diagnose.Cause
	for _, name := range o.causes {
		i := slices.IndexFunc(all, func(c diagnose.Cause) bool {
			return strings.EqualFold(string(c.Code), name) || strings.EqualFold(c.Slug, name)
		})
		switch {
		case i < 0:
			return nil, usagef("--cause %q is no cause; 'kubectl stuck causes' lists them", name)
		case len(all[i].Log) == 0:
			return nil, usagef("--cause %s: nothing in a log of a node tells of %s", name, all[i].Slug)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// readLog reads one file, or stdin.
func readLog(ctx context.Context, w World, scanner *nodelog.Scanner, in nodelog.Input, path string, p *progress) report.ReadLog {
	src, size := w.Streams.In, int64(0)
	if path == "-" {
		in.Name = "stdin"
	} else {
		f, err := openLog(ctx, path)
		if err != nil {
			return report.ReadLog{Log: nodelog.Log{Name: path}, Err: err}
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		src = f
	}
	l, err := scanner.Scan(&countingReader{ctx: ctx, r: src, now: w.Now, name: in.Name, size: size, progress: p, said: w.Now()}, in)
	return report.ReadLog{Log: l, Err: err}
}

// countingReader tells how much was read, and ends when the person interrupts.
type countingReader struct {
	ctx      context.Context
	r        io.Reader
	now      func() time.Time
	name     string
	read     int64
	size     int64 // 0 where nobody knows
	progress *progress
	said     time.Time
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := readLogBytes(c.ctx, c.r, p)
	c.read += int64(n)
	if t := c.now(); t.Sub(c.said) > time.Second/2 {
		c.said = t
		of := ""
		if c.size > 0 {
			of = fmt.Sprintf(" of %d", c.size>>20)
		}
		c.progress.say(fmt.Sprintf("%s: %d%s MiB", render.Clean(c.name), c.read>>20, of))
	}
	return n, err
}

// unlessInterrupted waits for do, which may never return: a pipe that nobody writes to cannot be opened, nor a hung mount read. Where the person
// interrupts, do is left behind, with whatever it still does.
func unlessInterrupted[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan answer, 1)
	go func() {
		v, err := do()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func openLog(ctx context.Context, path string) (*os.File, error) {
	return unlessInterrupted(ctx, func() (*os.File, error) { return os.Open(path) })
}

// readLogBytes reads as r does. An interrupted read may still write to p: nobody may use p after that.
func readLogBytes(ctx context.Context, r io.Reader, p []byte) (int, error) {
	return unlessInterrupted(ctx, func() (int, error) { return r.Read(p) })
}

// logFiles takes the arguments apart: files as they are, and of directories what is named like a log of a node. What could not be looked at comes
// back as read and failed.
func logFiles(args []string) (files []string, skipped []report.SkippedFile, failed []report.ReadLog) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if arg == "-" || err == nil && !info.IsDir() {
			files = append(files, arg)
			continue
		}
		var entries []os.DirEntry
		if err == nil {
			entries, err = os.ReadDir(arg)
		}
		if err != nil {
			failed = append(failed, report.ReadLog{Log: nodelog.Log{Name: arg}, Err: err})
			continue
		}
		for _, e := range entries {
			path := filepath.Join(arg, e.Name())
			switch info, err := os.Stat(path); {
			case err != nil:
				skipped = append(skipped, report.SkippedFile{Name: path, Reason: "it leads nowhere"})
			case info.IsDir():
				skipped = append(skipped, report.SkippedFile{Name: path, Reason: "a directory"})
			case !info.Mode().IsRegular():
				skipped = append(skipped, report.SkippedFile{Name: path, Reason: "not a plain file"})
			case strings.HasSuffix(path, ".journal") || strings.HasSuffix(path, ".journal~"):
				skipped = append(skipped, report.SkippedFile{Name: path, Reason: "a journal as journald keeps it: journalctl --file " + path + " -o export"})
			case !namedLikeALog(e.Name()):
				skipped = append(skipped, report.SkippedFile{Name: path, Reason: "not named like a log of a node"})
			default:
				files = append(files, path)
			}
		}
	}
	return files, skipped, failed
}

// namedLikeALog goes by how syslog, logrotate, journalctl, support bundles and people name logs of a node.
func namedLikeALog(name string) bool {
	rotated := regexp.MustCompile(`(\.gz|\.bz2|\.xz|\.zst|\.old|[.-][0-9][0-9TZ_.-]*)+$`)
	base := strings.ToLower(rotated.ReplaceAllString(name, ""))
	for _, ending := range []string{".log", ".txt", ".out", ".err", ".export", ".jsonl", ".ndjson"} {
		if strings.HasSuffix(base, ending) {
			return true
		}
	}
	for _, begins := range []string{"messages", "syslog", "kern", "dmesg", "daemon", "journal", "kubelet", "kube-proxy", "containerd", "docker", "crio", "cri-o"} {
		if strings.HasPrefix(base, begins) {
			return true
		}
	}
	return false
}
