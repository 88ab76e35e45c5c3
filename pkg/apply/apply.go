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
	// Stale tells that what the guards last decided on is too old for the first step of another act, whatever the object's version; it may be nil.
	// The node of an object and its lease have no part in that version.
	Stale func() bool
	// Ready is asked before the first step of every act, and once before the first of evictions that follow each other: whatever has to be waited for is waited
	// for there. An error stops the run before the act, as one of Again does. It may be nil.
	Ready func(ctx context.Context, act int, a remedy.Act) error
	// Step is asked before each step but the first of its act, with the outcome of the step before. An error stops the run; a deletion of what the step before
	// created (remedy.Step.OfBefore) is done all the same. It may be nil.
	Step func(ctx context.Context, act, step int, before *remedy.Outcome) error
	// Say tells of progress; it may be nil.
	Say func(string)
}
