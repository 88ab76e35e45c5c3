package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func runtimeStoreCorrupt() diagnose.Cause {
	g := diagnose.Signature{
		NodeConditions: []diagnose.ConditionMatch{{Type: "CorruptDockerOverlay2", Status: "True"}}, // node-problem-detector: config/docker-monitor.json
		Confidence:     diagnose.Likely, OnNode: true,
		Say:    "The runtime's own store on node {node}, of layers or of what it runs, misses parts or cannot be mounted.",
		Decide: "On node {node}: whether crictl images lists the image, whether removing and pulling it again mends it, and whether the machine lost power or its disk was full or checked before.",
	}
	for _, t := range brokenStore() {
		g.Events = append(g.Events, diagnose.EventMatch{Reasons: []string{"FailedCreatePodSandBox", "Failed", "FailedKillPod", "FailedSync"}, Text: t})
		g.Waiting = append(g.Waiting, diagnose.WaitingMatch{Text: t})
	}
	return diagnose.Cause{
		Code: "ST224", Slug: "runtime-store-corrupt", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The runtime's store of layers or metadata is damaged",
			Symptom: "On one node containers of some images, or all, are not made: \"layer does not exist\", \"parent snapshot … does not exist\", \"failed to mount overlay: invalid argument\"; or the runtime ends again and again while it starts.",
			Mechanism: "containerd, CRI-O and Docker keep layers on disk and an index of them in a database. When the machine loses power, the disk fills up, or somebody removes " +
				"files below their directory, the two do not match any more.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host crictl images",
			},
			Remedies: []diagnose.Remedy{
				{ID: "cordon", Risk: diagnose.RiskLow, Text: "Keep new pods away: they start on other nodes.", Command: "kubectl cordon {node}"},
				{ID: "pull-again", Risk: diagnose.RiskLow, Text: "On the node: remove the image that the message is about (crictl rmi) and let it be pulled again."},
				{ID: "replace-node", Risk: diagnose.RiskMedium, Text: "Drain the node and replace it.", Command: "kubectl drain {node} --ignore-daemonsets"},
				{ID: "empty-store", Risk: diagnose.RiskHigh, Text: "Where it cannot be replaced: after the drain, stop kubelet and runtime, move the runtime's directory aside and start them. All images and stopped containers of the node are lost. Never do this under running containers."},
			},
			Refs: []string{
				"https://github.com/containerd/containerd/issues/10848", "https://github.com/containerd/containerd/issues/3347", "https://github.com/containerd/containerd/issues/3671",
				"node-problem-detector: config/docker-monitor.json",
			},
		},
		Signature: &g,
		Log: append(diagnose.LikelyLines(brokenStore()...), diagnose.CertainLines(
			diagnose.Saying("failed to recover state: "), diagnose.Saying("failed to get metadata for stored sandbox"), diagnose.Saying("panic: invalid page type"), diagnose.Saying("freepages: failed to get all reachable pages"),
			diagnose.Saying("returned error: readlink", "overlay2", "invalid argument"),
		)...),
	}
}

// brokenStore are the wordings of containerd's snapshotters, containers/storage (CRI-O) and Docker for a layer that is not there or cannot be mounted.
func brokenStore() []diagnose.Text {
	return []diagnose.Text{
		{All: []string{"failed to mount", "overlay", "invalid argument"}, None: []string{"no space left"}},
		{All: []string{"failed to mount", "overlay", "too many levels"}},
		{All: []string{"error creating overlay mount to"}, Any: []string{"invalid argument", "too many levels", "no such file or directory", "stale"}},
		{All: []string{"layer does not exist"}},
		{All: []string{"layer not known"}},
		{All: []string{"parent snapshot", "does not exist"}},
		{All: []string{"failed to create snapshot", "missing parent"}},
		{All: []string{"failed to create new thin device"}},
		{All: []string{"dm_task_run failed"}},
		{All: []string{"readlink", "overlay2", "invalid argument"}},
		{All: []string{"readlink", "storage/overlay", "no such file or directory"}},
		{All: []string{"readlink", "storage/overlay", "invalid argument"}},
	}
}
