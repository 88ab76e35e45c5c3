package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func fuseEndpointDead() diagnose.Cause {
	// A program's own socket can say the first as well, so a mount has to be named with it.
	dead := diagnose.Text{All: []string{"transport endpoint is not connected"}, Any: []string{"mount", "stat ", "volume", "/var/lib/kubelet", "subpath", "mkdir"}}
	// Docker's words, containerd's and CRI-O's for a source that can be neither looked at nor made, because something dead is mounted there.
	exists := diagnose.Text{All: []string{"file exists", "mkdir"}, Any: []string{"error while creating mount source path", "failed to generate spec", "failed to mkdir"}, None: []string{"netns", "/proc", "/sys"}}
	aborted := diagnose.Text{All: []string{"software caused connection abort"}, Any: []string{"stat ", "mount", "/var/lib/kubelet"}}
	refused := diagnose.Text{All: []string{"stat /var/lib/kubelet", "/mount: connection refused"}} // a file cannot refuse a connection: the daemon does
	return diagnose.Cause{
		Code: "ST314", Slug: "fuse-endpoint-dead", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The daemon behind a FUSE mount is gone",
			Symptom: "\"transport endpoint is not connected\" when a container is made or a volume is mounted; or \"error while creating mount source path … file exists\".",
			Mechanism: "A FUSE file system (S3, CephFS, GlusterFS, blobfuse clients) lives in a process. When that process or the pod of the CSI driver in which it runs " +
				"ended, the mount point stays behind and answers every access with an error. Restarting the container in place does not mount anew.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "delete-pod", Risk: diagnose.RiskLow, Text: "Delete the pod, so that its successor mounts anew. With a hostPath mount that does not suffice.", Command: "kubectl delete pod {pod} -n {namespace}"},
				{ID: "unmount-on-node", Risk: diagnose.RiskMedium, Text: "On the node: umount (fusermount -uz) the dead mount point."},
				{ID: "restart-node-plugin", Risk: diagnose.RiskHigh, Text: "Restarting the driver's node plugin kills the FUSE mounts of every other pod of that driver on the node. Give it memory first, if it was killed for want of it."},
			},
			Refs: []string{
				"https://github.com/yandex-cloud/k8s-csi-s3/issues/133",
				"https://github.com/freegroup/kube-s3/issues/3",
			},
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: dead}, {Text: exists}, {Text: aborted}, {Text: refused}},
			Waiting:    []diagnose.WaitingMatch{{Text: dead}, {Text: exists}, {Text: aborted}, {Text: refused}},
			Confidence: diagnose.Certain,
			Say:        "A mount of pod {namespace}/{pod} on node {node} leads to a FUSE daemon that is gone.",
		},
		Log: []diagnose.LogMatch{
			{
				// Sockets fail with the same words: it must be about a path.
				Text:    diagnose.Text{All: []string{"transport endpoint is not connected"}, None: []string{"getpeername", "sshd[", "setsockopt", "shutdown"}},
				Pattern: `mount|volume|\bl?stat\b|/kubelet/|/pods/|\bfuse|fuse\b|s3fs|gluster|ceph|cannot access|readlink|/[^ :]*: transport endpoint`,
			},
			{Text: aborted},
			{Text: refused},
			{Text: diagnose.Text{All: []string{"error while creating mount source path", "file exists"}}},
		},
	}
}
