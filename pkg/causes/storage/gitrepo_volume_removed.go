package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func gitrepoVolumeRemoved() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST328", Slug: "gitrepo-volume-removed", Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The pod uses a gitRepo volume, which the kubelet no longer mounts",
			Symptom:   "FailedMount \"git-repo volume plugin has been disabled\", mostly after an upgrade of the node.",
			Mechanism: "The gitRepo volume type ran git on the node as root and is switched off (feature gate GitRepoVolumeDriver). The API still accepts it.",
			Confirm:   []string{"kubectl describe pod {pod} -n {namespace}", "kubectl get pod {pod} -n {namespace} -o jsonpath={.spec.volumes}"},
			Remedies: []diagnose.Remedy{
				{ID: "clone-in-init-container", Risk: diagnose.RiskLow, Text: "Replace it by an emptyDir that an init container fills with git clone."},
			},
			Refs:  []string{"https://kubernetes.io/docs/concepts/storage/volumes/#gitrepo", "kubernetes: pkg/volume/git_repo/git_repo.go"},
			Since: "Kubernetes 1.33", // off by default; since 1.36 it cannot be switched on again
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: diagnose.Text{Any: []string{"git-repo volume plugin has been disabled"}}}},
			Confidence: diagnose.Certain,
			Say:        "The gitRepo volume of pod {namespace}/{pod} is not mounted: the kubelet of node {node} has that type switched off.",
		},
		Log: diagnose.Lines("git-repo volume plugin has been disabled"),
	}
}
