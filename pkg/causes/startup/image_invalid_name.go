package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageInvalidName() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST634", Slug: "image-invalid-name",
		Doc: diagnose.Doc{
			Title:     "The image's name is no valid name",
			Symptom:   "InvalidImageName, from the first moment and for ever.",
			Mechanism: "The name does not parse as an image reference: capital letters in the repository, a space, a scheme such as https://, or a template variable that was never filled in. Kubelet does not ask any registry.",
			Confirm:   []string{"kubectl get pod {pod} -o jsonpath='{.spec.initContainers[*].image} {.spec.containers[*].image}' -n {namespace}"},
			Remedies: []diagnose.Remedy{
				{ID: "fix-workload", Risk: diagnose.RiskLow, Text: "Correct the image in the workload; it replaces the pod.", Command: "kubectl get replicasets,deployments,statefulsets,daemonsets,jobs -n {namespace}"},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/containers/images/#image-names"},
		},
		Reach: scope.ReachPod,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			image, ev, ok := waitingFor(p, "InvalidImageName")
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: snapshot.Ref{Kind: kindImage, Name: image}, Confidence: diagnose.Certain, Evidence: ev,
				Message: fmt.Sprintf("Image name %q is not valid.", image),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"InvalidImageName", "Failed to apply default image tag", "couldn't parse image reference", "couldn't parse image name"}}},
		},
	}
}
