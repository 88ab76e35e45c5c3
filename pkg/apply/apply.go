package apply

import (
	"context"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// Journal is where a run is written down. An error means that nothing is known to be on disk, and that the cluster must not be touched.
type Journal interface {
	// Add writes an entry and returns when it is on disk.
	Add(e remedy.Entry) error
}

// Hooks are what carrying out a plan asks of its caller.
type Hooks struct {
	// Again takes a new picture, asks the guards again and returns the act as it is now. A *Blocked error stops the run.
	Again func(ctx context.Context, act remedy.Act) (remedy.Act, error)
	// Say tells of progress; it may be nil.
	Say func(string)
}
