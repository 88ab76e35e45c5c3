package startup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func runtimeClassHandlerMissing() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST601", Slug: "runtimeclass-handler-missing",
		Doc: diagnose.Doc{
			Title:     "The node's runtime does not know the handler of the pod's RuntimeClass",
			Symptom:   `The pod stays in ContainerCreating with "no runtime for … is configured"; pods without that RuntimeClass start on the same node.`,
			Mechanism: "A RuntimeClass names a handler, and each node's runtime has to be configured with it. On this node it is not: the node was never prepared (for gVisor, Kata, GPUs), or its configuration was written anew, or the runtime not restarted after it.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get runtimeclasses",
				"kubectl get node {node} -o jsonpath='{.status.runtimeHandlers[*].name}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "select-nodes", Risk: diagnose.RiskLow, Text: "Give the RuntimeClass a scheduling.nodeSelector that covers only prepared nodes, then delete the pod so that it is placed anew.", Command: "kubectl delete pod {pod} -n {namespace}"},
				{ID: "configure-handler", Risk: diagnose.RiskMedium, Text: "Or configure the handler in the runtime on this node and restart the runtime."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/runtime-class/",
				"https://github.com/containerd/containerd/blob/v2.0.0/internal/cri/config/config.go",
			},
		},
		Reach:    scope.ReachNode,
		Needs:    []snapshot.Kind{snapshot.Event},
		Optional: []snapshot.Kind{snapshot.Node},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State == stuck.Terminating {
				return diagnose.Finding{}, false
			}
			unknown := diagnose.Text{All: []string{"no runtime for", "is configured"}}
			others := []diagnose.Text{
				{Any: []string{"failed to find runtime handler"}},  // CRI-O
				{All: []string{"RuntimeHandler", "not supported"}}, // dockershim, cri-dockerd
				{All: []string{"runtime handler", "not found"}},    // containerd 2
				{All: []string{"binary not installed"}},            // containerd: the handler is configured, its shim is not there
				{All: []string{"containerd-shim-"}, Any: []string{"executable file not found", "file does not exist"}},
				{All: []string{"unknown or invalid runtime name"}}, // dockerd
			}
			absent := diagnose.Text{All: []string{"runtimeclass", "not found"}}
			events := diagnose.Events(s, p)
			for i := len(events) - 1; i >= 0; i-- {
				e := events[i]
				if !told(e, "FailedCreatePodSandBox") {
					continue
				}
				class := ""
				if c := p.Object.Spec.RuntimeClassName; c != nil {
					class = *c
				}
				f := diagnose.Finding{Evidence: []diagnose.Evidence{diagnose.EventEvidence(e)}}
				f.Confidence = diagnose.Fresh(s, diagnose.Certain, f.Evidence)
				switch {
				case unknown.Match(e.Message) || slices.ContainsFunc(others, func(t diagnose.Text) bool { return t.Match(e.Message) }):
					f.Subject = nodeRef(p)
					f.Message = fmt.Sprintf("The runtime on node %s has no handler for the RuntimeClass %q of the pod.", p.Node, class)
					if class == "" {
						f.Message = fmt.Sprintf("The runtime on node %s does not know, or cannot start, the handler that it is to run pods with: %s.", p.Node, quote(e.Message))
					}
					if handlers, ok := handlersOf(s, p.Node); ok {
						f.Message += fmt.Sprintf(" It offers %s.", handlers)
						f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + p.Node, Field: "status.runtimeHandlers", Value: handlers})
					}
				case absent.Match(e.Message):
					f.Subject, f.Reach = snapshot.Ref{Kind: snapshot.RuntimeClass, Name: class}, scope.ReachShared
					f.Message = fmt.Sprintf("The RuntimeClass %q, which the pod names, does not exist.", class)
				default:
					continue
				}
				if class != "" {
					f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "spec.runtimeClassName", Value: class})
				}
				return f, true
			}
			return diagnose.Finding{}, false
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"no runtime for", "is configured"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{Any: []string{"failed to find runtime handler", "unknown or invalid runtime name"}}},
			{Text: diagnose.Text{All: []string{"binary not installed", "containerd-shim"}}},
			{Text: diagnose.Text{All: []string{"RuntimeHandler", "not supported"}}},
		},
	}
}

// handlersOf lists the handlers that a node's status names; ok is false where it names none, as before Kubernetes 1.30.
func handlersOf(s *snapshot.Snapshot, node string) (string, bool) {
	n := s.Node(node)
	if n == nil {
		return "", false
	}
	var out []string
	for _, h := range n.Status.RuntimeHandlers {
		name := h.Name
		if name == "" {
			name = "its default"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", "), len(out) > 0
}
