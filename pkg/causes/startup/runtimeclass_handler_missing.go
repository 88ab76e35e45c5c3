package startup

import (
	"fmt"

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
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State == stuck.Terminating {
				return diagnose.Finding{}, false
			}
			unknown := diagnose.Text{All: []string{"no runtime for", "is configured"}}
			crio := diagnose.Text{All: []string{"failed to find runtime handler"}}
			absent := diagnose.Text{All: []string{"runtimeclass", "not found"}}
			events := diagnose.Events(s, p)
			for i := len(events) - 1; i >= 0; i-- {
				e := events[i]
				if e.Reason != "FailedCreatePodSandBox" {
					continue
				}
				class := ""
				if c := p.Object.Spec.RuntimeClassName; c != nil {
					class = *c
				}
				f := diagnose.Finding{Evidence: []diagnose.Evidence{diagnose.EventEvidence(e)}}
				f.Confidence = diagnose.Fresh(s, diagnose.Certain, f.Evidence)
				switch {
				case unknown.Match(e.Message) || crio.Match(e.Message):
					f.Subject = nodeRef(p)
					f.Message = fmt.Sprintf("The runtime on node %s has no handler for the RuntimeClass %q of the pod.", p.Node, class)
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
		Log: []string{"no runtime for"},
	}
}
