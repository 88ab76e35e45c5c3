package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// ownersNeed are the kinds by which the owner of a finalizer is found.
func ownersNeed() []snapshot.Kind {
	return []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet, snapshot.Lease, snapshot.CustomResourceDefinition}
}

func ownerAlive() Guard {
	return Guard{
		Name:     "owner-alive",
		Prevents: "A finalizer is taken off while its owner works on what it is there for: what was to be cleaned up leaks, or is counted wrong.",
		Flag:     "even-if-owner-alive",
		Lifts:    "--even-if-owner-alive",
		For:      []ID{RemoveFinalizers},
		Needs:    ownersNeed(),
		Check: func(c *Case, _ Remedy) []Verdict {
			var out []Verdict
			for _, o := range c.ownersTaken() {
				if takenForAlive(o) {
					out = append(out, c.Asked.Lift(Verdict{Level: Block, Reason: c.aliveReason(o), Evidence: o.Evidence}, "even-if-owner-alive"))
				}
			}
			return out
		},
	}
}

// ownersTaken are the owners of the finalizers that would be taken off.
func (c *Case) ownersTaken() []finalizer.Owner {
	off, _ := c.taken()
	out := make([]finalizer.Owner, 0, len(off))
	for _, f := range off {
		out = append(out, finalizer.Of(c.S, c.Pod.Ref, c.Pod.Object, f))
	}
	return out
}

// takenForAlive tells whether the owner works, or is a part of the control plane of which the contrary is not seen: that has its leases where nobody may read
// them, or elects no leader, and works all the same.
func takenForAlive(o finalizer.Owner) bool {
	return o.Alive == finalizer.Lives || o.Alive == finalizer.Slow || o.BuiltIn && o.Alive == finalizer.Unknown
}

func (c *Case) aliveReason(o finalizer.Owner) string {
	says := fmt.Sprintf("Finalizer %s of %s belongs to %s.", o.Finalizer, c.Pod.Ref, o)
	switch {
	case o.Alive == finalizer.Unknown:
		says += " It is a part of the control plane, and is taken for alive."
	case o.Alive == finalizer.Slow:
		says += " Why it waits is to be found out first, because it will go on with what is left."
	}
	if o.Todo != "" {
		says += fmt.Sprintf(" It still has to %s.", o.Todo)
	}
	if o.Leaks != "" {
		says += fmt.Sprintf(" Without the finalizer: %s.", o.Leaks)
	}
	return says
}
