package nodelog_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog/nodelogtest"
)

// BenchmarkScan reads 64 MB with the whole catalogue: once where nothing matches, once where one line in a hundred does, and once where every line does.
func BenchmarkScan(b *testing.B) {
	s, err := nodelog.New(causes.All())
	if err != nil {
		b.Fatal(err)
	}
	hit := []string{
		`worker-3 kubelet[1234]: E0322 15:23:22.123456    1234 kubelet.go:2480] "Skipping pod synchronization" err="[PLEG is not healthy: pleg was last seen active 3m12s ago; threshold is 3m0s]"`,
		`worker-3 dockerd[987]: time="2026-03-22T15:23:22.123456789Z" level=error msg="failed to retrieve runc version: fork/exec /usr/bin/runc: resource temporarily unavailable"`,
		`worker-3 kernel: [123456.789012] nfs: server nas-7 not responding, still trying`,
	}
	for name, hits := range map[string]int{"nothing": 0, "one-in-100": 10, "all": 1000} {
		var log bytes.Buffer
		if _, _, err := nodelogtest.Write(&log, nodelogtest.Options{Bytes: 64 << 20, Hits: hits, Lines: hit, Seed: 1}); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(log.Len()))
			b.ReportAllocs()
			for b.Loop() {
				l, err := s.Scan(bytes.NewReader(log.Bytes()), nodelog.Input{Now: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)})
				if err != nil || (hits == 0) != (len(l.Matches) == 0) {
					b.Fatalf("%d matches, %v", len(l.Matches), err)
				}
			}
		})
	}
}
