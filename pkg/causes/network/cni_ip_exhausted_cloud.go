package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func cniIPExhaustedCloud() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST403", Slug: "cni-ip-exhausted-cloud",
		Doc: diagnose.Doc{
			Title:   "There is no free address for another pod",
			Symptom: "New pods stay in ContainerCreating, and the network plugin says that it could not get an address for them. Running pods go on.",
			Mechanism: "Pod addresses come from a pool with an end: the subnet of a cloud network, the addresses that one machine's network interfaces may carry, the blocks of an IP pool, " +
				"or a Whereabouts range. The pool is used up, or what fills it (a cloud agent, an operator) does not get new addresses.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl get pods -A -l 'k8s-app in (aws-node,calico-node,cilium,azure-cns)' -o wide",
			},
			Remedies: []diagnose.Remedy{
				{ID: "look-at-pool", Risk: diagnose.RiskNone, Text: "See what ran out: free addresses of the subnet in the cloud's console, interfaces and addresses per machine type, blocks of the IP pool, reservations of the Whereabouts range; and the log of the plugin's pod on the node."},
				{ID: "scale-down", Risk: diagnose.RiskLow, Text: "Free addresses by scaling down what is not needed, or by deleting finished workloads that hold some."},
				{ID: "widen-pool", Risk: diagnose.RiskLow, Text: "Add a subnet or an IP pool, or turn on address prefixes. Existing pods keep their addresses."},
				{ID: "other-nodes", Risk: diagnose.RiskMedium, Text: "If only this machine is at its limit, cordon it so that new pods go elsewhere, and set the kubelet's maxPods to what its interfaces carry.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{
				"https://docs.aws.amazon.com/eks/latest/best-practices/ip-opt.html",
				"https://github.com/aws/amazon-vpc-cni-k8s/issues/2892",
				"https://github.com/projectcalico/calico/blob/master/libcalico-go/lib/ipam/ipam.go",
			},
		},
		Reach: scope.ReachShared,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			r, ok := rangeOf(s, p)
			if !ok || !r.full() {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Certain, Reach: scope.ReachNode, Evidence: r.ev,
				Message: fmt.Sprintf("Node %s has no address left in %s-%s: its pods hold %d of the %d.", p.Node, r.from, r.to, r.used, r.size),
			}, true
		},
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			all := hearing(s, r, says(sayNoAddress))
			var out []diagnose.Finding
			for _, h := range all {
				a := agentsOn(s, h.node)
				f := diagnose.Finding{
					Subject: h.subject(), Explains: h.pods, Confidence: diagnose.Likely, Evidence: append(h.ev, a.ev...),
					Message:      fmt.Sprintf("The network plugin on node %s gets no address for new pods: %s.%s%s", h.node, quote(last(h.ev)), spread(all, r.Nodes), a),
					Alternatives: []string{"cni-chained-plugin-dead"},
					Decide:       "The plugin's own log on the node tells an empty pool from an agent that cannot ask for more.",
				}
				switch {
				case a.ill:
					f.Confidence = diagnose.Possible // what hands out addresses there is not well itself
				case len(all) == 1 && r.Nodes > 1:
					f.Decide = "Other nodes get addresses: either this machine carries as many as its interfaces can, or its agent cannot ask for more. The plugin's own log on the node tells."
				case len(all) > 1:
					f.Decide = "Several nodes get none: the subnet or the pool is used up, or what hands out its parts (an operator, the cloud's API) refuses. Free addresses of the pool tell, and that part's log."
				}
				out = append(out, f)
			}
			return out
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"failed to assign an IP address to container", "no available IP/Prefix addresses", "InsufficientFreeAddressesInSubnet", "InsufficientCidrBlocks",
				"no more free affine blocks", "Assigned 0 out of 1 requested IPv", "due to per host block limit",
				"Could not allocate IP in range", "postIpamFailure range is full", "postIpamFailure  range is full", "postIpamFailure \"range is full\"",
				"Failed to allocate address: No available addresses", "No available address pools", "not enough IPs available for", "waiting on Azure CNS to allocate more",
				"InvalidVSwitchId.IpNotEnough", "error get allocated eniip", "NoAvailableAddress", "no address allocated to pod", "all IP used out",
			}}},
			{
				Text:       diagnose.Text{Any: []string{"unable to allocate IP via local cilium agent", "error calling DHCP.Allocate"}, None: []string{"dial unix"}},
				Confidence: diagnose.Possible, Alternatives: []string{"cni-chained-plugin-dead"},
				Decide: "Whether the agent, or the DHCP server, answers at all: its own log tells.",
			},
		},
	}
}
