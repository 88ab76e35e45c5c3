package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeReplaced() Guard {
	return Guard{
		Name:     "node-replaced",
		Prevents: "A machine that registered under the name of the broken one is emptied and deleted in its stead.",
		For:      []ID{Cordon, DeleteNode, OutOfService, InService, RestoreNode, ProbeNode},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, _ ID) []Verdict {
			switch {
			case c.Node == nil && c.S.Has(snapshot.Node, "", c.Ref.Name) == snapshot.Absent:
				return []Verdict{{Level: Block, Reason: fmt.Sprintf("The Node object of %s does not exist.", c.Ref.Name), Evidence: []diagnose.Evidence{c.cite("existence", "absent")}}}
			case c.Node == nil:
				return []Verdict{{
					Level: Block, Reason: fmt.Sprintf("The Node object of %s could not be read: whether it is the one that was meant is not known.", c.Ref.Name),
					Evidence: []diagnose.Evidence{c.cite("existence", "could not be read")},
				}}
			case c.Planned == "" || c.Planned == c.Node.UID:
				return nil
			}
			return []Verdict{{
				Level: Block,
				Reason: fmt.Sprintf("The Node object of %s is another one than the one that was planned on: its UID is %q and was %q. Somebody deleted it, and a machine registered under the name again.",
					c.Ref.Name, c.Node.UID, c.Planned),
				Evidence: []diagnose.Evidence{c.cite("metadata.uid", string(c.Node.UID))},
			}}
		},
	}
}
