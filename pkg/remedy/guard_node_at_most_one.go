package remedy

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeAtMostOne() Guard {
	return Guard{
		Name: "node-at-most-one",
		Prevents: "The Node object of a machine that is only cut off is deleted, PodGC deletes its pods, and their replacements start beside them: two writers on one volume, " +
			"two members with one identity.",
		Flag:  flagAttest,
		Lifts: liftsAttest,
		For:   []ID{DeleteNode},
		Needs: []snapshot.Kind{
			snapshot.Node, snapshot.Lease, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.ReplicaSet, snapshot.Deployment, snapshot.Job,
		},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var twice []string
			var ev []diagnose.Evidence
			for _, p := range c.takes() {
				at := p.Case.atRest()
				if at.known {
					continue
				}
				why, cites := p.Case.single()
				if len(why) == 0 {
					continue
				}
				says := fmt.Sprintf("%s (%s)", p.Case.standing().name(), listed(why))
				if p.Fate == Evicted {
					says = fmt.Sprintf("%s, which was to stop in order and is still there (%s)", p.Case.standing().name(), listed(why))
				}
				twice = append(twice, says)
				if len(twice) <= evidencePods {
					ev = append(ev, cites...)
				}
			}
			if len(twice) == 0 {
				return nil
			}
			m := c.machine()
			_, state := m.hearing()
			return []Verdict{m.vouched(Verdict{
				Level: Block, Evidence: slices.Concat(ev, m.nodeEvidence()),
				Reason: fmt.Sprintf("%d %s of node %s must not run twice, and nothing shows that the containers stopped (%s): %s.", len(twice), plural(len(twice), "pod", "pods"),
					c.Ref.Name, state, sentences(twice)),
			})}
		},
	}
}
