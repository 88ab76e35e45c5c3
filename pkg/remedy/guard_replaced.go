package remedy

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func replaced() Guard {
	return Guard{
		Name:     "replaced",
		Prevents: "A healthy pod that took the name of the stuck one is deleted in its stead.",
		Check: func(c *Case, r Remedy) []Verdict {
			if c.Pod.Object == nil && slices.Contains(changes(), r.ID) {
				return []Verdict{{
					Level: Block, Reason: fmt.Sprintf("%s is not in the picture, so nothing can be said of what a change does.", c.Pod.Ref),
					Evidence: []diagnose.Evidence{podEvidence(c, "existence", "not read")},
				}}
			}
			if c.Planned == "" || c.Pod.Object == nil || c.Pod.Object.UID == c.Planned {
				return nil
			}
			return []Verdict{{
				Level:    Block,
				Reason:   fmt.Sprintf("%s is another pod than the one that was planned on: its UID is %q and was %q. The stuck one is gone.", c.Pod.Ref, c.Pod.Object.UID, c.Planned),
				Evidence: []diagnose.Evidence{podEvidence(c, "metadata.uid", string(c.Pod.Object.UID))},
			}}
		},
	}
}
