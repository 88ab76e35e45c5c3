package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func hostpathType() diagnose.Cause {
	subPath := diagnose.Text{Any: []string{"failed to prepare subPath for volumeMount", "failed to create subPath directory"}}
	local := diagnose.Text{All: []string{"initialization failed for volume", "does not exist"}} // a local volume's directory
	return diagnose.Cause{
		Code: "ST324", Slug: "hostpath-type", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "A path that the pod mounts is not what it asks for",
			Symptom:   "FailedMount \"hostPath type check failed\" or, for a local volume, \"path … does not exist\"; or CreateContainerConfigError \"failed to prepare subPath for volumeMount\".",
			Mechanism: "A hostPath volume with a type (Directory, File, Socket …) is mounted only when the host has that at the path. A subPath has to be, or to become, a directory or file inside the volume.",
			Confirm:   []string{"kubectl describe pod {pod} -n {namespace}", "kubectl get pod {pod} -n {namespace} -o jsonpath={.spec.volumes}"},
			Remedies: []diagnose.Remedy{
				{ID: "create-path", Risk: diagnose.RiskLow, Text: "Create on the node what the message names, or start what makes it (a socket's daemon). The kubelet tries again by itself."},
				{ID: "change-type", Risk: diagnose.RiskLow, Text: "Or change the type (DirectoryOrCreate), the path, or the nodes that the pod may go to."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/storage/volumes/#hostpath", "kubernetes: pkg/volume/hostpath/host_path.go"},
		},
		Signature: &diagnose.Signature{
			Events: []diagnose.EventMatch{
				{Reasons: []string{"FailedMount"}, Text: diagnose.Text{All: []string{"hostPath type check failed"}}},
				{Reasons: []string{"FailedMount"}, Text: local},
				{Reasons: []string{"Failed"}, Text: subPath},
			},
			Waiting:    []diagnose.WaitingMatch{{Text: subPath}},
			Confidence: diagnose.Certain,
			Say:        "A path that pod {namespace}/{pod} mounts is missing on node {node}, or is of another type than it asks for.",
		},
		Log: []string{"hostPath type check failed", "failed to prepare subPath for volumeMount"},
	}
}
