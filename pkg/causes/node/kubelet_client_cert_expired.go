package node

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func kubeletClientCertExpired() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST103", Slug: "kubelet-client-cert-expired", Reach: scope.ReachNode,
		Doc: diagnose.Doc{
			Title:     "The kubelet's client certificate has expired",
			Symptom:   "The node looks lost although the machine runs; nodes of the same age drop out within hours of each other.",
			Mechanism: "The kubelet proves who it is with a client certificate that it renews by itself. Where the renewal failed or waits for approval until the old one has expired, the API server rejects every call of the kubelet.",
			Confirm:   []string{"kubectl get csr", "kubectl get node {node} -o wide"},
			Remedies: []diagnose.Remedy{
				{ID: "approve-csr", Risk: diagnose.RiskLow, Text: "Approve the node's pending signing request, where there is one and it is genuine.", Command: "kubectl get csr"},
				{ID: "renew-certificate", Risk: diagnose.RiskLow, Text: "On the node: give the kubelet a valid kubelet.conf or bootstrap token and restart it. Renewing the control plane's certificates does not renew this one."},
			},
			Refs: []string{"https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/", "https://github.com/kubernetes/kubeadm/issues/2054"},
		},
		Log: []string{
			"part of the existing bootstrap client certificate", "The currently active client certificate has expired",
			"unable to load bootstrap kubeconfig",
		},
	}
}
