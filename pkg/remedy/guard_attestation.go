package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func attestation() Guard {
	return Guard{
		Name:     "attestation",
		Prevents: "A word like \"yes\", or what somebody knows of one node, stands for nodes that nobody looked at.",
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Run: func(run *Run) []Verdict {
			if run.Asked.Attest == "" {
				return nil
			}
			nodes := run.unproven()
			if len(nodes) == 0 {
				return nil // nothing rests on the words
			}
			ev := []diagnose.Evidence{{Object: "--attest", Field: "words", Value: shortened(run.Asked.Attest)}}
			words, err := Attestation(run.Asked.Attest)
			if err != nil {
				return []Verdict{{Level: Block, Override: liftsAttest, Reason: fmt.Sprintf("The attestation does not count: %s.", err), Evidence: ev}}
			}
			if len(nodes) < 2 {
				return nil
			}
			missing := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return namesNode(words, n) })
			if len(missing) == 0 {
				return nil
			}
			return []Verdict{{
				Level: Block, Override: liftsAttest,
				Reason: fmt.Sprintf("The run concerns %d nodes, and the attestation does not name %s: it has to name each node that it speaks of.", len(nodes), some(missing)), Evidence: ev,
			}}
		},
	}
}

// unproven lists the nodes of the pods that would be made to go without their kubelet, and that are not known to have stopped.
func (run *Run) unproven() []string {
	var nodes []string
	for i, c := range run.Cases {
		if c == nil || c.Pod.Node == "" || slices.Contains(nodes, c.Pod.Node) || i >= len(run.Remedies) {
			continue
		}
		if slices.ContainsFunc(run.Remedies[i], func(id ID) bool { past, _ := c.past(id); return past }) && !c.atRest().stopped {
			nodes = append(nodes, c.Pod.Node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// some lists the first few names, and counts the rest.
func some(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return listed(names)
}

// shortened is a text that was given on the command line, or in a plan, as evidence.
func shortened(text string) string {
	const most = 100
	r := []rune(text[:min(len(text), 4*most)])
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(r)
}
