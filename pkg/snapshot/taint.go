package snapshot

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Tolerates tells whether the pod tolerates the taint. It follows corev1.Toleration.ToleratesTaint, with the comparison operators off, as they are by
// default (feature gate TaintTolerationComparisonOperators, alpha in Kubernetes 1.37).
func Tolerates(p *corev1.Pod, taint *corev1.Taint) bool {
	for i := range p.Spec.Tolerations {
		t := &p.Spec.Tolerations[i]
		if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
			continue
		}
		switch t.Operator {
		case "", corev1.TolerationOpEqual:
			if t.Value == taint.Value {
				return true
			}
		case corev1.TolerationOpExists:
			return true
		}
	}
	return false
}

// Untolerated finds a taint of the node, of one of the effects, that the pod does not tolerate; nil where there is none.
func Untolerated(n *corev1.Node, p *corev1.Pod, effects ...corev1.TaintEffect) *corev1.Taint {
	for i := range n.Spec.Taints {
		if t := &n.Spec.Taints[i]; slices.Contains(effects, t.Effect) && !Tolerates(p, t) {
			return t
		}
	}
	return nil
}
