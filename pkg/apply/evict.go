package apply

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

const (
	// evictWait is how long an eviction that a disruption budget holds waits for its next turn, as kubectl drain does (k8s.io/kubectl/pkg/drain evictPods).
	evictWait = 5 * time.Second
	// maxEvictWait bounds what the API server may ask for instead, with Retry-After: 10 s is what it asks for itself (pkg/registry/core/pod/storage/eviction.go).
	maxEvictWait = 10 * time.Second
	// evictFor is how long evictions are asked for in all where the plan does not say.
	evictFor = 300 * time.Second
	// maxRounds bounds how often each is asked for, however long that may take: each time is two lines of the journal.
	maxRounds = 200

	// pastBudget is the flag, in Asked.Lifted, that goes on to the next act although a disruption budget did not allow an eviction. What anything else
	// refused, it does not excuse.
	pastBudget = "even-past-budget"

	aBudget = "a disruption budget"
)

// evictions counts the acts at the beginning that evict a pod each, and do nothing else.
func evictions(acts []remedy.Act) int {
	n := slices.IndexFunc(acts, func(a remedy.Act) bool { return len(a.Steps) != 1 || a.Steps[0].Verb != remedy.Evict })
	if n < 0 {
		return len(acts)
	}
	return n
}

// eviction is one of several that are carried out in turns.
type eviction struct {
	*stepRun
	o    remedy.Outcome // of the step, once it is over
	over bool
	told string // what the journal has of the budget's words
}

// evict carries out evictions that follow each other, from the given act on, in turns: what a budget holds is asked for again until the time is over, and so
// is everything else meanwhile. So is what a webhook answers with 429, as kubectl drain does: that of KubeVirt moves the virtual machine meanwhile. One that is
// rejected keeps no other from being tried. on tells that the run goes on.
func (r *run) evict(ctx context.Context, first int) (out []remedy.Outcome, on bool, err error) {
	var all []*eviction
	for i := range evictions(r.plan.Acts[first:]) {
		all = append(all, &eviction{stepRun: r.step(first+i, 0)})
	}
	if on, err = r.hooked(ctx, all[0].stepRun, &out, func() error { return r.ready(ctx, first) }); !on {
		for _, e := range all[1:] {
			out = append(out, r.notTried(e.act, 0, "not tried"))
		}
		return out, false, err
	}
	limit := evictFor
	if s := r.plan.Asked.Timeout; s > 0 {
		limit = time.Duration(min(s, int64(24*time.Hour/time.Second))) * time.Second
	}
	begun, waited := r.now(), time.Duration(0)
	for {
		wait := max(evictWait, limit/maxRounds)
		held := 0
		for _, e := range all {
			if e.over || !on {
				continue
			}
			o, eerr := e.carry(ctx)
			if e.held != nil {
				held++
				wait = max(wait, min(e.held.after, maxEvictWait))
				eerr = e.hold()
			} else {
				o = r.told(e.stepRun, o, &eerr)
				e.o, e.over = o, true
				on = o.Status == remedy.Done || o.Status == remedy.Already || o.Status == remedy.Rejected
			}
			err = both(err, eerr)
			on = on && eerr == nil
		}
		spent := max(r.now().Sub(begun), waited) // a clock that stands still ends this too
		if !on || held == 0 || spent >= limit {
			break
		}
		wait = min(wait, limit-spent)
		r.say(fmt.Sprintf("%s held by %s; asking again in %s, for %s at most", pods(held), holders(all), wait.Round(time.Second), (limit - spent).Round(time.Second)))
		_ = r.sleep(ctx, wait) // an interruption is seen by who looks next
		waited += wait
	}
	for _, e := range all {
		if !e.over {
			o := r.notTried(e.act, 0, "not tried")
			if e.held != nil {
				var eerr error
				o = e.end(ctx, limit, on, &eerr)
				err = both(err, eerr)
				on = on && eerr == nil
			}
			e.o = o
		}
		out = append(out, e.o)
	}
	return out, on && !slices.ContainsFunc(out, r.stops), err
}

// stops tells that nothing comes after an eviction that ended like this.
func (r *run) stops(o remedy.Outcome) bool {
	if o.Status == remedy.Rejected {
		return !o.Budget || !slices.Contains(r.plan.Asked.Lifted, pastBudget)
	}
	return o.Status != remedy.Done && o.Status != remedy.Already
}

