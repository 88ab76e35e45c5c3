package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// sourceAnnotation says where a kubelet has a pod from: "api", "file" or "http" (pkg/kubelet/types ConfigSourceAnnotationKey).
const sourceAnnotation = "kubernetes.io/config.source"

func mirrorPod() Guard {
	return Guard{
		Name:     "mirror-pod",
		Prevents: "The image of a static pod is deleted, which stops nothing: the kubelet runs the pod from its own file and shows it again.",
		For:      changes(),
		Check: func(c *Case, _ Remedy) []Verdict {
			if c.Pod.Object == nil {
				return nil
			}
			hash, ok := c.Pod.Object.Annotations[corev1.MirrorPodAnnotationKey]
			if !ok {
				return nil
			}
			source := c.Pod.Object.Annotations[sourceAnnotation]
			from := "a file in the kubelet's staticPodPath, most often /etc/kubernetes/manifests"
			if source == "http" {
				from = "the address in the kubelet's staticPodURL"
			}
			ev := []diagnose.Evidence{podEvidence(c, "metadata.annotations["+corev1.MirrorPodAnnotationKey+"]", hash)}
			if source != "" {
				ev = append(ev, podEvidence(c, "metadata.annotations["+sourceAnnotation+"]", source))
			}
			return []Verdict{{
				Level:    Block,
				Reason:   fmt.Sprintf("%s only shows a static pod of node %s, which comes from %s on that node. Change it there.", c.Pod.Ref, c.Pod.Node, from),
				Evidence: ev,
			}}
		},
	}
}
