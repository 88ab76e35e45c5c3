package startup

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
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
		Cluster: func(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
			pulled := pulledFrom(s)
			var out []diagnose.Finding
			for _, h := range byRegistry(s, r, faultCertificate) {
				f := diagnose.Finding{
					Subject: snapshot.Ref{Kind: kindRegistry, Name: h.registry}, Explains: h.pods, Confidence: diagnose.Fresh(s, diagnose.Certain, h.ev), Evidence: h.ev,
					Message: fmt.Sprintf("The registry %s and %s do not agree on its certificate: %s%s.%s", h.registry, h.where(), distrust(h.said), h.why, h.elsewhere(pulled)),
				}
				if len(h.nodes) == 1 && len(h.others(pulled)) > 0 {
					f.Subject, f.Reach = snapshot.Ref{Kind: snapshot.Node, Name: h.nodes[0]}, scope.ReachNode
				}
				out = append(out, f)
			}
			return out
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"pull"}, Any: []string{"x509:", "server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake"}, None: []string{"sandbox image"}}},
		},
	}
}

// distrust says in words which check fails, before the error itself.
func distrust(said string) string {
	m := strings.ToLower(said)
	switch {
	case strings.Contains(m, "unknown authority"):
		return "the node does not know the authority that signed it; "
	case strings.Contains(m, "expired or is not yet valid"):
		return "it is expired, or a clock is wrong; "
	case strings.Contains(m, "certificate is valid for"), strings.Contains(m, "doesn't contain any ip sans"), strings.Contains(m, "cannot validate certificate for"):
		return "it is for another name; "
	case strings.Contains(m, "http response to https client"), strings.Contains(m, "does not look like a tls handshake"):
		return "the registry speaks no TLS on this port; "
	}
	return ""
}
