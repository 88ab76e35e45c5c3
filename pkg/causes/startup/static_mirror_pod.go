package startup

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func staticMirrorPod() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST625", Slug: "static-mirror-pod",
		Doc: diagnose.Doc{
			Title:     "The pod mirrors a file on the node and cannot be deleted through the API",
			Symptom:   "A pod with the annotation kubernetes.io/config.mirror is Terminating, or comes back after each deletion. Its containers run on.",
			Mechanism: "Kubelet runs the pod from a manifest on its host and only shows it in the API. Deleting what it shows changes nothing on the node, and kubelet never does the final delete of a mirror pod in the usual way; it replaces it.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.metadata.annotations}' -n {namespace}",
				"kubectl get node {node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "leave-it", Risk: diagnose.RiskNone, Text: "If it was deleted by mistake, leave it: kubelet makes a new mirror, and the containers were never touched.", Command: "kubectl stuck node {node}"},
				{ID: "force-delete", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} --grace-period=0 --force -n {namespace}", Text: "If only the mirror is stuck, remove it from the API; its kubelet, if it runs, shows it anew."},
				{ID: "remove-manifest", Risk: diagnose.RiskMedium, Text: "To end it, move its manifest out of the node's static pod path (often /etc/kubernetes/manifests). Kubelet then stops the containers and removes the mirror. For a control-plane component that ends it."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/status/status_manager.go",
			},
		},
		Reach: scope.ReachPod,
		Pod: func(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.Terminating || p.Stage == stuck.FinalizersOnly || p.Stage == stuck.NodeGone {
				return diagnose.Finding{}, false
			}
			hash, ok := p.Object.Annotations[corev1.MirrorPodAnnotationKey]
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: p.Ref, Confidence: diagnose.Likely,
				Message:  fmt.Sprintf("Pod %s mirrors a manifest on node %s; deleting it through the API does not end it.", p.Ref.Name, p.Node),
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "metadata.annotations[" + corev1.MirrorPodAnnotationKey + "]", Value: hash}},
			}, true
		},
	}
}
