package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageShortName() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST645", Slug: "image-short-name",
		Doc: diagnose.Doc{
			Title:   "The image's name has no registry, and the node does not know which one is meant",
			Symptom: `ImageInspectError or ErrImagePull with "short-name … did not resolve to an alias" or "short name mode is enforcing, … returns ambiguous list", on nodes that run CRI-O.`,
			Mechanism: "For a name without a registry, CRI-O looks in /etc/containers/registries.conf for an alias or for registries to search. Where there are none, it does not guess; where there are several, since 1.34 it refuses as well. " +
				"containerd and Docker take docker.io.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.initContainers[*].image} {.spec.containers[*].image}' -n {namespace}",
				"kubectl get node {node} -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "full-name", Risk: diagnose.RiskLow, Text: "Write the full name in the workload: docker.io/library/nginx, not nginx."},
				{ID: "configure-search", Risk: diagnose.RiskMedium, Text: "Or name one registry in unqualified-search-registries, or an alias, on the nodes. Several registries let whoever owns the name in one of them choose the image."},
			},
			Refs: []string{
				"https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md",
				"https://github.com/cri-o/cri-o/pull/9401",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultShortName)
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: x.imageRef(), Confidence: diagnose.Fresh(s, diagnose.Certain, x.ev), Evidence: x.ev,
				Message: fmt.Sprintf("Image name %q has no registry, and the runtime on node %s does not complete it: %s.", x.image, p.Node, x.why()),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"did not resolve to an alias and no unqualified-search registries", "short name mode is enforcing"}}, Confidence: diagnose.Certain},
		},
	}
}
