package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageFormatUnsupported() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST640", Slug: "image-format-unsupported",
		Doc: diagnose.Doc{
			Title:   "The runtime does not understand the format of the image",
			Symptom: `ErrImagePull with "media type … is no longer supported", "schema 1", "unsupported MediaType" or "invalid tar header". The image starts on nodes with another version of the runtime.`,
			Mechanism: "Images of Docker's oldest format (manifest version 2, schema 1) are no longer read: containerd 2.1 removed them, 2.0 and Docker 26 turned them off. The other way round, old runtimes do not read layers that are packed with zstd, " +
				"or manifests of newer kinds.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get node {node} -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "rebuild-image", Risk: diagnose.RiskLow, Text: "Build and push the image anew with a current tool, or copy it with one that converts it (skopeo copy --format v2s2)."},
				{ID: "other-runtime", Risk: diagnose.RiskMedium, Text: "Or run it, for now, on nodes whose runtime still reads it.", Command: "kubectl get nodes -o wide"},
			},
			Refs: []string{
				"https://containerd.io/releases/#deprecated-features",
				"https://docs.docker.com/engine/deprecated/#pushing-and-pulling-with-image-manifest-v2-schema-1",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultFormat)
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: x.imageRef(), Confidence: diagnose.Fresh(s, diagnose.Certain, x.ev), Evidence: x.ev,
				Message: fmt.Sprintf("The runtime on node %s does not understand the format of image %q: %s.", p.Node, x.image, x.why()),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"is no longer supported since containerd v2", "manifest.v1+prettyjws", "schema 1 support is disabled", "archive/tar: invalid tar header", "unsupported MediaType"}}},
		},
	}
}
