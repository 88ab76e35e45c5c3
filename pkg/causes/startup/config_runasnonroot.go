package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func configRunAsNonRoot() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST613", Slug: "config-runasnonroot",
		Doc: diagnose.Doc{
			Title:     "The container would run as root, and the pod forbids that",
			Symptom:   `CreateContainerConfigError with "container has runAsNonRoot and image will run as root", or "… image has non-numeric user".`,
			Mechanism: "With securityContext.runAsNonRoot, kubelet refuses a container whose user is 0. It knows the user from runAsUser, or from the image if that gives a number; a name it cannot check.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.securityContext} {.spec.containers[*].securityContext}' -n {namespace}",
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "set-user", Risk: diagnose.RiskLow, Text: "Set securityContext.runAsUser in the workload to the number of the user that the image is made for; the workload replaces the pod."},
				{ID: "change-image", Risk: diagnose.RiskLow, Text: "Or build the image with a numeric USER other than 0."},
				{ID: "allow-root", Risk: diagnose.RiskMedium, Text: "Or remove runAsNonRoot, where the container has to be root and the namespace's policy allows it."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/security_context_others.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.CreateContainerConfigError, stuck.CrashLoopBackOff, stuck.Init},
			Waiting: []diagnose.WaitingMatch{{
				Reasons: []string{"CreateContainerConfigError"},
				Text: diagnose.Text{Any: []string{
					"container has runAsNonRoot", "breaks non-root policy", "break non-root policy", "cannot verify user is non-root",
				}},
			}},
			Events: []diagnose.EventMatch{{
				Reasons: []string{"Failed"}, Text: diagnose.Text{Any: []string{"container has runAsNonRoot", "breaks non-root policy", "break non-root policy", "cannot verify user is non-root"}},
			}},
			Confidence: diagnose.Certain,
			Say:        "Pod {pod} has runAsNonRoot, and the user that its container would run as is root or cannot be told from a number.",
		},
		Log: diagnose.Lines("container has runAsNonRoot and image", "breaks non-root policy"),
	}
}
