package dump

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The file that makes a directory a dump of ours, and what stands in it.
const (
	metaFile    = "kubectl-stuck-dump.json"
	metaAPI     = "kubectl-stuck.dev/v1alpha1"
	metaKind    = "Dump"
	metaVersion = 1
)

// maxCensus is how many pods a recorded census may count.
const maxCensus = 10_000_000

// metadata is what a dump of ours records beside the objects.
type metadata struct {
	APIVersion    string            `json:"apiVersion"`
	Kind          string            `json:"kind"`
	FormatVersion int               `json:"formatVersion"` // raised when older readers would misread it
	TakenAt       time.Time         `json:"takenAt"`
	Origin        snapshot.Origin   `json:"origin"`
	Redacted      bool              `json:"redacted,omitempty"`
	Census        snapshot.Census   `json:"census"`
	Gaps          []snapshot.Gap    `json:"gaps,omitempty"`
	Coverage      snapshot.Coverage `json:"coverage"`
}

func isMeta(e *entry) bool { return e.rawKind == metaKind && e.rawVersion == metaAPI }

func (x *index) setMeta(f *file, data []byte, place int64) error {
	if x.meta != nil {
		return f.errorAt(place, errConflict)
	}
	m := &metadata{}
	if err := json.Unmarshal(data, m); err != nil {
		return f.errorAt(place, fmt.Errorf("the record of a dump: %w", err))
	}
	if m.FormatVersion != metaVersion {
		return f.errorAt(place, fmt.Errorf("the dump has format version %d; this program reads version %d", m.FormatVersion, metaVersion))
	}
	if m.TakenAt.IsZero() {
		return f.errorAt(place, fmt.Errorf("the dump does not say when it was taken"))
	}
	pods := 0
	for n, c := range m.Census.Nodes {
		if c == nil {
			delete(m.Census.Nodes, n)
			continue
		}
		for word, count := range c.Status {
			if count < 0 || count > maxCensus || c.Pods < 0 || c.Pods > maxCensus {
				return f.errorAt(place, fmt.Errorf("the dump counts %d pods in state %.50q on node %.253q", count, word, n))
			}
			pods += count
		}
	}
	if pods > maxCensus {
		return f.errorAt(place, fmt.Errorf("the dump counts %d pods; at most %d are believed: %w", pods, maxCensus, ErrLimit))
	}
	x.absent = map[snapshot.Ref]bool{}
	for _, r := range m.Coverage.Absent {
		x.absent[r] = true
	}
	x.meta, x.metaIn = m, f
	f.found++
	return nil
}
