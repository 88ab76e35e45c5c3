package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func draCDILostAfterReboot() diagnose.Cause {
	cdi := diagnose.Text{Any: []string{"CDI device injection failed", "unresolvable CDI devices", "failed to inject CDI devices", "could not inject CDI", "CDI registry", `could not select device driver "cdi"`}}
	return diagnose.Cause{
		Code: "ST604", Slug: "dra-cdi-lost-after-reboot",
		Doc: diagnose.Doc{
			Title:     "The device that was prepared for the pod is not known to the runtime any more",
			Symptom:   `CreateContainerError with "CDI device injection failed: unresolvable CDI devices …", mostly for pods that were on a node when it rebooted.`,
			Mechanism: "A device driver prepares a claim once and describes the device in a CDI file, often below /var/run/cdi, which a reboot empties. Kubelet holds the claim for prepared and does not ask the driver again, so that the runtime looks for a file that is gone. Where no claim is involved, the device plugin never wrote the file.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pod {pod} -o jsonpath='{.spec.resourceClaims} {.status.resourceClaimStatuses}' -n {namespace}",
				"kubectl get node {node} -o jsonpath='{.status.nodeInfo.bootID}'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Delete the pod, so that its workload makes a new one with a newly prepared claim. A bare pod has to be created again by hand."},
				{ID: "restart-driver", Risk: diagnose.RiskMedium, Text: "If new pods fail alike, look at the device driver's pod on this node and restart it: it should write its CDI files when it starts."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/",
				"https://github.com/kubernetes/kubernetes/issues/141433",
				"https://github.com/cncf-tags/container-device-interface",
			},
		},
		Reach:    scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Signature: &diagnose.Signature{
			States:       []stuck.State{stuck.CreateContainerError, stuck.RunContainerError, stuck.ContainerCreating, stuck.PodInitializing, stuck.CrashLoopBackOff},
			Waiting:      []diagnose.WaitingMatch{{Text: cdi}},
			Events:       []diagnose.EventMatch{{Reasons: []string{"Failed"}, Text: cdi}},
			Confidence:   diagnose.Likely,
			Say:          "The runtime on node {node} does not find the device that was prepared for pod {pod}: its description was lost (a reboot does that) or never written.",
			Alternatives: []string{"dra-prepare-fails"},
			Decide:       "Whether the node was rebooted after the pod came to it. If not, look at the log of the device driver's pod on the node.",
		},
		Log: diagnose.Lines("unresolvable CDI devices", "CDI device injection failed", "failed to inject CDI devices"),
	}
}
