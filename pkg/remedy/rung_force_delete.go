package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func rungForceDelete() Remedy {
	return Remedy{
		ID: ForceDelete, Risk: diagnose.RiskDataLoss, By: ByTool, Flag: "force",
		Doc:    "Deletes the pod from the API with a grace period of 0, without waiting for its kubelet. It stops no container, unmounts nothing, and takes off no finalizer.",
		Assess: assessForce, Steps: forceSteps,
	}
}

func assessForce(c *Case) []Rung {
	st := c.standing()
	help, why := st.forceHelp(false)
	work := st.forceWork()
	r := Rung{
		Title: "force delete " + c.Pod.Ref.String(), By: ByTool, Help: help, Why: why, Risk: work.Risk, Risks: slices.Concat(work.Loses, st.said(ForceDelete)),
		Commands: []string{st.fix("--force"), st.forceCommand()},
	}
	return []Rung{r}
}

// forceHelp says whether a force delete helps; together tells that all finalizers are taken off after it.
func (st standing) forceHelp(together bool) (Help, string) {
	why, sure := blocked(st.DeleteGates)
	switch {
	case !st.deleting():
		return NoHelp, "nobody deleted the pod yet; an ordinary deletion comes first, so that its kubelet can stop it"
	case why != "" && sure:
		return NoHelp, fmt.Sprintf("the API server would refuse it: %s; that server has to come back first", why)
	case st.Pod.Stage == stuck.FinalizersOnly:
		return NoHelp, fmt.Sprintf("the final deletion was done already; nothing but %s holds the object", finalPhrase(st.obj.Finalizers))
	case st.mirror():
		return NoHelp, "it is the mirror of a static pod: as long as the manifest is on the node, the kubelet shows it anew"
	case len(st.obj.Finalizers) > 0 && !together:
		return NotAlone, fmt.Sprintf("%s will stay, and hold the object until they are taken off", finalPhrase(st.obj.Finalizers))
	}
	note := ""
	if why != "" {
		note = fmt.Sprintf("; the API server may refuse it, where it asks: %s", why)
	}
	if !st.Pod.ClearsBy.IsZero() {
		return MayHelp, fmt.Sprintf("it takes the pod out of the API, which should go by itself by %s: %s%s", clock(st.Pod.ClearsBy), st.Pod.ClearsWhy, note)
	}
	help, next := st.successor()
	says := "it takes the pod out of the API without its kubelet"
	if next != "" {
		says += "; " + next
	}
	if note != "" && help == Helps {
		help = MayHelp
	}
	return help, says + note
}

// forceWork weighs what a force delete loses here.
func (st standing) forceWork() Work {
	w := Work{Risk: diagnose.RiskHigh, Loses: st.leftovers()}
	if d, yes := st.dropped(ForceDelete); yes {
		w = d
	}
	rest := st.atRest()
	switch {
	case !rest.known:
	case st.Pod.Node == "" || st.facts.Exists == snapshot.Absent || st.outOfService():
		w.Risk = diagnose.RiskLow
	case rest.stopped && len(st.attached()) == 0:
		w.Risk = diagnose.RiskMedium
	}
	if st.bare() {
		w.Loses = append(w.Loses, fmt.Sprintf("pod %s itself: no controller makes another", st.name()))
		w.Risk = Worse(w.Risk, diagnose.RiskMedium)
	}
	return w
}

func forceSteps(c *Case) (Work, error) {
	st := c.standing()
	if st.Pod.Object == nil {
		return Work{}, errNoObject
	}
	w := st.forceWork()
	grace := int64(0)
	w.Steps = []Step{{
		Verb: Delete, Ref: refOf(snapshot.Pod, st.obj), ResourceVersion: st.obj.ResourceVersion, Grace: &grace,
		What:    fmt.Sprintf("delete pod %s at once, without waiting for its node", st.name()),
		Kubectl: []string{st.forceCommand()},
		Undo:    st.undoOfDelete(),
	}}
	return w, nil
}

func (st standing) forceCommand() string {
	return fmt.Sprintf("kubectl delete pod %s -n %s --grace-period=0 --force", quote(st.Pod.Ref.Name), quote(st.Pod.Ref.Namespace))
}

// undoOfDelete says whether the deletion of the pod can be taken back. No API call unmarks an object that is being deleted.
func (st standing) undoOfDelete() Undo {
	switch {
	case st.mirror():
		return Undo{How: "the kubelet shows a static pod anew by itself"}
	case st.bare():
		return Undo{Can: true, How: "creates the pod again from the journal: same name and spec, new UID; what its containers held is lost"}
	default:
		return Undo{How: fmt.Sprintf("its controller (%s) makes another pod", st.kindOfController())}
	}
}

// fix is the command of this tool.
func (st standing) fix(flags ...string) string {
	return strings.Join(append([]string{"kubectl stuck fix pod", quote(st.Pod.Ref.Name), "-n", quote(st.Pod.Ref.Namespace)}, flags...), " ")
}
