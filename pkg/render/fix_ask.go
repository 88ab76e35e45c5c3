package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Yes is the word that confirms a plan of ordinary risk.
const Yes = "yes"

// Word is what has to be typed to confirm a plan: "yes", or, where data can be lost, the name of the object, of several their number. It is never empty,
// and it is what Question shows: clean text without spaces around it. A risk that is not known is taken for the worst.
func Word(plan *remedy.Plan) string {
	ordinary := []diagnose.Risk{diagnose.RiskNone, diagnose.RiskLow, diagnose.RiskMedium, diagnose.RiskHigh}
	if !slices.ContainsFunc(plan.Acts, func(a remedy.Act) bool { return !slices.Contains(ordinary, a.Risk) }) {
		return Yes
	}
	if i := slices.IndexFunc(plan.Acts, func(a remedy.Act) bool { return a.Target.Kind == snapshot.Node }); i >= 0 {
		if name := strings.TrimSpace(Clean(plan.Acts[i].Target.Name)); name != "" && name != Yes {
			return name
		}
	}
	if len(plan.Acts) == 1 {
		name := strings.TrimSpace(Clean(plan.Acts[0].Target.Name))
		if name == Yes { // a word that confirms nothing else must not confirm this
			name = strings.TrimSpace(Clean(plan.Acts[0].Target.Namespace)) + "/" + name
		}
		if name != "" {
			return name
		}
	}
	return strconv.Itoa(len(plan.Acts))
}

// Question is what is asked before a plan is carried out, and the word that has to be typed. The text ends without a line break, where the answer is typed.
func Question(plan *remedy.Plan, o Options) (question, word string) {
	p := newPage(o, plan.Made)
	word = Word(plan)
	what := "This changes the cluster."
	objects := map[snapshot.Ref]bool{} // one that is cordoned and deleted is one
	for _, a := range plan.Acts {
		objects[a.Target] = true
	}
	if len(plan.Acts) > 1 {
		what = "This changes " + count(len(objects), "object") + "."
	}
	risk := plan.Risk()
	if word != Yes {
		risk = diagnose.RiskDataLoss
	}
	p.para(0, 2, styled(bold, what), text(" "), styled(riskStyle(risk), sentence(riskWords(risk))))
	for _, l := range [][2]string{{"context", plan.Cluster.Context}, {"server", plan.Cluster.Server}} {
		p.para(2, 4, styled(dim, l[0]+": "), text(orUnknown(l[1])))
	}
	if plan.Undoes != "" {
		p.para(2, 4, styled(dim, "takes back run: "), text(plan.Undoes))
	}
	const most = 10
	shown := 0
	for i := 0; i < len(plan.Acts); shown++ {
		if shown == most {
			p.para(2, 4, text("… and "+count(len(plan.Acts)-i, "more object")))
			break
		}
		if n := evictions(plan.Acts[i:]); n > 1 { // together, so that what comes after them is seen
			p.evictions(plan.Acts[i : i+n])
			i += n
			continue
		}
		p.asked(plan.Acts[i], len(plan.Acts) == 1)
		i++
	}
	p.lifted(plan)
	if word == Yes {
		p.para(0, 2, text("Type "), styled(bold, Yes), text(" to do it; anything else changes nothing: "))
	} else {
		thing := "the name of the object, "
		if word == strconv.Itoa(len(plan.Acts)) {
			thing = "the number of objects, "
		}
		p.para(0, 2, text("Data can be lost. Type "+thing), span{text: word, style: bold, whole: true}, text(", to do it; anything else changes nothing: "))
	}
	return strings.TrimSuffix(p.b.String(), "\n") + " ", word
}

// evictions counts the acts at the beginning that evict a pod each.
func evictions(acts []remedy.Act) int {
	n := slices.IndexFunc(acts, func(a remedy.Act) bool { return !slices.Equal(a.Remedies, []remedy.ID{remedy.EvictPod}) })
	if n < 0 {
		return len(acts)
	}
	return n
}

// evictions are the pods in a question that are evicted from a node, as one entry.
func (p *page) evictions(acts []remedy.Act) {
	const most = 10
	var risk diagnose.Risk
	var names, loses []string
	for i, a := range acts {
		if i == 0 {
			risk = a.Risk
		}
		risk = remedy.Worse(risk, a.Risk)
		names = append(names, a.Target.Namespace+"/"+a.Target.Name)
		for _, l := range a.Loses {
			if !slices.Contains(loses, l) {
				loses = append(loses, l)
			}
		}
	}
	p.para(2, 4, styled(bold, count(len(acts), "pod")), text(" on node "+acts[0].Node+" · "), styled(riskStyle(risk), riskWords(risk)))
	p.para(4, 6, text("evict "+some(names, most)))
	for i, l := range loses {
		if i == most {
			p.para(4, 6, styled(red, "lost: "), text(fmt.Sprintf("and %d more, as the plan says", len(loses)-i)))
			break
		}
		p.para(4, 6, styled(red, "lost: "), text(l))
	}
}

// asked is one object in a question: what is done to it, and what is lost.
func (p *page) asked(a remedy.Act, alone bool) {
	object := []span{styled(bold, a.Target.String())}
	if a.Node != "" && a.Target.Kind != snapshot.Node {
		object = append(object, text(" on node "+a.Node))
	}
	if o := owner(a.Owner); o != none {
		object = append(object, text(" · "+o))
	}
	if !alone {
		object = append(object, text(" · "), styled(riskStyle(a.Risk), riskWords(a.Risk)))
	}
	p.para(2, 4, object...)
	for _, s := range a.Steps {
		undo := " (cannot be undone)"
		if s.Undo.Can {
			undo = " (can be undone)"
		}
		p.para(4, 6, text(s.What+undo))
	}
	for _, s := range a.Loses {
		p.para(4, 6, styled(red, "lost: "), text(s))
	}
}

// lifted reminds of the guards that the person lifted.
func (p *page) lifted(plan *remedy.Plan) {
	said := map[string]bool{}
	for _, g := range planVerdicts(plan) {
		if !g.verdict.Lifted {
			continue
		}
		_, head := verdictWords(g.verdict)
		if key := head + "\x00" + g.verdict.Reason; !said[key] {
			said[key] = true
			p.para(2, 4, styled(yellow, head), text(": "+g.verdict.Reason))
		}
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

// sentence makes a clause a sentence.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// Blocked says in one line each why a plan is refused: "refused: at-most-one: …; lifted by --attest "…"". Where it is of several objects, each line tells
// of how many. The lines are clean.
func Blocked(plan *remedy.Plan) []string {
	var keys []string
	about, of := map[string]int{}, map[string]remedy.Verdict{}
	for _, g := range planVerdicts(plan) {
		if !g.verdict.Blocks() {
			continue
		}
		key := g.verdict.Guard + "\x00" + g.verdict.Reason
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
			of[key] = g.verdict
		}
		if g.about != "" {
			about[key]++
		}
	}
	var out []string
	for _, key := range keys {
		v := of[key]
		s := "refused: " + v.Guard
		if n := about[key]; n > 0 && len(plan.Acts) > 1 {
			s += fmt.Sprintf(" (%d of %d)", n, len(plan.Acts))
		}
		s += ": " + strings.TrimSuffix(v.Reason, ".")
		if v.Override != "" {
			s += "; lifted by " + v.Override
		} else {
			s += "; nothing lifts it"
		}
		out = append(out, Clean(s))
	}
	return out
}
