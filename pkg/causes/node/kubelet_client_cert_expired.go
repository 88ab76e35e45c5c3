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
			Refs: []string{
				"https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/", "https://github.com/kubernetes/kubeadm/issues/2054",
				"https://github.com/kubernetes/kubernetes/issues/96256", "kubernetes: pkg/kubelet/certificate/transport.go", "kubernetes: pkg/kubelet/certificate/bootstrap/bootstrap.go",
			},
		},
		Log: expiredCertificateLines(),
	}
}

func expiredCertificateLines() []diagnose.LogMatch {
	out := diagnose.CertainLines(
		diagnose.Saying("part of the existing bootstrap client certificate"), diagnose.Saying("currently active client certificate has expired"),
		diagnose.Saying("since a valid client cert was found, but the server is not responsive"),
	)
	out = append(out, diagnose.LikelyLines(
		diagnose.Saying("No valid client certificate is found"), diagnose.Saying("unable to load bootstrap kubeconfig"), diagnose.Saying("cannot create certificate signing request", "Unauthorized"),
		diagnose.Saying("failed to run Kubelet", "bootstrap"), diagnose.Saying("Reached backoff limit, still unable to rotate certs"),
	)...)
	out = append(out, diagnose.FittingLines([]string{"control-plane-down"}, "Whether a signing request of the node waits for approval (kubectl get csr), and when the certificate that the kubelet has ends.",
		diagnose.Saying("Failed while requesting a signed certificate from the control plane"), diagnose.Saying("Certificate request was not signed"), diagnose.Saying("certificate request was not signed"),
	)...)
	out = append(out, diagnose.FittingLines([]string{"clock-skew"},
		"What date says on the node, and openssl x509 -noout -dates of /var/lib/kubelet/pki/kubelet-client-current.pem: an expired certificate, or a clock that is wrong.",
		diagnose.Text{All: []string{"x509: certificate has expired or is not yet valid"}, None: []string{" is before ", "pull", "registry", "webhook"}},
		diagnose.Text{All: []string{"Unable to register node"}, Any: []string{"Unauthorized", "x509"}},
		diagnose.Text{All: []string{"Failed to list *v1.Node: Unauthorized"}},
		diagnose.Text{All: []string{"failed to list *v1.Node", "system:anonymous"}},
		diagnose.Text{All: []string{"failed to ensure lease exists"}, Any: []string{"Unauthorized", "x509"}},
	)...)
	return out
}
