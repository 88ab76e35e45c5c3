package room

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The filters and their words are those of k8s.io/kubernetes/pkg/scheduler/framework/plugins.

// unschedulable: a cordoned node takes only pods that tolerate its taint.
func unschedulable(m *mover, h *host) verdict {
	taint := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	if h.node.Spec.Unschedulable && !snapshot.Tolerates(m.pod, &taint) {
		return refuse(true, "node(s) were unschedulable")
	}
	return verdict{}
}

func untolerated(m *mover, h *host) verdict {
	if snapshot.Untolerated(h.node, m.pod, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute) != nil {
		return refuse(true, "node(s) had untolerated taint(s)")
	}
	return verdict{}
}

// affine: the node selector and the required node affinity.
func affine(m *mover, h *host) verdict {
	if ok, err := m.affinity.Match(h.node); err != nil || !ok {
		return refuse(true, "node(s) didn't match Pod's node affinity/selector")
	}
	return verdict{}
}

// hostPorts are the ports of the node that a pod takes as long as it runs.
func hostPorts(p *corev1.Pod) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	from := func(c *corev1.Container) {
		for _, port := range c.Ports {
			if port.HostPort > 0 {
				out = append(out, port)
			}
		}
	}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; snapshot.IsSidecar(c) {
			from(c)
		}
	}
	for i := range p.Spec.Containers {
		from(&p.Spec.Containers[i])
	}
	return out
}

func portsFree(m *mover, h *host) verdict {
	if len(m.ports) == 0 {
		return verdict{}
	}
	for _, g := range h.guests {
		for _, taken := range hostPorts(g.pod) {
			for _, p := range m.ports {
				if portsClash(p, taken) {
					return refuse(false, "node(s) didn't have free ports for the requested pod ports")
				}
			}
		}
	}
	return verdict{}
}

func portsClash(a, b corev1.ContainerPort) bool {
	protocol := func(p corev1.ContainerPort) corev1.Protocol {
		if p.Protocol == "" {
			return corev1.ProtocolTCP
		}
		return p.Protocol
	}
	every := func(p corev1.ContainerPort) bool { return p.HostIP == "" || p.HostIP == "0.0.0.0" }
	return a.HostPort == b.HostPort && protocol(a) == protocol(b) && (every(a) || every(b) || a.HostIP == b.HostIP)
}

// resourcesFree: how many pods the node takes, and every resource that the pod asks for.
func resourcesFree(m *mover, h *host) verdict {
	var out verdict
	if int64(len(h.guests))+1 > h.size[corev1.ResourcePods] {
		out.reasons = append(out.reasons, "Too many pods")
	}
	for name, asked := range m.asks {
		if asked <= 0 || name == corev1.ResourcePods || asked <= h.size[name]-h.used[name] {
			continue
		}
		out.reasons = append(out.reasons, "Insufficient "+string(name))
		out.final = out.final || asked > h.size[name]
	}
	return out
}

// well: the scheduler goes by taints alone, but a pod that tolerates those of a node that is not Ready, or is being deleted, would not run there.
func well(_ *mover, h *host) verdict {
	if h.node.DeletionTimestamp != nil {
		return refuse(true, "node(s) were being deleted")
	}
	if c := snapshot.NodeCondition(h.node, corev1.NodeReady); c == nil || c.Status != corev1.ConditionTrue {
		return refuse(true, "node(s) were not Ready")
	}
	return verdict{}
}
