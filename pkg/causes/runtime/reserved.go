package runtime

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// minRecent is how far back an event about the node still counts for a pod that got stuck just now.
const minRecent = time.Hour

// longReserved is how long a slow request may hold a name before something worse than slowness is the better guess.
const longReserved = 20 * time.Minute

// nameReserved cites messages that say that an earlier request for the same container or sandbox is still under way
// in the runtime: containerd's wording, and CRI-O's.
func nameReserved(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	text := diagnose.Text{Any: []string{
		"failed to reserve container name", "failed to reserve sandbox name", "error reserving ctr name", "error reserving pod name",
		"kubelet may be retrying requests that are timing out in CRI-O",
	}}
	out := diagnose.Said(s, p, text)
	for _, c := range p.Object.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && text.Match(w.Message) {
			out = append(out, diagnose.Evidence{Object: p.Ref.String(), Field: "status.containerStatuses[" + c.Name + "].state.waiting", Value: w.Reason + ": " + w.Message})
		}
	}
	return out
}
