package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageArch() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST610", Slug: "image-arch",
		Doc: diagnose.Doc{
			Title:     "The image was not built for the node's processor",
			Symptom:   `ErrImagePull with "no match for platform in manifest" on nodes of one architecture, while the same image runs on others.`,
			Mechanism: "A tag can stand for several builds. The runtime takes the one for its node's operating system and processor; there is none.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get node {node} -L kubernetes.io/arch,kubernetes.io/os",
			},
			Remedies: []diagnose.Remedy{
				{ID: "select-nodes", Risk: diagnose.RiskLow, Text: "Give the workload a nodeSelector for kubernetes.io/arch, so that its pods go to nodes that can run it.", Command: "kubectl get nodes -L kubernetes.io/arch"},
				{ID: "build-image", Risk: diagnose.RiskLow, Text: "Build and push the image for this architecture as well."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes",
				"https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-arch",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, diagnose.Text{Any: []string{"no match for platform", "no matching manifest for", "exec format error"}})
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: x.imageRef(), Confidence: diagnose.Certain, Evidence: x.ev,
				Message: fmt.Sprintf("Image %q has no build for the operating system and processor of node %s.", x.image, p.Node),
			}, true
		},
	}
}
