package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func symptom() Guard {
	return Guard{
		Name:     "symptom",
		Prevents: "Pods are removed one after the other while what is broken is their node, or something that they share, and the next ones hang too.",
		For:      changes(),
		Check: func(c *Case, _ Remedy) []Verdict {
			v := Verdict{Level: Warn}
			because := ""
			for _, f := range c.Findings {
				if f.Reach == c.Reach {
					because = fmt.Sprintf(" (%s: %s)", f.Code, f.Title)
					v.Evidence = f.Evidence
					break
				}
			}
			switch c.Reach {
			case scope.ReachNode:
				v.Reason = fmt.Sprintf("%s is a symptom: node %s is what is broken%s. See kubectl stuck node %s.", c.Pod.Ref, c.Pod.Node, because, c.Pod.Node)
				if c.Group != nil {
					v.Evidence = append(v.Evidence, diagnose.Evidence{Object: c.nodeRef().String(), Field: "stuck pods", Value: fmt.Sprintf("%d of %d", len(c.Group.Stuck), c.Group.Total)})
				}
			case scope.ReachShared:
				v.Reason = fmt.Sprintf("%s is a symptom: something that it shares with pods of other nodes is what is broken%s. See kubectl stuck explain pod/%s -n %s.", c.Pod.Ref, because, c.Pod.Ref.Name, c.Pod.Ref.Namespace)
			case scope.ReachCluster:
				v.Reason = fmt.Sprintf("%s is a symptom: the control plane, or most of the cluster, is in trouble%s. See kubectl stuck node.", c.Pod.Ref, because)
			case scope.ReachPod, scope.ReachUndecided:
				return nil
			default:
				return nil
			}
			return []Verdict{v}
		},
	}
}
