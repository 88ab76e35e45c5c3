package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func hostpathType() diagnose.Cause {
	subPath := diagnose.Text{Any: []string{"failed to prepare subPath for volumeMount", "failed to create subPath directory", "unable to provision SubPath"}}
	// A directory of the node that is to be made, and cannot be.
	unmade := diagnose.Text{All: []string{"MountVolume.SetUp failed", " : mkdir /"}, Any: []string{"operation not permitted", "read-only file system", "not a directory", "permission denied"}, None: []string{"/pods/"}} // the kubelet's own directory is another matter: its disk
	// A path inside a volume that changed below the container, as with a ConfigMap mounted by subPath.
	inside := diagnose.Text{All: []string{"volume-subpaths"}, Any: []string{"not a directory", "no such file or directory"}, None: []string{"stale", "transport endpoint", "orphaned pod", "error reading", "error cleaning subPath"}}
	local := diagnose.Text{Any: []string{"initialization failed for volume", "NewMounter"}, All: []string{"path \"", "does not exist"}} // a local volume's directory
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
				{Text: diagnose.Text{All: []string{"hostPath type check failed"}}},
				{Text: local},
				{Text: unmade},
				{Text: subPath},
				{Text: inside},
			},
			Waiting:    []diagnose.WaitingMatch{{Text: subPath}, {Text: inside}},
			Confidence: diagnose.Certain,
			Say:        "A path that pod {namespace}/{pod} mounts is missing on node {node}, or is of another type than it asks for.",
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"hostPath type check failed", "failed to prepare subPath for volumeMount", "failed to create subPath directory"}}, Confidence: diagnose.Certain},
			{Text: local},
			{Text: unmade},
		},
	}
}
