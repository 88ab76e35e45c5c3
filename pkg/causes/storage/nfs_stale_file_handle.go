package storage

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func nfsStaleFileHandle() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST308", Slug: "nfs-stale-file-handle", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The NFS server no longer knows what the node has mounted",
			Symptom: "\"Stale file handle\" when a container is made, or in the kubelet's log when a volume or subPath is to be unmounted.",
			Mechanism: "An NFS client holds on to directories by a handle. When the export was replaced, restored, failed over without its handles, or the directory " +
				"was deleted on the server, the handle means nothing any more, and every use of the mount fails at once.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host grep nfs /proc/mounts",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restart-consumers", Risk: diagnose.RiskLow, Text: "Delete the pods that use it, so that it is mounted anew: a container restarted in place keeps the stale mount.", Command: "kubectl delete pod {pod} -n {namespace}"},
				{ID: "unmount-on-node", Risk: diagnose.RiskHigh, Text: "If a deleted pod stays: on the node, umount the stale mounts below /var/lib/kubelet/pods/<uid> (volume-subpaths first; umount -l where it is refused). What was not written yet is lost."},
			},
			Refs: []string{"https://github.com/kubernetes/kubernetes/issues/71584", "linux: nfs(5)"},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			text := diagnose.Text{Any: []string{"stale nfs file handle", "stale file handle"}}
			if p.Object == nil || p.Stage == stuck.FinalizersOnly {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{Evidence: diagnose.Said(s, p, text)}
			for _, c := range slices.Concat(p.Object.Status.InitContainerStatuses, p.Object.Status.ContainerStatuses) {
				if w := c.State.Waiting; w != nil && text.Match(w.Message) {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.containerStatuses[" + c.Name + "].state.waiting", Value: w.Reason + ": " + w.Message})
				}
			}
			if len(f.Evidence) == 0 {
				return f, false
			}
			f.Confidence = diagnose.Fresh(s, diagnose.Certain, f.Evidence)
			f.Message = fmt.Sprintf("Node %s holds a mount of this pod whose file handle the server does not know any more.", p.Node)
			if hosts := nfsHosts(s, p); len(hosts) == 1 {
				f.Subject = snapshot.Ref{Kind: kindNFSServer, Name: hosts[0]}
				f.Message = fmt.Sprintf("NFS server %s does not know the file handle any more that node %s has mounted for the pod.", hosts[0], p.Node)
			}
			return f, true
		},
		Log: diagnose.Lines("stale NFS file handle", "Stale file handle"),
	}
}
