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
			Title:     "A state file of the network plugin on the node is cut short",
			Symptom:   `Pods neither start nor end on one node; the network plugin answers with a JSON error such as "unexpected end of JSON input".`,
			Mechanism: "Plugins keep results and reservations as JSON files on the node. A crash or a full disk while one was written leaves an empty or truncated file, which every later call stumbles over.",
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
			cni := []string{"plugin type=", "networkPlugin cni", "network for sandbox", "network for pod sandbox", "CNI"}
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill},
				diagnose.Text{All: []string{"unexpected end of JSON input"}, Any: cni},
				diagnose.Text{All: []string{"invalid character", "looking for beginning of"}, Any: cni},
			)
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: ev,
				Message: fmt.Sprintf("The network plugin on node %s reads a file of its own, or an answer of its agent, that is no whole JSON: %s.", p.Node, quote(last(ev))),
			}, true
		},
		Log: []string{"netplugin failed but error parsing its diagnostic message"},
	}
}
