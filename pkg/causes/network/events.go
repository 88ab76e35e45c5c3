package network

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The reasons under which kubelet and Multus report that a pod's network could not be set up or taken down.
const (
	reasonCreate    = "FailedCreatePodSandBox"
	reasonKill      = "FailedKillPod"
	reasonNotReady  = "NetworkNotReady"
	reasonNoNetwork = "NoNetworkFound"
	reasonSync      = "FailedSync"
)

// says is the rule of one cause: a message that has its words, and not those of a cause that comes first.
func says(is saying) func(string) bool {
	var texts []diagnose.Text
	for _, v := range vocabulary() {
		if v.is == is {
			texts = v.texts
		}
	}
	return func(message string) bool {
		return slices.ContainsFunc(texts, func(t diagnose.Text) bool { return t.Match(message) }) && sayingOf(message) == is
	}
}

// saysNothingKnown is the rule of the causes that stand for some error of a plugin that no other cause knows.
func saysNothingKnown(message string) bool {
	return anyError().Match(message) && !foreign().Match(message) && sayingOf(message) == sayNothing
}

// sandboxEvents cites the events about the pod's sandbox that match, the last three of them. An event of an attempt that was made good since is
// no evidence: a pod that has its sandbox is not asked why it has none.
func sandboxEvents(s *snapshot.Snapshot, p stuck.Pod, reasons []string, match func(string) bool) []diagnose.Evidence {
	if p.Object == nil {
		return nil
	}
	switch p.State {
	case stuck.Terminating:
		if p.Stage == stuck.FinalizersOnly || p.Stage == stuck.Cleanup {
			return nil
		}
		reasons = slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return r != reasonKill })
	case stuck.ContainerCreating, stuck.PodInitializing, stuck.Init, stuck.Pending:
		if hasSandbox(p.Object) {
			return nil
		}
	default:
		return nil
	}
	if len(reasons) == 0 {
		return nil
	}
	var out []diagnose.Evidence
	for _, e := range diagnose.Events(s, p) {
		if about(e, reasons) && match(e.Message) {
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	return newest(out, 3)
}

// about tells whether an event has one of the reasons. Kubelets before 1.10 put all failures under one, and what lost its reason in an excerpt goes by its
// message.
func about(e snapshot.EventRecord, reasons []string) bool {
	if e.Reason != reasonSync {
		return e.Reason == "" || slices.Contains(reasons, e.Reason)
	}
	return strings.Contains(e.Message, "CreatePodSandbox") && slices.Contains(reasons, reasonCreate) ||
		strings.Contains(e.Message, "KillPodSandbox") && slices.Contains(reasons, reasonKill)
}

// newest keeps the last few of a list that is in order of time.
func newest(ev []diagnose.Evidence, n int) []diagnose.Evidence {
	if len(ev) > n {
		return ev[len(ev)-n:]
	}
	return ev
}

// heard is what the stuck pods of one node say of its network.
type heard struct {
	node string
	pods []snapshot.Ref
	ev   []diagnose.Evidence // the newest word of each of up to three pods
	// starting and ending count the pods by what they wait for.
	starting, ending int
}

// subject is the node, or the pod where it has none.
func (h heard) subject() snapshot.Ref {
	if h.node == "" {
		return h.pods[0]
	}
	return snapshot.Ref{Kind: snapshot.Node, Name: h.node}
}

// calls says which calls of the plugin fail.
func (h heard) calls() string {
	switch {
	case h.ending == 0:
		return "set up pods' networks"
	case h.starting == 0:
		return "take down pods' networks"
	}
	return "set up or take down pods' networks"
}

// hearing lists by node the stuck pods whose events about their sandbox match, in the order of the groups.
func hearing(s *snapshot.Snapshot, r scope.Result, match func(string) bool) []heard {
	var out []heard
	for _, g := range r.Groups {
		h := heard{node: g.Node}
		for _, p := range g.Stuck {
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonKill}, match)
			if len(ev) == 0 {
				continue
			}
			h.pods = append(h.pods, p.Ref)
			if len(h.ev) < 3 {
				h.ev = append(h.ev, ev[len(ev)-1])
			}
			if p.State == stuck.Terminating {
				h.ending++
			} else {
				h.starting++
			}
		}
		if len(h.pods) > 0 {
			out = append(out, h)
		}
	}
	return out
}

// spread says on how many nodes it is heard, with a space before it; empty where there is but one node, or nobody knows how many there are.
func spread(all []heard, nodes int) string {
	switch {
	case nodes < 2 || nodes < len(all):
		return ""
	case len(all) == nodes:
		return fmt.Sprintf(" All %d nodes say so.", nodes)
	case len(all) == 1:
		return fmt.Sprintf(" Of %d nodes only this one says so.", nodes)
	}
	return fmt.Sprintf(" Of %d nodes, %d say so.", nodes, len(all))
}

// hasSandbox tells whether the pod's sandbox and network are there: by the condition that kubelet sets since 1.28, else because a container runs.
func hasSandbox(p *corev1.Pod) bool {
	if c := snapshot.PodCondition(p, corev1.PodReadyToStartContainers); c != nil {
		return c.Status == corev1.ConditionTrue
	}
	for _, l := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range l {
			if l[i].State.Running != nil {
				return true
			}
		}
	}
	return false
}

// nodeRef names the pod's node, or the pod where it has none.
func nodeRef(p stuck.Pod) snapshot.Ref {
	if p.Node == "" {
		return p.Ref
	}
	return snapshot.Ref{Kind: snapshot.Node, Name: p.Node}
}

// pluginOf is the CNI plugin that a message names; empty where it names none.
func pluginOf(message string) string {
	for _, mark := range []string{`plugin type="`, `plugin type=\"`} {
		_, rest, ok := strings.Cut(message, mark)
		if !ok {
			continue
		}
		if end := strings.IndexAny(rest, `"\`); end > 0 {
			return rest[:end]
		}
	}
	return ""
}

// quote is the end of a message, where the innermost error stands, short enough to be read.
func quote(message string) string {
	message = strings.Join(strings.Fields(strings.ReplaceAll(message, `\"`, `"`)), " ")
	for _, mark := range []string{" desc = ", "failed (add): ", "failed (delete): ", "failed (check): ", `" network: `} {
		if i := strings.LastIndex(message, mark); i >= 0 {
			message = message[i+len(mark):]
		}
	}
	message = strings.TrimRight(message, `".`)
	const most = 200
	r := []rune(message)
	if len(r) <= most {
		return string(r)
	}
	return "…" + string(r[len(r)-most:])
}

// last is the newest evidence's value.
func last(ev []diagnose.Evidence) string {
	if len(ev) == 0 {
		return ""
	}
	return ev[len(ev)-1].Value
}
