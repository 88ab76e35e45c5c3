package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func memcgLeak() diagnose.Cause {
	// The path tells this from a full disk.
	text := diagnose.Text{All: []string{"/sys/fs/cgroup/memory"}, Any: []string{"cannot allocate memory", "no space left on device"}}
	return diagnose.Cause{
		Code: "ST210", Slug: "memcg-leak", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The kernel has run out of memory cgroups",
			Symptom: "New pods fail below /sys/fs/cgroup/memory with \"no space left on device\" or \"cannot allocate memory\" although disk and memory are free.",
			Mechanism: "Older kernels, 3.10 above all, keep a memory cgroup after its container is gone when kernel memory was accounted in it. " +
				"There are 65535 of them; when they are used up no pod can get one.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl get node {node} -o jsonpath={.status.nodeInfo.kernelVersion}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host cat /proc/cgroups",
			},
			Remedies: []diagnose.Remedy{
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Drain the node and reboot it: nothing else frees them.", Command: "kubectl drain {node} --ignore-daemonsets"},
				{ID: "newer-kernel", Risk: diagnose.RiskMedium, Text: "For good: a newer kernel, cgroup v2, or kernel memory accounting off (cgroup.memory=nokmem)."},
			},
			Refs: []string{"https://github.com/opencontainers/runc/issues/1725", "https://kubernetes.io/docs/concepts/architecture/cgroups/"},
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: text}},
			Waiting:    []diagnose.WaitingMatch{{Text: text}},
			Confidence: diagnose.Likely, OnNode: true,
			Say: "The kernel of node {node} refused a new memory cgroup: the path in the message is a cgroup's, so it is not the disk.",
		},
		Log: []string{"mkdir /sys/fs/cgroup/memory"},
	}
}
