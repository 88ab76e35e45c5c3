package scope

import (
	"fmt"
	"sort"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Numbers of this tool's own: how many broken nodes with something in common, and how many sound ones without it, it takes to say
// that it is what they have in common and not each of them.
const (
	alikeNodes = 3
	otherNodes = 3
)

// nodeTraits lists what a node shares with others of its kind.
func nodeTraits(f NodeFacts) []trait {
	var out []trait
	for _, t := range []trait{{traitZone, f.Zone}, {traitRuntime, f.Runtime}, {traitKubelet, f.Kubelet}, {traitKernel, f.Kernel}, {traitOSImage, f.OSImage}} {
		if t.name != "" {
			out = append(out, t)
		}
	}
	return out
}

// shareNodes looks for what nodes that were judged broken have in common and sound ones have not: a zone that is cut off, a
// version that was rolled out. Then it is no longer each node's own failure. It takes three broken nodes, all with the trait, hardly a sound one
// with it, and three sound ones without. Several traits can fit equally well; all of them are told, and none is sure then.
func shareNodes(s *snapshot.Snapshot, r *Result) {
	broken := map[string]*Group{}
	for i := range r.Groups {
		if g := &r.Groups[i]; g.Node != "" && g.Reach == ReachNode {
			broken[g.Node] = g
		}
	}
	if len(broken) < alikeNodes {
		return
	}
	// Nodes on which nothing is stuck count as broken too, if the API shows that they are.
	with, total, bad := map[trait]int{}, 0, 0
	hit := map[trait][]string{}
	for _, n := range s.Nodes() {
		f := Facts(s, n.Name)
		ill := broken[n.Name] != nil || f.Broken()
		total++
		if ill {
			bad++
		}
		for _, t := range nodeTraits(f) {
			with[t]++
			if ill {
				hit[t] = append(hit[t], n.Name)
			}
		}
	}
	var fits []trait
	for t, nodes := range hit {
		sound := with[t] - len(nodes)
		if len(nodes) == bad && 4*sound <= len(nodes) && total-with[t] >= otherNodes {
			fits = append(fits, t)
		}
	}
	sort.Slice(fits, func(i, j int) bool {
		if x, y := specificity(fits[i].kind), specificity(fits[j].kind); x != y {
			return x > y
		}
		return fits[i].name < fits[j].name
	})
	for _, t := range fits {
		sh := Shared{Kind: t.kind, Name: t.name, Confidence: Likely, Nodes: hit[t]}
		if len(fits) > 1 {
			sh.Confidence = Possible
		}
		owners := map[string]bool{}
		for _, n := range sh.Nodes {
			if broken[n] == nil {
				continue
			}
			for _, p := range broken[n].Stuck {
				if r.Pods[p.Ref].Reach == ReachNode {
					sh.Pods = append(sh.Pods, p.Ref)
					owners[p.OwnerOrSelf().String()] = true
				}
			}
		}
		sh.Owners = len(owners)
		sh.Why = fmt.Sprintf("%d of the %d nodes with %s %s are broken, and 0 of the %d others", len(sh.Nodes), with[t], t.kind, t.name, total-with[t])
		r.Shared = append(r.Shared, sh)
		for _, n := range sh.Nodes {
			if g := broken[n]; g != nil {
				g.Why = append(g.Why, sh.Why)
			}
		}
	}
	if len(fits) == 0 {
		return
	}
	v := Verdict{Reach: ReachShared, Confidence: Likely, Via: fits[0].kind + " " + fits[0].name}
	if len(fits) > 1 {
		v.Confidence = Possible
	}
	for _, g := range broken {
		for _, p := range g.Stuck {
			if r.Pods[p.Ref].Reach == ReachNode {
				r.Pods[p.Ref] = v
			}
		}
		g.Verdict = v
	}
}
