package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// nodeRef names the pod's node, or the pod where it has none.
func nodeRef(p stuck.Pod) snapshot.Ref {
	if p.Node == "" {
		return p.Ref
	}
	return snapshot.Ref{Kind: snapshot.Node, Name: p.Node}
}
