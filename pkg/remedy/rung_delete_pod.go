package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func rungDeletePod() Remedy {
	return Remedy{
		ID: DeletePod, Risk: diagnose.RiskHigh, By: ByTool, Flag: "delete",
		Doc:    "Deletes the pod as kubectl delete does, with its own grace period: the kubelet stops the containers, and a controller makes another pod. A pod without a controller is lost with it.",
		Assess: assessDelete, Steps: deleteSteps,
	}
}

func assessDelete(c *Case) []Rung {
	st := c.standing()
	help, why := st.deleteHelp()
	work := st.deleteWork()
	return []Rung{{
		Title: "delete " + c.Pod.Ref.String(), By: ByTool, Help: help, Why: why, Risk: work.Risk, Risks: slices.Concat(work.Loses, st.said(DeletePod)),
		Commands: []string{st.fix("--delete"), st.deleteCommand()},
	}}
}

func (st standing) deleteCommand() string {
	return fmt.Sprintf("kubectl delete pod %s -n %s", quote(st.Pod.Ref.Name), quote(st.Pod.Ref.Namespace))
}

func (st standing) deleteHelp() (Help, string) {
	why, sure := blocked(st.DeleteGates)
	switch {
	case st.deleting():
		return NoHelp, "it was deleted already; a second deletion changes nothing"
	case why != "" && sure:
		return NoHelp, fmt.Sprintf("the API server would refuse it: %s; that server has to come back first", why)
	case st.mirror():
		return NoHelp, "it is the mirror of a static pod: as long as the manifest is on the node, the kubelet shows it anew"
	case !st.Stuck && !st.Waiting:
		return NoHelp, "it is neither stuck nor waiting"
	case st.bare():
		if len(st.merged(DeletePod)) > 0 {
			return MayHelp, "the pod goes, and no controller makes another"
		}
		return NoHelp, "no controller makes another pod: this would only lose it"
	}
	if st.kindOfController() == "Job" && st.Pod.State != stuck.NodeLost {
		if j := st.job(); j != nil && snapshot.JobIsOver(j) {
			return NoHelp, "its Job has ended or is suspended, and makes no other pod"
		}
	}
	advised := st.merged(DeletePod)
	help, next := st.successor()
	switch {
	case help == NoHelp && len(advised) == 0:
		return NoHelp, next
	case st.Pod.State == stuck.NodeLost:
		return NotAlone, fmt.Sprintf("it marks the pod for deletion, and node %s is not there to finish that", st.Pod.Node)
	case st.Pod.Node == "" && len(advised) == 0:
		return NoHelp, "no node has it yet: another pod would wait at the same place"
	case len(advised) > 0:
		f := advised[0].findings[0]
		if f.Confidence == diagnose.Certain && help == Helps {
			return Helps, fmt.Sprintf("another pod begins anew, which is what helps against %s %s", f.Code, f.Slug)
		}
		return MayHelp, join(fmt.Sprintf("another pod begins anew, which helps against %s %s, if that is what it is", f.Code, f.Slug), next)
	case st.Reach == scope.ReachNode && st.facts.Cordoned:
		return Helps, join(fmt.Sprintf("what is wrong is node %s, which is cordoned: the scheduler sends another pod elsewhere", st.Pod.Node), next)
	case st.nodeTrouble():
		return MayHelp, join(fmt.Sprintf("what is wrong is node %s; another pod may be sent elsewhere, and where nothing keeps the scheduler away, to the same node", st.Pod.Node), next)
	case help == NotAlone:
		return NotAlone, next
	default:
		return MayHelp, join("another pod begins anew; nothing says that it fares better", next)
	}
}

func (st standing) deleteWork() Work {
	w := Work{Risk: diagnose.RiskLow}
	if !st.deleting() && st.nodeTrouble() {
		w.Loses = append(w.Loses, fmt.Sprintf("the pod may hang in Terminating: node %s has to end it (%s)", st.Pod.Node, st.facts))
	}
	if past, why := st.past(DeletePod); past {
		w.Loses = append(w.Loses, strings.TrimSuffix(lower(why), "."))
	}
	if d, yes := st.dropped(DeletePod); yes {
		w.Loses = append(w.Loses, d.Loses...)
		w.Risk = Worse(w.Risk, d.Risk)
	}
	if st.bare() {
		w.Risk = diagnose.RiskHigh
		w.Loses = append(w.Loses, fmt.Sprintf("pod %s itself: no controller makes another", st.name()))
	}
	if st.kindOfController() == "Job" {
		w.Loses = append(w.Loses, "what the pod has computed: its Job runs the work again, and may count the pod as failed")
	}
	return w
}

func deleteSteps(c *Case) (Work, error) {
	st := c.standing()
	if st.Pod.Object == nil {
		return Work{}, errNoObject
	}
	w := st.deleteWork()
	w.Steps = []Step{{
		Verb: Delete, Ref: refOf(snapshot.Pod, st.obj), ResourceVersion: st.obj.ResourceVersion,
		What:    fmt.Sprintf("delete pod %s, with its own grace period", st.name()),
		Kubectl: []string{st.deleteCommand()},
		Undo:    st.undoOfDelete(),
	}}
	return w, nil
}
