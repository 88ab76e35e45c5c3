package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeOffVouched() Guard {
	return Guard{
		Name:     "node-off-vouched",
		Prevents: "A node that nobody looked at is declared to be off, because nothing is heard of it: it may only be cut off, and write on to the volumes that are detached.",
		Flag:     flagAttest,
		Lifts:    liftsAttest,
		For:      []ID{OutOfService},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Node: func(c *NodeCase, _ ID) []Verdict {
			m := c.machine()
			_, says := m.hearing()
			v := Verdict{
				Level: Block, Evidence: m.nodeEvidence(),
				Reason: fmt.Sprintf("That node %s is off is for a person to say who made sure of it, at its power or its hypervisor: %s, which a node that is only cut off shows too. "+
					"The words have to name the node.", c.Ref.Name, says),
			}
			if words, err := m.attested(); err == nil && words != "" && namesNode(words, c.Ref.Name) {
				v.Lifted, v.By = true, fmt.Sprintf("--attest %q", words)
			}
			return []Verdict{v}
		},
	}
}
