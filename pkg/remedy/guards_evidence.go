package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// changes are the rungs that change a pod.
func changes() []ID { return []ID{DeletePod, ForceDelete, RemoveFinalizers} }

// hears is what is heard of a node's kubelet.
type hears int

const (
	kubeletUnread hears = iota // what would tell was not read
	kubeletHeard               // it renews its lease, or the node controller takes it for alive
	kubeletSilent              // it does not
)

// hearing tells whether the kubelet of the pod's node is heard, and the state of the node in words. A lease that is renewed counts before the condition, which
// the node controller sets to Unknown only after a while (kube-controller-manager --node-monitor-grace-period, 50s).
func (c *Case) hearing() (hears, string) {
	if c.Pod.Node == "" {
		return kubeletUnread, "no node has the pod"
	}
	f := scope.Facts(c.S, c.Pod.Node)
	says := f.String()
	switch {
	case f.LeaseAge >= 0 && !f.LeaseStale:
		return kubeletHeard, says
	case f.Exists == snapshot.Absent && c.leaseUnread():
		return kubeletUnread, says
	case f.LeaseStale, f.Ready == string(corev1.ConditionUnknown), f.Exists == snapshot.Absent:
		return kubeletSilent, says
	case f.Ready == string(corev1.ConditionTrue), f.Ready == string(corev1.ConditionFalse):
		return kubeletHeard, says
	default:
		return kubeletUnread, says
	}
}

// leaseUnread tells that whether the kubelet renews its lease could not be read.
func (c *Case) leaseUnread() bool {
	return c.S.NodeLease(c.Pod.Node) == nil && c.S.Has(snapshot.Lease, corev1.NamespaceNodeLease, c.Pod.Node) == snapshot.Unknown
}

func (c *Case) nodeRef() snapshot.Ref {
	return snapshot.Ref{Kind: snapshot.Node, Name: c.Pod.Node}
}

// nodeEvidence cites what is known of the pod's node.
func (c *Case) nodeEvidence() []diagnose.Evidence {
	if c.Pod.Node == "" {
		return nil
	}
	out := []diagnose.Evidence{{Object: c.nodeRef().String(), Field: "existence", Value: strings.ToLower(c.S.Has(snapshot.Node, "", c.Pod.Node).String())}}
	if n := c.S.Node(c.Pod.Node); n != nil {
		if r := snapshot.NodeCondition(n, corev1.NodeReady); r != nil {
			out = append(out, diagnose.NodeConditionEvidence(n, *r))
		}
	}
	if l := c.S.NodeLease(c.Pod.Node); l != nil && l.Spec.RenewTime != nil {
		ref := snapshot.Ref{Kind: snapshot.Lease, Namespace: l.Namespace, Name: l.Name}
		out = append(out, diagnose.Evidence{Object: ref.String(), Field: "spec.renewTime", Value: l.Spec.RenewTime.UTC().Format(time.RFC3339)})
	}
	return out
}

// rest is whether a pod is known not to run, by what, and what speaks against something that would have shown it.
type rest struct {
	known bool
	// stopped tells that the pod itself is done: the kubelet said so, or no node ever had it. It is false where only the machine is off.
	stopped bool
	why     string
	doubt   string
}

