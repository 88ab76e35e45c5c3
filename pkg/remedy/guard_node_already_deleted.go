package remedy

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func nodeAlreadyDeleted() Guard {
	return Guard{
		Name:     "node-already-deleted",
		Prevents: "A Node object that somebody deleted already, and that finalizers hold, is deleted again, which changes nothing.",
		For:      []ID{DeleteNode},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Node == nil || c.Node.DeletionTimestamp == nil {
				return nil
			}
			held := "nothing that shows holds it, so that it should be gone at any moment"
			if len(c.Node.Finalizers) > 0 {
				held = finalPhrase(c.Node.Finalizers) + " " + plural(len(c.Node.Finalizers), "holds it, and its owner has", "hold it, and their owners have") + " to be brought to finish"
			}
			at := c.Node.DeletionTimestamp
			return []Verdict{{
				Level: Warn, WouldNotHelp: true, Evidence: []diagnose.Evidence{c.cite("metadata.deletionTimestamp", at.UTC().Format(time.RFC3339))},
				Reason: fmt.Sprintf("The Node object of %s was deleted already, %s: %s.", c.Ref.Name, scope.Ago(c.S.Now().Sub(at.Time)), held),
			}}
		},
	}
}
