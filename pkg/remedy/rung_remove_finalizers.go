package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// errNoFinalizers says that there is nothing to take off.
var errNoFinalizers = errors.New("the pod has no finalizers: nothing holds it that could be taken off")

var errNoObject = errors.New("the pod itself was not read")

func rungRemoveFinalizers() Remedy {
	return Remedy{
		ID: RemoveFinalizers, Risk: diagnose.RiskDataLoss, By: ByTool, Flag: "finalizers",
		Doc: "Takes finalizers off a pod that is being deleted, each by its name and place and no others. " +
			"What their owners still had to do stays undone, and no finalizer can be put back on an object that is being deleted.",
		Assess: assessFinalizers, Steps: finalizerSteps,
	}
}

func assessFinalizers(c *Case) []Rung {
	st := c.standing()
	said := st.said(RemoveFinalizers)
	if len(st.obj.Finalizers) == 0 {
		if len(said) == 0 {
			return nil
		}
		return []Rung{{Title: "remove finalizers of " + c.Pod.Ref.String(), By: ByPerson, Help: NoHelp, Why: "the pod has no finalizers", Risk: diagnose.RiskHigh, Risks: said}}
	}
	off, _ := c.taken()
	help, why := st.patchHelp(false)
	work := st.patchWork(off)
	flag := "--finalizers"
	if len(c.Asked.Named) > 0 {
		flag = "--finalizers=" + quote(strings.Join(c.Asked.Named, ","))
	}
	r := Rung{
		Title: fmt.Sprintf("remove %s of %s", finalPhrase(st.obj.Finalizers), c.Pod.Ref), By: ByTool, Help: help, Why: why, Risk: work.Risk,
		Risks: slices.Concat(work.Loses, said), Commands: []string{st.fix(flag)},
	}
	if len(off) > 0 && len(off) < len(st.obj.Finalizers) {
		r.Title = fmt.Sprintf("remove %s of %s", finalPhrase(off), c.Pod.Ref)
	}
	if patch, _, err := takeOff(st.obj, off); err == nil {
		r.Commands = append(r.Commands, st.patchCommand(string(patch)))
	}
	return []Rung{r}
}

// patchHelp says whether the removal of the finalizers that were asked for helps; together tells that a force delete comes before it.
func (st standing) patchHelp(together bool) (Help, string) {
	off, left := st.taken()
	why, sure := blocked(st.UpdateGates)
	switch {
	case len(st.obj.Finalizers) == 0:
		return NoHelp, "it has no finalizers"
	case len(off) == 0:
		return NoHelp, fmt.Sprintf("it has none of those that are named; it has %s", finalPhrase(st.obj.Finalizers))
	case !st.deleting():
		return NoHelp, "it is not being deleted, so that its finalizers hold nothing up"
	case why != "" && sure:
		return NoHelp, fmt.Sprintf("the API server would refuse it: %s; that server has to come back first", why)
	case len(left) > 0:
		return NotAlone, fmt.Sprintf("%s will stay, and hold the object", finalPhrase(left))
	case st.Pod.Stage != stuck.FinalizersOnly && !together:
		return NotAlone, fmt.Sprintf("the kubelet has not finished with the pod (%s): it goes only after the kubelet deleted it for good, or after a force delete", st.stage())
	}
	note := ""
	if why != "" {
		note = fmt.Sprintf("; the API server may refuse it, where it asks: %s", why)
	}
	for _, o := range st.Owners {
		if slices.Contains(off, o.Finalizer) && (o.Alive == finalizer.Lives || o.Alive == finalizer.Slow) {
			return MayHelp, fmt.Sprintf("nothing but %s holds the object, but the owner of %s works: %s%s", finalPhrase(off), o.Finalizer, o.Why, note)
		}
	}
	if note != "" {
		return MayHelp, fmt.Sprintf("nothing but %s holds the object%s", finalPhrase(off), note)
	}
	return Helps, fmt.Sprintf("nothing but %s holds the object: with the last one it is gone", finalPhrase(off))
}

func (st standing) stage() string {
	if st.Pod.Stage == stuck.NotDeleting {
		return "not being deleted"
	}
	return string(st.Pod.Stage)
}

// patchWork weighs what is lost with the finalizers.
func (st standing) patchWork(off []string) Work {
	w := Work{Risk: diagnose.RiskHigh}
	for _, o := range st.Owners {
		if !slices.Contains(off, o.Finalizer) {
			continue
		}
		switch {
		case o.Leaks != "":
			w.Loses = append(w.Loses, fmt.Sprintf("finalizer %s: %s", o.Finalizer, o.Leaks))
		case o.Todo != "":
			w.Loses = append(w.Loses, fmt.Sprintf("finalizer %s: its owner does not do its work any more (%s)", o.Finalizer, o.Todo))
		default:
			w.Loses = append(w.Loses, fmt.Sprintf("finalizer %s: nobody knows what its owner had to do, and it stays undone", o.Finalizer))
		}
	}
	if d, yes := st.dropped(RemoveFinalizers); yes {
		w.Loses = append(w.Loses, d.Loses...)
		w.Risk = Worse(w.Risk, d.Risk)
	}
	return w
}

func finalizerSteps(c *Case) (Work, error) {
	st := c.standing()
	switch {
	case st.Pod.Object == nil:
		return Work{}, errNoObject
	case len(st.obj.Finalizers) == 0 && c.Asked.Again:
		return Work{}, fmt.Errorf("the pod has no finalizers any more: %w", ErrNothingLeft)
	case len(st.obj.Finalizers) == 0:
		return Work{}, errNoFinalizers
	}
	off, left := c.taken()
	if len(off) == 0 && c.Asked.Again {
		return Work{}, fmt.Errorf("the pod has %s, and none of those that were to be taken off: %w", finalPhrase(left), ErrNothingLeft)
	}
	for _, name := range c.Asked.Named {
		if !slices.Contains(st.obj.Finalizers, name) && !c.Asked.Again {
			return Work{}, fmt.Errorf("the pod has no finalizer %q; it has %s", name, strings.Join(st.obj.Finalizers, ", "))
		}
	}
	patch, off, err := takeOff(st.obj, off)
	if err != nil {
		return Work{}, err
	}
	w := st.patchWork(off)
	w.Steps = []Step{{
		Verb: Patch, Ref: refOf(snapshot.Pod, st.obj), ResourceVersion: st.obj.ResourceVersion, Patch: patch, Finalizers: off,
		What:    fmt.Sprintf("remove %s of pod %s", finalPhrase(off), st.name()),
		Kubectl: []string{st.patchCommand(string(patch))},
		Undo:    st.undoOfPatch(len(left) == 0),
	}}
	return w, nil
}

// undoOfPatch says whether the removal can be taken back; last tells that no finalizer is left. The API server takes no new finalizers on an object that is
// being deleted (apimachinery/pkg/api/validation ValidateNoNewFinalizers).
func (st standing) undoOfPatch(last bool) Undo {
	switch {
	case !st.deleting():
		return Undo{Can: true, How: "puts them back"}
	case last && st.bare():
		u := st.undoOfDelete()
		u.How += "; before it is gone, nothing can be put back on an object that is being deleted"
		return u
	default:
		return Undo{How: "the API server takes no new finalizers on an object that is being deleted"}
	}
}

func (st standing) patchCommand(patch string) string {
	return fmt.Sprintf("kubectl patch pod %s -n %s --type=json -p %s", quote(st.Pod.Ref.Name), quote(st.Pod.Ref.Namespace), quote(patch))
}
