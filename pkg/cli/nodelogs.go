package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
)

// logFlags ask for the logs of nodes.
type logFlags struct {
	logs  bool
	files []string
	since time.Duration
	named bool // --logs-since was given
}

const logsHelp = `Read the node's own logs (kubelet, runtime, kernel) through the API server and its kubelet, and weigh them with the rest. ` +
	`It needs the right to get nodes/proxy. That right allows far more: who has it, even with get alone, can run commands in every container of the node ` +
	`(ClusterRole stuck-node-logs of docs/RIGHTS.md). Nothing but logs is asked for with it, and nothing at all without this flag.`

// leastLogs is how far back logs are read at least.
const leastLogs = time.Hour

func (f *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.logs, "logs", false, logsHelp)
	cmd.Flags().StringArrayVar(&f.files, "log-file", nil, "Weigh a log that was copied from the node, for where its kubelet is dead: of journalctl, or of /var/log, plain or .gz; '-' reads stdin. May be repeated.")
	cmd.Flags().DurationVar(&f.since, "logs-since", 0, "Look at lines of the logs that are no older than this. They all count then. Default: from 15m before the first pod there got stuck, and 1h at least.")
	_ = cmd.MarkFlagFilename("log-file")
}

func (f *logFlags) asked() bool { return f.logs || len(f.files) > 0 }

// check finds mistakes before anything is read. names are the nodes, or pods, that were named.
func (f *logFlags) check(cmd *cobra.Command, from []string, names int) error {
	f.named = cmd.Flags().Changed("logs-since")
	stdin := 0
	for _, files := range [][]string{f.files, from} {
		for _, n := range files {
			if n == "-" {
				stdin++
			}
		}
	}
	switch {
	case f.logs && names == 0:
		return usagef("--logs needs the name of a node")
	case len(f.files) > 0 && names != 1:
		return usagef("--log-file needs the name of one node: that from which the log is")
	case f.logs && len(from) > 0:
		return usagef("--logs asks a live kubelet, and --from reads files: give a log that was copied from the node with --log-file")
	case f.named && !f.asked():
		return usagef("--logs-since goes with --logs or --log-file")
	case f.named && f.since <= 0:
		return usagef("--logs-since %s: it is a duration like 90m", f.since)
	case stdin > 1:
		return usagef("stdin can be read once only")
	}
	return nil
}

// read reads the logs of the nodes and weighs what they say.
func (f *logFlags) read(ctx context.Context, w World, r *reader, s *snapshot.Snapshot, d diagnose.Diagnosis, causes []diagnose.Cause, nodes []string) (map[string]*report.NodeLogs, diagnose.Diagnosis, error) {
	if !f.asked() || len(nodes) == 0 {
		return nil, d, nil
	}
	scanner, err := nodelog.New(causes)
	if err != nil {
		return nil, d, fmt.Errorf("the catalogue's log lines: %w", err)
	}
	out := map[string]*report.NodeLogs{}
	for _, node := range nodes {
		counts := diagnose.LogsSince(&d, node)
		if f.named {
			counts = s.Now().Add(-f.since)
		}
		l := logReading{flags: f, w: w, s: s, node: node, scanner: scanner, since: f.from(s, &d, node)}
		if f.logs {
			if err := l.kubelet(ctx, r); err != nil {
				return nil, d, err
			}
		}
		for _, name := range f.files {
			if err := l.file(ctx, name); err != nil {
				return nil, d, err
			}
		}
		var facts []diagnose.LogFact
		for _, log := range l.logs {
			facts = append(facts, log.Facts()...)
		}
		if !f.logs && !f.named {
			l.since = time.Time{} // of files, everything is looked at
		}
		out[node] = report.LogsOf(l.asked, l.since, counts, l.sources, l.logs, causes)
		d = diagnose.WeighSince(s, d, node, counts, facts, causes)
	}
	return out, d, nil
}

// from is from when lines are wanted.
func (f *logFlags) from(s *snapshot.Snapshot, d *diagnose.Diagnosis, node string) time.Time {
	if f.named {
		return s.Now().Add(-f.since)
	}
	since := s.Now().Add(-leastLogs)
	if t := diagnose.LogsSince(d, node); !t.IsZero() && t.Before(since) {
		return t
	}
	return since
}

// logReading is the reading of one node's logs.
type logReading struct {
	flags   *logFlags
	w       World
	s       *snapshot.Snapshot
	node    string
	scanner *nodelog.Scanner
	since   time.Time

	asked   []string
	sources []report.NodeLogSource
	logs    []nodelog.Log
}

