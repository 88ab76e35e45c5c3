package snapshot

import (
	"maps"
	"slices"
	"sort"
)

// Coverage is what a snapshot knows beyond its objects: of what it has all, and what does not exist. With the objects it
// decides every answer of Has, Complete and PodsOnNode, so a dump that records it reads back as the same snapshot.
type Coverage struct {
	// Complete lists the namespaces that were read in full, by kind; "" stands for all of them, and for cluster-scoped kinds.
	Complete map[Kind][]string `json:"complete,omitempty"`
	// Absent lists the objects that were asked for and do not exist, by kind, namespace and name.
	Absent []Ref `json:"absent,omitempty"`
	// Nodes lists the nodes of which every pod was read.
	Nodes []string `json:"nodes,omitempty"`
}

// Coverage returns it; the caller may change the result.
func (s *Snapshot) Coverage() Coverage {
	c := Coverage{Complete: map[Kind][]string{}, Nodes: slices.Sorted(maps.Keys(s.d.fullNode))}
	for k, spaces := range s.d.complete {
		c.Complete[k] = slices.Sorted(maps.Keys(spaces))
	}
	for k, keys := range s.d.absent {
		for n := range keys {
			c.Absent = append(c.Absent, Ref{Kind: k, Namespace: n.namespace, Name: n.name})
		}
	}
	sort.Slice(c.Absent, func(i, j int) bool {
		a, b := c.Absent[i], c.Absent[j]
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		if a.Namespace != b.Namespace {
			return a.Namespace < b.Namespace
		}
		return a.Name < b.Name
	})
	return c
}

// Apply records the coverage in a builder.
func (c Coverage) Apply(b *Builder) {
	for k, spaces := range c.Complete {
		for _, ns := range spaces {
			b.SetComplete(k, ns)
		}
	}
	for _, r := range c.Absent {
		b.SetAbsent(r.Kind, r.Namespace, r.Name)
	}
	for _, n := range c.Nodes {
		b.SetNodeComplete(n)
	}
}
