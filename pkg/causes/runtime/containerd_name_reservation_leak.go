package runtime

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// containerds is containerd's own wording (internal/cri/server), so that a node that could not be read is told by it.
var containerds = diagnose.Text{Any: []string{"failed to reserve container name", "failed to reserve sandbox name"}}

func containerdNameReservationLeak() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST218", Slug: "containerd-name-reservation-leak", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The runtime keeps the name of a container that is not in use",
			Symptom: "\"failed to reserve container name\" with the same container ID in every message, for hours, while the node is otherwise well. With Docker: \"Conflict. The container name /k8s_… is already in use by container\".",
			Mechanism: "A request to create the container timed out, and containerd did not give its name back; or a failed or interrupted creation left a container behind that Docker " +
				"has under that name, and the kubelet did not count or remove. Every retry of the kubelet asks for the same name and is refused.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl get node {node} -o jsonpath={.status.nodeInfo.containerRuntimeVersion}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "delete-pod", Risk: diagnose.RiskLow, Text: "Delete the pod, where a workload makes a new one: that has another name.", Command: "kubectl delete pod {pod} -n {namespace}"},
				{ID: "remove-container", Risk: diagnose.RiskLow, Text: "With Docker: on the node, docker ps -a shows the container that has the name. Where it does not run, docker rm it; the kubelet's next attempt succeeds."},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Restart containerd on the node. The reservation goes; containers survive. With Docker they only do where live-restore is on."},
			},
			Refs: []string{"https://github.com/amazonlinux/amazon-linux-2023/issues/1097", "https://github.com/k3s-io/k3s/issues/7690", "containerd: internal/cri/server/container_create.go",
				"https://github.com/kubernetes/kubernetes/issues/40443", "https://github.com/kubernetes/kubernetes/issues/97153", "cri-dockerd: core/helpers.go (conflictRE)"},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Subject: nodeRef(p.Node), Confidence: diagnose.Possible}
			if !starting(p) || relabels(s, p) {
				return f, false
			}
			if ev := nameTaken(s, p); len(ev) > 0 {
				f.Confidence, f.Evidence = diagnose.Likely, ev
				f.Message = fmt.Sprintf("Docker on node %s has a container of the name that the kubelet wants to give.", p.Node)
				f.Alternatives = []string{"runtime-state-desync"}
				f.Decide = "On node {node}: what docker ps -a shows under the ID that the message names. Not running: a leftover, to be removed. Running, or not listed: Docker and kubelet disagree on what there is."
				return f, true
			}
			if p.For <= longReserved {
				return f, false
			}
			runtime := "The runtime"
			if n := s.Node(p.Node); n != nil {
				version := n.Status.NodeInfo.ContainerRuntimeVersion
				if version != "" && !strings.HasPrefix(version, "containerd://") {
					return f, false
				}
				if version != "" {
					runtime = "Runtime " + version
				}
			}
			if f.Evidence = nameReserved(s, p); len(f.Evidence) == 0 {
				return f, false
			}
			if !containerds.Match(f.Evidence[len(f.Evidence)-1].Value) {
				return f, false
			}
			if !remote(p.Object) {
				f.Confidence = diagnose.Likely // no volume that could hang the first request
			}
			f.Message = fmt.Sprintf("%s on node %s has held the container's name for %s.", runtime, p.Node, scope.Short(p.For))
			f.Alternatives = []string{"runtime-request-timeout-slow-disk", "hung-volume-blocks-createcontainer", "selinux-recursive-relabel"}
			f.Decide = "Whether the ID in \"is reserved for\" stays the same in all messages while the disk of node {node} is idle: then the name leaked."
			return f, true
		},
		Log: diagnose.LinesOf(diagnose.Likely, []string{"runtime-state-desync"},
			"What docker ps -a shows under the ID that the line names. Not running: a leftover, to be removed. Running, or not listed: Docker and kubelet disagree on what there is.",
			dockerConflict()),
	}
}

// nameTaken cites what says that Docker has another container of the name.
func nameTaken(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	return append(diagnose.Said(s, p, dockerConflict()), waits(p, dockerConflict())...)
}
