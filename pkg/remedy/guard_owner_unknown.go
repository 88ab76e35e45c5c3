package remedy

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
)

func ownerUnknown() Guard {
	return Guard{
		Name:     "owner-unknown",
		Prevents: "A finalizer is taken off of which nobody knows what it is there for, and whoever waits for it never does its work.",
		Flag:     "finalizers",
		Lifts:    "--finalizers=NAME",
		For:      []ID{RemoveFinalizers},
		Needs:    ownersNeed(),
		Check: func(c *Case, _ Remedy) []Verdict {
			var out []Verdict
			for _, o := range c.ownersTaken() {
				switch {
				case takenForAlive(o):
				case o.Alive == finalizer.Gone && o.BuiltIn:
					out = append(out, Verdict{
						Level: Warn, Evidence: o.Evidence,
						Reason: fmt.Sprintf("Finalizer %s of %s belongs to %s. To bring that back is the better way: it is a part of the control plane, and does the work then.%s", o.Finalizer, c.Pod.Ref, o, leaves(o)),
					})
				case o.Alive == finalizer.Gone && o.Sure == diagnose.Certain:
				case o.Alive == finalizer.Gone:
					out = append(out, Verdict{
						Level: Warn, Evidence: o.Evidence,
						Reason: fmt.Sprintf("Finalizer %s of %s belongs to %s. That is %s and not certain. %s%s", o.Finalizer, c.Pod.Ref, o, o.Sure, o.Decide, leaves(o)),
					})
				default:
					v := Verdict{
						Level: Block, Evidence: o.Evidence, Override: "--finalizers=" + o.Finalizer,
						Reason: fmt.Sprintf("Finalizer %s of %s belongs to %s. What would tell: %s%s", o.Finalizer, c.Pod.Ref, o, o.Decide, leaves(o)),
					}
					if slices.Contains(c.Asked.Named, o.Finalizer) {
						v.Lifted, v.By = true, v.Override
					}
					out = append(out, v)
				}
			}
			return out
		},
	}
}

func leaves(o finalizer.Owner) string {
	if o.Leaks == "" {
		return ""
	}
	return fmt.Sprintf(" Without the finalizer: %s.", o.Leaks)
}
