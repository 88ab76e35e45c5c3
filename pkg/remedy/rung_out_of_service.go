package remedy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func rungOutOfService() Remedy {
	return Remedy{
		ID: OutOfService, Risk: diagnose.RiskDataLoss, By: ByPerson, Assess: assessOutOfService,
		Doc: "Taints a node that is off as out of service: every pod on it that does not tolerate that is deleted, PodGC takes those that are being deleted out of the API, " +
			"and their volumes are detached by force. On a node that is not off, everything on it then runs twice.",
	}
}

func assessOutOfService(c *Case) []Rung {
	st := c.standing()
	said := st.said(OutOfService)
	if (c.Pod.Node == "" || st.facts.Exists == snapshot.Absent) && len(said) == 0 {
		return nil
	}
	r := Rung{Title: fmt.Sprintf("taint node %s as out of service", c.Pod.Node), By: ByPerson, Risk: diagnose.RiskDataLoss}
	why, sure := blocked(c.DeleteGates)
	switch {
	case c.Pod.Node == "":
		r.Title, r.Help, r.Why = "taint the node as out of service", NoHelp, "no node has the pod"
	case st.facts.Exists == snapshot.Absent:
		r.Help, r.Why = NoHelp, "its Node object does not exist"
	case st.virtual():
		r.Help, r.Why = NoHelp, "it is a virtual node: there is no machine that is off"
	case st.facts.Ready == string(corev1.ConditionTrue):
		r.Help, r.Why = NoHelp, fmt.Sprintf("the node is Ready (%s): PodGC heeds the taint only on nodes that are not, and it must never be set on a node that runs", st.facts)
	case st.outOfService():
		r.Help, r.Why = NoHelp, "the node has the taint already"
	case why != "" && sure:
		r.Help, r.Why = NoHelp, fmt.Sprintf("PodGC could not delete the pod: %s", why)
	case c.Pod.Stage == stuck.FinalizersOnly:
		r.Help, r.Why = NoHelp, fmt.Sprintf("the final deletion was done already; nothing but %s holds the object", finalPhrase(st.obj.Finalizers))
	case len(st.obj.Finalizers) > 0:
		r.Help, r.Why = NotAlone, fmt.Sprintf("PodGC deletes the pod for good, and %s will stay", finalPhrase(st.obj.Finalizers))
	case st.facts.Ready == "":
		r.Help, r.Why = MayHelp, "the node was not read: this is for a machine that is known to be off, and for no other"
	case st.deleting() || c.Pod.State == stuck.NodeLost:
		r.Help, r.Why = MayHelp, fmt.Sprintf("%s; if the machine is known to be off, PodGC then takes the pod out of the API within 20s, and its volumes are detached", st.facts)
	default:
		r.Help, r.Why = MayHelp, fmt.Sprintf("%s; if the machine is known to be off, the pod is made anew elsewhere", st.facts)
	}
	if r.Help != NoHelp {
		pods, all := c.S.PodsOnNode(c.Pod.Node)
		if all {
			r.Risks = append(r.Risks, fmt.Sprintf("all %d pods of the node that do not tolerate it are deleted, and not this one alone", len(pods)))
		} else {
			r.Risks = append(r.Risks, "every pod of the node that does not tolerate it is deleted, and not this one alone")
		}
		for _, v := range st.attached() {
			r.Risks = append(r.Risks, fmt.Sprintf("%s is detached from the node by force: two writers, if the machine still runs", v))
		}
		r.Commands = []string{
			"kubectl stuck node " + quote(c.Pod.Node),
			fmt.Sprintf(`kubectl stuck node %s --out-of-service --attest "…"`, quote(c.Pod.Node)),
		}
	}
	r.Risks = slices.Concat(r.Risks, said)
	return []Rung{r}
}
