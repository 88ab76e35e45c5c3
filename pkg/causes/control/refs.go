package control

import (
	"fmt"
	"sort"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// inGroup is a stuck pod with what is known of its node.
type inGroup struct {
	stuck.Pod
	facts scope.NodeFacts
}

// all lists the stuck pods of every group, in order of namespace and name.
func all(r scope.Result) []inGroup {
	var out []inGroup
	for _, g := range r.Groups {
		for _, p := range g.Stuck {
			if p.Object != nil {
				out = append(out, inGroup{p, g.Facts})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i].Ref, out[j].Ref
		if a.Namespace != b.Namespace {
			return a.Namespace < b.Namespace
		}
		return a.Name < b.Name
	})
	return out
}

// some names the first few pods.
func some(refs []snapshot.Ref) string {
	const most = 3
	var names []string
	for i, r := range refs {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(refs)-most))
			break
		}
		names = append(names, r.Namespace+"/"+r.Name)
	}
	return strings.Join(names, ", ")
}

// count says how many of something there are.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