// atRest tells whether no container of the pod can be running. Four things show it, and nothing else does:
//   - no node ever had the pod, or its kubelet refused it;
//   - the kubelet reported every container as ended (containersEnded);
//   - the Node object does not exist, by a direct or a whole read, and nobody renews its lease, which was read too;
//   - the node has the taint node.kubernetes.io/out-of-service, by which somebody who looked says that it is off, and nothing is heard of its kubelet.
//
// What does not: a grace period of 0, which anybody who forces a deletion sets; a phase, which PodGC sets too; a node that does not answer; and a Node object
// that is younger than the pod, which shows that something registered under the name again and nothing about the machine that had the pod.
func (c *Case) atRest() rest {
	p := c.Pod.Object
	switch {
	case p == nil:
		return rest{}
	case p.Spec.NodeName == "":
		return rest{known: true, stopped: true, why: "no node ever had it"}
	case snapshot.Rejected(p) && neverStarted(p):
		return rest{known: true, stopped: true, why: "the kubelet refused to run it"}
	}
	ended, doubt := containersEnded(p)
	if ended {
		return rest{known: true, stopped: true, why: "the kubelet reported every container of it as ended"}
	}
	heard, says := c.hearing()
	if c.S.Has(snapshot.Node, "", c.Pod.Node) == snapshot.Absent {
		if heard == kubeletHeard {
			return rest{doubt: fmt.Sprintf("%s: the kubelet runs on without its Node object; %s", says, doubt)}
		}
		if c.leaseUnread() {
			return rest{doubt: fmt.Sprintf("the Node object of %s does not exist, and whether its kubelet runs on without it is not known, because its lease could not be read; %s", c.Pod.Node, doubt)}
		}
		return rest{known: true, why: "the Node object of " + c.Pod.Node + " does not exist"}
	}
	n := c.S.Node(c.Pod.Node)
	if n == nil {
		return rest{doubt: doubt + "; the node could not be read"}
	}
	if outOfService(n) {
		ready := snapshot.NodeCondition(n, corev1.NodeReady)
		if heard != kubeletHeard && ready != nil && ready.Status != corev1.ConditionTrue {
			return rest{known: true, why: fmt.Sprintf("node %s has the taint %s, and %s", n.Name, corev1.TaintNodeOutOfService, says)}
		}
		doubt += fmt.Sprintf("; the node has the taint %s, and yet %s: it was not taken off when the node came back, or the node was never off", corev1.TaintNodeOutOfService, says)
		return rest{doubt: doubt}
	}
	doubt += "; " + says
	if began := boundAt(p); !began.IsZero() && n.CreationTimestamp.After(began) {
		doubt += fmt.Sprintf("; the Node object was made %s after the pod, which shows that the name was registered again and not what became of the containers",
			scope.Short(n.CreationTimestamp.Sub(began)))
	}
	return rest{doubt: doubt}
}

// boundAt is the earliest moment at which the pod is known to have been on its node.
func boundAt(p *corev1.Pod) time.Time {
	if p.Status.StartTime != nil {
		return p.Status.StartTime.Time
	}
	if s := snapshot.PodCondition(p, corev1.PodScheduled); s != nil && s.Status == corev1.ConditionTrue {
		return s.LastTransitionTime.Time
	}
	return time.Time{}
}

// containersEnded tells whether the kubelet said of every container of the pod that it does not run, or what is missing. It says so with a terminal phase, which
// it writes when no container is left (pkg/kubelet/status TerminatePod), and a status for each container of the spec: ended, or never begun. PodGC
// writes a terminal phase too, and then of containers that never began nobody knows. A reason ContainerStatusUnknown is the kubelet saying that it
// could not find the container, which is not that it saw it end; but it says so of every container that never began as well (neverBegan).
func containersEnded(p *corev1.Pod) (ended bool, doubt string) {
	if !snapshot.IsTerminal(p) {
		return false, fmt.Sprintf("its phase is %q, and the kubelet writes a terminal one when the containers have ended", p.Status.Phase)
	}
	statuses := map[string]*corev1.ContainerStatus{}
	for _, l := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for i := range l {
			if bad := notEnded(p, &l[i]); bad != "" {
				return false, bad
			}
			statuses[l[i].Name] = &l[i]
		}
	}
	var names []string
	for i := range p.Spec.InitContainers {
		names = append(names, p.Spec.InitContainers[i].Name)
	}
	for i := range p.Spec.Containers {
		names = append(names, p.Spec.Containers[i].Name)
	}
	for i := range p.Spec.EphemeralContainers {
		names = append(names, p.Spec.EphemeralContainers[i].Name)
	}
	if len(names) == 0 {
		return false, "its containers are not known"
	}
	for _, name := range names {
		if statuses[name] == nil {
			return false, fmt.Sprintf("the kubelet reported nothing of container %q", name)
		}
	}
	return true, ""
}

func notEnded(p *corev1.Pod, st *corev1.ContainerStatus) string {
	switch t := st.State; {
	case t.Running != nil:
		return fmt.Sprintf("container %q is reported as running", st.Name)
	case t.Terminated != nil && t.Terminated.Reason == statusUnknown && (collected(p) || !neverBegan(st)):
		return fmt.Sprintf("the kubelet could not find container %q (ContainerStatusUnknown), and did not see it end", st.Name)
	case t.Terminated != nil:
		return ""
	case begun(st):
		return fmt.Sprintf("container %q had begun, and is not reported as ended", st.Name)
	case collected(p):
		return fmt.Sprintf("container %q is not reported as ended, and the phase is PodGC's and not the kubelet's", st.Name)
	case t.Waiting == nil:
		return fmt.Sprintf("the state of container %q is not reported", st.Name)
	default:
		return ""
	}
}

