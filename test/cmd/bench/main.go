// Command bench measures kubectl-stuck on big clusters and big logs, beside what people use otherwise.
//
// It seeds a real API server with many pods (the store is kept under .build/bench, so that it is seeded once), and
// runs each command several times as a process of its own: wall time, CPU time, peak memory, and the bytes that it
// received, counted by a proxy on loopback that every command goes through. Printed are medians and ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/live/crowd"
)

// jsonMemory is what kubectl get -o json takes for one pod, in bytes, as measured here.
const jsonMemory = 220_000

// bareCensus as the first argument makes this process the child that only sends the census request.
const bareCensus = "bare-census"

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	sizes    []int
	runs     int
	slowRuns int
	binary   string
	keep     string
	disaster bool
	baseline bool
	dump     bool
	check    bool
	only     string
	// drainRuns is how often each way of draining a node is gone.
	drainRuns int
	logSize   int
}

func run(args []string, out, log io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(args) == 2 && args[0] == bareCensus {
		return sendCensus(ctx, args[1])
	}
	opts, err := parse(args, log)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	b := &bench{options: opts, out: out, log: log}
	return b.all(ctx)
}

func parse(args []string, log io.Writer) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(log)
	sizes := f.String("sizes", "1000,10000,100000", "how many pods, comma-separated; a node for each 100")
	f.IntVar(&o.runs, "runs", 5, "how often each command runs")
	f.IntVar(&o.slowRuns, "slow-runs", 3, "how often kubectl runs with 50,000 pods and more; with -o json it runs once there")
	f.StringVar(&o.binary, "binary", filepath.Join("..", "bin", "kubectl-stuck"), "the plugin")
	f.StringVar(&o.keep, "keep", filepath.Join("..", ".build", "bench"), "where the seeded stores are kept")
	f.BoolVar(&o.disaster, "disaster", true, "also measure with 5 % of the pods stuck on 30 % of the nodes")
	f.BoolVar(&o.baseline, "baseline", true, "also measure kubectl")
	f.BoolVar(&o.dump, "dump", true, "also measure reading a file of all pods")
	f.BoolVar(&o.check, "check", false, "fail where a target is missed at the largest size")
	f.StringVar(&o.only, "only", "", "measure only this: clusters, logs or drain")
	f.IntVar(&o.drainRuns, "drain-runs", 2, "how often each way of draining a node is gone: three minutes each")
	f.IntVar(&o.logSize, "log-size", 1024, "how long the log is that scan-logs reads, in MiB")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for _, s := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1000 {
			return o, fmt.Errorf("-sizes: %q is not a number of pods from 1000", s)
		}
		o.sizes = append(o.sizes, n)
	}
	switch {
	case !slices.Contains([]string{"", "clusters", "logs", "drain"}, o.only):
		return o, fmt.Errorf("-only: %q is none of clusters, logs and drain", o.only)
	case o.logSize < 1:
		return o, fmt.Errorf("-log-size: %d is no size", o.logSize)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return o, nil
}

type bench struct {
	options
	out, log io.Writer
	missed   []string
}

func (b *bench) all(ctx context.Context) error {
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("the plugin is not built: %w", err)
	}
	b.binary = binary
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{{"clusters", b.clusters}, {"logs", b.logs}, {"drain", b.drains}} {
		if b.only != "" && b.only != part.name {
			continue
		}
		if err := part.measure(ctx); err != nil {
			return err
		}
	}
	if len(b.missed) > 0 {
		fmt.Fprintf(b.out, "\nmissed: %s\n", strings.Join(b.missed, "; "))
		if b.check {
			return errors.New("a target was missed")
		}
	}
	return nil
}

