package node

import (
	"fmt"
	"sort"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The defaults of kube-controller-manager: --unhealthy-zone-threshold and --large-cluster-size-threshold.
const (
	unhealthyShare = 0.55
	largeZone      = 50
)

func nodeControllerDisruptionMode() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST109", Slug: "node-controller-disruption-mode", Reach: scope.ReachCluster,
		Needs: []snapshot.Kind{snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "Too many nodes are down at once, so evictions are held back",
			Symptom: "Nodes are NotReady for longer than their pods tolerate, and yet no pod on them is marked for deletion.",
			Mechanism: "The node controller takes many silent nodes for a fault of the control plane or the network. With every node not ready it " +
				"stops all evictions and takes the NoExecute taints back; with 55% or more of a zone (and more than two nodes) not ready, it stops " +
				"them in zones of up to 50 nodes and slows them to one node in 100 seconds in larger ones.",
			Confirm: []string{
				"kubectl get nodes -L topology.kubernetes.io/zone",
				"kubectl get leases -n kube-node-lease",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-connectivity", Risk: diagnose.RiskNone, Text: "Look at what the silent nodes share: the way to the API server (load balancer, DNS, certificates, firewall), power, a switch. When they report again all this ends.", Command: "kubectl get nodes -o wide"},
				{ID: "evict-by-hand", Risk: diagnose.RiskDataLoss, Text: "Only for a node that is verified to be off: taint it as out of service. Doing that to nodes that are merely cut off starts every workload twice.", Command: "kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction",
				"kubernetes: pkg/controller/nodelifecycle/node_lifecycle_controller.go (ComputeZoneState, ReducedQPSFunc)",
			},
		},
		Cluster: findDisruption,
	}
}

// zone counts the nodes of one zone; the node controller keys zones by region and zone.
type zone struct {
	name        string
	nodes, down int
}

func findDisruption(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	if !s.Complete(snapshot.Node, "") {
		return nil // shares of an unknown whole mean nothing
	}
	zones := map[string]*zone{}
	of := map[string]*zone{}
	nodes, down := 0, 0
	for _, n := range s.Nodes() {
		k := n.Labels[corev1.LabelTopologyRegion] + "/" + n.Labels[corev1.LabelTopologyZone]
		z := zones[k]
		if z == nil {
			z = &zone{name: n.Labels[corev1.LabelTopologyZone]}
			zones[k] = z
		}
		of[n.Name] = z
		z.nodes++
		nodes++
		if c := snapshot.NodeCondition(n, corev1.NodeReady); c == nil || c.Status != corev1.ConditionTrue {
			z.down++
			down++
		}
	}
	lost := map[*zone][]snapshot.Ref{}
	var all []snapshot.Ref
	for _, g := range r.Groups {
		for _, p := range g.Stuck {
			if z := of[g.Node]; z != nil && p.State == stuck.NodeLost {
				lost[z] = append(lost[z], p.Ref)
				all = append(all, p.Ref)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	if down == nodes {
		return []diagnose.Finding{{
			Subject: snapshot.Ref{Kind: "Cluster", Name: "all-nodes"}, Confidence: diagnose.Certain, Explains: all,
			Message:  fmt.Sprintf("None of %s is ready, so the node controller evicts nothing. It leaves %s on nodes that have been silent for longer than is tolerated.", count(nodes, "node"), count(len(all), "pod")),
			Evidence: []diagnose.Evidence{{Object: "nodes", Field: "status.conditions[Ready]", Value: fmt.Sprintf("%d of %d not True", down, nodes)}},
		}}
	}
	var out []diagnose.Finding
	for z, pods := range lost {
		if z.down <= 2 || float64(z.down) < unhealthyShare*float64(z.nodes) || z.down == z.nodes {
			continue // a zone that is down as a whole is evicted at the usual rate while others are well
		}
		name := z.name
		if name == "" {
			name = "without-a-name"
		}
		what := "evictions there are stopped"
		if z.nodes > largeZone {
			what = "evictions there are slowed to one node in 100 seconds"
		}
		out = append(out, diagnose.Finding{
			Subject: snapshot.Ref{Kind: "Zone", Name: name}, Confidence: diagnose.Likely, Explains: pods,
			Message:  fmt.Sprintf("%d of the %d nodes of zone %s are not ready, and %s. It leaves %s on nodes that have been silent for longer than is tolerated.", z.down, z.nodes, name, what, count(len(pods), "pod")),
			Evidence: []diagnose.Evidence{{Object: "nodes of zone " + name, Field: "status.conditions[Ready]", Value: fmt.Sprintf("%d of %d not True", z.down, z.nodes)}},
		})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Subject.Name < out[j].Subject.Name })
	return out
}
