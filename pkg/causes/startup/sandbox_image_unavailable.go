package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func sandboxImageUnavailable() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST612", Slug: "sandbox-image-unavailable",
		Doc: diagnose.Doc{
			Title:     "The runtime cannot get the image of the pod sandbox",
			Symptom:   `Every new pod on the node stays in ContainerCreating with "failed to get sandbox image". Running pods go on.`,
			Mechanism: "Before any container, the runtime starts the sandbox from an image of its own (pause), which its configuration names. If the image was removed from the node and cannot be pulled again, no pod starts there. The pod's imagePullSecrets do not apply to it.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
			},
			Remedies: []diagnose.Remedy{
				{ID: "load-image", Risk: diagnose.RiskNone, Text: "On the host, pull or load the image that the message names (crictl pull). Waiting pods start within seconds."},
				{ID: "fix-configuration", Risk: diagnose.RiskMedium, Text: "Set the runtime's sandbox image to one that the node can reach, and restart the runtime; pin the image, so that garbage collection spares it."},
				{ID: "other-nodes", Risk: diagnose.RiskMedium, Text: "Until then, cordon the node and delete the waiting pods so that they start elsewhere.", Command: "kubectl cordon {node}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/setup/production-environment/container-runtimes/#override-pause-image-containerd",
				"https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-garbage-collection",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.ContainerCreating, stuck.PodInitializing, stuck.Init, stuck.Pending},
			Events: []diagnose.EventMatch{{
				Reasons: []string{"FailedCreatePodSandBox"},
				Text:    diagnose.Text{Any: []string{"failed to get sandbox image", "unable to pull sandbox image", "failed pulling sandbox image", "failed to start sandbox image", "unable to pull pause image"}},
			}, {
				// CRI-O names the image, and what of the pull failed.
				Reasons: []string{"FailedCreatePodSandBox"},
				Text: diagnose.Text{
					All: []string{"pause", "creating pod sandbox with name"},
					Any: []string{"initializing source docker://", "pinging container registry", "pinging docker registry", "reading manifest", "unable to pull", "image not known"},
				},
			}, {
				// dockershim and cri-dockerd
				Reasons: []string{"FailedCreatePodSandBox"},
				Text:    diagnose.Text{All: []string{"failed pulling image", "pause"}},
			}},
			Confidence: diagnose.Certain,
			OnNode:     true,
			Say:        "The runtime on node {node} cannot get the image from which it starts every pod's sandbox, so that no new pod starts there.",
		},
		Log: diagnose.Lines("failed to get sandbox image", "unable to pull sandbox image", "failed pulling sandbox image"),
	}
}
