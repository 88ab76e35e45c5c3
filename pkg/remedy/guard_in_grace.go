package remedy

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// graceMargin is how long past the end of a grace period nothing is hurried: the API server that set the time, the one that is asked now and the node have a
// clock each, and the kubelet gives containers two seconds more after a preStop hook (pkg/kubelet/kuberuntime minimumGracePeriodInSeconds).
const graceMargin = 10 * time.Second

func inGrace() Guard {
	return Guard{
		Name:     "in-grace",
		Prevents: "Containers are killed in the time that they were given to write their data, to finish their requests and to run their preStop hook.",
		Flag:     "even-in-grace",
		Lifts:    "--even-in-grace",
		For:      []ID{ForceDelete, RemoveFinalizers},
		Check: func(c *Case, _ Remedy) []Verdict {
			p := c.Pod.Object
			if p == nil || p.DeletionTimestamp == nil {
				return nil
			}
			left := p.DeletionTimestamp.Add(graceMargin).Sub(c.S.Now())
			if left <= 0 {
				return nil
			}
			grace := "grace period"
			if g := p.DeletionGracePeriodSeconds; g != nil {
				if *g == 0 {
					return nil // the deletion is done as far as the kubelet has a say, or somebody forced it
				}
				grace = fmt.Sprintf("grace period of %s", scope.Short(time.Duration(*g)*time.Second))
			}
			state := fmt.Sprintf("ends in %s", scope.Short(left-graceMargin))
			if left <= graceMargin {
				state = fmt.Sprintf("ended %s ago, which the clocks of the cluster need not agree on yet", scope.Short(graceMargin-left))
			}
			return []Verdict{c.Asked.Lift(Verdict{
				Level:    Block,
				Reason:   fmt.Sprintf("%s is still being stopped: its %s %s. Wait, and look again.", c.Pod.Ref, grace, state),
				Evidence: []diagnose.Evidence{podEvidence(c, "metadata.deletionTimestamp", p.DeletionTimestamp.UTC().Format(time.RFC3339))},
			}, "even-in-grace")}
		},
	}
}