// clusters measures what asks a cluster.
func (b *bench) clusters(ctx context.Context) error {
	testbed, err := bed.Build(ctx)
	if err != nil {
		return err
	}
	for _, size := range b.sizes {
		if err := b.cluster(ctx, testbed, crowd.Sized(size), false); err != nil {
			return fmt.Errorf("%d pods: %w", size, err)
		}
		if b.disaster {
			if err := b.cluster(ctx, testbed, crowd.Disaster(size), true); err != nil {
				return fmt.Errorf("%d pods, many stuck: %w", size, err)
			}
		}
	}
	return b.startup(ctx)
}

// cluster measures one seeded cluster.
func (b *bench) cluster(ctx context.Context, testbed string, p crowd.Plan, disaster bool) (err error) {
	keep, err := filepath.Abs(b.keep)
	if err != nil {
		return err
	}
	store := filepath.Join(keep, p.Hash())
	if err := crowd.Seed(ctx, testbed, store, p, b.log); err != nil {
		return err
	}
	start := func() (*bed.Cluster, error) {
		return bed.Start(ctx, bed.Options{Binary: testbed, EtcdDir: store, NoControllerManager: true, NoScheduler: true, Log: b.log})
	}
	c, err := start()
	if err != nil { // 100,000 pods take an API server on a busy machine longer than the bed waits; the second time they are in memory
		fmt.Fprintln(b.log, "starting again:", err)
		if c, err = start(); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	wait, err := crowd.KeepAlive(ctx, c.Client(), p)
	if err != nil {
		cancel()
		return err
	}
	defer wait()
	defer cancel()

	proxy, err := newProxy(strings.TrimPrefix(c.Config().Host, "https://"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := throughProxy(c.Kubeconfig(), kubeconfig, proxy.Address()); err != nil {
		return err
	}
	bin, err := c.LinkKubectl()
	if err != nil {
		return err
	}
	m := &measurer{proxy: proxy, env: append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+dir, "NO_COLOR=1"), log: b.log}
	fmt.Fprintf(b.out, "\n## %d pods on %d nodes in %d namespaces; %d stuck on %d nodes\n\n", p.Pods, p.Nodes, p.Namespaces, p.Stuck, p.StuckNodes)
	if err := b.verify(ctx, m, p); err != nil {
		return err
	}
	return b.compare(ctx, m, p, filepath.Join(bin, "kubectl"), filepath.Join(dir, "pods.json"), disaster)
}

// compare runs the commands and prints the table.
func (b *bench) compare(ctx context.Context, m *measurer, p crowd.Plan, kubectl, dumpFile string, disaster bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	slow, json := b.runs, b.runs
	if p.Pods >= 50_000 {
		slow, json = b.slowRuns, 1
	}
	rows, err := m.alternate(ctx, b.runs,
		command{name: "the bare census request", path: self, args: []string{bareCensus, ""}},
		command{name: "kubectl-stuck pods -A", path: b.binary, args: []string{"pods", "-A"}})
	if err != nil {
		return err
	}
	bare, ours := rows[0], rows[1]
	if b.baseline {
		get, err := m.median(ctx, slow, command{name: "kubectl get pods -A", path: kubectl, args: []string{"get", "pods", "-A"}})
		if err != nil {
			return err
		}
		rows = append(rows, get)
		b.target(p, disaster, get, ours, bare)
		if free := availableMemory(); !disaster && free < int64(p.Pods)*jsonMemory {
			fmt.Fprintf(b.log, "kubectl get -o json would take about %.0f GB, and there are %.0f: left out\n", float64(p.Pods)*jsonMemory/1e9, float64(free)/1e9)
		} else if !disaster {
			full, err := m.median(ctx, json, command{name: "kubectl get pods -A -o json", file: dumpFile, path: kubectl, args: []string{"get", "pods", "-A", "-o", "json"}})
			if err != nil {
				return err
			}
			rows = append(rows, full)
		}
	}
	printTable(b.out, rows, ours)
	if !b.dump || disaster {
		return nil
	}
	info, err := os.Stat(dumpFile)
	if errors.Is(err, os.ErrNotExist) {
		// The same list, without the indentation, which kubectl passes through without holding it.
		if _, err = m.median(ctx, 1, command{name: "kubectl get --raw", file: dumpFile, path: kubectl, args: []string{"get", "--raw", "/api/v1/pods?resourceVersion=0"}}); err == nil {
			info, err = os.Stat(dumpFile)
		}
	}
	if err != nil {
		return err
	}
	from, err := m.median(ctx, min(b.runs, 3), command{name: "kubectl-stuck pods --from FILE", path: b.binary, args: []string{"pods", "--from", dumpFile}})
	if err != nil {
		return err
	}
	mb := float64(info.Size()) / 1e6
	fmt.Fprintf(b.out, "\nkubectl-stuck pods --from FILE: %.0f MB in %s, %.0f MB/s, peak %.0f MB\n", mb, round(from.wall), mb/from.wall.Seconds(), mega(from.peak))
	if p.Pods >= 100_000 {
		b.expect(mb/from.wall.Seconds() >= 100, "reading a dump at 100 MB/s")
		b.expect(from.peak < 500e6, "reading a dump in 500 MB")
	}
	return nil
}

// target compares with what is promised for 100,000 pods.
func (b *bench) target(p crowd.Plan, disaster bool, get, ours, bare sample) {
	if p.Pods < 100_000 {
		return
	}
	if disaster {
		b.expect(get.wall >= 5*ours.wall, "5 times as fast as kubectl get with 5,000 stuck pods")
		return
	}
	b.expect(get.wall >= 20*ours.wall, "20 times as fast as kubectl get")
	b.expect(ours.wall <= 2*bare.wall, "at most twice the bare census request")
	b.expect(ours.peak < 200e6, "a peak of 200 MB")
	b.expect(ours.received < 30e6, "30 MB received")
}

func (b *bench) expect(ok bool, target string) {
	if !ok {
		b.missed = append(b.missed, target)
	}
}

// verify checks that the answer that is measured is the right one.
func (b *bench) verify(ctx context.Context, m *measurer, p crowd.Plan) error {
	stuck, err := m.stuckPods(ctx, b.binary, "pods", "-A", "-o", "json")
	if err != nil {
		return err
	}
	if stuck != p.Stuck {
		return fmt.Errorf("kubectl-stuck finds %d stuck pods where %d were seeded", stuck, p.Stuck)
	}
	return nil
}

// startup measures a command that does nothing.
func (b *bench) startup(ctx context.Context) error {
	m := &measurer{env: os.Environ(), log: b.log}
	s, err := m.median(ctx, 11, command{name: "kubectl-stuck version", path: b.binary, args: []string{"version"}})
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nkubectl-stuck version: %s, %s of CPU, peak %.0f MB\n", round(s.wall), round(s.cpu), mega(s.peak))
	return nil
}

func printTable(out io.Writer, rows []sample, ours sample) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(w, "command\truns\ttime\tCPU\tpeak memory\treceived\ttime ÷ ours\tmemory ÷ ours\treceived ÷ ours\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.0f MB\t%.1f MB\t%.2f\t%.2f\t%.2f\t\n", r.name, r.runs, round(r.wall), round(r.cpu), mega(r.peak), mega(r.received),
			ratio(r.wall.Seconds(), ours.wall.Seconds()), ratio(float64(r.peak), float64(ours.peak)), ratio(float64(r.received), float64(ours.received)))
	}
	_ = w.Flush()
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func mega(bytes int64) float64 { return float64(bytes) / 1e6 }

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// throughProxy writes a copy of the kubeconfig that goes through the proxy.
func throughProxy(from, to, address string) error {
	config, err := clientcmd.LoadFromFile(from)
	if err != nil {
		return err
	}
	for _, c := range config.Clusters {
		c.Server = "https://" + address
	}
	return clientcmd.WriteToFile(*config, to)
}
