package node

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The API shows the same as for a node that is off, unless node-problem-detector reports from it; node-lost names this one as its alternative.
func kubeletDeadNodeUp() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST102", Slug: "kubelet-dead-node-up", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Node, snapshot.Lease},
		Doc: diagnose.Doc{
			Title:     "The machine is up and its kubelet is not",
			Symptom:   "The node looks lost (Ready=Unknown, stale lease), yet the machine answers pings and its containers still serve.",
			Mechanism: "The kubelet stopped or ends again and again, so nobody reports for the node. Containers do not need the kubelet to go on running: they do.",
			Confirm:   []string{"kubectl get node {node} -o wide", "kubectl get --raw /api/v1/nodes/{node}/proxy/healthz"},
			Remedies: []diagnose.Remedy{
				{ID: "read-kubelet-log", Risk: diagnose.RiskNone, Text: "On the node: systemctl status kubelet, and journalctl -u kubelet for the reason of its end."},
				{ID: "start-kubelet", Risk: diagnose.RiskLow, Text: "Mend what the log names (configuration, certificate, cgroup version) and start the kubelet. Never taint this node out-of-service: its containers run."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/debug/debug-cluster/", "kubernetes: cmd/kubelet/app/server.go", "kubernetes: pkg/kubelet/cm/container_manager_linux.go",
				"node-problem-detector: config/health-checker-kubelet.json",
			},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			n := s.Node(g.Node)
			f := diagnose.Finding{Confidence: diagnose.Likely, Explains: refs(g, waitsForKubelet)}
			if n == nil || virtual(n) || len(f.Explains) == 0 && len(g.Stuck) > 0 {
				return f, false
			}
			e, ok := machineUp(s, n)
			if !ok {
				return f, false
			}
			f.Evidence = []diagnose.Evidence{e}
			if c := snapshot.NodeCondition(n, corev1.NodeReady); c != nil {
				f.Evidence = append(f.Evidence, diagnose.NodeConditionEvidence(n, *c))
			}
			if g.Facts.LeaseAge >= 0 {
				f.Evidence = append(f.Evidence, leaseEvidence(g.Node, g.Facts))
			}
			f.Message = fmt.Sprintf("The kubelet of node %s is silent, and something else on the machine still reports: the machine is up, and so are its containers.", g.Node)
			f.Alternatives = []string{"kubelet-client-cert-expired", "rejected-cgroup-v1"}
			f.Decide = "Why the kubelet of node {node} does not run or is refused: journalctl -u kubelet on the machine."
			return f, true
		},
		Log: deadKubeletLines(),
	}
}

// kubeletsOwn are the conditions that the kubelet itself keeps (pkg/kubelet/nodestatus), or the cloud's route controller or the network's agent in its stead.
func kubeletsOwn(t corev1.NodeConditionType) bool {
	switch t {
	case corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable, "OutOfDisk":
		return true
	}
	return false
}

// problemDetectors is how old the newest word of a node-problem-detector that runs may be: it writes its conditions anew every five minutes
// (--k8s-exporter-heartbeat-period).
const problemDetectors = 6 * time.Minute

// machineUp cites what shows that the machine of a node with a silent kubelet runs: node-problem-detector on it goes on writing its conditions, long after the
// last lease, or says itself that the kubelet is not well.
func machineUp(s *snapshot.Snapshot, n *corev1.Node) (diagnose.Evidence, bool) {
	ready, l := snapshot.NodeCondition(n, corev1.NodeReady), s.NodeLease(n.Name)
	if ready == nil || ready.Status != corev1.ConditionUnknown || l == nil || l.Spec.RenewTime == nil || s.Now().Sub(l.Spec.RenewTime.Time) < problemDetectors {
		return diagnose.Evidence{}, false
	}
	for _, c := range n.Status.Conditions {
		if kubeletsOwn(c.Type) || c.LastHeartbeatTime.IsZero() {
			continue
		}
		if age := s.Now().Sub(c.LastHeartbeatTime.Time); age <= problemDetectors && c.LastHeartbeatTime.After(l.Spec.RenewTime.Add(time.Minute)) {
			return diagnose.Evidence{Object: "node " + n.Name, Field: fmt.Sprintf("status.conditions[%s].lastHeartbeatTime", c.Type), Value: fmt.Sprintf("%s, written %s", c.Status, scope.Ago(max(age, 0)))}, true
		}
	}
	return diagnose.Evidence{}, false
}

