package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// The API shows the same as for a runtime that hangs, which names this one as its alternative.
func plegUnhealthyOnePod() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST207", Slug: "pleg-unhealthy-one-pod", Reach: scope.ReachNode,
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
			Refs: []string{"kubernetes: pkg/kubelet/pleg/generic.go", "https://github.com/kubernetes/kubernetes/issues/45419"},
		},
	}
}
