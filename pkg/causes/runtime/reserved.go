package runtime

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// minRecent is how far back an event about the node still counts for a pod that got stuck just now.
const minRecent = time.Hour

// longReserved is how long a slow request may hold a name before something worse than slowness is the better guess.
const longReserved = 20 * time.Minute

// relabels tells whether the runtime names the step that fails: it sets SELinux labels (containerd: "failed to apply OCI options: relabel … failed"; see
// selinux-recursive-relabel). A name that is reserved then only says that the last attempt is not done with it.
func relabels(s *snapshot.Snapshot, p stuck.Pod) bool {
	return len(diagnose.Said(s, p, diagnose.Text{Any: []string{"OCI options: relabel", "relabel failed", "failed to set file label on"}})) > 0
}

// dockerConflict is Docker's wording for a name that another container has, with the prefix of the names that kubelets give. It calls it "The name" before 1.13,
// and later "The container name".
func dockerConflict() diagnose.Text {
	return diagnose.Text{All: []string{"/k8s_", "is already in use by container"}}
}

// nameReserved cites messages that say that an earlier request for the same container or sandbox is still under way
// in the runtime: containerd's wording, and CRI-O's.
func nameReserved(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	text := diagnose.Text{Any: []string{
		"failed to reserve container name", "failed to reserve sandbox name", "error reserving ctr name", "error reserving pod name",
		"kubelet may be retrying requests that are timing out in CRI-O",
	}}
	return append(diagnose.Said(s, p, text), waits(p, text)...)
}

// waits cites the containers of a pod that wait with a message that has the words.
func waits(p stuck.Pod, text diagnose.Text) []diagnose.Evidence {
	var out []diagnose.Evidence
	for _, l := range [][]corev1.ContainerStatus{p.Object.Status.InitContainerStatuses, p.Object.Status.ContainerStatuses} {
		for i := range l {
			if w := l[i].State.Waiting; w != nil && text.Match(w.Message) {
				out = append(out, diagnose.Evidence{Object: p.Ref.String(), Field: "status.containerStatuses[" + l[i].Name + "].state.waiting", Value: w.Reason + ": " + w.Message})
			}
		}
	}
	return out
}
