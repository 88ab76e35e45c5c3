package runtime

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// plegSuspect is what an unhealthy PLEG points to.
type plegSuspect int

const (
	plegRuntime plegSuspect = iota // nothing points elsewhere: the runtime
	plegOnePod                     // one container whose lock nobody gives up
	plegLoad                       // more containers than can be listed in time
)

// Numbers of this tool's own.
const (
	// manyOnNode is how many pods on a node make their number a suspect: the kubelet's default limit is 110 (maxPods).
	manyOnNode = 100
	// flaps is how often a node becomes NotReady within the time that events are kept, when rounds end late rather than never.
	flaps = 3
)

// unhealthyPLEG is the Ready condition of a node whose kubelet says that it could not list its containers in time and nothing worse
// (pkg/kubelet/runtime.go runtimeErrors). That it has not listed any yet is said while it starts.
func unhealthyPLEG(n *corev1.Node) (corev1.NodeCondition, bool) {
	if n == nil {
		return corev1.NodeCondition{}, false
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	if c == nil || c.Status != corev1.ConditionFalse || runtimeDown().Match(c.Message) ||
		!(diagnose.Text{All: []string{"PLEG is not healthy"}, None: []string{"has yet to be successful"}}).Match(c.Message) {
		return corev1.NodeCondition{}, false
	}
	return *c, true
}

// runtimeDown is how a kubelet words in the Ready condition that it gets no answer from its runtime (pkg/kubelet/runtime.go).
func runtimeDown() diagnose.Text {
	return diagnose.Text{Any: []string{
		"container runtime is down", "container runtime status check may not have completed", "container runtime not ready", "runtime is not ready", "container runtime not responding",
	}}
}

// suspectPLEG tells what the rest of the picture says of an unhealthy PLEG, in words too, and cites it.
func suspectPLEG(s *snapshot.Snapshot, g scope.Group, c corev1.NodeCondition) (is plegSuspect, because string, ev []diagnose.Evidence) {
	if n := s.Census().Nodes[g.Node]; n != nil && n.Pods >= manyOnNode {
		return plegLoad, "it has " + count(n.Pods, "pod"), []diagnose.Evidence{{Object: "node " + g.Node, Field: "pods", Value: fmt.Sprint(n.Pods)}}
	}
	var last []diagnose.Evidence
	times := int32(0)
	for _, e := range s.Events(nodeRef(g.Node)) {
		if e.Reason == "NodeNotReady" && e.Last.After(s.Now().Add(-time.Hour)) {
			times += max(e.Count, 1)
			last = []diagnose.Evidence{diagnose.EventEvidence(e)}
		}
	}
	if times >= flaps {
		return plegLoad, "it turned NotReady " + count(int(times), "time") + " within the hour", last
	}
	// One pod with a volume of consequence that hung before the node turned NotReady, and nothing else that waited then.
	before := filter(g, func(p stuck.Pod) bool { return waitsForRuntime(p) && p.Since.Before(c.LastTransitionTime.Time) })
	if len(before) == 1 && remote(before[0].Object) {
		return plegOnePod, before[0].Ref.String() + " has a volume that can hang what looks at it, and hung first", []diagnose.Evidence{{Object: before[0].Ref.String(), Field: "since", Value: scope.Ago(before[0].For) + ", before the node turned NotReady"}}
	}
	return plegRuntime, "", nil
}

// findPLEG speaks for one of the suspects.
func findPLEG(s *snapshot.Snapshot, g scope.Group, suspect plegSuspect) (diagnose.Finding, bool) {
	c, ok := unhealthyPLEG(s.Node(g.Node))
	if !ok {
		return diagnose.Finding{}, false
	}
	is, because, why := suspectPLEG(s, g, c)
	pods := filter(g, waitsForRuntime)
	if is != suspect || len(pods) == 0 && len(g.Stuck) > 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Explains: names(pods), Confidence: diagnose.Likely, Evidence: append([]diagnose.Evidence{diagnose.NodeConditionEvidence(s.Node(g.Node), c)}, why...),
		Decide: "On node {node}: whether crictl ps hangs (the runtime), only crictl inspect of one container does (that container), or all answer slowly (load).",
	}
	f.Message = fmt.Sprintf("The kubelet of node %s cannot list its containers in time (PLEG is not healthy), with %s stuck there", g.Node, count(len(pods), "pod"))
	if because != "" {
		f.Message += ": " + because
	}
	f.Message += "."
	switch suspect {
	case plegLoad:
		f.Alternatives = []string{"runtime-hung", "pleg-unhealthy-one-pod"}
	case plegOnePod:
		f.Alternatives = []string{"runtime-hung", "pleg-unhealthy-load"}
	case plegRuntime:
		f.Alternatives = []string{"pleg-unhealthy-one-pod", "pleg-unhealthy-load"}
	}
	return f, true
}
