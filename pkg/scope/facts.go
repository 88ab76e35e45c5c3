package scope

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// defaultLeaseDuration is how long a node lease is good for where it does not say so itself
// (pkg/kubelet: NodeLeaseDurationSeconds defaults to 40).
const defaultLeaseDuration = 40 * time.Second

// Facts gathers what the API knows of a node.
func Facts(s *snapshot.Snapshot, node string) NodeFacts {
	f := NodeFacts{Exists: s.Has(snapshot.Node, "", node), LeaseAge: -1, NoLease: s.Has(snapshot.Lease, corev1.NamespaceNodeLease, node) == snapshot.Absent}
	n := s.Node(node)
	if n != nil {
		if c := snapshot.NodeCondition(n, corev1.NodeReady); c != nil {
			f.Ready, f.ReadyReason, f.ReadyMessage, f.ReadySince = string(c.Status), c.Reason, c.Message, c.LastTransitionTime.Time
		}
		f.Cordoned = n.Spec.Unschedulable
		for _, t := range n.Spec.Taints {
			text := t.Key
			if t.Value != "" {
				text += "=" + t.Value
			}
			f.Taints = append(f.Taints, text+":"+string(t.Effect))
		}
		i := n.Status.NodeInfo
		f.Kubelet, f.Runtime, f.Kernel, f.OSImage = i.KubeletVersion, i.ContainerRuntimeVersion, i.KernelVersion, i.OSImage
		f.Zone = n.Labels[corev1.LabelTopologyZone]
	}
	l := s.NodeLease(node)
	if l == nil || l.Spec.RenewTime == nil {
		return f
	}
	f.LeaseAge = max(s.Now().Sub(l.Spec.RenewTime.Time), 0)
	good := defaultLeaseDuration
	if d := l.Spec.LeaseDurationSeconds; d != nil && *d > 0 {
		good = time.Duration(*d) * time.Second
	}
	// Where every lease is old and yet the node is called Ready, the picture was put together over a while, and the age of a
	// lease says nothing.
	f.LeaseStale = f.LeaseAge > good && (f.Ready != "True" || s.Now().Sub(s.FreshestNodeLease()) < f.LeaseAge-good/2)
	return f
}

// String is the state of the node in words.
func (f NodeFacts) String() string {
	lease := "lease not read"
	if f.NoLease {
		lease = "it has no lease"
	}
	if f.LeaseAge >= 0 {
		lease = "lease renewed " + Ago(f.LeaseAge)
	}
	switch {
	case f.Exists == snapshot.Absent && f.LeaseAge >= 0:
		return "the Node object does not exist, " + lease
	case f.Exists == snapshot.Absent:
		return "the Node object does not exist"
	case f.Ready == "":
		return "the node could not be read"
	default:
		return fmt.Sprintf("Ready=%s, %s", f.Ready, lease)
	}
}

// Ago words a duration as people do: "4s ago", "14m ago", "3h10m ago", "2d ago".
func Ago(d time.Duration) string { return Short(d) + " ago" }

// Short words a duration with the units that matter.
func Short(d time.Duration) string {
	d = d.Truncate(time.Second)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if m == 0 || d > 10*time.Hour {
			return fmt.Sprintf("%dh", h)
		}
		return fmt.Sprintf("%dh%dm", h, m)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
