package remedy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// evictTimeout is how long evictions are asked for where nothing else was said, in seconds.
const evictTimeout = 300

func nodeBudgets() Guard {
	return Guard{
		Name:     "node-budgets",
		Prevents: "A workload is left with fewer pods than its PodDisruptionBudget promises: PodGC, unlike an eviction, does not ask for it.",
		Flag:     "even-past-budget",
		Lifts:    "--even-past-budget",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.PodDisruptionBudget},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var out []Verdict
			out = append(out, c.budgetsUnread()...)
			out = append(out, c.budgetsAsked()...)
			return append(out, c.budgetsPassed()...)
		},
	}
}

// counted tells whether budgets count the pod as healthy: it is Ready and not being deleted (pkg/controller/disruption countHealthyPods).
func (p NodePod) counted() bool {
	obj := p.Case.Pod.Object
	r := snapshot.PodCondition(obj, corev1.PodReady)
	return obj.DeletionTimestamp == nil && !snapshot.IsTerminal(obj) && r != nil && r.Status == corev1.ConditionTrue
}

// budgetsUnread blocks where healthy pods would be taken past budgets that nobody could read.
func (c *NodeCase) budgetsUnread() []Verdict {
	var pods []NodePod
	for _, p := range c.takes() {
		if p.Fate != WithNode && p.counted() && !c.S.Complete(snapshot.PodDisruptionBudget, p.Case.Pod.Ref.Namespace) {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return nil
	}
	return []Verdict{c.Asked.Lift(Verdict{
		Level:    Block,
		Reason:   fmt.Sprintf("The PodDisruptionBudgets could not be read, and the deletion of the Node object asks none of them: what it leaves of the workloads of %s is not known.", podNames(pods)),
		Evidence: []diagnose.Evidence{{Object: "poddisruptionbudgets", Field: "existence", Value: "could not be read"}},
	}, "even-past-budget")}
}

// covered are the pods of one budget.
type covered struct {
	budget admission.Budget
	pods   []NodePod
}

// coverage groups pods by their budgets, those with the name that comes first, first.
func coverage(s *snapshot.Snapshot, pods []NodePod) []covered {
	var out []covered
	for _, p := range pods {
		for _, b := range admission.Budgets(s, p.Case.Pod.Object) {
			i := slices.IndexFunc(out, func(o covered) bool { return o.budget.Ref.Is(b.Ref) })
			if i < 0 {
				i = len(out)
				out = append(out, covered{budget: b})
			}
			out[i].budget.Refuses = out[i].budget.Refuses || b.Refuses
			out[i].pods = append(out[i].pods, p)
		}
	}
	slices.SortStableFunc(out, func(a, b covered) int { return cmp.Compare(a.budget.Ref.String(), b.budget.Ref.String()) })
	return out
}

func (o covered) evidence() []diagnose.Evidence {
	b := o.budget
	return []diagnose.Evidence{{
		Object: b.Ref.String(), Field: "status", Value: fmt.Sprintf("currentHealthy %d, desiredHealthy %d, disruptionsAllowed %d", b.CurrentHealthy, b.DesiredHealthy, b.DisruptionsAllowed),
	}}
}

// budgetsAsked warns of budgets that do not let all evictions through at once.
func (c *NodeCase) budgetsAsked() []Verdict {
	if c.Asked.Again {
		return nil // they were asked
	}
	timeout := scope.Short(time.Duration(cmp.Or(c.Asked.Timeout, evictTimeout)) * time.Second)
	var out []Verdict
	for _, o := range coverage(c.S, c.Of(Evicted)) {
		b, healthy := o.budget, 0
		for _, p := range o.pods {
			if p.counted() {
				healthy++
			}
		}
		if !b.Refuses && healthy <= int(b.DisruptionsAllowed) {
			continue
		}
		out = append(out, Verdict{
			Level: Warn, Evidence: o.evidence(),
			Reason: fmt.Sprintf("%s wants %d healthy pods, has %d and allows %d disruptions now; %d of its pods are to be evicted (%s). Evictions that it does not allow are asked for again for %s, and if it does not allow them by then "+
				"the run ends before the Node object is deleted, unless --even-past-budget is given.", b.Ref, b.DesiredHealthy, b.CurrentHealthy, b.DisruptionsAllowed, len(o.pods), podNames(o.pods), timeout),
		})
	}
	return out
}

// budgetsPassed speaks of budgets that the deletion of the Node object does not ask. It blocks where that costs a pod that is healthy now.
func (c *NodeCase) budgetsPassed() []Verdict {
	var out []Verdict
	for _, o := range coverage(c.S, slices.DeleteFunc(c.takes(), func(p NodePod) bool { return p.Fate == Finished || p.Fate == WithOwner })) {
		b, healthy := o.budget, int32(0)
		for _, p := range o.pods {
			if p.counted() {
				healthy++
			}
		}
		after := b.CurrentHealthy - healthy
		if after >= b.DesiredHealthy && b.DisruptionsAllowed >= healthy && (healthy > 0 || b.DisruptionsAllowed > 0) {
			continue
		}
		v := Verdict{
			Level: Warn, Evidence: o.evidence(),
			Reason: fmt.Sprintf("%s wants %d healthy pods and has %d, and the deletion of the Node object does not ask it. %s %s not counted among them, so that it stays at %d.",
				b.Ref, b.DesiredHealthy, b.CurrentHealthy, podNames(o.pods), plural(len(o.pods), "is", "are"), after),
		}
		if healthy > 0 {
			v.Level = Block
			v.Reason = fmt.Sprintf("%s wants %d healthy pods and has %d, and the deletion of the Node object does not ask it: it takes %s, of which %d %s healthy now, and leaves %d.",
				b.Ref, b.DesiredHealthy, b.CurrentHealthy, podNames(o.pods), healthy, plural(int(healthy), "is", "are"), after)
			v = c.Asked.Lift(v, "even-past-budget")
		}
		out = append(out, v)
	}
	return out
}
