package remedy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func nodeMachineMayGo() Guard {
	return Guard{
		Name:     "node-machine-may-go",
		Prevents: "The Node object is deleted to bring the machine back under it, and the machine goes too, with its disks; or it stays, and is paid for without being of use.",
		For:      []ID{DeleteNode},
		Node: func(c *NodeCase, _ ID) []Verdict {
			if c.Node == nil {
				return nil
			}
			var out []Verdict
			for _, k := range keepers() {
				if ev, ok := k.has(c); ok {
					out = append(out, Verdict{Level: Warn, Reason: fmt.Sprintf("Node %s is %s: %s.", c.Ref.Name, k.is, k.then), Evidence: []diagnose.Evidence{ev}})
				}
			}
			return out
		},
	}
}

// keeper is who looks after the machine of a node, how that shows on the Node object, and what it does when the object is deleted.
type keeper struct {
	finalizers, labels, annotations []string
	provider                        bool // spec.providerID
	is, then                        string
}

// keepers are those that are known. What is not certain of every version and setting is worded with "may".
func keepers() []keeper {
	const repairs = "it may take a machine without a Node object for one that failed, and replace it"
	return []keeper{
		// kubernetes-sigs/karpenter, pkg/controllers/node/termination: the finalizer is taken off when the instance is gone.
		{finalizers: []string{"karpenter.sh/termination"}, is: "Karpenter's, with its finalizer karpenter.sh/termination", then: "when the Node object is deleted, Karpenter drains it and terminates the instance, and the object stays until that is done"},
		{labels: []string{"karpenter.sh/nodepool", "karpenter.sh/provisioner-name"}, is: "Karpenter's by its labels", then: "Karpenter may terminate the instance when the Node object is deleted"},
		{annotations: []string{"cluster.x-k8s.io/machine"}, is: "of a Machine of Cluster API", then: "the Machine stays, and a MachineHealthCheck may find that its Node is missing, and replace the machine; the way to be rid of it is to delete the Machine"},
		{annotations: []string{"machine.openshift.io/machine"}, is: "of a Machine of OpenShift", then: "the Machine stays, and a MachineHealthCheck may find that its Node is missing, and replace the machine"},
		{labels: []string{"cloud.google.com/gke-nodepool"}, is: "of a node pool of GKE", then: repairs},
		{labels: []string{"eks.amazonaws.com/nodegroup"}, is: "of a managed node group of EKS", then: repairs},
		{labels: []string{"kubernetes.azure.com/agentpool", "kubernetes.azure.com/cluster"}, is: "of a node pool of AKS", then: repairs},
		// cluster-autoscaler counts instances without a Node as unregistered and removes them after --max-node-provision-time (15m by default).
		{provider: true, is: "a machine of a cloud (spec.providerID)", then: "the deletion of the Node object deletes no machine by itself, which goes on and is paid for; where a cluster-autoscaler looks after its group, it may remove the " +
			"machine as unregistered, 15 minutes later by default"},
	}
}

func (k keeper) has(c *NodeCase) (diagnose.Evidence, bool) {
	n := c.Node
	for _, f := range k.finalizers {
		if slices.Contains(n.Finalizers, f) {
			return c.cite("metadata.finalizers", f), true
		}
	}
	for _, l := range k.labels {
		if v, ok := n.Labels[l]; ok {
			return c.cite("metadata.labels["+l+"]", v), true
		}
	}
	for _, a := range k.annotations {
		if v, ok := n.Annotations[a]; ok {
			return c.cite("metadata.annotations["+a+"]", v), true
		}
	}
	if k.provider && cloudID(n) {
		return c.cite("spec.providerID", n.Spec.ProviderID), true
	}
	return diagnose.Evidence{}, false
}

// cloudID tells whether the providerID is of a cloud, and not of a distribution that names the node itself.
func cloudID(n *corev1.Node) bool {
	scheme, _, ok := strings.Cut(n.Spec.ProviderID, "://")
	return ok && !slices.Contains([]string{"k3s", "rke2", "kind", "k0s", "minikube"}, scheme)
}
