package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func plegUnhealthyOnePod() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST207", Slug: "pleg-unhealthy-one-pod", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Node}, Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "One container that cannot be inspected blocks the kubelet's view of all",
			Symptom:   "\"PLEG is not healthy\", while the runtime answers for every container but one. That one has a network volume, or an exec probe that hangs.",
			Mechanism: "The kubelet relists all containers one by one every second. A container whose lock the runtime does not give up holds the round; after three minutes without a completed round the node turns NotReady.",
			Confirm: []string{
				"kubectl describe node {node}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'for c in $(crictl ps -q); do timeout 5 crictl inspect $c >/dev/null || echo $c; done'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-that-pod", Risk: diagnose.RiskLow, Text: "Find the container that crictl inspect hangs on, and mend its volume or its exec probe."},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Restart the runtime when the lock is not given up."},
			},
			Refs: []string{"kubernetes: pkg/kubelet/pleg/generic.go", "https://github.com/kubernetes/kubernetes/issues/45419", "https://github.com/awslabs/amazon-eks-ami/issues/1071"},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) { return findPLEG(s, g, plegOnePod) },
		Log: diagnose.FittingLines([]string{"runtime-hung", "pleg-unhealthy-load"},
			"Whether crictl inspect hangs for that pod's containers alone.",
			diagnose.Saying("GenericPLEG: Unable to retrieve pod\""), diagnose.Saying("GenericPLEG: Ignoring events for pod"), diagnose.Saying("PLEG: Ignoring events for pod")),
	}
}
