package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeUnread() Guard {
	return Guard{
		Name:     "node-unread",
		Prevents: "A node is deleted with pods on it that nobody could look at: what they are, and what is lost with them, is found out afterwards.",
		For:      []ID{DeleteNode, OutOfService},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var out []Verdict
			m := c.machine()
			if c.Node == nil && c.S.Has(snapshot.Node, "", c.Ref.Name) != snapshot.Absent {
				out = append(out, Verdict{
					Level: Block, Reason: fmt.Sprintf("The Node object of %s could not be read%s.", c.Ref.Name, m.gap(snapshot.Node)),
					Evidence: []diagnose.Evidence{c.cite("existence", "could not be read")},
				})
			}
			if !c.AllPods {
				out = append(out, Verdict{
					Level:    Block,
					Reason:   fmt.Sprintf("The pods of node %s could not all be read%s: what goes with it is not known.", c.Ref.Name, m.gap(snapshot.Pod)),
					Evidence: []diagnose.Evidence{{Object: "pods of " + c.Ref.Name, Field: "existence", Value: "could not all be read"}},
				})
			}
			return out
		},
	}
}
