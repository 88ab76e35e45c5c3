package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniPluginDelBug() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST407", Slug: "cni-plugin-del-bug",
		Doc: diagnose.Doc{
			Title:   "The network plugin fails to take down pods' networks",
			Symptom: `Pods stay in Terminating with FailedKillPod: KillPodSandbox fails with an error of the network plugin. Their containers have stopped.`,
			Mechanism: "The runtime stops the containers, then the sandbox, and calls the plugin with DEL last. A plugin that answers with an error is called again and again, and kubelet does not delete the pod until it succeeds. " +
				"After an upgrade of the plugin this can meet every pod of the cluster.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=FailedKillPod",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-plugin-log", Risk: diagnose.RiskNone, Text: "Look up the plugin's error, and whether it began with an upgrade of the plugin; look at its pod's log on the node."},
				{ID: "change-plugin-version", Risk: diagnose.RiskMedium, Text: "Go back to the release that worked, or on to one that mends it. Deletions finish by themselves then."},
				{
					ID: "force-delete", Risk: diagnose.RiskHigh, Command: "kubectl delete pod {pod} --grace-period=0 --force -n {namespace}",
					Text: "Last, remove the pod from the API. Its processes are dead, but its address and interface on the node may leak.",
				},
			},
			Refs: []string{
				"https://github.com/k8snetworkplumbingwg/multus-cni/issues/669",
				"https://github.com/containerd/containerd/blob/v2.0.0/internal/cri/server/sandbox_stop.go",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			c := diagnose.Likely
			ev := sandboxEvents(s, p, []string{reasonKill}, says(sayNoDelete))
			if len(ev) == 0 {
				c = diagnose.Possible
				ev = sandboxEvents(s, p, []string{reasonKill}, func(m string) bool { return takesDown(m) && saysNothingKnown(m) })
			}
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{
				Subject: nodeRef(p), Confidence: c, Evidence: ev,
				Message: fmt.Sprintf("The network plugin on node %s fails to take down pods' networks: %s. Their containers have stopped.", p.Node, quote(last(ev))),
			}
			if c == diagnose.Possible {
				f.Alternatives = []string{"cni-chained-plugin-dead", "cni-state-corrupt", "cni-del-apiserver-unreachable"}
				f.Decide = "The log of the plugin's pod on the node, and whether pods end on other nodes with the same plugin version."
			}
			return f, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"requested interface name", "already assigned"}}},
			{Text: diagnose.Text{Any: []string{"del cmd: failed to process delete request", "failed to get the cached delegates file", "did not find reserved IP for container", "delegateDel: error invoking"}, None: []string{"unexpected end of JSON", "failed to parse netconf"}}},
			{
				Text: diagnose.Text{
					Any:  []string{"failed to destroy network for sandbox", "failed to destroy network for pod sandbox", "failed to teardown pod"},
					None: []string{"unauthorized", "dial tcp", "dial unix", "forbidden", "unexpected end of JSON", "failed to find plugin", "cilium agent", "/var/lib/calico/nodename", "subnet.env", "device or resource busy", "context deadline exceeded", "resource temporarily unavailable", "not initialized", "uninitialized"},
				},
				Confidence: diagnose.Possible, Alternatives: []string{"cni-chained-plugin-dead", "cni-state-corrupt", "cni-del-apiserver-unreachable"},
				Decide: "The log of the plugin's pod on the node, and whether pods end on other nodes with the same plugin version.",
			},
		},
	}
}
