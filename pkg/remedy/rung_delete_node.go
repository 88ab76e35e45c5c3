package remedy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func rungDeleteNode() Remedy {
	return Remedy{
		ID: DeleteNode, Risk: diagnose.RiskDataLoss, By: ByPerson, Assess: assessDeleteNode,
		Doc: "Deletes the Node object of a machine that does not come back: PodGC then force-deletes every pod that is bound to it, within about a minute. " +
			"Labels, taints and annotations of the node are lost, and what still runs on the machine goes on.",
	}
}

func assessDeleteNode(c *Case) []Rung {
	st := c.standing()
	said := st.said(DeleteNode)
	if (c.Pod.Node == "" || st.facts.Exists == snapshot.Absent) && len(said) == 0 {
		return nil
	}
	r := Rung{Title: fmt.Sprintf("delete the Node object of %s", c.Pod.Node), By: ByPerson, Risk: diagnose.RiskHigh}
	why, sure := blocked(c.DeleteGates)
	switch {
	case c.Pod.Node == "":
		r.Title, r.Help, r.Why = "delete the Node object", NoHelp, "no node has the pod"
	case st.facts.Exists == snapshot.Absent:
		r.Help, r.Why = NoHelp, "it does not exist any more"
	case why != "" && sure:
		r.Help, r.Why = NoHelp, fmt.Sprintf("PodGC could not delete the pod: %s", why)
	case c.Pod.Stage == stuck.FinalizersOnly:
		r.Help, r.Why = NoHelp, fmt.Sprintf("the final deletion was done already; nothing but %s holds the object", finalPhrase(st.obj.Finalizers))
	case st.facts.Ready == string(corev1.ConditionTrue) && st.Reach != scope.ReachNode:
		r.Help, r.Why = NoHelp, fmt.Sprintf("the node works (%s), and what is wrong is not the node's", st.facts)
	case len(st.obj.Finalizers) > 0:
		r.Help, r.Why = NotAlone, fmt.Sprintf("PodGC deletes the pod for good, and %s will stay", finalPhrase(st.obj.Finalizers))
	default:
		r.Help, r.Why = MayHelp, fmt.Sprintf("PodGC deletes its pods for good within about a minute; only for a machine that does not come back (%s)", st.facts)
	}
	if r.Help != NoHelp {
		pods, all := c.S.PodsOnNode(c.Pod.Node)
		many := "every pod"
		if all {
			many = fmt.Sprintf("all %d pods", len(pods))
		}
		r.Risks = append(r.Risks, fmt.Sprintf("%s of the node are deleted without its kubelet, and not this one alone", many), "the labels, taints and annotations of the node are lost")
		for _, p := range pods {
			if snapshot.IsTerminal(p) {
				continue
			}
			if !st.atRest().known && slices.ContainsFunc(p.OwnerReferences, controls("StatefulSet")) {
				r.Risk = diagnose.RiskDataLoss
				r.Risks = append(r.Risks, fmt.Sprintf("pod %s/%s of a StatefulSet may run twice, if the machine still runs", p.Namespace, p.Name))
			}
		}
		r.Risks = append(r.Risks, st.leftovers()...)
		if !st.atRest().known && len(st.promises()) > 0 {
			r.Risk = diagnose.RiskDataLoss
		}
		r.Commands = []string{"kubectl stuck node " + quote(c.Pod.Node), "kubectl stuck node " + quote(c.Pod.Node) + " --drain-and-delete"}
	}
	r.Risks = slices.Concat(r.Risks, said)
	return []Rung{r}
}
