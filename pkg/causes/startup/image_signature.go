package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageSignature() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST638", Slug: "image-signature",
		Doc: diagnose.Doc{
			Title:     "The runtime does not accept the image's signature",
			Symptom:   "SignatureValidationFailed, then ImagePullBackOff. The registry was reached and has the image.",
			Mechanism: "The runtime on the node checks signatures by a policy of the host. The image is not signed, is signed with a key that the policy does not know, or the policy covers a registry that was not meant.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.containers[*].image}' -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "sign-image", Risk: diagnose.RiskNone, Text: "Sign the image with a key that the policy knows, or use the image that is signed. Kubelet tries again within 5 minutes."},
				{ID: "change-policy", Risk: diagnose.RiskMedium, Text: "Or correct the policy on the nodes (/etc/containers/policy.json, for CRI-O). A policy that is too wide lets foreign images in."},
			},
			Refs: []string{
				"https://kubernetes.io/blog/2023/06/29/container-image-signature-verification/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/images/image_manager.go",
			},
		},
		Reach: scope.ReachPod,
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.ImagePullBackOff},
			Waiting: []diagnose.WaitingMatch{
				{Reasons: []string{"SignatureValidationFailed"}},
				{Reasons: []string{"ImagePullBackOff", "ErrImagePull"}, Text: diagnose.Text{Any: signatures()}},
			},
			Confidence: diagnose.Certain,
			Say:        "The runtime on node {node} has the image of pod {pod} and does not accept its signature, or its policy rejects it.",
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"SignatureValidationFailed", "a signature was required, but no signature exists", "Source image rejected"}}},
		},
	}
}
