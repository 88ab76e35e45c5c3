package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// conflicting is what the kubelet says (pkg/kubelet/volumemanager/cache/desired_state_of_world.go), in its list of failed volumes or alone.
var conflicting = diagnose.Text{Any: []string{"conflicting SELinux labels of volume"}}

func selinuxMountLabelConflict() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST318", Slug: "selinux-mount-label-conflict", Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "Two pods on the node want the volume with different SELinux labels",
			Symptom:   "The second of two pods that share a volume on a node stays ContainerCreating with \"conflicting SELinux labels of volume\".",
			Mechanism: "Newer kubelets mount a volume with the pod's SELinux label instead of relabelling its files. A file system can be mounted with one label only, so a pod with another label has to wait until the first is gone.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get pods -n {namespace} -o jsonpath={.items[*].spec.securityContext.seLinuxOptions}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "same-selinux-label", Risk: diagnose.RiskLow, Text: "Give both workloads the same seLinuxOptions.level."},
				{ID: "recursive-change-policy", Risk: diagnose.RiskLow, Text: "Or set seLinuxChangePolicy: Recursive in the pods that share the volume, which goes back to relabelling files."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#efficient-selinux-volume-relabeling",
				"kubernetes: pkg/kubelet/volumemanager/cache/desired_state_of_world.go",
			},
			Since: "Kubernetes 1.28", // SELinuxMountReadWriteOncePod on by default; for all access modes since 1.37 (SELinuxMount)
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: conflicting}},
			Confidence: diagnose.Certain,
			Say:        "Another pod on node {node} has a volume of pod {namespace}/{pod} mounted with a different SELinux label.",
		},
		Log: diagnose.Lines("conflicting SELinux labels of volume"),
	}
}
