package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func memcgLeak() diagnose.Cause {
	// The path tells this from a full disk. A watch that could not be set below it is for want of watches (inotify-fd-exhaustion), and a process that
	// could not be put into a cpuset for want of CPUs in it.
	other := []string{"inotify", "fsnotify", "add watch", "cpuset", "pids"}
	text := diagnose.Text{All: []string{"/sys/fs/cgroup/memory"}, Any: []string{"cannot allocate memory", "no space left on device"}, None: other}
	unified := diagnose.Text{All: []string{"mkdir /sys/fs/cgroup", "no space left on device"}, None: other}
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
			Refs: []string{"https://github.com/opencontainers/runc/issues/1725", "https://github.com/kubernetes/kubernetes/issues/61937", "https://kubernetes.io/docs/concepts/architecture/cgroups/"},
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: text}, {Text: unified}},
			Waiting:    []diagnose.WaitingMatch{{Text: text}, {Text: unified}},
			Confidence: diagnose.Likely, OnNode: true,
			Say: "The kernel of node {node} refused a new memory cgroup: the path in the message is a cgroup's, so it is not the disk.",
		},
		Log: append(append(
			diagnose.CertainLines(
				diagnose.Text{All: []string{"mkdir ", "sys/fs/cgroup/memory", "no space left on device"}, None: other},
				unified,
			),
			diagnose.LikelyLines(
				diagnose.Text{All: []string{"sys/fs/cgroup/memory", "cannot allocate memory"}, None: other},
				diagnose.Saying("SLUB: Unable to allocate memory on node"), // the slab cache of a leaked cgroup (mm/slub.c), on kernels that account kernel memory
			)...),
			// A line of /proc/cgroups: the controller, its hierarchy, how many cgroups it has, and whether it is on. 65535 is the end.
			cgroupCount("cgroups:", "memory 1", "memory 2", "memory 3", "memory 4", "memory 5", "memory 6", "memory 7", "memory 8", "memory 9", "memory  "),
		),
	}
}

// manyCgroups is a line of /proc/cgroups with 60,000 memory cgroups or more, of the 65,535 that there can be (mm/memcontrol.c MEM_CGROUP_ID_MAX).
const manyCgroups = `\bmemory\s+\d{1,2}\s+6\d{4}(\s+[01]\b|\s*$)`

func cgroupCount(parts ...string) diagnose.LogMatch {
	return diagnose.LogMatch{Text: diagnose.Text{Any: parts}, Pattern: manyCgroups, Confidence: diagnose.Certain}
}
