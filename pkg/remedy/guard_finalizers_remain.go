package remedy

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func finalizersRemain() Guard {
	return Guard{
		Name:     "finalizers-remain",
		Prevents: "The pod is killed for nothing: finalizers that stay hold the object, and it hangs as before.",
		For:      []ID{ForceDelete, RemoveFinalizers},
		Check: func(c *Case, r Remedy) []Verdict {
			if c.Pod.Object == nil {
				return nil
			}
			off, left := c.taken()
			if r.ID == ForceDelete && !c.Asked.Finalizers {
				left = append(off, left...)
			}
			if len(left) == 0 {
				return nil
			}
			how := "add --finalizers=" + strings.Join(left, ",") + " if they are to go too"
			if r.ID == RemoveFinalizers {
				how = "it goes when their owners take them off"
			}
			return []Verdict{{
				Level: Warn, WouldNotHelp: true,
				Reason:   fmt.Sprintf("%s will still be there, held by its finalizers %s: %s.", c.Pod.Ref, listed(left), how),
				Evidence: []diagnose.Evidence{podEvidence(c, "metadata.finalizers", strings.Join(c.Pod.Object.Finalizers, ", "))},
			}}
		},
	}
}
