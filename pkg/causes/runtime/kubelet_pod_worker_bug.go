package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func kubeletPodWorkerBug() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST219", Slug: "kubelet-pod-worker-bug", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "An old kubelet lost its thread about a pod",
			Symptom:   "Kubelet 1.22 to 1.26: the containers of a deleted pod are gone from the node and the pod stays; or a static pod does not come back under the same name.",
			Mechanism: "These versions could leave the worker of a pod between \"terminating\" and \"terminated\". The kubelet then takes no further step for that pod until it restarts.",
			Confirm:   []string{"kubectl get node {node} -o jsonpath={.status.nodeInfo.kubeletVersion}", "kubectl get pod {pod} -n {namespace} -o yaml"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Restart the kubelet on the node. Pods with devices of a device plugin may be rejected, and running grace periods begin anew."},
				{ID: "upgrade-kubelet", Risk: diagnose.RiskMedium, Text: "Upgrade the node to 1.27 or newer."},
			},
			Refs: []string{"https://github.com/kubernetes/kubernetes/issues/104648", "kubernetes: pkg/kubelet/pod_workers.go"},
		},
		Log: []string{"Pod worker has been requested for removal but is still not fully terminated"},
	}
}
