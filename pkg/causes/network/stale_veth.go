package network

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func staleVeth() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST410", Slug: "stale-veth",
		Doc: diagnose.Doc{
			Title:     "An interface, a route or an address of an earlier attempt is in the pod's way",
			Symptom:   `A pod stays in ContainerCreating with "container veth name provided (eth0) already exists", "file exists", "already has an IP address different from …" or "Link not found".`,
			Mechanism: "An earlier attempt to set up the pod's network was broken off and not cleaned up, an earlier pod or configuration left an interface, a bridge, a route or a rule on the node, or two plugins in the chain both create the interface. The plugin refuses to use what is taken.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pod {pod} -o wide -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-chain", Risk: diagnose.RiskNone, Text: "If every new pod meets it, look for two network configurations in /etc/cni/net.d on the host."},
				{ID: "remove-bridge", Risk: diagnose.RiskLow, Text: "If a bridge carries an address of an earlier range (cni0, after the network provider was changed), drain the node and delete the bridge on the host: the plugin makes it anew."},
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Delete the pod so that its workload makes a new one with a fresh network namespace. A bare pod has to be created again by hand."},
			},
			Refs: []string{"https://github.com/containernetworking/plugins/blob/main/pkg/ip/link_linux.go"},
		},
		Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill}, says(sayLeftover))
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			f := diagnose.Finding{Subject: p.Ref, Confidence: diagnose.Likely, Evidence: ev}
			switch said := strings.ToLower(last(ev)); {
			case strings.Contains(said, "already has an ip address different from"), strings.Contains(said, "bridge"):
				f.Subject, f.Reach = nodeRef(p), scope.ReachNode
				f.Message = fmt.Sprintf("A bridge of an earlier network configuration is left on node %s, and does not fit the present one: %s.", p.Node, quote(last(ev)))
			case strings.Contains(said, "link not found"):
				f.Confidence = diagnose.Possible
				f.Message = fmt.Sprintf("An interface that the network of pod %s needs is not on node %s, or is gone again: %s.", p.Ref.Name, p.Node, quote(last(ev)))
				f.Alternatives = []string{"cni-plugin-fails"}
				f.Decide = "Whether the parent interface that the network's configuration names (\"master\", \"device\") is on the node. If it is, it was the pod's own, half made."
			case strings.Contains(said, "/ns/net"), strings.Contains(said, "netns"):
				f.Confidence = diagnose.Possible
				f.Message = fmt.Sprintf("The network namespace that pod %s was to get on node %s was gone when the plugin came to it: %s.", p.Ref.Name, p.Node, quote(last(ev)))
				f.Alternatives = []string{"runtime-request-timeout-slow-disk", "cni-plugin-fails"}
				f.Decide = "Whether sandboxes on the node end right after they start (they crash, or the runtime gives up on them): the runtime's log tells."
			case strings.Contains(said, "in use"), strings.Contains(said, "duplicate"), strings.Contains(said, "conflict"):
				f.Message = fmt.Sprintf("The address that pod %s is to get on node %s is still taken: %s.", p.Ref.Name, p.Node, quote(last(ev)))
			default:
				f.Message = fmt.Sprintf("Something that pod %s needs for its network exists already, or is left half made, on node %s: %s.", p.Ref.Name, p.Node, quote(last(ev)))
			}
			return f, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"container veth name", "already exists"}}},
			{Text: diagnose.Text{All: []string{"vxlan", "file exists"}, Any: []string{"failed (add)", "ADD was an error", "adding"}}},
			{Text: diagnose.Text{All: []string{"already has an IP address different from"}}},
			{
				Text: diagnose.Text{All: []string{"file exists"}, Any: []string{"failed to setup network for sandbox", "failed to add host route", "failed to add pod rule", "could not add IP address", "failed to set bridge addr"}},
			},
			{
				Text:       diagnose.Text{Any: []string{"failed to Statfs", "failed to open netns"}, None: []string{"failed (delete)", "teardown", "destroy network"}},
				Confidence: diagnose.Possible, Alternatives: []string{"cni-plugin-fails"},
				Decide: "Whether sandboxes on the node end right after they start: the runtime's log tells.",
			},
		},
	}
}
