package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Text matches a message by its parts. Runtimes wrap and cut messages, so whole ones are never compared.
// Matching ignores case. An empty Text matches everything.
type Text struct {
	All  []string // every one of these
	Any  []string // and at least one of these, where there are any
	None []string // and none of these
}

// Match tells whether the message has the parts.
func (t Text) Match(message string) bool {
	m := strings.ToLower(message)
	has := func(sub string) bool { return strings.Contains(m, strings.ToLower(sub)) }
	for _, sub := range t.All {
		if !has(sub) {
			return false
		}
	}
	if slices.ContainsFunc(t.None, has) {
		return false
	}
	return len(t.Any) == 0 || slices.ContainsFunc(t.Any, has)
}

func (t Text) empty() bool { return len(t.All)+len(t.Any)+len(t.None) == 0 }

// EventMatch recognises an event about the pod.
type EventMatch struct {
	Reasons []string // any of these; none means any reason but those of probes and hooks, which quote the container
	Text
}

// WaitingMatch recognises why a container waits, or why it could not be started. What a container that ran left behind as its own last words
// is matched only where Reasons names how it ended ("Error").
type WaitingMatch struct {
	Reasons []string
	Text
}

// ConditionMatch recognises a condition of a pod or a node.
type ConditionMatch struct {
	Type    string
	Status  corev1.ConditionStatus // empty means any
	Reasons []string
	Text
}

// Signature recognises a cause by what the cluster says. It fires where any one of its matches does.
type Signature struct {
	// States and Stages limit it; none means any.
	States []stuck.State
	Stages []stuck.Stage

	Events         []EventMatch
	Waiting        []WaitingMatch
	PodStatus      []WaitingMatch // status.reason and status.message of the pod
	PodConditions  []ConditionMatch
	NodeConditions []ConditionMatch

	Confidence Confidence
	// Say is the finding's message. {pod}, {node} and {namespace} are filled in.
	Say string
	// OnNode makes the node the subject, so that all the pods it fires for are one finding about the node.
	OnNode bool
	// Alternatives and Decide go into the finding as they are.
	Alternatives []string
	Decide       string
}

// applies tells whether the signature is meant for a pod in this state and stage.
func (g *Signature) applies(p stuck.Pod) bool {
	switch p.Stage {
	case stuck.FinalizersOnly, stuck.NodeGone, stuck.NeverScheduled:
		// Nothing that a node or its runtime said holds such a pod.
		if !slices.Contains(g.Stages, p.Stage) {
			return false
		}
	}
	return (len(g.States) == 0 || slices.Contains(g.States, p.State)) &&
		(len(g.Stages) == 0 || slices.Contains(g.Stages, p.Stage))
}

// match gathers the evidence that the signature finds for one pod; none means that it does not fire.
func (g *Signature) match(s *snapshot.Snapshot, p stuck.Pod) []Evidence {
	if !g.applies(p) {
		return nil
	}
	var out []Evidence
	if len(g.Events) > 0 {
		for _, e := range Events(s, p) {
			for _, m := range g.Events {
				if (len(m.Reasons) > 0 || !OwnWords(e.Reason)) && matches(m.Reasons, m.Text, e.Reason, e.Message) {
					out = append(out, EventEvidence(e))
					break
				}
			}
		}
		out = newest(out, 3)
	}
	out = append(out, g.matchContainers(p)...)
	st := p.Object.Status
	for _, m := range g.PodStatus {
		if (st.Reason != "" || st.Message != "") && matches(m.Reasons, m.Text, st.Reason, st.Message) {
			out = append(out, Evidence{Object: p.Ref.String(), Field: "status.reason", Value: join(st.Reason, st.Message)})
		}
	}
	for _, m := range g.PodConditions {
		for _, c := range st.Conditions {
			if m.match(string(c.Type), c.Status, c.Reason, c.Message) {
				out = append(out, Evidence{Object: p.Ref.String(), Field: fmt.Sprintf("status.conditions[%s]", c.Type), Value: join(string(c.Status), c.Reason, c.Message)})
			}
		}
	}
	if len(g.NodeConditions) > 0 {
		out = append(out, g.matchNode(s, p.Node)...)
	}
	return out
}

