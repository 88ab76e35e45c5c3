package apply

import (
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
)

// changers names what may have changed an object on its way: the API server's refusal of an immutable field names the field, and not who changed it.
func changers(known []admission.Gate) string {
	var out []string
	for _, g := range known {
		if !g.Mutates {
			continue
		}
		name := string(g.Ref.Kind) + " " + g.Ref.Name
		if webhook(g.Kind) {
			name = "webhook " + g.Name + " of " + name
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}
