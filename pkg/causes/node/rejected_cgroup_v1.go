package node

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// The API shows the same as for a node that is off; node-lost names this one as its alternative.
func rejectedCgroupV1() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST113", Slug: "rejected-cgroup-v1", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:   "The kubelet refuses to start on cgroup v1",
			Symptom: "After an upgrade to 1.35 or later a node does not come back: the machine and its containers run, its kubelet ends as soon as it starts.",
			Mechanism: "From 1.35 on the kubelet does not start on a host with cgroup v1 unless failCgroupV1 is set to false in its configuration. Before, it wrote a " +
				"CgroupV1 warning about the node.",
			Confirm: []string{
				"kubectl get nodes -o wide",
				"kubectl get events -A --field-selector reason=CgroupV1",
			},
			Remedies: []diagnose.Remedy{
				{ID: "allow-cgroup-v1", Risk: diagnose.RiskLow, Text: "As a stopgap, on the node: failCgroupV1: false in the kubelet's configuration, and restart it. A later version takes this away."},
				{ID: "older-kubelet", Risk: diagnose.RiskMedium, Text: "Go back to the kubelet that ran."},
				{ID: "cgroup-v2", Risk: diagnose.RiskMedium, Text: "For good: a host with cgroup v2 (a newer OS image, or systemd.unified_cgroup_hierarchy=1 on its kernel's command line). This restarts the machine."},
			},
			Refs: []string{
				"https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1", "https://kubernetes.io/docs/concepts/architecture/cgroups/",
				"kubernetes: pkg/kubelet/apis/config/validation/validation_linux.go",
			},
			Since: "Kubernetes 1.35",
		},
		Log: append(
			diagnose.CertainLines(diagnose.Saying("kubelet is configured to not run on a host using cgroup v1")),
			diagnose.FittingLines([]string{"kubelet-dead-node-up"}, "Which version the kubelet has that ends: from 1.35 on it refuses cgroup v1; before, this is only a warning.",
				diagnose.Saying("cgroup v1 detected. cgroup v1 support is deprecated"), diagnose.Saying("cgroups v1 support is deprecated"))...,
		),
	}
}
