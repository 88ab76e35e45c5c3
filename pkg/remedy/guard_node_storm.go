package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeStorm() Guard {
	return Guard{
		Name:     "node-storm",
		Prevents: "The network or the control plane fails, every node looks dead, and nodes that run well are deleted with all their pods.",
		Flag:     "even-in-storm",
		Lifts:    "--even-in-storm",
		For:      []ID{Cordon, DeleteNode, OutOfService},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, id ID) []Verdict {
			if c.Picture == nil {
				return nil
			}
			r := c.Picture.D.Scope
			ev := []diagnose.Evidence{{Object: "nodes", Field: "unhealthy", Value: fmt.Sprintf("%d of %d", r.Unhealthy, r.Nodes)}}
			v := Verdict{Level: Block, Evidence: ev}
			switch {
			case r.Storm():
				v.Reason = fmt.Sprintf("%d of %d nodes are unhealthy at once and in the same way: the control plane or the network between is to be suspected before node %s, and its pods may well be running.",
					r.Unhealthy, r.Nodes, c.Ref.Name)
			case !c.S.Complete(snapshot.Node, ""):
				v.Reason = fmt.Sprintf("The nodes of the cluster could not all be read (%d were), so whether many of them fail at once is not known, and what is wrong with node %s may not be its own.",
					len(c.S.Nodes()), c.Ref.Name)
			default:
				return nil
			}
			if id == Cordon {
				v.Level = Warn
				return []Verdict{v}
			}
			return []Verdict{c.Asked.Lift(v, "even-in-storm")}
		},
	}
}
