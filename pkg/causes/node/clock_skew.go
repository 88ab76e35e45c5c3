package node

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// clockAhead is how far ahead of the API server a node's clock must be to be worth naming: certificates and tokens are
// back-dated by minutes at most.
const clockAhead = 2 * time.Minute

func clockSkew() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST104", Slug: "clock-skew", Reach: scope.ReachNode,
		Needs:    []snapshot.Kind{snapshot.Lease},
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The node's clock is wrong",
			Symptom:   "The node renews its lease with a time that lies ahead, and what talks to the API from it is refused as Unauthorized or for a certificate that is not valid yet.",
			Mechanism: "Certificates and service account tokens hold only between two times. On a node whose clock is minutes off, valid ones look expired or not valid yet, and CNI plugins, CSI drivers and the kubelet are refused.",
			Confirm:   []string{"kubectl get lease {node} -n kube-node-lease -o jsonpath={.spec.renewTime}", "kubectl get events -n {namespace} --field-selector involvedObject.name={pod}"},
			Remedies: []diagnose.Remedy{
				{ID: "fix-time-sync", Risk: diagnose.RiskLow, Text: "On the node: look at timedatectl or chronyc tracking, repair time synchronisation and step the clock. Pods retry by themselves."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/architecture/leases/", "go: crypto/x509 Certificate.Verify", "https://github.com/kubernetes/kubernetes/issues/124022"},
		},
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			l := s.NodeLease(g.Node)
			if l == nil || l.Spec.RenewTime == nil {
				return diagnose.Finding{}, false
			}
			ahead := l.Spec.RenewTime.Sub(s.Now())
			if ahead < clockAhead {
				return diagnose.Finding{}, false
			}
			refused := diagnose.Text{Any: []string{"unauthorized", "not yet valid", "not valid yet", "certificate has expired"}}
			f := diagnose.Finding{Confidence: diagnose.Likely, Evidence: []diagnose.Evidence{{
				Object: "lease kube-node-lease/" + g.Node, Field: "spec.renewTime", Value: l.Spec.RenewTime.UTC().Format(time.RFC3339),
			}}}
			f.Explains = refs(g, func(p stuck.Pod) bool {
				for _, e := range s.Events(p.Ref) {
					if refused.Match(e.Message) {
						f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
						return true
					}
				}
				return false
			})
			f.Message = fmt.Sprintf("The clock of node %s is %s ahead of the API server's, and calls from it are refused.", g.Node, scope.Short(ahead))
			if len(f.Explains) == 0 && len(g.Stuck) > 0 && !diagnose.Heard(s, g.Stuck[0].Ref.Namespace) {
				f.Explains, f.Confidence = refs(g, waitsForKubelet), diagnose.Possible
				f.Message = fmt.Sprintf("The clock of node %s is %s ahead of the API server's. Whether calls from it are refused could not be read.", g.Node, scope.Short(ahead))
			}
			return f, len(f.Explains) > 0
		},
		Log: append(append(
			diagnose.LikelyLines(
				diagnose.Saying("token not valid yet"), diagnose.Saying("token is not valid yet"), diagnose.Saying("token used before issued"), diagnose.Saying("Token is used before issued"),
				// crypto/x509 says at which side of its time the certificate is seen.
				diagnose.Saying("x509: certificate has expired or is not yet valid", " is before "),
				diagnose.Saying("clock difference against peer", "too high"), // etcd
			),
			// chronyd and ntpd name the seconds: a minute and more is what certificates and tokens do not forgive. Right
			// after a start that is how the clock is put right.
			diagnose.LogMatch{Text: diagnose.Saying("System clock wrong by"), Pattern: `wrong by -?(\d{3,}|[6-9]\d)\.`, Confidence: diagnose.Likely},
			diagnose.LogMatch{Text: diagnose.Saying("System clock was stepped by"), Pattern: `stepped by -?(\d{3,}|[6-9]\d)\.`, Confidence: diagnose.Likely},
			diagnose.LogMatch{Text: diagnose.Saying("ntpd", "time reset "), Pattern: `time reset [+-]?(\d{3,}|[6-9]\d)\.`, Confidence: diagnose.Likely},
		), diagnose.FittingLines([]string{"kubelet-client-cert-expired"}, "What timedatectl or chronyc tracking says of the node's clock.",
			diagnose.Saying("NTP synchronized: no"), diagnose.Saying("System clock synchronized: no"), diagnose.Saying("time jump detected"),
			diagnose.Saying("Marking clocksource", "unstable because the skew is too large"))...),
	}
}
