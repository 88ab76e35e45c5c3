package runtime

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// silentFor is how long a pod without volumes of consequence may take to get its sandbox before silence means
// something: a healthy runtime makes one in seconds.
const silentFor = 90 * time.Second

func runtimeHung() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST206", Slug: "runtime-hung", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The container runtime of the node does not answer",
			Symptom: "Pods of several workloads hang on one node, some ContainerCreating and some Terminating. For the first minutes, and sometimes for good, the node stays Ready and no event is written.",
			Mechanism: "The kubelet does everything through the runtime (containerd, CRI-O, dockerd). When that hangs, each request waits for its " +
				"timeout, mostly without an event. Only later does the node turn NotReady with \"container runtime is down\" or \"PLEG is not healthy\".",
			Confirm: []string{
				"kubectl describe node {node}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host crictl info",
			},
			Remedies: []diagnose.Remedy{
				{ID: "ask-runtime", Risk: diagnose.RiskNone, Text: "On the node: crictl info and crictl ps. If they hang, it is the runtime. Save its stack dump (kill -USR1 to containerd) before you restart it."},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "On the node: systemctl restart containerd (or crio). Containers survive; with dockerd only when live-restore is on."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "If it hangs again: cordon, drain what still ends, reboot. A drain cannot end pods that the runtime cannot end.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{
				"kubernetes: pkg/kubelet/runtime.go (runtimeErrors)",
				"kubernetes: pkg/kubelet/pleg/generic.go",
				"https://kubernetes.io/docs/tasks/debug/debug-cluster/crictl/",
			},
		},
		Node: findHungRuntime,
		Log: []string{
			"container runtime is down", "PLEG is not healthy", "skipping pod synchronization", "containerd.sock: connect: connection refused", "crio.sock: connect: connection refused",
		},
	}
}

