package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// problem is one line of the list at the top: something that is wrong, and how many pods hang through it.
type problem struct {
	what  string
	reach string
	pods  string
	cause string
	n     int // pods, to put the largest first
}

// mostProblems is how many lines the list has; the blocks below it tell the rest.
const mostProblems = 12

// problems lists what is wrong, a line each, so that the first screen is enough to know where to begin. A report with one
// block needs no list.
func (p *page) problems(r *report.Report, o Options) error {
	list := append(problemsOf(r), objectProblems(r)...)
	if len(list) < 2 {
		return nil
	}
	left := 0
	if !o.wide() && len(list) > mostProblems {
		left = len(list) - mostProblems
		list = list[:mostProblems]
	}
	cols := []column{{head: "WHAT", weight: 9}, {head: "REACH", weight: 7}, {head: "PODS", weight: 8}, {head: causeHead, weight: 6, min: 16}}
	for _, l := range list {
		for i, cell := range []string{l.what, l.reach, l.pods, l.cause} {
			cols[i].cells = append(cols[i].cells, orNone(cell))
		}
	}
	p.blank()
	if err := p.table(0, cols, o.wide()); err != nil {
		return err
	}
	if left > 0 {
		p.para(0, 2, text(fmt.Sprintf("… and %s: see below, or -o wide", count(left, "more problem"))))
	}
	return nil
}

// problemsOf gathers the list: what is shared and the nodes, those with most pods first, then pods with a reason of their own,
// those of one cause and subject together.
func problemsOf(r *report.Report) []problem {
	var wide, own []problem
	told := map[snapshot.Ref]bool{}
	pods := podsOf(r)
	for _, s := range r.Shared {
		if s.Confidence == scope.Possible {
			continue
		}
		for _, ref := range s.Pods {
			told[bare(ref)] = true
		}
		wide = append(wide, problem{
			what: s.Kind + " " + s.Name, reach: string(scope.ReachShared), n: len(s.Pods),
			pods: fmt.Sprintf("%d on %s", len(s.Pods), count(len(s.Nodes), "node")), cause: best(pods.shared(s)),
		})
	}
	at := map[string]int{}
	n := map[string]int{}
	alike := map[string]*alikeNodes{}
	for _, g := range r.Groups {
		if g.Node != "" && g.Reach != scope.ReachPod && g.Reach != scope.ReachShared {
			var those []report.Pod
			for _, pod := range g.Pods {
				if pod.Reach == g.Reach && !told[podRef(pod)] {
					told[podRef(pod)] = true
					those = append(those, pod)
				}
			}
			if here := len(those); here > 0 {
				cause := commonest(those)
				k := string(g.Reach) + string(g.Confidence) + cause
				if a := alike[k]; a != nil && len(r.Groups) > few {
					a.add(wide, g, here)
				} else {
					alike[k] = &alikeNodes{line: len(wide), name: g.Node}
					alike[k].add(nil, g, here)
					wide = append(wide, problem{
						what: "node " + g.Node, reach: string(g.Reach), pods: fmt.Sprintf("%d of %d", here, max(g.Total, here)), cause: cause, n: here,
					})
				}
			}
		}
		for _, pod := range g.Pods {
			if told[podRef(pod)] {
				continue
			}
			told[podRef(pod)] = true
			k, cause := "unexplained "+pod.Namespace+"/"+pod.Name, "unexplained"
			if len(pod.Findings) > 0 {
				f := pod.Findings[0]
				k, cause = key(f), string(f.Code)+" "+f.Title
				if f.Subject.Kind == snapshot.Pod {
					k = string(f.Code)
				}
			}
			reach := string(pod.Reach)
			if n[k]++; n[k] == 1 {
				at[k] = len(own)
				own = append(own, problem{what: "pod " + pod.Namespace + "/" + pod.Name, reach: reach, pods: "1", cause: cause})
				continue
			}
			own[at[k]].pods, own[at[k]].n = fmt.Sprintf("%d such", n[k]), n[k]
		}
	}
	slices.SortStableFunc(wide, func(a, b problem) int { return b.n - a.n })
	slices.SortStableFunc(own, func(a, b problem) int { return b.n - a.n })
	return append(wide, own...)
}

// alikeNodes are nodes with the same verdict and cause: one line for all of them.
type alikeNodes struct {
	line                int // in the list
	name                string
	nodes, stuck, total int
}

func (a *alikeNodes) add(list []problem, g report.Group, here int) {
	a.nodes++
	a.stuck += here
	a.total += max(g.Total, here)
	if a.nodes > 1 {
		list[a.line].what = fmt.Sprintf("node %s and %s", a.name, count(a.nodes-1, "other"))
		list[a.line].n = a.stuck
		list[a.line].pods = fmt.Sprintf("%d of %d", a.stuck, a.total)
	}
}

// commonest is what explains most of the pods best.
func commonest(pods []report.Pod) string {
	n, top := map[string]int{}, "unexplained"
	for _, pod := range pods {
		c := best(pod.Findings)
		if n[c]++; n[c] > n[top] || top == "unexplained" && c != top && n[c] == n[top] {
			top = c
		}
	}
	return top
}

// best is the finding that stands for the problem.
func best(fs []report.Finding) string {
	if len(fs) == 0 {
		return "unexplained"
	}
	return string(fs[0].Code) + " " + fs[0].Title
}

// reported are the pods of a report's groups, in order, and where each of them is.
type reported struct {
	findings [][]report.Finding
	at       map[snapshot.Ref]int
}

func podsOf(r *report.Report) reported {
	all := reported{at: map[snapshot.Ref]int{}}
	for _, g := range r.Groups {
		for _, pod := range g.Pods {
			all.at[podRef(pod)] = len(all.findings)
			all.findings = append(all.findings, pod.Findings)
		}
	}
	return all
}

// shared are the findings about what is shared: those of its name, else the best of its pods.
func (all reported) shared(s report.Shared) []report.Finding {
	var at []int
	for _, ref := range s.Pods {
		if i, ok := all.at[bare(ref)]; ok {
			at = append(at, i)
		}
	}
	slices.Sort(at)
	var about, others []report.Finding
	seen := map[string]bool{}
	for _, i := range at {
		for _, f := range all.findings[i] {
			k := key(f)
			if seen[k] {
				continue
			}
			seen[k] = true
			if isAbout(f, s) {
				about = append(about, f)
			} else {
				others = append(others, f)
			}
		}
	}
	if len(about) > 0 {
		return about
	}
	return others
}

// isAbout tells whether the finding's subject is what is shared: scope names objects "namespace/name".
func isAbout(f report.Finding, s report.Shared) bool {
	name := f.Subject.Name
	if f.Subject.Namespace != "" {
		name = f.Subject.Namespace + "/" + name
	}
	return name == s.Name || strings.HasSuffix(s.Name, " "+name) // "NFS files.example.com"
}

func podRef(p report.Pod) snapshot.Ref {
	return snapshot.Ref{Kind: snapshot.Pod, Namespace: p.Namespace, Name: p.Name}
}

// bare leaves the UID out, to compare by name.
func bare(r snapshot.Ref) snapshot.Ref {
	r.UID = ""
	return r
}
