package remedy

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func nodeInGrace() Guard {
	return Guard{
		Name:     "node-in-grace",
		Prevents: "Pods that are being stopped lose the time that they were given to write their data and to finish their requests.",
		For:      []ID{DeleteNode},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var in []NodePod
			var until time.Time
			for _, p := range c.Pods {
				obj := p.Case.Pod.Object
				if p.Fate == Remains || p.Fate == Finished || p.Fate == WithOwner || obj.DeletionTimestamp == nil || obj.DeletionGracePeriodSeconds != nil && *obj.DeletionGracePeriodSeconds == 0 {
					continue
				}
				if end := obj.DeletionTimestamp.Time; end.Add(graceMargin).After(c.S.Now()) {
					in = append(in, p)
					if end.After(until) {
						until = end
					}
				}
			}
			if len(in) == 0 {
				return nil
			}
			return []Verdict{{
				Level:    Warn,
				Reason:   fmt.Sprintf("%s %s still being stopped, the last until %s: what goes before that loses the rest of its grace period.", podNames(in), plural(len(in), "is", "are"), clock(until)),
				Evidence: append([]diagnose.Evidence{}, podsCited(in, "metadata.deletionTimestamp", func(p NodePod) string { return p.Case.Pod.Object.DeletionTimestamp.UTC().Format(time.RFC3339) })...),
			}}
		},
	}
}
