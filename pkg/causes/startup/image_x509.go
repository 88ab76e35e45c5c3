package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageX509() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST632", Slug: "image-x509",
		Doc: diagnose.Doc{
			Title:     "The node does not accept the registry's certificate",
			Symptom:   `ErrImagePull and ImagePullBackOff with "x509: …", or with "server gave HTTP response to HTTPS client".`,
			Mechanism: "The runtime checks the registry's certificate against the host's trusted authorities, its own configuration for that registry, and the host's clock. A private authority that was not installed on the node, an expired certificate, another name, or a registry without TLS fail that.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=Failed",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-certificate", Risk: diagnose.RiskNone, Text: "See which check fails (authority, name, date), whether all nodes have it, and whether the node's clock is right."},
				{ID: "renew-certificate", Risk: diagnose.RiskLow, Text: "If it expired, renew the registry's certificate: waiting pods follow by themselves."},
				{ID: "trust-authority", Risk: diagnose.RiskLow, Text: "Install the authority on the nodes, in the runtime's configuration for that registry. containerd reads /etc/containerd/certs.d without a restart."},
			},
			Refs: []string{
				"https://github.com/containerd/containerd/blob/main/docs/hosts.md",
				"https://kubernetes.io/docs/concepts/containers/images/",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, diagnose.Text{Any: certificates()})
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: x.registryRef(), Confidence: diagnose.Certain, Evidence: x.ev,
				Message: fmt.Sprintf("Node %s does not accept the certificate of the registry %s: %s.", p.Node, registryOf(x.image), x.why()),
			}, true
		},
	}
}
