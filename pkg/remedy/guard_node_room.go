package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeRoom() Guard {
	return Guard{
		Name:     "node-room",
		Prevents: "Pods are made to go from a node, and there is no other on which they fit: what ran badly does not run at all.",
		Flag:     "even-without-room",
		Lifts:    "--even-without-room",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var out []Verdict
			block := func(reason string, ev ...diagnose.Evidence) {
				out = append(out, c.Asked.Lift(Verdict{Level: Block, Reason: reason, Evidence: ev}, "even-without-room"))
			}
			movers := len(c.Movers())
			switch {
			case !c.AllPods:
				block(fmt.Sprintf("The pods of node %s could not all be read, so whether there is room elsewhere for those that have to move is not known.", c.Ref.Name),
					diagnose.Evidence{Object: "pods of " + c.Ref.Name, Field: "existence", Value: "could not all be read"})
			case movers > 0 && c.Room == nil:
				block(fmt.Sprintf("Whether there is room elsewhere for the %d %s that %s to move was not looked at.", movers, plural(movers, "pod", "pods"), plural(movers, "has", "have")),
					diagnose.Evidence{Object: "nodes", Field: "room", Value: "not looked at"})
			}
			if c.Room == nil {
				return out
			}
			unplaced := func(us []room.Unplaced) (clauses []string, ev []diagnose.Evidence) {
				for _, u := range us {
					why := u.Pod.Namespace + "/" + u.Pod.Name + ": " + trimmed(u.Why)
					if u.Preempts {
						why += " (it would fit if pods of less priority gave way, which the scheduler may make them do)"
					}
					clauses = append(clauses, why)
					if len(ev) < evidencePods {
						ev = append(ev, diagnose.Evidence{Object: u.Pod.String(), Field: "room", Value: orNone(u.Why)})
					}
				}
				return clauses, ev
			}
			if n := len(c.Room.Pending); n > 0 {
				clauses, ev := unplaced(c.Room.Pending)
				block(fmt.Sprintf("%d %s would stay Pending, on %d other %s that %s pods: %s.", n, plural(n, "pod", "pods"), c.Room.Candidates,
					plural(c.Room.Candidates, "node", "nodes"), plural(c.Room.Candidates, "takes", "take"), sentences(clauses)), ev...)
			}
			if n := len(c.Room.Unknown); n > 0 {
				clauses, ev := unplaced(c.Room.Unknown)
				block(fmt.Sprintf("Whether there is room elsewhere for %d %s cannot be told: %s.", n, plural(n, "pod", "pods"), sentences(clauses)), ev...)
			}
			return out
		},
	}
}
