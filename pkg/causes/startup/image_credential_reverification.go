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

func imageCredentialReverification() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST611", Slug: "image-credential-reverification",
		Doc: diagnose.Doc{
			Title:   "The image is on the node, and the pod may not use it without credentials",
			Symptom: "ErrImagePull or ErrImageNeverPull although the image is on the node, and other pods there run it. Often after the kubelet was upgraded to 1.35 or later.",
			Mechanism: "A kubelet that checks pull credentials (feature KubeletEnsureSecretPulledImages) remembers with which Secret an image was pulled. A pod that does not bring that Secret, or one that the registry accepts, is treated as if the image were not there: " +
				"with IfNotPresent the kubelet asks the registry, with Never it refuses. It says the same as for an image that is absent, on purpose.",
			Confirm: []string{
				"kubectl get node {node} -o jsonpath='{.status.images[*].names}'",
				"kubectl get pod {pod} -o jsonpath='{.spec.imagePullSecrets} {.spec.containers[*].imagePullPolicy}' -n {namespace}",
				"kubectl get node {node} -o jsonpath='{.status.nodeInfo.kubeletVersion}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "add-secret", Risk: diagnose.RiskLow, Text: "Give the pod's ServiceAccount, or the workload, an imagePullSecret that the registry accepts for this image; pods that exist have to be replaced."},
				{ID: "preload-image", Risk: diagnose.RiskLow, Text: "Or load the image on the node without the kubelet (crictl pull, an image in the machine's template): by the kubelet's default, images that it did not pull itself may be used by all (imagePullCredentialsVerificationPolicy: NeverVerifyPreloadedImages)."},
				{ID: "change-policy", Risk: diagnose.RiskMedium, Text: "Or set imagePullCredentialsVerificationPolicy to NeverVerifyAllowlistedImages or NeverVerify in the kubelet's configuration. With NeverVerify, every pod may use what another's Secret pulled."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/",
				"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2535-ensure-secret-pulled-images",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/images/image_manager.go",
			},
			Since: "Kubernetes 1.33",
		},
		Reach:    scope.ReachPod,
		Needs:    []snapshot.Kind{snapshot.Node},
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.ImagePullBackOff || !checksCredentials(s, p) {
				return diagnose.Finding{}, false
			}
			image, ev, never := waitingFor(p, "ErrImageNeverPull")
			what := "with imagePullPolicy Never the kubelet refuses it"
			if !never {
				x, ok := failing(s, p, faultRefused)
				if !ok || policyOf(p.Object, x.container) == corev1.PullAlways {
					return diagnose.Finding{}, false
				}
				image, ev = x.image, x.ev
				what = "the registry refuses what the pod brings: " + x.why()
			}
			if !present(s, p, image) {
				return diagnose.Finding{}, false
			}
			n := s.Node(p.Node)
			return diagnose.Finding{
				Subject: snapshot.Ref{Kind: kindImage, Name: image}, Confidence: diagnose.Likely,
				Message: fmt.Sprintf("Image %q is on node %s, whose kubelet (%s) lets only pods use it that bring credentials for it, and %s.", image, p.Node, n.Status.NodeInfo.KubeletVersion, what),
				Evidence: append(ev,
					diagnose.Evidence{Object: "node " + p.Node, Field: "status.images", Value: image},
					diagnose.Evidence{Object: "node " + p.Node, Field: "status.nodeInfo.kubeletVersion", Value: n.Status.NodeInfo.KubeletVersion}),
				Alternatives: []string{"image-never-pull", "image-auth"},
				Decide:       "Whether pods that pull with the right Secret start on the node; the list of images in the node's status can be some minutes old.",
			}, true
		},
	}
}

// checksCredentials tells whether the node's kubelet may check who pulled an image: the feature is on by default since 1.35 (pkg/features).
func checksCredentials(s *snapshot.Snapshot, p stuck.Pod) bool {
	minor, ok := kubeletOf(s, p.Node)
	return ok && minor >= 35
}

// present tells whether the node's status lists the image. It lists up to 50 by default (--node-status-max-images), so that absence says nothing.
func present(s *snapshot.Snapshot, p stuck.Pod, image string) bool {
	n := s.Node(p.Node)
	if n == nil || image == "" {
		return false
	}
	want := canonical(image)
	for i := range n.Status.Images {
		for _, name := range n.Status.Images[i].Names {
			if canonical(name) == want {
				return true
			}
		}
	}
	return false
}

// canonical is the full name of an image: with its registry, and with a tag unless it has a digest.
func canonical(image string) string {
	host := registryOf(image)
	rest := strings.TrimPrefix(image, host+"/")
	if host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	if last := rest[strings.LastIndexByte(rest, '/')+1:]; !strings.ContainsAny(last, ":@") {
		rest += ":latest"
	}
	return host + "/" + rest
}

// policyOf is the pull policy of a container.
func policyOf(p *corev1.Pod, container string) corev1.PullPolicy {
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			if l[i].Name == container {
				return l[i].ImagePullPolicy
			}
		}
	}
	return ""
}
