package live_test

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/live/crowd"
)

type timed struct {
	source.Backend
	start time.Time
	mu    sync.Mutex
	log   []string
}

func (b *timed) note(t time.Time, f string, a ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf("%8.3f +%6.3f %s", t.Sub(b.start).Seconds(), time.Since(t).Seconds(), fmt.Sprintf(f, a...)))
}
func (b *timed) List(ctx context.Context, r source.ListRequest, each func(runtime.Object)) error {
	t := time.Now()
	n := 0
	err := b.Backend.List(ctx, r, func(o runtime.Object) { n++; each(o) })
	b.note(t, "list %+v: %d %v", r, n, err)
	return err
}
func (b *timed) Get(ctx context.Context, k snapshot.Kind, ns, n string) (runtime.Object, error) {
	t := time.Now()
	o, err := b.Backend.Get(ctx, k, ns, n)
	b.note(t, "get %s %s/%s %v", k, ns, n, err)
	return o, err
}
func (b *timed) Census(ctx context.Context, ns, l, f string, row func(*source.Row)) error {
	t := time.Now()
	err := b.Backend.Census(ctx, ns, l, f, row)
	b.note(t, "census %s %s %s %v", ns, l, f, err)
	return err
}

func TestScratch(t *testing.T) {
	ctx := context.Background()
	bin, err := bed.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := strconv.Atoi(os.Getenv("SIZE"))
	plan := crowd.Sized(size)
	if os.Getenv("DIS") != "" {
		plan = crowd.Disaster(size)
	}
	dir := "/work/main/.build/bench/" + plan.Hash()
	if err := crowd.Seed(ctx, bin, dir, plan, t.Output()); err != nil {
		t.Fatal(err)
	}
	c, err := bed.Start(ctx, bed.Options{Binary: bin, EtcdDir: dir, NoControllerManager: true, NoScheduler: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := crowd.KeepAlive(ctx, c.Client(), plan); err != nil {
		t.Fatal(err)
	}
	var needs []snapshot.Kind
	for _, i := range snapshot.Kinds() {
		needs = append(needs, i.Kind)
	}
	for i := range 4 {
		lb, err := live.New(c.Config(), live.Options{Context: "x", Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		b := &timed{Backend: lb, start: time.Now()}
		if i == 3 {
			f, _ := os.Create("/tmp/cpu.pprof")
			pprof.StartCPUProfile(f)
		}
		start := time.Now()
		s, err := source.Load(ctx, b, source.Query{Needs: needs, Progress: func(m string) { t.Log(time.Since(start), m) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(time.Since(start), s.Origin(), s.Now(), s.Census().Pods(), len(s.Pods()), len(s.Nodes()), len(s.AllEvents()))
		for _, g := range s.Gaps() {
			t.Log(g)
		}
		if i == 3 {
			pprof.StopCPUProfile()
			sort.Strings(b.log)
			n := map[string]int{}
			for _, l := range b.log {
				k := l[17:min(len(l), 35)]
				if n[k]++; n[k] < 8 {
					t.Log(l)
				}
			}
			t.Log(n)
		}
	}
}
