package remedy

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func clearsSoon() Guard {
	return Guard{
		Name:     "clears-soon",
		Prevents: "Somebody steps in, at a risk, where the cluster was about to do it by itself.",
		For:      changes(),
		Check: func(c *Case, _ Remedy) []Verdict {
			now := c.S.Now()
			by, why := c.Pod.ClearsBy, c.Pod.ClearsWhy
			for _, f := range c.Findings {
				if f.ClearsBy.After(now) && (!by.After(now) || f.ClearsBy.Before(by)) {
					by, why = f.ClearsBy, f.ClearsWhy
				}
			}
			switch {
			case by.After(now):
				return []Verdict{{
					Level:    Warn,
					Reason:   fmt.Sprintf("%s should clear by itself in %s (%s): %s.", c.Pod.Ref, scope.Short(by.Sub(now)), by.UTC().Format(time.TimeOnly), why),
					Evidence: []diagnose.Evidence{podEvidence(c, "state", string(c.Pod.State)+" since "+c.Pod.Since.UTC().Format(time.RFC3339))},
				}}
			case c.Waiting && c.Pod.For < c.Pod.Threshold:
				return []Verdict{{
					Level: Warn,
					Reason: fmt.Sprintf("%s has been in %s for %s, and counts as stuck after %s: it may only need time.",
						c.Pod.Ref, c.Pod.State, scope.Short(c.Pod.For), scope.Short(c.Pod.Threshold)),
					Evidence: []diagnose.Evidence{podEvidence(c, "state", string(c.Pod.State)+" since "+c.Pod.Since.UTC().Format(time.RFC3339))},
				}}
			default:
				return nil
			}
		},
	}
}