// deadKubeletLines are those of a kubelet that ends: its own last words, and systemd's about it and about what has it built in.
func deadKubeletLines() []diagnose.LogMatch {
	out := diagnose.CertainLines(
		// Reasons for which a kubelet does not start (cmd/kubelet/app/server.go and what it calls).
		diagnose.Saying("misconfiguration: kubelet cgroup driver"), diagnose.Saying("running with swap on is not supported", "fail-swap-on"), diagnose.Saying("failed to load kubelet config file"),
		diagnose.Saying("failed to validate kubelet flags"), diagnose.Saying("failed to load kubelet dropin file"), diagnose.Saying("failed to parse kubelet flag"), diagnose.Saying("failed to construct kubelet dependencies"),
		diagnose.Saying("unable to load client CA file"), diagnose.Saying("unknown command line flag", "kubelet"), diagnose.Saying("invalid configuration: cgroup-root"), diagnose.Saying("Failed to initialize CSINode after retrying"),
		diagnose.Text{All: []string{"failed to validate kubelet configuration"}, None: []string{"cgroup v1"}},
	)
	// systemd says that it ended, and not why; a kubelet that cannot start because of something below it says that.
	out = append(out, diagnose.LinesOf(diagnose.Likely, []string{"kubelet-client-cert-expired", "rejected-cgroup-v1", "cgroup-systemd-failure", "inotify-fd-exhaustion"},
		"What the kubelet itself logged last before it ended.",
		diagnose.Saying("kubelet.service entered failed state"), diagnose.Saying("kubelet.service: Start request repeated too quickly"), diagnose.Saying("kubelet.service: Failed with result"),
		diagnose.Saying("kubelet.service: main process exited"),
		diagnose.Saying("daemon-kubelite.service: Main process exited"), diagnose.Saying("k3s-agent.service: Main process exited"), diagnose.Saying("rke2-agent.service: Main process exited"),
		diagnose.Saying("k0sworker.service: Main process exited"),
		diagnose.Text{All: []string{"failed to run Kubelet"}, None: []string{"bootstrap", "cgroup v1", "x509", "certificate", "swap on", "misconfiguration"}},
		diagnose.Saying("Failed to start ContainerManager"), diagnose.Saying("Failed to start cAdvisor"), diagnose.Saying("failed to create kubelet: "),
	)...)
	out = append(out, diagnose.LikelyLines(
		diagnose.Text{All: []string{"Out of memory: Kill"}, Any: []string{"(kubelet)", "(kubelite)", "(k3s-agent)", "(hyperkube)"}},
	)...)
	// Once is an update, a new configuration or a node that is shut down; ten times is a kubelet that does not stay.
	out = append(out, diagnose.LogMatch{Text: diagnose.Saying("kubelet.service: Scheduled restart job"), Pattern: `restart counter is at [1-9]\d`, Confidence: diagnose.Likely})
	out = append(out, diagnose.FittingLines([]string{"node-shutdown-graceful"}, "Whether the kubelet is started again and stays: journalctl -u kubelet.",
		diagnose.Saying("Stopped kubelet: The Kubernetes Node Agent"), diagnose.Saying("Stopped kubelet.service"),
		diagnose.Saying("kubelet.service: Scheduled restart job"), diagnose.Saying("kubelet.service holdoff time over, scheduling restart"),
	)...)
	// A lister that is empty because nothing can be listed: the node is not registered, or the API server refuses or is not reached.
	out = append(out, diagnose.FittingLines([]string{"kubelet-client-cert-expired", "clock-skew", "control-plane-down", "node-object-deleted-kubelet-alive"},
		"What the kubelet says of its calls to the API server: x509 or Unauthorized (its certificate, its clock), connection refused or i/o timeout (the way to it), not found (the Node object).",
		diagnose.Text{All: []string{"Error getting node", "not found"}},
		diagnose.Text{All: []string{"Error getting the current node from lister"}},
		diagnose.Text{All: []string{"Unable to register node"}, None: append(cutOff(), "Unauthorized", "x509")},
		diagnose.Text{All: []string{"Failed to update lease"}, None: append(cutOff(), "the object has been modified")},
		diagnose.Text{All: []string{"failed to ensure lease exists"}, None: append(cutOff(), "Unauthorized", "x509")},
		diagnose.Text{All: []string{"update node status exceeds retry count"}},
	)...)
	return out
}
