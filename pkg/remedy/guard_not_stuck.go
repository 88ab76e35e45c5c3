package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func notStuck() Guard {
	return Guard{
		Name:     "not-stuck",
		Prevents: "A pod that works is deleted because a selector, or a name typed in haste, took it in.",
		For:      []ID{DeletePod},
		Check: func(c *Case, _ Remedy) []Verdict {
			p := c.Pod.Object
			if p == nil || p.DeletionTimestamp != nil || c.Stuck || c.Waiting {
				return nil
			}
			return []Verdict{{
				Level:    Block,
				Reason:   fmt.Sprintf("%s is %s, and nothing shows that it is stuck: there is nothing to fix. kubectl delete pod deletes it.", c.Pod.Ref, c.Pod.Word),
				Evidence: []diagnose.Evidence{podEvidence(c, "status.phase", string(p.Status.Phase))},
			}}
		},
	}
}
