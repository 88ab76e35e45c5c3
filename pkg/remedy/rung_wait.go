package remedy

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func rungWait() Remedy {
	return Remedy{
		ID: Wait, Risk: diagnose.RiskNone, By: ByNobody, Assess: assessWait,
		Doc: "Waits, where the matter should end by itself: until when, and through whom.",
	}
}

func assessWait(c *Case) []Rung {
	st := c.standing()
	r := Rung{Title: "wait", By: ByNobody, Risk: diagnose.RiskNone, Help: NoHelp, Why: "nothing says that it will clear by itself", Risks: st.said(Wait)}
	by, why := c.Pod.ClearsBy, c.Pod.ClearsWhy
	for _, f := range c.Findings {
		if !f.ClearsBy.IsZero() && f.ClearsBy.After(c.S.Now()) {
			by, why = f.ClearsBy, fmt.Sprintf("%s (%s %s)", f.ClearsWhy, f.Code, f.Slug)
			break
		}
	}
	certain := c.Pod.Stage == stuck.InGrace || c.Pod.Stage == stuck.NodeGone || c.Pod.Stage == stuck.NeverScheduled
	switch {
	case !by.IsZero() && len(st.obj.Finalizers) > 0 && st.deleting():
		r.Help, r.Title, r.Why = NotAlone, "wait until "+clock(by), fmt.Sprintf("%s; %s stay after that", why, finalPhrase(st.obj.Finalizers))
	case !by.IsZero() && certain:
		r.Help, r.Title, r.Why = Helps, "wait until "+clock(by), why
		if gate, _ := blocked(st.DeleteGates); gate != "" {
			r.Help, r.Why = NotAlone, join(why, gate)
		}
	case !by.IsZero():
		r.Help, r.Title, r.Why = MayHelp, "wait until "+clock(by), why
	case why != "":
		r.Help, r.Why = MayHelp, why+"; nothing says until when"
	case !c.Stuck && !c.Waiting:
		r.Why = "it is neither stuck nor waiting: there is nothing to wait for"
	case len(r.Risks) > 0:
		r.Help, r.Why = MayHelp, "a cause that was found may end by itself; nothing says until when"
	}
	return []Rung{r}
}
