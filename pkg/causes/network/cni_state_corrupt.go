package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniStateCorrupt() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST409", Slug: "cni-state-corrupt",
		Doc: diagnose.Doc{
			Title:     "A configuration or state file of the network plugin on the node is broken",
			Symptom:   `Pods neither start nor end on one node; the network plugin answers with a JSON error such as "unexpected end of JSON input", or cannot parse its configuration.`,
			Mechanism: "Plugins keep results and reservations as JSON files on the node. A crash or a full disk while one was written leaves an empty or truncated file, which every later call stumbles over. A configuration written by hand, or for another version of the plugin, does the same.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				`kubectl get node {node} -o jsonpath='{.status.conditions[?(@.type=="DiskPressure")].status}'`,
			},
			Remedies: []diagnose.Remedy{
				{ID: "find-file", Risk: diagnose.RiskNone, Text: "On the host, look for empty files in /var/lib/cni, /etc/cni/net.d and the plugin's own state directory, and for a full disk."},
				{
					ID: "drain-and-clear", Risk: diagnose.RiskMedium, Command: "kubectl drain {node} --ignore-daemonsets",
					Text: "Drain the node, remove the broken file, reboot and uncordon. Wrong while pods run there: the plugin forgets the addresses they hold.",
				},
			},
			Refs: []string{
				"https://github.com/Azure/aks-engine/issues/1911",
				"https://www.cni.dev/docs/spec/",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill}, says(sayBroken))
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: ev,
				Message:      fmt.Sprintf("The network plugin on node %s reads a configuration, a file of its own, or an answer of its agent, that is broken: %s.", p.Node, quote(last(ev))),
				Alternatives: []string{"cni-chained-plugin-dead"},
				Decide:       "Whether a file in /etc/cni/net.d or /var/lib/cni on the host is empty or cut short; if none is, it was the answer of the plugin's agent.",
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"netplugin failed but error parsing its diagnostic message", "error parsing configuration list", "incompatible CNI versions", "unsupported CNI result version", "Required prevResult missing", "timed out locking store",
			}, None: []string{"No available addresses"}}},
			{Text: diagnose.Text{All: []string{"unexpected end of JSON input"}, Any: []string{"plugin type=", "cni", "network for sandbox", "netconf"}}},
			{Text: diagnose.Text{All: []string{"Error loading CNI config"}}},
		},
	}
}
