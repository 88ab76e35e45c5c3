package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageNeverPull() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST633", Slug: "image-never-pull",
		Doc: diagnose.Doc{
			Title:     "The image is not on the node, and the pod forbids pulling it",
			Symptom:   "ErrImageNeverPull. The same pod may run on a node that has the image.",
			Mechanism: "With imagePullPolicy Never, kubelet only uses an image that is on the node already, under exactly this name. A kubelet that checks pull credentials (feature KubeletEnsureSecretPulledImages) also counts an image as absent that was pulled with a Secret which this pod does not have.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.containers[*].imagePullPolicy} {.spec.containers[*].image}' -n {namespace}",
				"kubectl get node {node} -o jsonpath='{.status.images[*].names}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "load-image", Risk: diagnose.RiskNone, Text: "Load the image on the node, under the name that the pod uses and into the runtime's Kubernetes namespace (for containerd: k8s.io). The pod starts by itself."},
				{ID: "change-policy", Risk: diagnose.RiskLow, Text: "Set imagePullPolicy to IfNotPresent in the workload, if the image is in a registry."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/images/image_manager.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Node},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			image, ev, ok := waitingFor(p, "ErrImageNeverPull")
			if !ok || present(s, p, image) && checksCredentials(s, p) {
				return diagnose.Finding{}, false
			}
			if present(s, p, image) || s.Node(p.Node) == nil || checksCredentials(s, p) {
				// The list of images may be old, and a kubelet that checks who pulled an image says the same.
				return diagnose.Finding{
					Subject: snapshot.Ref{Kind: kindImage, Name: image}, Confidence: diagnose.Likely, Evidence: ev,
					Message:      fmt.Sprintf("Image %q is not on node %s for this pod, and imagePullPolicy is Never.", image, p.Node),
					Alternatives: []string{"image-credential-reverification"},
					Decide:       "Whether the image is on the node (crictl images on its host). If it is, and the kubelet is 1.35 or later, the pod lacks the Secret with which it was pulled.",
				}, true
			}
			return diagnose.Finding{
				Subject: snapshot.Ref{Kind: kindImage, Name: image}, Confidence: diagnose.Certain, Evidence: ev,
				Message: fmt.Sprintf("Image %q is not on node %s, and imagePullPolicy is Never.", image, p.Node),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"ErrImageNeverPull", "is not present with pull policy of Never"}}},
		},
	}
}

// waitingFor finds the first container that waits for a reason, and the image that it names.
func waitingFor(p stuck.Pod, reason string) (image string, ev []diagnose.Evidence, ok bool) {
	if p.Object == nil || p.State == stuck.Terminating {
		return "", nil, false
	}
	for _, c := range statuses(p.Object) {
		if w := c.State.Waiting; w != nil && w.Reason == reason {
			image = imageOf(p.Object, c.Name)
			if image == "" {
				image = c.Image
			}
			return image, []diagnose.Evidence{{
				Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", c.Name), Value: w.Reason + ": " + w.Message,
			}}, true
		}
	}
	return "", nil, false
}
