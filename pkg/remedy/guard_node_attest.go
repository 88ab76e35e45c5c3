package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func nodeAttest() Guard {
	return Guard{
		Name:     "node-attest",
		Prevents: "A word like \"yes\", or what somebody knows of another node, stands for this one.",
		For:      []ID{DeleteNode, OutOfService, InService},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Asked.Attest == "" {
				return nil
			}
			words, err := Attestation(c.Asked.Attest)
			other := ""
			if err == nil && !namesNode(words, c.Ref.Name) {
				for _, n := range c.S.Nodes() {
					if namesNode(words, n.Name) {
						other = n.Name
						break
					}
				}
			}
			v := Verdict{Level: Block, Evidence: []diagnose.Evidence{{Object: "--attest", Field: "words", Value: orNone(shortened(c.Asked.Attest))}}}
			switch {
			case err != nil:
				v.Reason = fmt.Sprintf("The attestation does not count: %s.", err)
			case other != "":
				v.Reason = fmt.Sprintf("The attestation does not count: it names node %s, and this is about node %s.", other, c.Ref.Name)
			default:
				return nil
			}
			return []Verdict{v}
		},
	}
}
