package runtime

import (
	"fmt"
	"slices"
	"strings"
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

// startsUp is how long a kubelet may take until it has asked its runtime for the first time.
const startsUp = 2 * time.Minute

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
				"https://github.com/kubernetes/kubernetes/issues/72533",
				"https://github.com/kubernetes/kubernetes/issues/61117",
				"https://kubernetes.io/docs/tasks/debug/debug-cluster/crictl/",
			},
		},
		Pod:  findNoRuntime,
		Node: findHungRuntime,
		Log:  hungRuntimeLines(),
	}
}

// hungRuntimeLines are those of a runtime that does not answer at all, and of one that is not there.
func hungRuntimeLines() []diagnose.LogMatch {
	out := diagnose.CertainLines(diagnose.Saying("container runtime is down"), diagnose.Saying("container runtime not ready: RuntimeReady=false"))
	// While a runtime is restarted this is said as well, for a moment.
	out = append(out, diagnose.LikelyLines(
		diagnose.Saying("containerd.sock: connect: connection refused"), diagnose.Saying("crio.sock: connect: connection refused"), diagnose.Saying("cri-dockerd.sock: connect: connection refused"),
		diagnose.Saying("dockershim.sock: connect: connection refused"), diagnose.Saying("Container runtime sanity check failed"),
	)...)
	// systemd says that it ended, and not why.
	out = append(out, diagnose.LinesOf(diagnose.Likely, []string{"runtime-store-corrupt", "node-out-of-memory"}, "What the runtime itself logged last before it ended, and whether the kernel killed it.",
		diagnose.Saying("containerd.service: Main process exited"), diagnose.Saying("containerd.service: Failed with result"),
		diagnose.Saying("docker.service: Main process exited"), diagnose.Saying("docker.service: Failed with result"),
		diagnose.Saying("crio.service: Main process exited"), diagnose.Saying("crio.service: Failed with result"),
	)...)
	out = append(out, diagnose.LikelyLines(
		diagnose.Saying("server is not initialized yet"), // containerd's, until it has recovered what it knew
		diagnose.Saying("Cannot connect to the Docker daemon"), diagnose.Saying("grpc: the connection is unavailable"), diagnose.Saying("docker.sock: connect: connection refused"),
		// Of a container or sandbox that was just removed, that is no more than an answer.
		diagnose.Text{All: []string{"Status from runtime service failed"}, None: []string{"NotFound", "not found", "No such container"}},
		diagnose.Text{All: []string{"Version from runtime service failed"}},
		diagnose.Text{All: []string{"ListPodSandbox with filter", "from runtime service failed"}, None: []string{"larger than max"}},
		diagnose.Text{All: []string{"ListContainers with filter", "from runtime service failed"}, None: []string{"larger than max"}},
		diagnose.Text{All: []string{"Failed to list pod sandboxes"}, None: []string{"larger than max"}},
		diagnose.Text{All: []string{"GenericPLEG: Unable to retrieve pods"}, None: []string{"larger than max"}},
		diagnose.Saying("failed to list pod stats", "DeadlineExceeded"),
		diagnose.Text{All: []string{"Out of memory: Kill"}, Any: []string{"(containerd)", "(dockerd)", "(crio)"}},
	)...)
	out = append(out, diagnose.LinesOf(diagnose.Likely, []string{"pleg-unhealthy-one-pod", "pleg-unhealthy-load"},
		"Whether crictl ps hangs (the runtime), only crictl inspect of one container does (that container), or all answer slowly, and the line comes and goes (load).",
		diagnose.Text{All: []string{"PLEG is not healthy: pleg was last seen active"}})...)
	out = append(out, diagnose.FittingLines([]string{"pleg-unhealthy-one-pod", "pleg-unhealthy-load"},
		"Whether it goes on for more than two minutes after the kubelet started: then crictl info tells whether the runtime answers.",
		// crictl says so too of each endpoint that it tries in vain.
		diagnose.Saying("containerd.sock: connect: no such file"), diagnose.Saying("crio.sock: connect: no such file"), diagnose.Saying("cri-dockerd.sock: connect: no such file"),
		diagnose.Text{All: []string{"container runtime status check may not have completed yet"}},
		diagnose.Text{All: []string{"PLEG is not healthy: pleg has yet to be successful"}},
		diagnose.Text{All: []string{"skipping pod synchronization"}, None: []string{"network", "cni", "node is shutting down", "yet to be successful"}},
		diagnose.Text{All: []string{"Container runtime status is nil"}},
		diagnose.Text{All: []string{"validate service connection"}},
		diagnose.Text{All: []string{"Evented PLEG: "}, Any: []string{"exhausting event stream retries", "failed to get container events"}},
	)...)
	out = append(out, diagnose.FittingLines([]string{"runtime-request-timeout-slow-disk", "d-state-process"},
		"Whether crictl ps (docker ps) answers at all, how busy the disk is (iostat -x), and whether a process of the container stays in state D.",
		diagnose.Saying("exits with error", "context deadline exceeded"))...)
	// The kubelet does not say which request it was: mostly the one for the pod's state, before it does anything.
	out = append(out, diagnose.FittingLines([]string{"runtime-request-timeout-slow-disk", "d-state-process", "pleg-unhealthy-one-pod"},
		"Whether crictl ps answers at all, how busy the disk is (iostat -x), and whether only crictl inspect of that pod's containers hangs.",
		diagnose.Text{All: []string{"Error syncing pod", "rpc error"}, Any: []string{"DeadlineExceeded", "code = 4 desc"}, None: []string{"failed to", "unmounted volumes", "network", "volume"}},
	)...)
	return out
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
		return byCondition(s, n, *c, g)
	}
	if f, ok := byTimeouts(s, g); ok {
		return f, true
	}
	if f, ok := byNodeSaying(s, n, g); ok {
		return f, true
	}
	return bySilence(s, g)
}

