package remedy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const rolePrefix = "node-role.kubernetes.io/"

func nodeLastOfKind() Guard {
	return Guard{
		Name:     "node-last-of-kind",
		Prevents: "The last node goes on which a kind of pods can run: those of its role, those whose volumes are in its zone, or all.",
		Flag:     "even-last",
		Lifts:    "--even-last",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Node == nil {
				return nil
			}
			nodes, all := c.others()
			left := func(same func(*corev1.Node) bool) bool {
				return slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return ready(n) && same(n) })
			}
			var says []string
			var ev []diagnose.Evidence
			if !left(func(*corev1.Node) bool { return true }) {
				says, ev = append(says, "no other node at all is Ready"), append(ev, diagnose.Evidence{Object: "nodes", Field: "Ready", Value: "0 others"})
			}
			for _, l := range kinds(c.Node) {
				if !left(func(n *corev1.Node) bool { v, ok := n.Labels[l.key]; return ok && (l.any || v == l.value) }) {
					says, ev = append(says, "no other node "+l.says+" is Ready"), append(ev, c.cite("metadata.labels["+l.key+"]", l.value))
				}
			}
			if len(says) == 0 {
				return nil
			}
			return []Verdict{c.Asked.Lift(Verdict{
				Level: Block, Evidence: ev,
				Reason: fmt.Sprintf("Without node %s: %s%s. Pods and volumes that need such a node wait until there is one.", c.Ref.Name, listed(says), notAll(all)),
			}, "even-last")}
		},
	}
}

// nodeKind is a label that makes a node one of a kind.
type nodeKind struct {
	key, value string
	any        bool // the key alone counts
	says       string
}

// kinds are the roles of a node and its zone. Those of the control plane have a guard of their own.
func kinds(n *corev1.Node) []nodeKind {
	var out []nodeKind
	for key, value := range n.Labels {
		if role, ok := strings.CutPrefix(key, rolePrefix); ok && role != "" && !slices.Contains(controlRoles(), key) {
			out = append(out, nodeKind{key: key, value: value, any: true, says: "of the role " + role})
		}
	}
	if role := n.Labels["kubernetes.io/role"]; role != "" && role != "master" {
		out = append(out, nodeKind{key: "kubernetes.io/role", value: role, says: "of the role " + role})
	}
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone} {
		if zone := n.Labels[key]; zone != "" {
			out = append(out, nodeKind{key: key, value: zone, says: "in zone " + zone})
			break
		}
	}
	slices.SortFunc(out, func(a, b nodeKind) int { return strings.Compare(a.key, b.key) })
	return out
}
