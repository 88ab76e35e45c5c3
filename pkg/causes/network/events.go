package network

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The reasons under which kubelet and Multus report that a pod's network could not be set up or taken down.
const (
	reasonCreate    = "FailedCreatePodSandBox"
	reasonKill      = "FailedKillPod"
	reasonNotReady  = "NetworkNotReady"
	reasonNoNetwork = "NoNetworkFound"
)

// told are messages that a cause of its own knows; the causes that stand for "some CNI error" leave them alone.
func told() []string {
	return []string{
		"no IP addresses available in range set", "failed to assign an IP address to container", "no more free affine blocks",
		"Assigned 0 out of 1 requested", "Could not allocate IP in range", "range is full",
		"unauthorized", "dial tcp", "dial unix", "unable to connect to Cilium agent", "failed to find plugin", "/var/lib/calico/nodename",
		"/run/flannel/subnet.env", "multus.sock", "network-attachment-definition", "networkattachmentdefinition",
		"GetCNIConfigFromFile", "/etc/cni/multus/net.d", "unexpected end of JSON input", "invalid character",
		"container veth name provided", "already assigned", "cni plugin not initialized", "cni config uninitialized",
		"cni config not initialized", "cni not initialized", "network plugin is not ready", "resource temporarily unavailable", "failed to create new OS thread",
		"device or resource busy", "sandbox image", "too many open files", "no space left on device",
	}
}

// sandboxEvents cites the events about the pod's sandbox that have one of the texts, the last three of them. An event
// of an attempt that was made good since is no evidence: a pod that has its sandbox is not asked why it has none.
func sandboxEvents(s *snapshot.Snapshot, p stuck.Pod, reasons []string, texts ...diagnose.Text) []diagnose.Evidence {
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
		if !slices.Contains(reasons, e.Reason) {
			continue
		}
		if slices.ContainsFunc(texts, func(t diagnose.Text) bool { return t.Match(e.Message) }) {
			out = append(out, diagnose.EventEvidence(e))
		}
	}
	if len(out) > 3 {
		out = out[len(out)-3:]
	}
	return out
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
	for _, mark := range []string{" desc = ", "failed (add): ", "failed (delete): ", "failed (check): "} {
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
