package remedy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// storm holds for a single pod as for many, where what is done rests on its node being broken: a pod that is made to go without its kubelet, or deleted from a
// node that is not well. It does not where the pod is known to be done, whatever the nodes do, and not for a pod of a node that is well. The kubelet's word, a node that
// never was, and the taint of a node that somebody knows to be off count here; that the Node object is missing does not, because in a storm that may be the
// storm's doing.
func storm() Guard {
	return Guard{
		Name:     "storm",
		Prevents: "The network or the control plane fails, every node looks dead, and pods that run well are made to go everywhere at once.",
		Flag:     "even-in-storm",
		Lifts:    "--even-in-storm",
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Run: func(run *Run) []Verdict {
			if run.Picture == nil || run.Picture.S == nil {
				return nil
			}
			r := run.Picture.D.Scope
			pods := run.onBrokenNodes(r.Storm())
			if len(pods) == 0 {
				return nil
			}
			ev := []diagnose.Evidence{{Object: "nodes", Field: "unhealthy", Value: fmt.Sprintf("%d of %d", r.Unhealthy, r.Nodes)}}
			switch {
			case r.Storm():
				return []Verdict{run.Asked.Lift(Verdict{
					Level: Block,
					Reason: fmt.Sprintf("%d of %d nodes are unhealthy at once and in the same way: the control plane or the network between is to be suspected before the nodes, and %s may well be running.",
						r.Unhealthy, r.Nodes, some(pods)),
					Evidence: ev,
				}, "even-in-storm")}
			case !run.Picture.S.Complete(snapshot.Node, ""):
				return []Verdict{run.Asked.Lift(Verdict{
					Level: Block,
					Reason: fmt.Sprintf("The nodes of the cluster could not all be read (%d were), so whether many of them fail at once is not known, and what is wrong with the node of %s may not be the node's own.",
						r.Nodes, some(pods)),
					Evidence: ev,
				}, "even-in-storm")}
			default:
				return nil
			}
		},
	}
}

// onBrokenNodes lists the pods of the run of which something is done because their node is not well, or may not be. An ordinary deletion counts in a storm only:
// it leaves the last word to the kubelet, and yet starts a replacement elsewhere.
func (run *Run) onBrokenNodes(seen bool) []string {
	var out []string
	for i, c := range run.Cases {
		if c == nil || c.Pod.Object == nil || c.Pod.Node == "" || i >= len(run.Remedies) {
			continue
		}
		concerned := slices.ContainsFunc(run.Remedies[i], func(id ID) bool { past, _ := c.past(id); return past || seen && id == DeletePod })
		f := scope.Facts(c.S, c.Pod.Node)
		well := f.Exists == snapshot.Present && f.Ready == string(corev1.ConditionTrue) && !f.LeaseStale
		at := c.atRest()
		if !concerned || well || at.stopped || at.known && f.Exists == snapshot.Present {
			continue
		}
		out = append(out, c.Pod.Ref.String())
	}
	return out
}
