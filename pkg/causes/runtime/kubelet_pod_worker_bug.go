package runtime

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func kubeletPodWorkerBug() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST219", Slug: "kubelet-pod-worker-bug", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Node}, Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "An old kubelet lost its thread about a pod",
			Symptom:   "Kubelet 1.22 to 1.26: the containers of a deleted pod are gone from the node and the pod stays; or a static pod does not come back under the same name.",
			Mechanism: "These versions could leave the worker of a pod between \"terminating\" and \"terminated\". The kubelet then takes no further step for that pod until it restarts.",
			Confirm:   []string{"kubectl get node {node} -o jsonpath={.status.nodeInfo.kubeletVersion}", "kubectl get pod {pod} -n {namespace} -o yaml"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Restart the kubelet on the node. Pods with devices of a device plugin may be rejected, and running grace periods begin anew."},
				{ID: "upgrade-kubelet", Risk: diagnose.RiskMedium, Text: "Upgrade the node to 1.27 or newer."},
			},
			Refs: []string{
				"https://github.com/kubernetes/kubernetes/issues/104648", "https://github.com/kubernetes/kubernetes/issues/109596",
				"https://github.com/kubernetes/kubernetes/pull/113145", "kubernetes: pkg/kubelet/pod_workers.go",
			},
			Since: "Kubernetes 1.22", Until: "Kubernetes 1.26",
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Confidence: diagnose.Possible}
			n := s.Node(p.Node)
			if n == nil || !ready(s, p.Node) || p.State != stuck.Terminating || static(p.Object) || p.Stage != stuck.KillUnconfirmed && p.Stage != stuck.Cleanup {
				return f, false
			}
			version := n.Status.NodeInfo.KubeletVersion
			if !between(version, 1, 22, 26) || len(running(p.Object)) > 0 || !ended(p.Object) || !diagnose.Silent(s, p) {
				return f, false
			}
			f.Message = fmt.Sprintf("The containers of pod %s/%s have ended, nobody complains, and kubelet %s of node %s does not finish its deletion.", p.Ref.Namespace, p.Ref.Name, version, p.Node)
			f.Evidence = []diagnose.Evidence{
				{Object: "node " + p.Node, Field: "status.nodeInfo.kubeletVersion", Value: version},
				{Object: p.Ref.String(), Field: "status.containerStatuses", Value: "all have ended"},
			}
			f.Alternatives = []string{"kubelet-restart-volume-reconstruct"}
			if remote(p.Object) {
				f.Alternatives = append(f.Alternatives, "hung-fs-mount")
			}
			f.Decide = "What the kubelet of node {node} logs of the pod: \"requested for removal but is still not fully terminated\" again and again is this; messages about its volumes are not."
			return f, true
		},
		Log: append(
			diagnose.LikelyLines(diagnose.Saying("Pod worker has been requested for removal but is still not fully terminated")),
			diagnose.FittingLines([]string{"static-mirror-pod"}, "Whether it is said of a static pod whose manifest was changed or put back on a kubelet of 1.22 to 1.26, and goes on after its containers are gone.",
				diagnose.Saying("Pod is terminating but has been requested to restart with same UID"))...,
		),
	}
}

// ended tells whether the API shows every container of the pod as ended.
func ended(p *corev1.Pod) bool {
	all := len(p.Status.ContainerStatuses) > 0
	for i := range p.Status.ContainerStatuses {
		all = all && p.Status.ContainerStatuses[i].State.Terminated != nil
	}
	return all
}

// between tells whether a version ("v1.24.3-eks-1") has the major number and a minor one from first to last.
func between(version string, major, first, last int) bool {
	var a, b int
	if n, err := fmt.Sscanf(version, "v%d.%d", &a, &b); n != 2 || err != nil {
		return false
	}
	return a == major && b >= first && b <= last
}
