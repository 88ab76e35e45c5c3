package startup

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func readinessGateMissing() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST629", Slug: "readiness-gate-missing",
		Doc: diagnose.Doc{
			Title:   "A readiness gate keeps the pod from being ready, although its containers are",
			Symptom: "READY shows 1/1, and the pod gets no traffic; a rollout does not go on, a StatefulSet does not make its next pod. READINESS GATES shows 0/1.",
			Mechanism: "A pod with spec.readinessGates is ready only when each of the conditions that they name is True as well. A controller sets them, mostly that of a load balancer, when its target is healthy. " +
				"Where that controller is gone, or the target does not become healthy, the pod stays as it is. Nothing on the node can change that.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.readinessGates} {.status.conditions}' -n {namespace}",
				"kubectl get pods -o wide -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-controller", Risk: diagnose.RiskNone, Text: "The condition's name tells whose it is (target-health.elbv2.k8s.aws: the AWS load balancer controller; cloud.google.com/load-balancer-neg-ready: GKE's). See whether that controller runs, and what it says of the target."},
				{ID: "remove-gate", Risk: diagnose.RiskLow, Text: "If nobody sets the condition any more, take the label or the webhook away that puts the gate into new pods, and replace the pods."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate"},
		},
		Reach: scope.ReachPod,
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			return ofWellNode(s, g, func(p *corev1.Pod) (string, diagnose.Evidence, bool) {
				if c := snapshot.PodCondition(p, corev1.ContainersReady); c == nil || c.Status != corev1.ConditionTrue {
					return "", diagnose.Evidence{}, false
				}
				for _, gate := range p.Spec.ReadinessGates {
					c := snapshot.PodCondition(p, gate.ConditionType)
					if c != nil && c.Status == corev1.ConditionTrue {
						continue
					}
					is := "missing"
					if c != nil {
						is = string(c.Status)
						if c.Reason != "" {
							is += ", " + c.Reason
						}
					}
					return fmt.Sprintf("the condition %s, which they wait for, is %s", gate.ConditionType, is), diagnose.Evidence{
						Object: snapshot.RefOf(p).String(), Field: fmt.Sprintf("status.conditions[%s]", gate.ConditionType), Value: is,
					}, true
				}
				return "", diagnose.Evidence{}, false
			}, "The containers of %s on node %s are ready, and a readiness gate is not: %s.")
		},
	}
}
