package stuck

import (
	"time"

	"example.com/house/pkg/snapshot"
)

// Since is computed from the snapshot's clock.
func Since(s *snapshot.Snapshot, t time.Time) time.Duration { return s.Now().Sub(t) }
