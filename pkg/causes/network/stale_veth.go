package network

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func staleVeth() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST410", Slug: "stale-veth",
		Doc: diagnose.Doc{
			Title:     "An interface of an earlier attempt is left in the pod's network namespace",
			Symptom:   `A pod stays in ContainerCreating with "container veth name provided (eth0) already exists".`,
			Mechanism: "An earlier attempt to set up the pod's network was broken off and not cleaned up, or two plugins in the chain both create the interface. The plugin refuses to use a name that is taken.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get pod {pod} -o wide -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-chain", Risk: diagnose.RiskNone, Text: "If every new pod meets it, look for two network configurations in /etc/cni/net.d on the host."},
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Delete the pod so that its workload makes a new one with a fresh network namespace. A bare pod has to be created again by hand."},
			},
			Refs: []string{"https://github.com/containernetworking/plugins/blob/main/pkg/ip/link_linux.go"},
		},
		Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.ContainerCreating, stuck.PodInitializing, stuck.Init},
			Events: []diagnose.EventMatch{{
				Reasons: []string{reasonCreate},
				Text:    diagnose.Text{All: []string{"veth"}, Any: []string{"already exists", "file exists"}},
			}},
			Confidence: diagnose.Likely,
			Say:        "The network interface that pod {pod} needs exists already in its network namespace on node {node}: an earlier attempt was not cleaned up.",
		},
	}
}
