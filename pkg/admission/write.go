package admission

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Write is a request that the API server has to accept for a pod that is being deleted to go.
type Write struct {
	Op          admissionv1.OperationType
	Subresource string
	// What is it in words: "the removal of its finalizers".
	What string
}

// Writes lists what a pod that is being deleted still needs, in order, by the stage of its deletion; nothing for other pods. The kubelet writes a
// terminal phase into the status and deletes with grace 0 when it has cleaned up (pkg/kubelet/status canBeDeleted); PodGC does both for pods that no
// kubelet has (pkg/controller/podgc markFailedAndDeletePodWithCondition).
func Writes(p stuck.Pod) []Write {
	if p.Object == nil {
		return nil
	}
	status := Write{admissionv1.Update, "status", "the report that it ended"}
	remove := Write{admissionv1.Delete, "", "its last deletion"}
	switch p.Stage {
	case stuck.FinalizersOnly:
		return []Write{{admissionv1.Update, "", "the removal of its finalizers"}}
	case stuck.Cleanup:
		return []Write{remove}
	case stuck.NodeGone, stuck.NeverScheduled:
		if snapshot.IsTerminal(p.Object) {
			return []Write{remove}
		}
		return []Write{status, remove}
	case stuck.InGrace, stuck.KillUnconfirmed:
		return []Write{status, remove}
	default:
		return nil
	}
}
