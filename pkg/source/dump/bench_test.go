package dump_test

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
)

// benchPods is how many pods a benchmark's dump has; DUMP_BENCH_PODS=100000 is the size that limits are set for.
func benchPods(b *testing.B) int {
	b.Helper()
	if os.Getenv("DUMP_BENCH_FULL") != "" {
		return 100_000
	}
	return 5_000
}

func synthetic(b *testing.B, name string, wrap func(io.Writer) io.WriteCloser) (path string, size int64) {
	b.Helper()
	path = filepath.Join(b.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	var w io.WriteCloser = f
	if wrap != nil {
		w = wrap(f)
	}
	if size, err = (sourcetest.Synthetic{Pods: benchPods(b)}).WriteTo(w); err != nil {
		b.Fatal(err)
	}
	if wrap != nil {
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path, size
}

func benchmarkOpen(b *testing.B, path string, size int64) {
	b.Helper()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		d, err := dump.Open(context.Background(), []string{path}, dump.Options{})
		if err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(d)
	}
}

func BenchmarkOpenJSON(b *testing.B) {
	path, size := synthetic(b, "all.json", nil)
	benchmarkOpen(b, path, size)
}

func BenchmarkOpenGzip(b *testing.B) {
	path, size := synthetic(b, "all.json.gz", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	benchmarkOpen(b, path, size)
}

func BenchmarkLoadJSON(b *testing.B) {
	path, size := synthetic(b, "all.json", nil)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		d, err := dump.Open(context.Background(), []string{path}, dump.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s, err := d.Load(context.Background(), source.Query{})
		if err != nil {
			b.Fatal(err)
		}
		if got := s.Census().Pods(); got != benchPods(b) {
			b.Fatalf("%d pods were counted, want %d", got, benchPods(b))
		}
	}
}

// BenchmarkOpenYAML reads fewer pods: YAML takes far longer.
func BenchmarkOpenYAML(b *testing.B) {
	var text strings.Builder
	if _, err := (sourcetest.Synthetic{Pods: 500}).WriteTo(&text); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "all.yaml")
	if err := os.WriteFile(path, toYAML(b, text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkOpen(b, path, info.Size())
}
