package source

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// gapLog gathers gaps: the first of each kind, namespace and reason as it is, and how many more there were.
type gapLog struct {
	order []gapKey
	first map[gapKey]snapshot.Gap
	more  map[gapKey]int
}

type gapKey struct {
	kind              snapshot.Kind
	namespace, reason string
	detail            string // of a limit of ours, because each leaves out something else
}

func (l *gapLog) add(g snapshot.Gap) {
	if l.first == nil {
		l.first, l.more = map[gapKey]snapshot.Gap{}, map[gapKey]int{}
	}
	k := gapKey{kind: g.Kind, namespace: g.Namespace, reason: g.Reason}
	if g.Reason == snapshot.ReasonTruncated {
		k.detail = g.Detail
	}
	if _, ok := l.first[k]; ok {
		l.more[k]++
		return
	}
	l.first[k] = g
	l.order = append(l.order, k)
}

func (l *gapLog) list() []snapshot.Gap {
	gaps := make([]snapshot.Gap, 0, len(l.order))
	for _, k := range l.order {
		g := l.first[k]
		if n := l.more[k]; n > 0 {
			g.Detail = fmt.Sprintf("%s (and %d more like it)", g.Detail, n)
		}
		gaps = append(gaps, g)
	}
	return gaps
}