func (g *Signature) matchNode(s *snapshot.Snapshot, node string) []Evidence {
	n := s.Node(node)
	if n == nil {
		return nil
	}
	var out []Evidence
	for _, m := range g.NodeConditions {
		for _, c := range n.Status.Conditions {
			if m.match(string(c.Type), c.Status, c.Reason, c.Message) {
				out = append(out, NodeConditionEvidence(n, c))
			}
		}
	}
	return out
}

func (g *Signature) matchContainers(p stuck.Pod) []Evidence {
	if len(g.Waiting) == 0 {
		return nil
	}
	var out []Evidence
	st := &p.Object.Status
	for _, l := range [][]corev1.ContainerStatus{st.InitContainerStatuses, st.ContainerStatuses} {
		for i := range l {
			for _, seen := range []struct {
				field, reason, message string
				ended                  bool
			}{
				{"state.waiting", waiting(l[i]).Reason, waiting(l[i]).Message, false},
				{"state.terminated", terminated(l[i].State).Reason, terminated(l[i].State).Message, true},
				{"lastState.terminated", terminated(l[i].LastTerminationState).Reason, terminated(l[i].LastTerminationState).Message, true},
			} {
				if seen.reason == "" && seen.message == "" {
					continue
				}
				if seen.ended && l[i].State.Running != nil {
					continue // it started since
				}
				for _, m := range g.Waiting {
					if seen.ended && !runtimeSpoke(seen.reason) && !slices.Contains(m.Reasons, seen.reason) {
						continue // the message is the container's own, for which the match does not ask
					}
					if matches(m.Reasons, m.Text, seen.reason, seen.message) {
						out = append(out, Evidence{
							Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].%s", l[i].Name, seen.field),
							Value: join(seen.reason, seen.message),
						})
						break
					}
				}
			}
		}
	}
	return out
}

// runtimeSpoke tells whether the message of an ended container is the runtime's, which could not start it, and not what the container itself
// left behind (pkg/kubelet/kuberuntime: its termination message, or the end of its log).
func runtimeSpoke(reason string) bool {
	return slices.Contains([]string{"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"}, reason)
}

func (m ConditionMatch) match(typ string, status corev1.ConditionStatus, reason, message string) bool {
	// Unlike an event, a condition may be meant by its type and status alone.
	return m.Type == typ && (m.Status == "" || m.Status == status) &&
		(len(m.Reasons) == 0 || slices.Contains(m.Reasons, reason)) && m.Text.Match(message)
}

func matches(reasons []string, t Text, reason, message string) bool {
	if len(reasons) == 0 && t.empty() {
		return false // a match that says nothing would fire on everything
	}
	// What lost its reason on the way, in a copy or an excerpt, goes by its message.
	return (len(reasons) == 0 || slices.Contains(reasons, reason) || reason == "" && !t.empty()) && t.Match(message)
}

func waiting(c corev1.ContainerStatus) corev1.ContainerStateWaiting {
	if c.State.Waiting == nil {
		return corev1.ContainerStateWaiting{}
	}
	return *c.State.Waiting
}

func terminated(s corev1.ContainerState) corev1.ContainerStateTerminated {
	if s.Terminated == nil {
		return corev1.ContainerStateTerminated{}
	}
	return *s.Terminated
}

// EventEvidence cites an event.
func EventEvidence(e snapshot.EventRecord) Evidence {
	return Evidence{Object: "event of " + e.Regarding.String(), Field: e.Reason, Value: e.Message, Count: e.Count, Last: e.Last}
}

// NodeConditionEvidence cites a condition of a node.
func NodeConditionEvidence(n *corev1.Node, c corev1.NodeCondition) Evidence {
	return Evidence{
		Object: "node " + n.Name, Field: fmt.Sprintf("status.conditions[%s]", c.Type),
		Value: join(string(c.Status), c.Reason, c.Message),
	}
}

// newest keeps the last few of a list that is in order of time.
func newest(e []Evidence, n int) []Evidence {
	if len(e) > n {
		return e[len(e)-n:]
	}
	return e
}

func join(parts ...string) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" })
	return strings.Join(parts, ": ")
}

// fill puts the names of the case into a text.
func fill(text string, p stuck.Pod, node string, subject snapshot.Ref) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer("{pod}", p.Ref.Name, "{namespace}", p.Ref.Namespace, "{node}", node, "{subject}", subject.Name).Replace(text)
}

// reachOr is the finding's reach, or the cause's.
func reachOr(r, fallback scope.Reach) scope.Reach {
	if r != "" {
		return r
	}
	return fallback
}
