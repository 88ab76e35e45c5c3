package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// LastResort are remedies of the person that leave things behind, or lose data, and that are none of the rungs that have a name of their own.
const LastResort ID = "last-resort"

// advice is one remedy of the catalogue as it stands in the case: that of one finding, or the same one of several.
type advice struct {
	remedy   diagnose.Remedy
	findings []diagnose.Finding
}

// advised lists the remedies of all findings, each once.
func (st standing) advised() []advice {
	var out []advice
	for _, f := range st.Findings {
		for _, r := range f.Remedies {
			if i := slices.IndexFunc(out, func(a advice) bool { return a.remedy == r }); i >= 0 {
				out[i].findings = append(out[i].findings, f)
			} else {
				out = append(out, advice{r, []diagnose.Finding{f}})
			}
		}
	}
	return out
}

// merged lists the remedies of the findings that stand for a rung.
func (st standing) merged(id ID) []advice {
	return slices.DeleteFunc(st.advised(), func(a advice) bool { return rungOf(a.remedy) != id })
}

// said is what the catalogue says about a rung, as statements.
func (st standing) said(id ID) []string {
	var out []string
	for _, a := range st.merged(id) {
		out = append(out, fmt.Sprintf("%s: %s", a.codes(), a.remedy.Text))
	}
	return out
}

func (a advice) codes() string {
	var out []string
	for _, f := range a.findings {
		out = append(out, fmt.Sprintf("%s %s", f.Code, f.Slug))
	}
	return strings.Join(slices.Compact(out), ", ")
}

// rungOf tells on which rung a remedy of the catalogue stands: each on one. Those that mean a rung of this package by another name become part of it; of the
// others, what restarts or empties a node, or ends what runs there, is a restart, what leaves something behind is a last resort, and the rest restores.
func rungOf(r diagnose.Remedy) ID {
	verb, object, _ := strings.Cut(r.ID, "-")
	switch {
	case verb == "wait" || r.ID == "leave-it":
		return Wait
	case slices.Contains([]string{"delete-pod", "delete-pods", "recreate-pod", "restart-consumers"}, r.ID):
		return DeletePod
	case r.ID == "force-delete-pod" || r.ID == "force-delete":
		return ForceDelete
	case r.ID == "remove-finalizer" && !strings.HasPrefix(r.Command, "kubectl get "):
		return RemoveFinalizers // where the command looks first, it is another object's
	case r.ID == "out-of-service" || r.ID == "evict-by-hand":
		return OutOfService
	case r.ID == "delete-node":
		return DeleteNode
	case rank(r.Risk) >= rank(diagnose.RiskDataLoss):
		return LastResort
	case slices.Contains([]string{"restart", "reboot", "drain", "cordon", "power", "stop", "end", "kill", "thaw", "unmount"}, verb) || r.ID == "replace-node" || object == "kubelet":
		return Restart
	case rank(r.Risk) >= rank(diagnose.RiskHigh):
		return LastResort
	default:
		return Restore
	}
}

// looks tells whether a remedy only finds out.
func looks(r diagnose.Remedy) bool {
	verb, _, _ := strings.Cut(r.ID, "-")
	return r.Risk == diagnose.RiskNone && slices.Contains([]string{"ask", "check", "compare", "count", "find", "look", "read", "dry"}, verb)
}

// words is an ID for people: "restart-runtime" becomes "restart runtime".
func (a advice) words() string { return strings.ReplaceAll(a.remedy.ID, "-", " ") }

// rungs makes a rung of each remedy that stands on one of the person's rungs, those with the least risk first.
func (st standing) rungs(id ID) []Rung {
	list := st.merged(id)
	slices.SortStableFunc(list, func(a, b advice) int { return rank(a.remedy.Risk) - rank(b.remedy.Risk) })
	var out []Rung
	for _, a := range list {
		f := a.findings[0]
		r := Rung{Title: a.words(), By: ByPerson, Help: MayHelp, Risk: a.remedy.Risk, Why: fmt.Sprintf("%s: %s", a.codes(), a.remedy.Text)}
		if id == Restart && st.Pod.Node != "" {
			r.Title += ", node " + st.Pod.Node
		} else if f.Subject.Name != "" {
			r.Title += ", " + f.Subject.String()
		}
		switch {
		case looks(a.remedy):
			r.Help = NotAlone // it tells what to do, and does nothing
		case f.Confidence == diagnose.Certain:
			r.Help = Helps
		}
		if a.remedy.Command != "" {
			r.Commands = []string{a.remedy.Command}
		}
		out = append(out, r)
	}
	return out
}
