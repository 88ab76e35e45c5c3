package remedy

import "github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"

func rungLastResort() Remedy {
	return Remedy{
		ID: LastResort, Risk: diagnose.RiskDataLoss, By: ByPerson,
		Doc:    "What else the catalogue of causes has, and which leaves something behind or loses data: objects deleted or finalized by hand, backups restored. After everything else.",
		Assess: func(c *Case) []Rung { return c.standing().rungs(LastResort) },
	}
}
