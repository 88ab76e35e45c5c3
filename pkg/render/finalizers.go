package render

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// holders says of each finalizer of a pod that is being deleted who has to remove it.
func (p *page) holders(owners []report.FinalizerOwner) {
	if len(owners) == 0 {
		return
	}
	p.title("Who holds it")
	for i, o := range owners {
		if i > 0 {
			p.blank()
		}
		p.para(2, 4, styled(dim, "finalizer: "), text(o.Finalizer))
		who := o.Owner
		if who == "" {
			who = "not known"
		}
		p.para(4, 6, styled(dim, "owner: "), text(who+found(o.How)))
		if o.Controller != nil {
			p.para(4, 6, styled(dim, "runs as: "), text(o.Controller.String()))
		}
		p.para(4, 6, styled(dim, "is it alive: "), styled(aliveStyle(o.Alive), aliveWords(o.Alive)+sure(o.Confidence)), text(because(o.Why)))
		for _, l := range [][2]string{{"it has still to ", o.Todo}, {"if the finalizer is removed before: ", o.Leaks}, {"to decide: ", o.Decide}, {"documented at ", o.Ref}} {
			if l[1] != "" {
				p.para(4, 6, styled(dim, l[0]), text(l[1]))
			}
		}
	}
}

// found says how an owner was found, where it is not simply known.
func found(how string) string {
	switch how {
	case finalizer.ByGroup:
		return " (by the CustomResourceDefinitions that are installed)"
	case finalizer.ByWriter:
		return " (it wrote the finalizer)"
	case finalizer.ByName:
		return " (a controller is called like it)"
	default:
		return ""
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func aliveWords(a finalizer.Alive) string {
	switch a {
	case finalizer.Lives:
		return "yes"
	case finalizer.Slow:
		return "yes, and it has not removed it"
	case finalizer.Gone:
		return "no"
	default:
		return "not known"
	}
}

func aliveStyle(a finalizer.Alive) style {
	switch a {
	case finalizer.Gone:
		return red
	case finalizer.Slow, finalizer.Unknown:
		return yellow
	default:
		return green
	}
}
