package storage

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// noSecrets are the words of the Secrets Store CSI driver, and of the kubelet where it asks the API server for a token of the pod's service account
// (pkg/kubelet/token, pkg/volume/csi/csi_mounter.go).
var noSecrets = diagnose.Text{Any: []string{
	"failed to mount secrets store objects", "failed to get secretproviderclass", "failed to fetch token", "failed to get service accoount token attributes",
	"failed to get service account token attributes", "error connecting to provider", "provider not found: provider", "secretproviderclass", "secret provider class",
}}

func secretsStore() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST325", Slug: "secrets-store", Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "An external secret store, or the token request for it, refuses the pod",
			Symptom:   "FailedMount \"failed to mount secrets store objects\" or \"failed to fetch token\".",
			Mechanism: "The Secrets Store CSI driver fetches secrets when the volume is mounted, with an identity of the pod. A wrong SecretProviderClass, a provider that does not run on the node, missing rights in the store or an unreachable store fail the mount.",
			Confirm:   []string{"kubectl describe pod {pod} -n {namespace}", "kubectl get secretproviderclass -n {namespace}"},
			Remedies: []diagnose.Remedy{
				{ID: "fix-provider", Risk: diagnose.RiskLow, Text: "The rest of the message names the provider and its error: mend the SecretProviderClass, the service account's rights, or the provider's DaemonSet. The kubelet tries again by itself.", Command: "kubectl describe pod {pod} -n {namespace}"},
			},
			Refs: []string{"https://secrets-store-csi-driver.sigs.k8s.io/troubleshooting"},
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: noSecrets}},
			Confidence: diagnose.Likely,
			Say:        "The secrets that pod {namespace}/{pod} mounts from an external store could not be fetched.",
		},
		Log: []diagnose.LogMatch{{Text: noSecrets}},
	}
}
