package render

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// gone says of how many stuck pods the events are gone, so that nobody takes their absence for evidence.
func (p *page) gone(r *report.Report) {
	n, all := 0, 0
	for _, g := range r.Groups {
		for _, pod := range g.Pods {
			if all++; pod.Events == diagnose.HearingGone {
				n++
			}
		}
	}
	if n == 0 {
		return
	}
	of := fmt.Sprintf("of %d of the %s", n, count(all, "stuck pod"))
	switch {
	case all == 1:
		of = "of this pod"
	case n == all:
		of = "of all " + count(all, "stuck pod")
	}
	p.blank()
	p.para(0, 2, styled(yellow, "events are gone"), text(" "+of+": API servers keep them for about an hour. The answer rests on status, stage, conditions, node, lease, volumes and owners."))
}

// hearing words what the events tell about a pod, where that is less than one would think.
func hearing(h diagnose.Hearing) string {
	switch h {
	case diagnose.HearingGone:
		return "gone: it hangs for longer than API servers keep them (about an hour), so that there are none says nothing"
	case diagnose.HearingSilent:
		return "none: nobody reported anything about what it hangs in"
	case diagnose.HearingUnread:
		return "could not be read"
	default:
		return ""
	}
}
