package remedy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// By these, nodes without a machine are known: virtual-kubelet labels and taints its own (cmd/virtual-kubelet/internal/commands/root node.go; Azure's for
// container instances add a taint), EKS labels Fargate's, and the pods on them with the profile that they are of; Tencent Cloud names the type of its own.
const (
	virtualType     = "type"
	virtualKubelet  = "virtual-kubelet"
	virtualTaint    = "virtual-kubelet.io/provider"
	azureTaint      = "azure.com/aci"
	eksComputeType  = "eks.amazonaws.com/compute-type"
	fargate         = "fargate"
	fargateProfile  = "eks.amazonaws.com/fargate-profile"
	tencentInstance = "eklet"
)

func virtualNode() Guard {
	return Guard{
		Name:     "virtual-node",
		Prevents: "The pod's object goes, and the task that a cloud runs for it goes on, and on the bill.",
		For:      changes(),
		Needs:    []snapshot.Kind{snapshot.Node},
		Check: func(c *Case, r Remedy) []Verdict {
			past, _ := c.past(r.ID)
			if !past || c.Pod.Object == nil || c.Pod.Node == "" || c.atRestOfKubelet() {
				return nil
			}
			ev, ok := c.virtual()
			if !ok {
				return nil
			}
			return []Verdict{{
				Level: Warn,
				Reason: fmt.Sprintf("Node %s is virtual: a provider runs %s somewhere else, and may go on running it, and charging for it, when the object is gone. Look there (%s %s).",
					c.Pod.Node, c.Pod.Ref, ev.Field, ev.Value),
				Evidence: []diagnose.Evidence{ev},
			}}
		},
	}
}

// atRestOfKubelet tells whether the pod itself is known to be done. That no Node object exists tells nothing of what a provider runs.
func (c *Case) atRestOfKubelet() bool {
	p := c.Pod.Object
	ended, _ := containersEnded(p)
	return ended || snapshot.Rejected(p) && neverStarted(p)
}

func (c *Case) virtual() (diagnose.Evidence, bool) {
	if v := c.Pod.Object.Labels[fargateProfile]; v != "" {
		return podEvidence(c, "metadata.labels["+fargateProfile+"]", v), true
	}
	n := c.S.Node(c.Pod.Node)
	if n == nil {
		return diagnose.Evidence{}, false // unread says so, where it could not be read
	}
	for _, l := range [][2]string{{virtualType, virtualKubelet}, {eksComputeType, fargate}, {corev1.LabelInstanceTypeStable, tencentInstance}} {
		if n.Labels[l[0]] == l[1] {
			return diagnose.Evidence{Object: c.nodeRef().String(), Field: "metadata.labels[" + l[0] + "]", Value: l[1]}, true
		}
	}
	for _, t := range n.Spec.Taints {
		if t.Key == virtualTaint || t.Key == azureTaint {
			return diagnose.Evidence{Object: c.nodeRef().String(), Field: "spec.taints", Value: t.Key + "=" + t.Value}, true
		}
	}
	return diagnose.Evidence{}, false
}
