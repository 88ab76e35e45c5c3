package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func plegUnhealthyLoad() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST208", Slug: "pleg-unhealthy-load", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "The node has more containers than its runtime can list in time",
			Symptom:   "The node goes back and forth between Ready and NotReady with \"PLEG is not healthy\", at a time of many pods, many exec probes or a busy disk.",
			Mechanism: "A full round of the kubelet over all containers has to end within three minutes. With hundreds of containers, or a disk that keeps the runtime waiting, it does not.",
			Confirm:   []string{"kubectl describe node {node}", "kubectl get pods -A --field-selector spec.nodeName={node}"},
			Remedies: []diagnose.Remedy{
				{ID: "fewer-pods", Risk: diagnose.RiskLow, Text: "Cordon the node and move some pods; replace exec probes by HTTP or gRPC ones.", Command: "kubectl cordon {node}"},
				{ID: "faster-disk", Risk: diagnose.RiskMedium, Text: "Give the runtime's directory a faster disk, or lower maxPods."},
			},
			Refs: []string{"kubernetes: pkg/kubelet/pleg/generic.go", "https://github.com/kubernetes/kubernetes/issues/45419"},
		},
		Log: []string{"GenericPLEG: Unable to retrieve pods"},
	}
}
