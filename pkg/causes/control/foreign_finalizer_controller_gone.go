package control

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func foreignFinalizerControllerGone() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST506", Slug: "foreign-finalizer-controller-gone",
		Doc: diagnose.Doc{
			Title:   "A finalizer that is not Kubernetes' own holds the pod",
			Symptom: "The pod's containers ended, the final delete was done, and the object stays with a finalizer of another project. Every pod with that finalizer stays.",
			Mechanism: "Whoever put the finalizer there wants to clean something up before the object goes, and removes the finalizer afterwards. If that controller was uninstalled, is down, " +
				"may not write to the pod, or cannot finish its clean-up, the object stays for good. Kubernetes never removes finalizers of others.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.metadata.finalizers}' -n {namespace}",
				"kubectl get pod {pod} -o yaml --show-managed-fields -n {namespace}",
				"kubectl get deployments,statefulsets,daemonsets -A",
				"kubectl get leases -A",
				"kubectl get customresourcedefinitions",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-controller", Risk: diagnose.RiskNone, Text: "Bring the controller that owns the finalizer back (scale it up, install it again), or read in its log what it waits for. It removes the finalizer itself.", Command: "kubectl get deployments,statefulsets,daemonsets -A"},
				{ID: "clean-up-by-hand", Risk: diagnose.RiskLow, Text: "If it is gone for good, do first what it would have done: see what the finding says would be left behind. explain pod/NAME names it for each finalizer.", Command: "kubectl stuck explain pod/{pod} -n {namespace}"},
				{
					ID: "remove-finalizer", Risk: diagnose.RiskHigh, Command: `kubectl patch pod {pod} --type=json -p '[{"op":"test","path":"/metadata/finalizers/0","value":"{subject}"},{"op":"remove","path":"/metadata/finalizers/0"}]' -n {namespace}`,
					Text: "Then remove that one finalizer. Its place in the list is counted from 0; where it is not the first, change it in both parts, the test then fails rather than remove another.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
				"https://kubernetes.io/blog/2021/05/14/using-finalizers-to-control-deletion/",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.CustomResourceDefinition, snapshot.DaemonSet, snapshot.Deployment, snapshot.Lease, snapshot.StatefulSet},
		Pod:      foreignFinalizerControllerGonePod,
	}
}

// kindFinalizer stands for a finalizer as such, so that all pods that wait for the same owner are one finding.
const kindFinalizer snapshot.Kind = "Finalizer"

// settled is how long a working controller may take before its absence is the likelier explanation.
const settled = finalizer.Patience

func foreignFinalizerControllerGonePod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Stage != stuck.FinalizersOnly || p.Object == nil {
		return diagnose.Finding{}, false
	}
	foreign := slices.DeleteFunc(slices.Clone(p.Object.Finalizers), finalizer.BuiltIn)
	if len(foreign) == 0 {
		return diagnose.Finding{}, false
	}
	owners := make([]finalizer.Owner, len(foreign))
	for i, f := range foreign {
		owners[i] = finalizer.Of(s, p.Ref, p.Object, f)
	}
	slices.SortStableFunc(owners, func(a, b finalizer.Owner) int {
		switch {
		case graver(a, b):
			return -1
		case graver(b, a):
			return 1
		default:
			return 0
		}
	})
	o := owners[0] // the worst is spoken of first
	f := diagnose.Finding{
		Subject: snapshot.Ref{Kind: kindFinalizer, Name: o.Finalizer}, Confidence: diagnose.Possible,
		Evidence:     []diagnose.Evidence{{Object: p.Ref.String(), Field: "metadata.deletionGracePeriodSeconds", Value: "0"}},
		Alternatives: []string{"webhook-unavailable-blocks-update", "webhook-mutates-immutable-on-update"},
		Decide:       "Whether the finalizer's owner runs, what its log says of this pod, and whether the API server accepts the removal with --dry-run=server.",
	}
	if o.Decide != "" {
		f.Decide = o.Decide
	}
	switch {
	case o.Alive == finalizer.Gone:
		f.Confidence = o.Sure
		if o.Sure == diagnose.Certain {
			f.Alternatives, f.Decide = nil, ""
		}
	case o.Alive == finalizer.Unknown && p.For >= finalizer.Patience:
		f.Confidence = diagnose.Likely // a working controller would have been done
	}
	f.Message = fmt.Sprintf("Nothing but %s holds the object; the final delete was done %s ago.", nounOf("the finalizer", foreign), scope.Short(p.For))
	for i, w := range owners {
		if i == maxOwners {
			more := " There is 1 more."
			if n := len(owners) - i; n > 1 {
				more = fmt.Sprintf(" There are %d more.", n)
			}
			f.Message += more
			break
		}
		f.Message += " " + sayOwner(s, w, len(owners) > 1)
		f.Evidence = append(f.Evidence, w.Evidence...)
	}
	return f, true
}

// maxOwners is of how many owners of one pod's finalizers a finding speaks.
const maxOwners = 3

// graver tells whether the first owner is the better reason for a pod to stay.
func graver(a, b finalizer.Owner) bool {
	rank := map[finalizer.Alive]int{finalizer.Gone: 3, finalizer.Unknown: 2, finalizer.Slow: 1}
	if rank[a.Alive] != rank[b.Alive] {
		return rank[a.Alive] > rank[b.Alive]
	}
	return a.Sure.Rank() > b.Sure.Rank()
}

// sayOwner says in a few sentences whose the finalizer is, how that owner is, and what would be left behind.
func sayOwner(s *snapshot.Snapshot, o finalizer.Owner, many bool) string {
	var b strings.Builder
	subject := "It belongs to "
	if many {
		subject = "The finalizer " + o.Finalizer + " belongs to "
	}
	b.WriteString(subject + o.String() + ".")
	if o.Writer != "" && o.How != finalizer.ByTable {
		fmt.Fprintf(&b, " It was put there by %q", o.Writer)
		if !o.Set.IsZero() {
			fmt.Fprintf(&b, ", %s ago", scope.Short(max(s.Now().Sub(o.Set), 0)))
		}
		if !o.Telling {
			b.WriteString(", a name that tells nothing of the owner")
		}
		b.WriteString(".")
	} else if o.How == finalizer.ByNone || o.How == finalizer.ByName {
		b.WriteString(" Who put it there is not recorded.")
	}
	if o.Todo != "" {
		b.WriteString(" It has still to " + o.Todo + ".")
	}
	if o.Leaks != "" {
		b.WriteString(" If the finalizer is removed before that, " + o.Leaks + ".")
	}
	return b.String()
}

func nounOf(one string, names []string) string {
	if len(names) == 1 {
		return one + " " + names[0]
	}
	return one + "s " + strings.Join(names, ", ")
}
