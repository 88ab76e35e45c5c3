package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// Nothing in the API tells this one, and programs log nothing of it: it shows in what people copy from the node. d-state-process names it as its
// alternative.
func cgroupFrozen() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST213", Slug: "cgroup-frozen", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "The container's cgroup is frozen",
			Symptom:   "Containers neither start nor end, requests to the runtime end in DeadlineExceeded, and nothing is logged.",
			Mechanism: "runc freezes a cgroup for a moment when it changes its limits. When it is interrupted in between, the cgroup stays frozen, and frozen processes on cgroup v1 take no signal.",
			Confirm:   []string{"kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'grep -l FROZEN -r /sys/fs/cgroup/freezer/ --include=freezer.state'"},
			Remedies: []diagnose.Remedy{
				{ID: "thaw-cgroup", Risk: diagnose.RiskLow, Text: "On the node: write THAWED to freezer.state of that cgroup (cgroup v2: 0 to cgroup.freeze)."},
				{ID: "newer-runc", Risk: diagnose.RiskMedium, Text: "Upgrade runc on the nodes."},
			},
			Refs: []string{"https://github.com/kubernetes/kubernetes/issues/104280", "https://github.com/containerd/containerd/issues/8102", "opencontainers/cgroups: fs/freezer.go"},
		},
		Log: append(
			diagnose.CertainLines(
				diagnose.Saying("freezer.state", "FROZEN"),
				diagnose.Saying("__refrigerator"), // the kernel function in which a frozen process of cgroup v1 waits (kernel/freezer.c)
			),
			diagnose.LikelyLines(
				diagnose.Saying("unable to freeze"), diagnose.Saying("while freezing", "unexpected state"), diagnose.Saying("waiting for the cgroup to freeze"),
			)...,
		),
	}
}
