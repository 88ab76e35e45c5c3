package startup

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func draPrepareFails() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST605", Slug: "dra-prepare-fails",
		Doc: diagnose.Doc{
			Title:     "The device driver on the node cannot prepare what the pod claims",
			Symptom:   "The pod has a node and a ResourceClaim, and stays in ContainerCreating with FailedPrepareDynamicResources. Other pods on the node start.",
			Mechanism: "Before it makes the sandbox, kubelet asks the driver of every claimed device to prepare it. The driver's pod does not run on the node, has not registered with kubelet, or answers with an error.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get resourceclaims -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-driver", Risk: diagnose.RiskNone, Command: "kubectl get pods -A -o wide --field-selector spec.nodeName={node}", Text: "Look at the driver's pod on this node and its log. Kubelet asks again by itself."},
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Delete the pod, so that it is placed and its claim allocated anew, perhaps elsewhere."},
				{ID: "restart-driver", Risk: diagnose.RiskMedium, Text: "Delete the driver's pod on this node, so that it registers anew. Containers that use a device go on with most drivers."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.Node == "" || p.State == stuck.Terminating {
				return diagnose.Finding{}, false
			}
			events := diagnose.Events(s, p)
			for i := len(events) - 1; i >= 0; i-- {
				e := events[i]
				if e.Reason != "FailedPrepareDynamicResources" {
					continue
				}
				var claims []string
				for _, c := range p.Object.Spec.ResourceClaims {
					claims = append(claims, c.Name)
				}
				what := "what the pod claims"
				if len(claims) > 0 {
					what = "the pod's claim " + strings.Join(claims, ", ")
				}
				ev := []diagnose.Evidence{diagnose.EventEvidence(e)}
				return diagnose.Finding{
					Subject: p.Ref, Confidence: diagnose.Fresh(s, diagnose.Certain, ev), Evidence: ev,
					Message: fmt.Sprintf("The device driver on node %s cannot prepare %s: %s.", p.Node, what, quote(e.Message)),
				}, true
			}
			return diagnose.Finding{}, false
		},
		Log: []string{"Failed to prepare dynamic resources"},
	}
}
