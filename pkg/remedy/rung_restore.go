package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func rungRestore() Remedy {
	return Remedy{
		ID: Restore, Risk: diagnose.RiskMedium, By: ByPerson, Assess: assessRestore,
		Doc: "Brings back what is missing: a server, an object, a controller, a right. The catalogue of causes says what, and how to make sure of it first.",
	}
}

func assessRestore(c *Case) []Rung {
	st := c.standing()
	var out []Rung
	seen := map[string]bool{}
	for _, g := range slices.Concat(c.DeleteGates, c.UpdateGates) {
		key := g.Ref.String() + "\x00" + g.Name
		if !g.Blocks() || seen[key] {
			continue
		}
		seen[key] = true
		r := Rung{
			Title: fmt.Sprintf("bring back what answers for %s", gateName(g)), By: ByPerson, Help: Helps, Risk: diagnose.RiskNone,
			Why: fmt.Sprintf("the API server asks %s of %s before the pod may go or change, and %s", gateName(g), g.Ref, g.Backend.Why),
		}
		if !g.Sure {
			r.Help = MayHelp
		}
		if !g.Backend.Service.IsZero() {
			r.Commands = []string{fmt.Sprintf("kubectl get endpointslices -n %s -l kubernetes.io/service-name=%s", quote(g.Backend.Service.Namespace), quote(g.Backend.Service.Name))}
		} else {
			r.Commands = []string{fmt.Sprintf("kubectl get %s %s -o yaml", strings.ToLower(string(g.Ref.Kind)), quote(g.Ref.Name))}
		}
		out = append(out, r)
	}
	return append(out, st.rungs(Restore)...)
}
