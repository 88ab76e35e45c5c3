package remedy

import "github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"

func rungRestart() Remedy {
	return Remedy{
		ID: Restart, Risk: diagnose.RiskHigh, By: ByPerson,
		Doc:    "Restarts the kubelet, the runtime, a driver or the machine of the node, or ends what hangs there. Only who is on the node, or deletes a driver's pod, can do it.",
		Assess: func(c *Case) []Rung { return c.standing().rungs(Restart) },
	}
}
