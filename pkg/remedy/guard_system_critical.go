package remedy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// systemPriority is the least priority of what is critical for the system (pkg/apis/scheduling SystemCriticalPriority).
const systemPriority = 2_000_000_000

func systemCritical() Guard {
	return Guard{
		Name:     "system-critical",
		Prevents: "A part of the cluster itself is taken away, on which the repair depends: DNS, the network, storage.",
		For:      changes(),
		Check: func(c *Case, _ Remedy) []Verdict {
			p := c.Pod.Object
			if p == nil {
				return nil
			}
			var why []string
			var ev []diagnose.Evidence
			if name := p.Spec.PriorityClassName; strings.HasPrefix(name, "system-") {
				why, ev = append(why, "its priority class is "+name), append(ev, podEvidence(c, "spec.priorityClassName", name))
			} else if n := p.Spec.Priority; n != nil && *n >= systemPriority {
				why, ev = append(why, fmt.Sprintf("its priority is %d", *n)), append(ev, podEvidence(c, "spec.priority", fmt.Sprint(*n)))
			}
			if p.Namespace == metav1.NamespaceSystem {
				why, ev = append(why, "it is in namespace "+p.Namespace), append(ev, podEvidence(c, "metadata.namespace", p.Namespace))
			}
			if len(why) == 0 {
				return nil
			}
			return []Verdict{{Level: Warn, Reason: fmt.Sprintf("The cluster itself may need %s: %s.", c.Pod.Ref, listed(why)), Evidence: ev}}
		},
	}
}
