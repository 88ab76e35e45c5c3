package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// relabel are the words of containerd, Docker and CRI-O for labels that could not be set (opencontainers/selinux, cri-o: pkg/… securityLabel).
var relabel = diagnose.Text{
	Any: []string{"relabel failed", "error setting label on mount source", "failed to set file label on", "SELinux relabeling of", "failed to relabel", "OCI options: relabel"},
}

// The API mostly shows the same as for a runtime request that takes too long, which names this one as its alternative.
func selinuxRecursiveRelabel() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST317", Slug: "selinux-recursive-relabel", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The runtime relabels every file on the volume for SELinux first",
			Symptom:   "On a node with SELinux, a pod with a volume of very many files stays at creating its container: \"failed to reserve container name\", or DeadlineExceeded.",
			Mechanism: "Before a container starts, the runtime sets the SELinux label of each file of its volumes, one by one. On a network file system with many files that takes longer than the kubelet's request may, and it starts anew with each retry.",
			Confirm:   []string{"kubectl get pod {pod} -n {namespace} -o yaml", "kubectl debug node/{node} -it --image=busybox -- chroot /host getenforce"},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "Wait: files that have their label already are quick, so a later attempt may get through."},
				{ID: "selinux-mount", Risk: diagnose.RiskLow, Text: "Let the volume be mounted with its label: a CSI driver with seLinuxMount: true, and no seLinuxChangePolicy: Recursive in the pod."},
			},
			Refs: []string{"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#efficient-selinux-volume-relabeling", "https://github.com/rook/rook/issues/2177"},
		},
		Signature: &diagnose.Signature{
			Events: []diagnose.EventMatch{{Text: relabel}}, Waiting: []diagnose.WaitingMatch{{Text: relabel}},
			Confidence: diagnose.Likely,
			Say:        "The runtime of node {node} does not get the SELinux labels onto the files of a volume of pod {namespace}/{pod}.",
		},
		Log: []diagnose.LogMatch{
			{Text: relabel},
			{
				Text:       diagnose.Text{All: []string{"setxattr"}, Any: []string{"selinux", "context deadline exceeded", "DeadlineExceeded"}},
				Confidence: diagnose.Possible, Alternatives: []string{"hung-fs-mount", "runtime-request-timeout-slow-disk"},
				Decide: "Whether the node enforces SELinux (getenforce), and how many files the volume has.",
			},
		},
	}
}