// kubelet asks the node's kubelet.
func (l *logReading) kubelet(ctx context.Context, r *reader) error {
	l.asked = append(l.asked, "kubelet")
	logs, err := live.NewNodeLogs(r.config, l.node, l.w.Now)
	if err != nil {
		return err
	}
	p := newProgress(l.w)
	defer p.clear()
	facts := scope.Facts(l.s, l.node)
	q := live.LogQuery{Runtime: facts.Runtime, Kubelet: facts.Kubelet, Since: l.since, Stale: facts.LeaseStale || facts.Ready == "Unknown", State: facts.String(), Progress: p.say}
	for _, src := range logs.Read(ctx, q, l.scan) {
		l.sources = append(l.sources, report.NodeLogSource{What: src.What, Status: src.Status, Read: src.Read, Reason: src.Reason, Lines: src.Lines, Bytes: src.Bytes})
	}
	if ctx.Err() != nil {
		return ctx.Err() // the person interrupted
	}
	return nil
}

// scan looks for the causes in a log that the kubelet gives.
func (l *logReading) scan(in live.LogStream) error {
	input := nodelog.Input{Name: in.Name, Now: l.s.Now()}
	if in.UTC || l.flags.named {
		input.Since = l.since
	}
	if !in.UTC {
		// Its times are those of the node's own zone, which can be ahead of UTC: what seems to come from the future must not be taken for last year's.
		input.Now = input.Now.Add(mostAhead)
		if l.flags.named {
			input.Since = l.since.Add(-mostBehind)
		}
	}
	log, err := l.scanner.Scan(in, input)
	if !in.UTC {
		toUTC(&log, in.Written)
	}
	l.logs = append(l.logs, log)
	return err
}

// The zones of the world that are the furthest from UTC.
const (
	mostAhead  = 14 * time.Hour
	mostBehind = 12 * time.Hour
)

// toUTC moves the times of a log that names no zone, by how far its last line is from when the file was last written, where that is a
// zone's distance.
func toUTC(log *nodelog.Log, written time.Time) {
	if written.IsZero() || log.Last.IsZero() {
		return
	}
	const step, slack = 30 * time.Minute, 2 * time.Minute // zones are apart by half hours, three by quarters
	off := log.Last.Sub(written)
	zone := off.Round(step)
	if zone == 0 || zone > mostAhead || zone < -mostBehind || (off-zone).Abs() > slack {
		return
	}
	move := func(times ...*time.Time) {
		for _, t := range times {
			if !t.IsZero() {
				*t = t.Add(-zone)
			}
		}
	}
	move(&log.First, &log.Last)
	for i := range log.Matches {
		move(&log.Matches[i].First, &log.Matches[i].Last)
	}
}

// file reads a log that was copied from the node.
func (l *logReading) file(ctx context.Context, name string) error {
	in, shown := l.w.Streams.In, "stdin"
	if name != "-" {
		f, err := openLog(ctx, name)
		if err != nil {
			return fmt.Errorf("--log-file: %w", err)
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return fmt.Errorf("--log-file: %s is a folder", name)
		}
		in, shown = io.Reader(f), name
	}
	p := newProgress(l.w)
	defer p.clear()
	l.asked = append(l.asked, shown)
	// Its times may be those of the node's own zone, which can be ahead of UTC: see ahead.
	input := nodelog.Input{Name: "file " + shown + " of node " + l.node, Now: l.s.Now().Add(mostAhead)}
	if l.flags.named {
		input.Since = l.since
	}
	log, err := l.scanner.Scan(&countingReader{ctx: ctx, r: in, now: l.w.Now, name: shown, progress: p, said: l.w.Now()}, input)
	if ctx.Err() != nil {
		return ctx.Err() // the person interrupted
	}
	if other := l.stranger(log.Hosts); other != "" {
		return fmt.Errorf("--log-file: the lines of %s are from %s, which is another node than %s", shown, other, l.node)
	}
	src := report.NodeLogSource{What: "file " + shown, Read: true, Lines: log.Lines, Bytes: log.Bytes}
	if zone := ahead(&log, l.s.Now()); zone > 0 {
		src.Reason = fmt.Sprintf("its times name no zone and lie ahead of the picture's: they were taken for those of a zone %s east of UTC", scope.Short(zone))
	}
	if err != nil {
		src.Reason = "broke off: " + err.Error()
	}
	l.sources, l.logs = append(l.sources, src), append(l.logs, log)
	return nil
}

// stranger names the node that a log is from, where that is known to be another one than was named.
func (l *logReading) stranger(hosts []string) string {
	short := func(name string) string { s, _, _ := strings.Cut(name, "."); return s }
	other := ""
	for _, h := range hosts {
		if strings.EqualFold(short(h), short(l.node)) {
			return ""
		}
		for _, n := range l.s.Nodes() {
			if strings.EqualFold(h, n.Name) || strings.EqualFold(short(h), short(n.Name)) {
				other = n.Name
			}
		}
	}
	return other
}

// ahead moves the times of a log that names no zone, where they lie in the future: by the least that puts the last of them into the past.
func ahead(log *nodelog.Log, now time.Time) time.Duration {
	const step, slack = 30 * time.Minute, 2 * time.Minute
	off := log.Last.Sub(now) - slack
	if log.Last.IsZero() || off <= 0 || off > mostAhead {
		return 0
	}
	zone := (off + step - 1).Truncate(step)
	toUTC(log, log.Last.Add(-zone))
	return zone
}
