package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func notBeingDeleted() Guard {
	return Guard{
		Name:     "not-being-deleted",
		Prevents: "A pod that nobody deleted is killed without its grace period, or loses the finalizer that guards it.",
		For:      []ID{ForceDelete, RemoveFinalizers},
		Check: func(c *Case, r Remedy) []Verdict {
			if c.Pod.Object == nil || c.Pod.Object.DeletionTimestamp != nil {
				return nil
			}
			what := "it has the time to stop that it was given only if it is deleted first: use --delete, and look again when its grace period is over"
			if r.ID == RemoveFinalizers {
				what = "its finalizers guard it until its deletion. Delete it first, with --delete, and see what still holds it then"
			}
			return []Verdict{{
				Level:    Block,
				Reason:   fmt.Sprintf("%s is not being deleted; %s.", c.Pod.Ref, what),
				Evidence: []diagnose.Evidence{podEvidence(c, "metadata.deletionTimestamp", "none")},
			}}
		},
	}
}