func findHungRuntime(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	n := s.Node(g.Node)
	if n == nil {
		if s.Has(snapshot.Node, "", g.Node) == snapshot.Unknown {
			return byTimeouts(s, g) // its kubelet speaks, whatever its conditions say
		}
		return diagnose.Finding{}, false
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	if c == nil || c.Status == corev1.ConditionUnknown {
		return diagnose.Finding{}, false // a kubelet that is silent says nothing about its runtime
	}
	if c.Status == corev1.ConditionFalse {
		return byCondition(n, *c, g)
	}
	if f, ok := byTimeouts(s, g); ok {
		return f, true
	}
	return bySilence(s, g)
}

func waitsForRuntime(p stuck.Pod) bool {
	return starting(p) || p.State == stuck.Terminating && (ending(p) || p.Stage == stuck.Cleanup)
}

func byCondition(n *corev1.Node, c corev1.NodeCondition, g scope.Group) (diagnose.Finding, bool) {
	pods := filter(g, waitsForRuntime)
	f := diagnose.Finding{Explains: names(pods), Evidence: []diagnose.Evidence{diagnose.NodeConditionEvidence(n, c)}}
	if len(pods) == 0 && len(g.Stuck) > 0 {
		return f, false
	}
	down := diagnose.Text{Any: []string{"container runtime is down", "container runtime status check may not have completed"}}
	switch {
	case down.Match(c.Message):
		f.Confidence = diagnose.Certain
		f.Message = fmt.Sprintf("The kubelet of node %s gets no answer from its container runtime (%s stuck there).", g.Node, count(len(pods), "pod"))
	case diagnose.Text{All: []string{"PLEG is not healthy"}}.Match(c.Message):
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("The kubelet of node %s cannot list its containers in time (PLEG is not healthy), with %s stuck there.", g.Node, count(len(pods), "pod"))
		f.Alternatives = []string{"pleg-unhealthy-one-pod", "pleg-unhealthy-load"}
		f.Decide = "On node {node}: whether crictl ps hangs (the runtime), only crictl inspect of one container does (that container), or all answer slowly (load)."
	default:
		return f, false
	}
	return f, true
}

// byTimeouts looks for requests of several workloads that the runtime did not answer.
func byTimeouts(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	noAnswer := diagnose.Text{
		Any:  []string{"DeadlineExceeded", "context deadline exceeded", "containerd.sock: connect", "crio.sock: connect", "docker.sock: connect", "cannot connect to the docker daemon"},
		None: []string{"failed to destroy network", "failed to setup network", "failed to set up sandbox container", "plugin type=", "networkplugin cni", "failed to reserve", "error reserving", "failed to pull", "MountVolume", "AttachVolume", "unmounted volumes"},
	}
	var f diagnose.Finding
	pods := filter(g, func(p stuck.Pod) bool {
		if !waitsForRuntime(p) {
			return false
		}
		ev := diagnose.Said(s, p, noAnswer, "FailedKillPod", "FailedCreatePodSandBox", "FailedPodSandBoxStatus", "FailedSync", "Failed")
		f.Evidence = append(f.Evidence, ev...)
		return len(ev) > 0
	})
	up, down := 0, 0
	for _, p := range pods {
		if starting(p) {
			up++
		} else {
			down++
		}
	}
	if workloads(pods) < 2 || up == 0 {
		return f, false // one workload's containers alone may be at fault; and a hung runtime cannot start any
	}
	f.Explains = names(pods)
	f.Confidence = diagnose.Likely
	f.Message = fmt.Sprintf("The runtime of node %s did not answer requests for %d pods in time (%d starting, %d ending)%s.", g.Node, len(pods), up, down, readyToo(s, g.Node))
	f.Alternatives = []string{"runtime-request-timeout-slow-disk", "kernel-hung-task"}
	f.Decide = "On node {node}: whether crictl info answers at all, and how busy its disk is (iostat -x)."
	return f, true
}

func readyToo(s *snapshot.Snapshot, node string) string {
	if ready(s, node) {
		return ", although the node is Ready"
	}
	return ""
}

// bySilence judges a Ready node on which pods hang in both directions and nobody says a word: what a frozen runtime
// looks like in its first minutes.
func bySilence(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	up := filter(g, func(p stuck.Pod) bool {
		return p.State == stuck.ContainerCreating && p.For >= silentFor && !remote(p.Object) && diagnose.Silent(s, p) && !p.Pulling
	})
	down := filter(g, func(p stuck.Pod) bool { return ending(p) && diagnose.Silent(s, p) })
	both := append(append([]stuck.Pod(nil), up...), down...)
	if len(up) == 0 || len(down) == 0 || workloads(both) < 2 {
		return diagnose.Finding{}, false
	}
	since := both[0].Since
	for _, p := range both {
		if p.Since.Before(since) {
			since = p.Since
		}
	}
	if startedSince(s, g.Node, since) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Explains: names(both), Confidence: diagnose.Possible,
		Message: fmt.Sprintf("Node %s is Ready, yet for %s it has started no new pod (%d wait) and ended no deleted one (%d wait), of %d workloads, without a single warning.",
			g.Node, scope.Short(s.Now().Sub(since)), len(up), len(down), workloads(both)),
		Alternatives: []string{"kernel-hung-task", "pid-thread-exhaustion", "d-state-process"},
		Decide:       "Whether crictl info answers on node {node}; and whether the node turns NotReady with \"container runtime is down\" in the next two minutes.",
	}
	if workloads(both) >= 3 {
		f.Confidence = diagnose.Likely
	}
	for _, p := range both {
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "events", Value: fmt.Sprintf("no warning in %s of %s", scope.Short(p.For), p.State)})
	}
	return f, true
}

// startedSince tells whether a container started on the node after the moment.
func startedSince(s *snapshot.Snapshot, node string, when time.Time) bool {
	pods, _ := s.PodsOnNode(node)
	for _, p := range pods {
		for i := range p.Status.ContainerStatuses {
			if r := p.Status.ContainerStatuses[i].State.Running; r != nil && r.StartedAt.After(when) {
				return true
			}
		}
	}
	return false
}
