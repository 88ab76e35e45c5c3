package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeFinalizers() Guard {
	return Guard{
		Name:     "node-finalizers",
		Prevents: "The Node object is deleted and stays, held by a finalizer, and its pods stay with it: PodGC acts when the object is gone.",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet, snapshot.CustomResourceDefinition, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Node == nil || len(c.Node.Finalizers) == 0 {
				return nil
			}
			var clauses []string
			ev := []diagnose.Evidence{}
			for _, o := range finalizer.OfAll(c.S, c.Ref, c.Node) {
				clauses = append(clauses, fmt.Sprintf("the owner of %s, %s, is %s: %s", o.Finalizer, orNone(o.Name), o.Alive, trimmed(o.Why)))
				ev = append(ev, c.cite("metadata.finalizers", o.Finalizer))
			}
			if len(ev) == 0 {
				ev = append(ev, c.cite("metadata.finalizers", finalPhrase(c.Node.Finalizers)))
			}
			reason := fmt.Sprintf("The Node object of %s has %s, and stays until their owners are done; PodGC removes its pods only after that.", c.Ref.Name, finalPhrase(c.Node.Finalizers))
			if len(clauses) > 0 {
				reason += " " + first(sentences(clauses), upperRune) + "."
			}
			return []Verdict{{Level: Warn, Reason: reason, Evidence: ev}}
		},
	}
}
