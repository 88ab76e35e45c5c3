package remedy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func nodeUnreadEvidence() Guard {
	return Guard{
		Name:     "node-unread-evidence",
		Prevents: "A lease or a claim that nobody may look at passes for one that shows no danger: a kubelet that renews it, a volume with one writer.",
		Flag:     flagAttest,
		Lifts:    liftsAttest,
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var what []string
			var ev []diagnose.Evidence
			m := c.machine()
			if m.leaseUnread() {
				lease := snapshot.Ref{Kind: snapshot.Lease, Namespace: corev1.NamespaceNodeLease, Name: c.Ref.Name}
				what = append(what, fmt.Sprintf("%s%s, so that when its kubelet was heard last is not known beyond the condition Ready", lease, m.gap(snapshot.Lease)))
				ev = append(ev, diagnose.Evidence{Object: lease.String(), Field: "existence", Value: "could not be read"})
			}
			var claims []string
			for _, p := range c.takes() {
				if p.Case.atRest().known {
					continue
				}
				for _, v := range volume.Of(c.S, p.Case.Pod.Object) {
					ns := p.Case.Pod.Ref.Namespace
					if v.Claim == "" || v.PVC != nil || c.S.Has(snapshot.PersistentVolumeClaim, ns, v.Claim) != snapshot.Unknown {
						continue
					}
					claim := snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: ns, Name: v.Claim}
					if !slices.Contains(claims, claim.String()) {
						claims = append(claims, claim.String())
						if len(claims) <= evidencePods {
							ev = append(ev, diagnose.Evidence{Object: claim.String(), Field: "existence", Value: "could not be read"})
						}
					}
				}
			}
			if len(claims) > 0 {
				what = append(what, fmt.Sprintf("%s%s, so that whose volumes they are and who may write to them is not known", some(claims), m.gap(snapshot.PersistentVolumeClaim)))
			}
			if len(what) == 0 {
				return nil
			}
			return []Verdict{m.vouched(Verdict{Level: Block, Reason: "Could not be read: " + sentences(what) + ".", Evidence: ev})}
		},
	}
}
