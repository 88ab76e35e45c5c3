package volume

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// leaseExpires is from when a leader's Lease says that nobody leads: csi-lib-utils holds one for 15 s and renews it every 5 s; drivers set it to
// up to 137 s (OpenShift).
const leaseExpires = 3 * time.Minute

// DriverPod is a pod of a CSI driver and how it fares.
type DriverPod struct {
	Pod *corev1.Pod
	// Role is "node plugin", or what of the driver's controller the pod leads: "attacher", "provisioner" …
	Role   string
	Status string // the STATUS column
	Ready  bool
	// Restarted is when a container of it was started last after having ended; zero where none was.
	Restarted time.Time
	// Why is what shows that the pod belongs to the driver.
	Why string
}

// NodePlugins finds the driver's pods on the node. A pod is one if it registers the driver with the kubelet, or is of a DaemonSet and mounts the driver's
// directory below the kubelet's plugins, or is told the driver's name. all tells whether every pod of the node was read, so that none
// found means that there is none, for a driver whose pods can be known.
func NodePlugins(s *snapshot.Snapshot, driver, node string) (found []DriverPod, all bool) {
	pods, all := s.PodsOnNode(node)
	for _, p := range pods {
		if snapshot.IsTerminal(p) && p.DeletionTimestamp == nil {
			continue
		}
		if why := isPlugin(p, driver); why != "" {
			found = append(found, describePod(p, "node plugin", why))
		}
	}
	return found, all
}

// pluginDirectory is the directory below the kubelet's plugins where it is not called after the driver (the drivers' own manifests).
func pluginDirectory(driver string) string {
	switch driver {
	case "nfs.csi.k8s.io":
		return "csi-nfsplugin"
	case "secrets-store.csi.k8s.io":
		return "csi-secrets-store"
	case "hostpath.csi.k8s.io":
		return "csi-hostpath"
	default:
		return driver
	}
}

// isPlugin tells by what the pod is known as a node plugin of the driver; empty where it is not.
func isPlugin(p *corev1.Pod, driver string) string {
	if driver == "" {
		return ""
	}
	dir := pluginDirectory(driver)
	owner := metav1.GetControllerOf(p)
	daemon := owner != nil && owner.Kind == string(snapshot.DaemonSet)
	named := ""
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		for _, raw := range slices.Concat(c.Command, c.Args) {
			a := expand(raw, c.Env)
			flag, value, ok := strings.Cut(strings.TrimLeft(a, "-"), "=")
			if !ok {
				continue
			}
			switch strings.ToLower(flag) {
			case "kubelet-registration-path":
				if hasSegment(value, dir) {
					return "registers " + value + " (container " + c.Name + ")"
				}
			case "drivername", "driver-name", "driver":
				if value == driver {
					named = "has --" + flag + "=" + value + " (container " + c.Name + ")"
				}
			}
		}
	}
	if !daemon {
		return ""
	}
	for i := range p.Spec.Volumes {
		if h := p.Spec.Volumes[i].HostPath; h != nil && strings.Contains(h.Path, "/plugins/") && hasSegment(h.Path, dir) {
			return "mounts " + h.Path
		}
	}
	return named
}

func hasSegment(path, segment string) bool {
	return segment != "" && slices.Contains(strings.Split(path, "/"), segment)
}

// expand puts the plain values of a container's environment into an argument, as the kubelet does for $(NAME).
func expand(arg string, env []corev1.EnvVar) string {
	if !strings.Contains(arg, "$(") {
		return arg
	}
	for _, e := range env {
		if e.Value != "" {
			arg = strings.ReplaceAll(arg, "$("+e.Name+")", e.Value)
		}
	}
	return arg
}