// holders names who holds what is still held.
func holders(all []*eviction) string {
	var out []string
	for _, e := range all {
		if e.held != nil && !e.over && !slices.Contains(out, e.holder) {
			out = append(out, e.holder)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " and ")
}

// ofBudget marks what a disruption budget rejected. What came of it otherwise, because the object was another meanwhile, is not marked.
func ofBudget(o remedy.Outcome) remedy.Outcome {
	o.Budget = o.Status == remedy.Rejected
	return o
}

// hold writes down that it is not allowed now.
func (e *eviction) hold() error {
	text := fmt.Sprintf("held by %s, as before", e.holder)
	if e.told != e.last {
		text = fmt.Sprintf("held by %s: %s", e.holder, e.last)
	}
	e.told = e.last
	o := remedy.Outcome{
		Act: e.act, Step: e.step, Status: remedy.Rejected, Attempts: e.attempts, Time: e.now(), Code: e.code, Text: text, UID: e.do.Ref.UID, Budget: e.holder == aBudget,
	}
	entry := remedy.Entry{Time: o.Time, Type: remedy.Result, Act: e.act, Step: e.step, Attempt: e.attempts, Outcome: &o}
	if err := e.journal.Add(entry); err != nil {
		return &Unwritten{What: e.do.What, Sent: true, Outcome: &o, Err: err}
	}
	return nil
}

// end is the outcome of one that is still held when the time is over, or when something else ended the run.
func (e *eviction) end(ctx context.Context, limit time.Duration, over bool, err *error) remedy.Outcome {
	var o remedy.Outcome
	switch {
	case over:
		o = e.refused(ctx, remedy.Rejected, e.seen, "%s did not allow it within %s, asked %s: %s", e.holder, limit, times(e.attempts), e.last)
	case ctx.Err() != nil:
		o = e.refused(ctx, remedy.Rejected, e.seen, "interrupted while %s held it: %s", e.holder, e.last)
	default:
		o = e.refused(ctx, remedy.Rejected, e.seen, "the run ended while %s held it: %s", e.holder, e.last)
	}
	if e.holder == aBudget {
		o = ofBudget(o)
	}
	return e.run.told(e.stepRun, o, err)
}

func pods(n int) string {
	if n == 1 {
		return "1 pod is"
	}
	return fmt.Sprintf("%d pods are", n)
}

// budget is what the API server says of the disruption budget that forbids an eviction; empty where the answer is about something else. A 429 is a budget's
// where its details say so, and else of a server that is busy.
func budget(a reply) string {
	if a.status == nil || a.status.Details == nil {
		return ""
	}
	for _, c := range a.status.Details.Causes {
		if c.Type == policyv1.DisruptionBudgetCause {
			return strings.TrimSpace(strings.TrimSuffix(brief(a.status.Message), ".") + ": " + brief(c.Message))
		}
	}
	return ""
}

// budgetName is the name of the budget in those words; empty where they do not have it.
func budgetName(a reply) string {
	if a.status == nil || a.status.Details == nil {
		return ""
	}
	for _, c := range a.status.Details.Causes {
		if rest, ok := strings.CutPrefix(c.Message, "The disruption budget "); ok && c.Type == policyv1.DisruptionBudgetCause {
			name, _, _ := strings.Cut(rest, " ")
			return name
		}
	}
	return ""
}

// severalBudgets tells that the API server evicts no pod that more than one budget selects. It says that in words alone.
func severalBudgets(a reply) bool {
	return a.code == http.StatusInternalServerError && a.status != nil && strings.Contains(a.status.Message, "more than one PodDisruptionBudget")
}

// badBudget tells that the budget's own status forbids every eviction: its disruptionsAllowed is below zero, or it lists too many pods as disrupted
// (pkg/registry/core/pod/storage/eviction.go, checkAndDecrement).
func badBudget(a reply) bool {
	return a.code == http.StatusForbidden && a.status != nil && a.status.Details != nil && a.status.Details.Group == policyv1.GroupName && strings.HasPrefix(a.status.Details.Kind, "poddisruptionbudget")
}
