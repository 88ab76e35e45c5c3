package runtime

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func nativeSidecarNeverReady() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST220", Slug: "native-sidecar-never-ready", Reach: scope.ReachPod,
		Doc: diagnose.Doc{
			Title:   "A sidecar that never started holds up the pod's deletion",
			Symptom: "A pod that was deleted while in Init stays Terminating; its sidecar (an init container with restartPolicy Always) runs and was never started by its probe.",
			Mechanism: "What comes after a sidecar begins only when the sidecar has started: its startup probe succeeded and its postStart hook returned. The end of " +
				"a pod goes through its sidecars after the main containers; older kubelets wait there for containers that never began.",
			Confirm: []string{
				"kubectl get pod {pod} -n {namespace} -o jsonpath={.status.initContainerStatuses}",
				"kubectl get node {node} -o jsonpath={.status.nodeInfo.kubeletVersion}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "fix-startup-probe", Risk: diagnose.RiskLow, Text: "See why the sidecar does not start, and mend it in the workload's template, so that new pods do not end the same way.", Command: "kubectl logs {pod} -n {namespace} --all-containers"},
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Restart the kubelet of the node, and plan its upgrade. Pods with devices of a device plugin may be rejected, and running grace periods begin anew."},
				{ID: "force-delete-pod", Risk: diagnose.RiskHigh, Text: "Take the pod out of the API after a look at what still runs: only its sidecars, and no main container that writes. What runs goes on unseen on the node.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/",
				"https://github.com/kubernetes/kubernetes/issues/121398",
				"https://github.com/kubernetes/kubernetes/issues/125880",
			},
			Since: "Kubernetes 1.28", Until: "Kubernetes 1.30",
		},
		Pod: findUnstartedSidecar,
	}
}

func findUnstartedSidecar(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Confidence: diagnose.Likely}
	if !ending(p) {
		return f, false // a pod that only starts is for init-container-waiting
	}
	spec := p.Object.Spec.InitContainers
	for i := range spec {
		if !snapshot.IsSidecar(&spec[i]) {
			continue
		}
		st := statusOf(p.Object.Status.InitContainerStatuses, spec[i].Name)
		if st == nil || st.State.Running == nil || st.Started != nil && *st.Started {
			continue
		}
		if !waitsAfter(p.Object, i) {
			continue
		}
		why := "its postStart hook has not returned"
		if spec[i].StartupProbe != nil {
			why = "it has not passed its startup probe"
		}
		f.Message = fmt.Sprintf("Sidecar %s of pod %s/%s runs and never counted as started (%s), no container after it ever ran, and the deletion does not get past it.", spec[i].Name, p.Ref.Namespace, p.Ref.Name, why)
		f.Evidence = []diagnose.Evidence{
			{Object: p.Ref.String(), Field: fmt.Sprintf("status.initContainerStatuses[%s].started", st.Name), Value: "false"},
			{Object: p.Ref.String(), Field: fmt.Sprintf("status.initContainerStatuses[%s].state.running.startedAt", st.Name), Value: st.State.Running.StartedAt.UTC().String()},
		}
		return f, true
	}
	return f, false
}

func statusOf(l []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range l {
		if l[i].Name == name {
			return &l[i]
		}
	}
	return nil
}

// waitsAfter tells whether nothing that comes after the i-th init container ever ran.
func waitsAfter(p *corev1.Pod, i int) bool {
	for _, c := range p.Spec.InitContainers[i+1:] {
		if st := statusOf(p.Status.InitContainerStatuses, c.Name); st != nil && (st.State.Waiting == nil || st.LastTerminationState.Terminated != nil) {
			return false
		}
	}
	for j := range p.Status.ContainerStatuses {
		st := &p.Status.ContainerStatuses[j]
		if st.State.Waiting == nil || st.LastTerminationState.Terminated != nil {
			return false
		}
	}
	return true
}
