package network

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniIPAMLeakHostLocal() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST402", Slug: "cni-ipam-leak-host-local",
		Doc: diagnose.Doc{
			Title:   "The node's address range is used up by addresses that no pod holds",
			Symptom: `Pods stay in ContainerCreating on one node with "no IP addresses available in range set" (or "… in network"), although the node runs far fewer pods than the range has addresses.`,
			Mechanism: "The host-local plugin keeps one file for each address in /var/lib/cni/networks on the node and gives an address back when it is called with DEL. " +
				"Sandboxes that vanish without that call (a hard reboot, a wiped runtime, failed starts) leave their files behind until the range is full.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl get node {node} -o jsonpath='{.spec.podCIDR}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "compare-files", Risk: diagnose.RiskNone, Text: "On the host, compare the files in /var/lib/cni/networks/<network> with the addresses of the pods there: the surplus is the leak. Each file holds the ID of its sandbox."},
				{
					ID: "drain-and-clear", Risk: diagnose.RiskMedium, Command: "kubectl drain {node} --ignore-daemonsets",
					Text: "Drain the node, delete the files that are left, reboot it and uncordon it. Wrong while pods run there: an address whose file is gone is given out twice.",
				},
			},
			Refs: []string{
				"https://www.cni.dev/plugins/current/ipam/host-local/",
				"https://github.com/cloudnativelabs/kube-router/issues/383",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			r, ok := rangeOf(s, p)
			if !ok || r.full() {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: r.ev}
			if !strings.Contains(strings.ToLower(last(r.ev)), "no ip addresses available in") {
				f.Subject, f.Reach = p.Ref, scope.ReachPod
				f.Message = fmt.Sprintf("The host-local plugin on node %s still holds a reservation that is in the way of the pod: %s.", p.Node, quote(last(r.ev)))
				return f, true
			}
			if r.counted {
				f.Message = fmt.Sprintf("Node %s has no address left in %s-%s (%d addresses), but its pods hold only %d of them: the other reservations are leftovers.",
					p.Node, r.from, r.to, r.size, r.used)
				if r.used*2 <= r.size && r.size > 8 {
					f.Confidence = diagnose.Certain
				}
				return f, true
			}
			f.Message = fmt.Sprintf("Node %s has no address left in the range of its host-local network plugin. A /24 has room for more pods than a node usually runs, so that leftovers are the usual reason.", p.Node)
			f.Alternatives = []string{"cni-ip-exhausted-cloud"}
			f.Decide = "Count the pods on the node that have an address of the range, and compare with the size of the range."
			return f, true
		},
		Log: []diagnose.LogMatch{
			{
				Text:         diagnose.Text{Any: []string{"no IP addresses available in range set", "no IP addresses available in network"}},
				Alternatives: []string{"cni-ip-exhausted-cloud"},
				Decide:       "Count the pods on the node that have an address of the range, and compare with the size of the range.",
			},
			{Text: diagnose.Text{All: []string{"duplicate allocation is not allowed"}}},
		},
	}
}