// Controller is what elects the leader of a part of a driver's controller, and the pods that were read of it.
type Controller struct {
	Role  string
	Lease *coordinationv1.Lease
	// Holder is who has the Lease, as it writes it; empty where nobody does.
	Holder string
	// Stale tells that nobody has renewed the Lease for Idle, which is longer than any driver waits: nobody leads.
	Stale bool
	Idle  time.Duration
	// Pods are the holder, and others of its workload that were read.
	Pods []DriverPod
	// Gone tells that the holder is known not to exist as a pod of the Lease's namespace. A controller in the host's network writes its node's name.
	Gone bool
}

// Controllers finds the parts of the driver's controller by the Leases of their leaders. roles limits them; none means all. Managed clusters hide
// both, so that none found means nothing.
func Controllers(s *snapshot.Snapshot, driver string, roles ...string) []Controller {
	var out []Controller
	names := snapshot.DriverLeases(driver)
	for _, l := range s.Leases() {
		role := names[l.Name]
		if role == "" || l.Namespace == corev1.NamespaceNodeLease || len(roles) > 0 && !slices.Contains(roles, role) {
			continue
		}
		out = append(out, controller(s, role, l))
	}
	return out
}

func controller(s *snapshot.Snapshot, role string, l *coordinationv1.Lease) Controller {
	c := Controller{Role: role, Lease: l}
	if l.Spec.RenewTime != nil {
		c.Idle = s.Now().Sub(l.Spec.RenewTime.Time)
		expires := leaseExpires
		if d := l.Spec.LeaseDurationSeconds; d != nil {
			expires = max(expires, 2*time.Duration(*d)*time.Second)
		}
		c.Stale = c.Idle > expires
	}
	if l.Spec.HolderIdentity != nil {
		c.Holder, _, _ = strings.Cut(*l.Spec.HolderIdentity, "_")
	}
	var holder *corev1.Pod
	if c.Holder != "" {
		holder = s.Pod(l.Namespace, c.Holder)
		c.Gone = holder == nil && s.Has(snapshot.Pod, l.Namespace, c.Holder) == snapshot.Absent && s.Node(c.Holder) == nil
	}
	if holder != nil {
		c.Pods = append(c.Pods, describePod(holder, role, "holds lease "+l.Namespace+"/"+l.Name))
	}
	for _, p := range s.Pods() {
		if p.Namespace != l.Namespace || p == holder || snapshot.IsTerminal(p) && p.DeletionTimestamp == nil {
			continue
		}
		if sameWorkload(p, holder, c.Holder) {
			c.Pods = append(c.Pods, describePod(p, role, "is of the same workload as the holder of lease "+l.Namespace+"/"+l.Name))
		}
	}
	return c
}

// sameWorkload tells whether a pod is of the holder's workload, by what both were called after: a Deployment's pods of two revisions differ in a part
// of the name that is a label of theirs, too.
func sameWorkload(p, holder *corev1.Pod, name string) bool {
	base := workloadName(p)
	if base == "" {
		return false
	}
	if holder != nil {
		return base == workloadName(holder)
	}
	rest, ok := strings.CutPrefix(name, base)
	return ok && strings.Count(rest, "-") <= 1
}

// workloadName is what the workload's pods are called after, with a hyphen at its end; empty for pods of a DaemonSet, and for bare ones.
func workloadName(p *corev1.Pod) string {
	if o := metav1.GetControllerOf(p); o == nil || o.Kind == string(snapshot.DaemonSet) || o.Kind == string(snapshot.Node) {
		return ""
	}
	base := p.GenerateName
	if h := p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; h != "" {
		base = strings.TrimSuffix(base, h+"-")
	}
	return base
}

func describePod(p *corev1.Pod, role, why string) DriverPod {
	d := DriverPod{Pod: p, Role: role, Status: snapshot.StatusOf(p).Word, Why: why}
	if c := snapshot.PodCondition(p, corev1.PodReady); c != nil {
		d.Ready = c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
	}
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		if r := c.State.Running; r != nil && c.RestartCount > 0 && r.StartedAt.After(d.Restarted) {
			d.Restarted = r.StartedAt.Time
		}
	}
	return d
}