// byNodeSaying goes by what is said about a Ready node itself: its kubelet failed to collect its dead containers for want of an answer, or
// node-problem-detector asked the runtime in vain.
func byNodeSaying(s *snapshot.Snapshot, n *corev1.Node, g scope.Group) (diagnose.Finding, bool) {
	pods := filter(g, waitsForRuntime)
	f := diagnose.Finding{Explains: names(pods), Confidence: diagnose.Likely, Alternatives: []string{"runtime-request-timeout-slow-disk"}}
	if len(pods) == 0 {
		return f, false
	}
	if c := snapshot.NodeCondition(n, "ContainerRuntimeUnhealthy"); c != nil && c.Status == corev1.ConditionTrue {
		f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
	}
	for _, e := range s.Events(nodeRef(g.Node)) {
		if slices.Contains([]string{"ContainerGCFailed", "ImageGCFailed"}, e.Reason) && s.Now().Sub(e.Last) < minRecent && unanswered().Match(e.Message) {
			f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
		}
	}
	f.Message = fmt.Sprintf("What looks after node %s itself gets no answer from the runtime, with %s stuck there%s.", g.Node, count(len(pods), "pod"), readyToo(s, g.Node))
	f.Decide = "On node {node}: whether crictl info answers at all, and how busy its disk is (iostat -x)."
	return f, len(f.Evidence) > 0
}

// unanswered is how a request ends that the runtime did not answer in time, or that found no runtime.
func unanswered() diagnose.Text {
	return diagnose.Text{Any: append(noAnswerInTime(), noRuntime()...)}
}

// noRuntime are the words of a program that finds nobody at the runtime's socket: gRPC's, and dockershim's.
func noRuntime() []string {
	return []string{
		"containerd.sock: connect", "crio.sock: connect", "docker.sock: connect", "cri-dockerd.sock: connect", "dockershim.sock: connect", "cannot connect to the docker daemon",
		"grpc: the connection is unavailable", "failed to dial \"/run/containerd", "server is not initialized yet", "connection error: desc = \"transport: Error while dialing",
	}
}

// findNoRuntime judges a single pod for which the kubelet found no runtime, or the runtime no shim. Docker says "the connection is unavailable" of its containerd.
func findNoRuntime(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Subject: nodeRef(p.Node), Confidence: diagnose.Likely}
	if p.Node == "" || !waitsForRuntime(p) {
		return f, false
	}
	f.Evidence = diagnose.Said(s, p, diagnose.Text{Any: noRuntime(), None: []string{"plugin type=", "networkplugin cni", "failed to setup network"}},
		"FailedKillPod", "FailedCreatePodSandBox", "FailedPodSandBoxStatus", "FailedSync", "Failed", "FailedCreatePodContainer")
	f.Message = fmt.Sprintf("The kubelet of node %s found nobody at the socket of its container runtime.", p.Node)
	if len(f.Evidence) > 0 {
		return f, true
	}
	return lostShim(s, p)
}

// lostShim judges a pod whose sandbox was not made because the shim, the process that containerd starts for it, did not answer or ended meanwhile.
func lostShim(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{
		Subject: nodeRef(p.Node), Confidence: diagnose.Possible,
		Alternatives: []string{"runtime-state-desync", "runtime-request-timeout-slow-disk", "pid-thread-exhaustion", "node-out-of-memory"},
		Decide:       "On node {node}: whether crictl info answers and other pods get their sandbox; whether the kernel log says that a containerd-shim or runc was killed (OOM) or that a fork was rejected; how busy the disk is (iostat -x).",
	}
	none := append(ofTheNetwork(), "resource temporarily unavailable", "no space left on device", "cannot allocate memory", "too many open files", "apparmor", "seccomp", "no such file or directory", "executable file not found")
	for _, t := range []diagnose.Text{
		{Any: []string{"ttrpc: closed", "ttrpc: client shutting down"}, None: none},
		{All: []string{"shim", "context canceled"}, None: none},
	} {
		f.Evidence = append(f.Evidence, diagnose.Said(s, p, t, "FailedCreatePodSandBox", "FailedSync")...)
	}
	f.Message = fmt.Sprintf("The runtime of node %s lost the shim of a pod while it made its sandbox.", p.Node)
	return f, starting(p) && len(f.Evidence) > 0
}

func waitsForRuntime(p stuck.Pod) bool {
	return starting(p) || p.State == stuck.Terminating && (ending(p) || p.Stage == stuck.Cleanup)
}

func byCondition(s *snapshot.Snapshot, n *corev1.Node, c corev1.NodeCondition, g scope.Group) (diagnose.Finding, bool) {
	pods := filter(g, waitsForRuntime)
	f := diagnose.Finding{Explains: names(pods), Evidence: []diagnose.Evidence{diagnose.NodeConditionEvidence(n, c)}}
	if len(pods) == 0 && len(g.Stuck) > 0 {
		return f, false
	}
	if !runtimeDown().Match(c.Message) {
		return findPLEG(s, g, plegRuntime)
	}
	f.Confidence = diagnose.Certain
	f.Message = fmt.Sprintf("The kubelet of node %s gets no answer from its container runtime (%s stuck there).", g.Node, count(len(pods), "pod"))
	if strings.Contains(c.Message, "may not have completed") && s.Now().Sub(c.LastTransitionTime.Time) < startsUp {
		f.Confidence = diagnose.Likely // a kubelet says so until it has asked for the first time
	}
	return f, true
}

// byTimeouts looks for requests of several workloads that the runtime did not answer.
func byTimeouts(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
	noAnswer := diagnose.Text{
		Any:  append(noAnswerInTime(), noRuntime()...),
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
