package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// objects writes what is stuck without a pod to show it, after the pods: what holds several of them is told once.
func (p *page) objects(r *report.Report, o Options) error {
	for _, part := range []struct {
		title string
		state stuck.ObjectState
	}{
		{"Workloads that cannot create their pods", stuck.NoPods},
		{"Namespaces that do not go", stuck.Going},
	} {
		list := slices.DeleteFunc(slices.Clone(r.Objects), func(x report.Object) bool { return x.State != part.state })
		if len(list) == 0 {
			continue
		}
		p.title(part.title)
		for _, b := range objectBlocks(list) {
			if err := p.objectBlock(r, b, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// objectBlocks puts those together that the same finding explains.
func objectBlocks(list []report.Object) [][]report.Object {
	var out [][]report.Object
	at := map[string]int{}
	for _, x := range list {
		k := "unexplained " + string(x.Kind) + " " + x.Namespace + "/" + x.Name
		if len(x.Findings) > 0 {
			k = key(x.Findings[0])
		}
		if i, ok := at[k]; ok {
			out[i] = append(out[i], x)
			continue
		}
		at[k] = len(out)
		out = append(out, []report.Object{x})
	}
	// What holds most comes first, and what nothing explains last.
	slices.SortStableFunc(out, func(a, b []report.Object) int {
		if x, y := len(a[0].Findings) > 0, len(b[0].Findings) > 0; x != y {
			if x {
				return -1
			}
			return 1
		}
		return len(b) - len(a)
	})
	return out
}

func (p *page) objectBlock(r *report.Report, block []report.Object, o Options) error {
	limit, _ := o.limits()
	shown := block
	if limit > 0 && len(shown) > limit {
		shown = shown[:limit]
	}
	cols := []column{{head: "OBJECT", weight: 9}, {head: "CREATED", weight: 7}, {head: forHead, weight: 8}, {head: causeHead, weight: 6}}
	if o.wide() {
		cols = append(cols, column{head: "SINCE", weight: 3}, column{head: "UID", weight: 3})
	}
	for _, x := range shown {
		cause := "unexplained"
		if len(x.Findings) > 0 {
			cause = string(x.Findings[0].Code)
		}
		row := []string{objectName(r, x), created(x), seconds(x.StuckForSeconds), cause}
		if o.wide() {
			row = append(row, p.clock(x.Since), orNone(x.UID))
		}
		for i := range cols {
			cols[i].cells = append(cols[i].cells, row[i])
		}
	}
	if block[0].State == stuck.Going && !o.wide() {
		cols = slices.DeleteFunc(cols, func(c column) bool { return c.head == "CREATED" })
	}
	if err := p.table(2, cols, o.wide()); err != nil {
		return err
	}
	if n := len(block) - len(shown); n > 0 {
		p.para(2, 4, text(fmt.Sprintf("… and %d more: -o wide", n)))
	}
	first := block[0]
	for i, f := range first.Findings {
		if i > 0 && !o.wide() {
			p.para(2, 4, text("also "+string(f.Code)+" "+f.Title), styled(dim, sure(f.Confidence)))
			continue
		}
		p.finding(2, f, o.wide())
	}
	if first.Unexplained != nil {
		p.unexplained(2, first.Unexplained)
	}
	p.command(2, "next: ", first.Next)
	return nil
}

// objectName is how kubectl takes the object: "deploy/cart", with its namespace before it where all were asked for.
func objectName(r *report.Report, x report.Object) string {
	ref := x.Ref()
	name := owner(&ref)
	if x.Namespace == "" || r.Asked.Namespace != "" {
		return name
	}
	return x.Namespace + " " + name
}

// created is how many pods there are of how many.
func created(x report.Object) string {
	if x.State != stuck.NoPods {
		return none
	}
	return fmt.Sprintf("%d of %d", x.Created, x.Wanted)
}

// objectsWords count what is stuck beside pods: "2 workloads without their pods, 1 namespace that does not go".
func objectsWords(r *report.Report) string {
	workloads, namespaces := 0, 0
	for _, x := range r.Objects {
		if x.Kind == snapshot.Namespace {
			namespaces++
		} else {
			workloads++
		}
	}
	var parts []string
	if workloads > 0 {
		parts = append(parts, count(workloads, "workload")+" short of pods that cannot be created")
	}
	switch {
	case namespaces == 1:
		parts = append(parts, "1 namespace that does not go")
	case namespaces > 1:
		parts = append(parts, fmt.Sprintf("%d namespaces that do not go", namespaces))
	}
	return strings.Join(parts, ", ")
}

// objectProblems are the lines of the list at the top.
func objectProblems(r *report.Report) []problem {
	var out []problem
	for _, b := range objectBlocks(r.Objects) {
		x := b[0]
		l := problem{what: x.Ref().String(), cause: best(x.Findings), pods: created(x), n: len(b)}
		if len(x.Findings) > 0 {
			l.reach = string(x.Findings[0].Reach)
		}
		if len(b) > 1 {
			l.what += " and " + count(len(b)-1, "other")
			wanted, there := 0, 0
			for _, y := range b {
				wanted += y.Wanted
				there += y.Created
			}
			if l.pods = none; wanted > 0 {
				l.pods = fmt.Sprintf("%d of %d", there, wanted)
			}
		}
		out = append(out, l)
	}
	return out
}
