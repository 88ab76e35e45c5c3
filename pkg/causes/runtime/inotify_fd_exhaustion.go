package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func inotifyFdExhaustion() diagnose.Cause {
	// "too many open files" alone is usually a limit of the program's own.
	full := diagnose.Text{All: []string{"too many open files"}, Any: []string{
		"inotify", "fsnotify", "directory watch", "file watch", "create watcher", "creating watcher", "create new watcher", "filesystem watcher", "start cAdvisor",
	}}
	watches := diagnose.Text{All: []string{"no space left on device"}, Any: []string{"inotify", "fsnotify", "add watch", "adding watch"}}
	// What runtimes of languages make of the same two errors.
	worded := diagnose.Text{Any: []string{"number of inotify instances has been reached", "system limit for number of file watchers reached", "user limit on inotify", "inotify watch limit reached"}}
	// Files, not watches: of the whole node, or of the runtime's own daemon.
	node := diagnose.Text{All: []string{"too many open files in system"}}
	return diagnose.Cause{
		Code: "ST211", Slug: "inotify-fd-exhaustion", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The node has no inotify instances or watches left",
			Symptom:   "Pods of unrelated workloads on one node crash or do not start with \"too many open files\" from inotify or fsnotify; kubectl logs -f fails where kubectl logs works.",
			Mechanism: "fs.inotify.max_user_instances and max_user_watches are counted per user of the host, and containers mostly share user 0. After pods moved in from another node the sum can pass the limit.",
			Confirm: []string{
				"kubectl logs {pod} -n {namespace} --previous",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host sysctl fs.inotify",
			},
			Remedies: []diagnose.Remedy{
				{ID: "raise-inotify-limits", Risk: diagnose.RiskLow, Text: "On the node: sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288, and make it permanent on every node. It works at once."},
				{ID: "move-pods", Risk: diagnose.RiskLow, Text: "Until then: cordon the node and let some pods move.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{"https://github.com/kubernetes/kops/issues/2913", "https://github.com/kubernetes/kubernetes/issues/10421", "https://github.com/google/cadvisor/issues/2363", "linux: inotify(7)"},
		},
		Signature: &diagnose.Signature{
			Events: []diagnose.EventMatch{{Text: full}, {Text: watches}, {Text: node}},
			// Most often it is the container's own program that says so, as its last words.
			Waiting: []diagnose.WaitingMatch{
				{Text: full}, {Text: watches}, {Text: node}, {Reasons: []string{"Error"}, Text: full}, {Reasons: []string{"Error"}, Text: watches}, {Reasons: []string{"Error"}, Text: worded},
			},
			Confidence: diagnose.Likely, OnNode: true,
			Say: "A program on node {node} got no inotify instance or watch: the node's limit is reached.",
		},
		Log: append(
			diagnose.CertainLines(
				node,
				diagnose.Text{All: []string{"inotify", "no space left on device"}}, diagnose.Text{All: []string{"fsnotify", "no space left on device"}},
				diagnose.Text{All: []string{"add watch", "no space left on device"}},
				diagnose.Saying("VFS: file-max limit"), // the kernel's limit of open files of the whole node
			),
			diagnose.LikelyLines(
				full, worded, // or the limit of open files of that one process
				diagnose.Text{All: []string{"too many open files"}, Any: []string{"accept4", "Accept error", "containerd", "dockerd", "kubelet", "crio"}},
				diagnose.Saying("failed to create fsnotify watcher"),
			)...,
		),
	}
}
