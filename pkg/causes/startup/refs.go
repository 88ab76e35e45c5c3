package startup

import (
	"strconv"
	"strings"

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

// minorOf reads the minor version of "v1.35.2"; ok is false for what is no version 1.
func minorOf(version string) (int, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(version, "v"), "1.")
	if !ok {
		return 0, false
	}
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		rest = rest[:i]
	}
	n, err := strconv.Atoi(rest)
	return n, err == nil
}

// kubeletOf is the minor version of a node's kubelet; ok is false where it is not known.
func kubeletOf(s *snapshot.Snapshot, node string) (int, bool) {
	n := s.Node(node)
	if n == nil {
		return 0, false
	}
	return minorOf(n.Status.NodeInfo.KubeletVersion)
}
