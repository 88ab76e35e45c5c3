package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func plegUnhealthyLoad() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST208", Slug: "pleg-unhealthy-load", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Node}, Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The node has more containers than its runtime can list in time",
			Symptom:   "The node goes back and forth between Ready and NotReady with \"PLEG is not healthy\", at a time of many pods, many exec probes or a busy disk.",
			Mechanism: "A full round of the kubelet over all containers has to end within three minutes. With hundreds of containers, or a disk that keeps the runtime waiting, it does not.",
			Confirm:   []string{"kubectl describe node {node}", "kubectl get pods -A --field-selector spec.nodeName={node}"},
			Remedies: []diagnose.Remedy{
				{ID: "fewer-pods", Risk: diagnose.RiskLow, Text: "Cordon the node and move some pods; replace exec probes by HTTP or gRPC ones.", Command: "kubectl cordon {node}"},
				{ID: "faster-disk", Risk: diagnose.RiskMedium, Text: "Give the runtime's directory a faster disk, or lower maxPods."},
			},
			Refs: []string{
				"kubernetes: pkg/kubelet/pleg/generic.go", "https://github.com/kubernetes/kubernetes/issues/45419", "https://github.com/kubernetes/kubernetes/issues/51919",
				"https://github.com/kubernetes/kubernetes/issues/63858",
			},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) { return findPLEG(s, g, plegLoad) },
		Log: append(
			diagnose.CertainLines(
				// The list of all containers is longer than one answer may be (cri-client: 16 MiB).
				diagnose.Saying("ResourceExhausted", "message larger than max"),
				diagnose.Saying("failed to list containers", "message larger than max"),
				diagnose.Saying("Event channel is full, discard this relist"),
			),
			diagnose.FittingLines([]string{"runtime-hung", "pleg-unhealthy-one-pod"},
				"On the node: whether crictl ps hangs (the runtime), only crictl inspect of one container does (that container), or all answer slowly (load).",
				diagnose.Saying("Housekeeping took longer than"))...,
		),
	}
}
