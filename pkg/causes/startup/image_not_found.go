package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageNotFound() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST606", Slug: "image-not-found",
		Doc: diagnose.Doc{
			Title:     "The image does not exist in its registry",
			Symptom:   `ErrImagePull and ImagePullBackOff on every node; the registry answers "not found" or "manifest unknown".`,
			Mechanism: "The registry was reached and knows no such repository, tag or digest: a typing error, a tag that was never pushed, or one that a clean-up removed.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.containers[*].image}' -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-name", Risk: diagnose.RiskNone, Text: "Compare name and tag with what the registry has. If the tag was cleaned up, push it again: kubelet tries again within 5 minutes."},
				{ID: "fix-workload", Risk: diagnose.RiskLow, Text: "Correct the image in the workload; it replaces the pod. Going back to the last revision helps while the right name is looked for.", Command: "kubectl get replicasets,deployments,statefulsets,daemonsets -n {namespace}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/images/image_manager.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultUnknown)
			if !ok {
				return pullUnexplained(s, p)
			}
			return diagnose.Finding{
				Subject: x.imageRef(), Confidence: sureOf(x), Evidence: x.ev,
				Message: fmt.Sprintf("The registry %s has no image %q.", registryOf(x.image), x.image),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"manifest unknown"}}},
			{Text: diagnose.Text{All: []string{"failed to resolve reference", ": not found"}, None: append(refusals(), stores()...)}},
			{Text: diagnose.Text{Any: []string{"does not exist within the repository", "repository name not known to registry"}}},
		},
	}
}

// sureOf tells how sure it is that the image does not exist: a registry that says so of a manifest or a repository knows. A bare "not found" may be of
// something on the way.
func sureOf(x pull) diagnose.Confidence {
	if (diagnose.Text{Any: []string{"manifest", "name unknown", "repository name", "does not exist", "failed to resolve reference", ": not found"}}).Match(x.said) {
		return diagnose.Certain
	}
	return diagnose.Likely
}

// pullUnexplained speaks for a pull of which only the failure is known: older kubelets tell the reason in events alone.
func pullUnexplained(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if len(pullsOf(s, p)) > 0 {
		return diagnose.Finding{}, false
	}
	for _, reason := range []string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"} {
		image, ev, ok := waitingFor(p, reason)
		if !ok {
			continue
		}
		return diagnose.Finding{
			Subject: snapshot.Ref{Kind: kindImage, Name: image}, Confidence: diagnose.Possible, Evidence: ev,
			Message:      fmt.Sprintf("The pull of image %q on node %s fails, and the reason is neither in the container's state nor in an event that could be read.", image, p.Node),
			Alternatives: []string{"image-auth", "image-registry-unreachable", "image-rate-limit", "image-x509"},
			Decide:       "The events of the next pull: kubectl describe pod {pod} -n {namespace}.",
		}, true
	}
	return diagnose.Finding{}, false
}