// statusUnknown is the reason by which the kubelet says that it could not find a container (pkg/kubelet/container ContainerReasonStatusUnknown).
const statusUnknown = "ContainerStatusUnknown"

// neverBegan tells whether a container that the kubelet could not find was never there: pkg/kubelet/status TerminatePod writes ContainerStatusUnknown over the
// status of every container that waits. Of one that ran the ID stays; where the runtime lost it, the restarts are counted up or the last state says so
// (pkg/kubelet convertToAPIContainerStatuses).
func neverBegan(st *corev1.ContainerStatus) bool {
	t := st.State.Terminated
	return t != nil && t.ContainerID == "" && t.StartedAt.IsZero() && !begun(st)
}

// begun tells whether the container was ever started, as far as its status tells.
func begun(st *corev1.ContainerStatus) bool {
	last := st.LastTerminationState
	return st.ContainerID != "" || st.RestartCount > 0 || st.Started != nil && *st.Started || last.Terminated != nil || last.Running != nil
}

// neverStarted tells whether no container has a trace of ever having been started.
func neverStarted(p *corev1.Pod) bool {
	for _, l := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		if slices.ContainsFunc(l, func(st corev1.ContainerStatus) bool { return st.State.Running != nil || begun(&st) }) {
			return false
		}
	}
	return !collected(p)
}

// collected tells whether PodGC wrote the pod's phase (pkg/controller/podgc markFailedAndDeletePodWithCondition).
func collected(p *corev1.Pod) bool {
	c := snapshot.PodCondition(p, corev1.DisruptionTarget)
	return c != nil && c.Reason == "DeletionByPodGC"
}

func outOfService(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

// taken are the finalizers that would be taken off, and left those that would stay.
func (c *Case) taken() (off, left []string) {
	if c.Pod.Object == nil {
		return nil, nil
	}
	for _, f := range c.Pod.Object.Finalizers {
		if len(c.Asked.Named) == 0 || slices.Contains(c.Asked.Named, f) {
			off = append(off, f)
		} else {
			left = append(left, f)
		}
	}
	return off, left
}

// past tells whether the rung makes the pod's object go, now or as soon as its finalizers are off, without its kubelet having a say; and why, where that is
// not plain. A deletion is one too where the API server sets a grace period of 0 by itself (pkg/registry/core/pod CheckGracefulDelete), and so is the removal of the
// last finalizer from a pod that has one (apiserver ShouldDeleteDuringUpdate).
func (c *Case) past(id ID) (past bool, why string) {
	p := c.Pod.Object
	if p == nil {
		return id == ForceDelete, ""
	}
	switch id {
	case ForceDelete:
		return true, ""
	case DeletePod:
		switch {
		case p.DeletionTimestamp != nil || p.Spec.NodeName == "":
			return false, ""
		case snapshot.IsTerminal(p):
			return true, fmt.Sprintf("The API server deletes a pod in phase %s at once, without its kubelet.", p.Status.Phase)
		case p.Spec.TerminationGracePeriodSeconds != nil && *p.Spec.TerminationGracePeriodSeconds == 0:
			return true, "Its spec.terminationGracePeriodSeconds is 0, with which the API server deletes it at once, without its kubelet."
		}
	case RemoveFinalizers:
		_, left := c.taken()
		grace := p.DeletionGracePeriodSeconds
		if p.DeletionTimestamp != nil && len(left) == 0 && (grace == nil || *grace == 0 || c.Asked.Force) {
			return true, "Its grace period is 0, so without its finalizers the API server drops it at once; that shows a deletion without grace and not that the containers ended."
		}
	}
	return false, ""
}

// listed joins what is listed as people do: "a, b and c".
func listed(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

func podEvidence(c *Case, field, value string) diagnose.Evidence {
	return diagnose.Evidence{Object: c.Pod.Ref.String(), Field: field, Value: value}
}
