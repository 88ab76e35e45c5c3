package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func thinPoolFull() diagnose.Cause {
	texts := []diagnose.Text{
		{All: []string{"Thin Pool has", "free data blocks"}},
		{All: []string{"Thin Pool has", "free metadata blocks"}},
	}
	g := diagnose.Signature{
		Confidence: diagnose.Certain, OnNode: true,
		Say: "The device-mapper thin pool from which the runtime of node {node} makes container file systems is used up or refuses new ones.",
	}
	for _, t := range texts {
		g.Events = append(g.Events, diagnose.EventMatch{Text: t})
		g.Waiting = append(g.Waiting, diagnose.WaitingMatch{Text: t})
	}
	return diagnose.Cause{
		Code: "ST225", Slug: "thin-pool-full", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The runtime's thin pool has no room for new containers",
			Symptom: "No sandbox or container is made on a node, with \"devmapper: Thin Pool has … free data blocks which is less than minimum required\", while df shows room.",
			Mechanism: "With the devicemapper storage driver every container is a thin device in a pool of its own. The pool runs out of data or metadata blocks without any " +
				"file system being full, and the kubelet's garbage collection may not see it.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host dmsetup status",
			},
			Remedies: []diagnose.Remedy{
				{ID: "remove-unused", Risk: diagnose.RiskLow, Text: "On the node: remove unused images and ended containers (crictl rmi --prune), then see what lvs says of the pool."},
				{ID: "extend-pool", Risk: diagnose.RiskMedium, Text: "Extend the pool (lvextend), data and metadata."},
				{ID: "drain", Risk: diagnose.RiskMedium, Text: "Drain the node and give it the overlay driver or a larger pool.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{"https://github.com/cri-o/cri-o/issues/1766", "https://github.com/containerd/containerd/issues/7048", "https://docs.docker.com/engine/storage/drivers/device-mapper-driver/"},
		},
		Signature: &g,
		Log: append(diagnose.CertainLines(texts...),
			diagnose.LikelyLines(
				diagnose.Text{All: []string{"device-mapper: thin", "no free"}}, diagnose.Text{All: []string{"device-mapper: thin", "low water mark"}},
				diagnose.Text{All: []string{"device-mapper: thin", "out-of-data-space"}}, diagnose.Text{All: []string{"device-mapper: thin", "out of data space"}},
				diagnose.Text{All: []string{"device-mapper: thin", "read-only mode"}},
			)...),
	}
}
