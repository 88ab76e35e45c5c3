package startup

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageAuth() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST631", Slug: "image-auth",
		Doc: diagnose.Doc{
			Title:     "The registry does not let the pod pull the image",
			Symptom:   `ErrImagePull and ImagePullBackOff; the registry answers "unauthorized", "denied" or "pull access denied".`,
			Mechanism: "The registry wants credentials that kubelet did not send or that are no longer valid: no imagePullSecret in the pod or its ServiceAccount, a Secret of another namespace, an expired token, a credential provider that fails on the node. Some registries also answer so for repositories that do not exist. A kubelet that checks pull credentials (feature KubeletEnsureSecretPulledImages) asks the registry even for an image that is on the node.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.imagePullSecrets} {.spec.serviceAccountName}' -n {namespace}",
				"kubectl get secrets --field-selector type=kubernetes.io/dockerconfigjson -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-secret", Risk: diagnose.RiskNone, Text: "See whether the Secrets that the pod names exist in its namespace and are meant for this registry, and whether the name of the repository is right.", Command: "kubectl get pod {pod} -o jsonpath='{.spec.imagePullSecrets}' -n {namespace}"},
				{ID: "renew-secret", Risk: diagnose.RiskLow, Text: "Renew the credentials in the Secret. Kubelet reads them at the next attempt, within 5 minutes."},
				{ID: "add-secret", Risk: diagnose.RiskLow, Text: "If the pod names none, add the Secret to its ServiceAccount or to the workload; pods that exist do not get it and have to be replaced."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/",
				"https://kubernetes.io/docs/concepts/containers/images/",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.Secret},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultRefused)
			if !ok {
				return diagnose.Finding{}, false
			}
			if present(s, p, x.image) && checksCredentials(s, p) && policyOf(p.Object, x.container) != corev1.PullAlways {
				return diagnose.Finding{}, false // the image is there: image-credential-reverification
			}
			f := diagnose.Finding{
				Subject: x.imageRef(), Confidence: diagnose.Likely, Evidence: x.ev,
				Message:      fmt.Sprintf("The registry %s refuses the pull of image %q: %s.%s", registryOf(x.image), x.image, x.why(), secretsOf(s, p)),
				Alternatives: []string{"image-not-found"},
				Decide:       "Registries answer alike for images that do not exist: look the repository up with an account that may see it.",
			}
			return f, true
		},
		Log: []diagnose.LogMatch{
			{
				Text: diagnose.Text{
					All: []string{"image"}, Any: []string{"pull access denied", "no basic auth credentials", "insufficient_scope: authorization failed", "requested access to the resource is denied", "unauthorized: authentication required", "authorization token has expired", "unauthorized: access to the requested resource"},
				},
				Alternatives: []string{"image-not-found"},
				Decide:       "Registries answer alike for images that do not exist: look the repository up with an account that may see it.",
			},
			{Text: diagnose.Text{All: []string{"failed to authorize: failed to fetch", "token"}, Any: []string{"401", "403", "400 Bad Request"}}},
		},
	}
}

// secretsOf says which Secrets the pod pulls with, with a space before it, and which of them are not there.
func secretsOf(s *snapshot.Snapshot, p stuck.Pod) string {
	var names, missing []string
	for _, r := range p.Object.Spec.ImagePullSecrets {
		if r.Name == "" {
			continue
		}
		names = append(names, r.Name)
		if s.Has(snapshot.Secret, p.Ref.Namespace, r.Name) == snapshot.Absent {
			missing = append(missing, r.Name)
		}
	}
	switch {
	case len(names) == 0:
		return " The pod names no imagePullSecret."
	case len(missing) > 0:
		return fmt.Sprintf(" Its imagePullSecret %s does not exist.", strings.Join(missing, ", "))
	}
	return fmt.Sprintf(" It pulls with the Secret %s.", strings.Join(names, ", "))
}
