package diagnose

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Numbers of this tool's own.
const (
	// eventSlack is how long before a pod got stuck an event may lie and still be about it: events carry the clock of the node, and what
	// a pod hangs in now may have begun before it counted as stuck.
	eventSlack = 5 * time.Minute
	// eventFresh is how old the newest word on a failure may be before something else may hold the pod by now. Kubelet tries everything
	// again within minutes, and lets through one event in five minutes of a pod that it has much to say about
	// (client-go/tools/record EventSourceObjectSpamFilter).
	eventFresh = 15 * time.Minute
)

// Events lists the events about a stuck pod that speak of what it hangs in now, oldest first. Left out are those of an earlier time (before
// its deletion was asked for, or before its state began), those of a predecessor of the same name where UIDs cannot tell, and failures
// to get a sandbox or a volume from before the kubelet went on to the images, because they were made good.
func Events(s *snapshot.Snapshot, p stuck.Pod) []snapshot.EventRecord {
	all := s.Events(p.Ref)
	if p.Object == nil {
		return all
	}
	from := beginning(p)
	var wentOn time.Time
	if p.State != stuck.Terminating {
		for _, e := range all {
			if slices.Contains([]string{"Pulling", "Pulled", "Created", "Started"}, e.Reason) && e.Last.After(wentOn) {
				wentOn = e.Last
			}
		}
	}
	var out []snapshot.EventRecord
	for _, e := range all {
		switch {
		case e.Last.IsZero(): // when is not known
		case e.Last.Before(from):
			continue
		case (e.Regarding.UID == "" || p.Ref.UID == "") && e.Last.Before(p.Object.CreationTimestamp.Time):
			continue
		case e.Last.Before(wentOn) && beforeImages(e.Reason):
			continue
		}
		out = append(out, e)
	}
	return out
}

// beginning is when what the pod hangs in may have begun; zero where that is not known.
func beginning(p stuck.Pod) time.Time {
	switch {
	case p.State == stuck.NodeLost || p.Since.IsZero():
		return time.Time{}
	case p.State != stuck.Terminating || p.Object.DeletionTimestamp == nil:
		return p.Since.Add(-eventSlack)
	}
	grace := int64(30) // core/v1 DefaultTerminationGracePeriodSeconds
	if g := p.Object.Spec.TerminationGracePeriodSeconds; g != nil {
		grace = *g
	}
	if g := p.Object.DeletionGracePeriodSeconds; g != nil {
		grace = max(grace, *g)
	}
	return p.Object.DeletionTimestamp.Add(-time.Duration(grace)*time.Second - eventSlack)
}

// beforeImages tells whether kubelet does what the event is about before it looks for a pod's images (pkg/kubelet SyncPod: volumes first,
// then devices and the sandbox).
func beforeImages(reason string) bool {
	return slices.Contains([]string{
		"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedPrepareDynamicResources", "NetworkNotReady", "NoNetworkFound",
		"FailedCreatePodSandBox",
	}, reason)
}

// OwnWords tells whether an event with this reason quotes what a container itself said, in a probe or a hook (pkg/kubelet/events). It may say anything
// there, and is no witness of its node.
func OwnWords(reason string) bool {
	return slices.Contains([]string{"Unhealthy", "ProbeWarning", "FailedPostStartHook", "FailedPreStopHook"}, reason)
}

// Heard tells whether the events of a namespace could be read, so that silence about a pod means that nothing was said.
func Heard(s *snapshot.Snapshot, namespace string) bool {
	return s.Complete(snapshot.Event, namespace) || !slices.ContainsFunc(s.Gaps(), func(g snapshot.Gap) bool {
		return g.Kind == snapshot.Event && (g.Namespace == "" || g.Namespace == namespace)
	})
}

// Fresh is the confidence that evidence deserves which leaves no doubt when it is new: where all of it is events, and the newest is old, it is
// likely at best.
func Fresh(s *snapshot.Snapshot, c Confidence, evidence []Evidence) Confidence {
	if c != Certain || len(evidence) == 0 {
		return c
	}
	for _, e := range evidence {
		if e.Count == 0 || s.Now().Sub(e.Last) <= eventFresh {
			return c
		}
	}
	return Likely
}

// Said cites the last events about the pod that have one of the reasons and match. With no reasons, any counts but those that quote the
// container itself.
func Said(s *snapshot.Snapshot, p stuck.Pod, t Text, reasons ...string) []Evidence {
	var out []Evidence
	for _, e := range Events(s, p) {
		if (len(reasons) == 0 && !OwnWords(e.Reason) || slices.Contains(reasons, e.Reason) || e.Reason == "" && !t.empty()) && t.Match(e.Message) {
			out = append(out, EventEvidence(e))
		}
	}
	return newest(out, 2)
}

// Silent tells whether nobody complained about what the pod hangs in. What the scheduler says is over once it has a node. Where events could not
// be read, nobody knows.
func Silent(s *snapshot.Snapshot, p stuck.Pod) bool {
	return Heard(s, p.Ref.Namespace) && !slices.ContainsFunc(Events(s, p), func(e snapshot.EventRecord) bool {
		return e.Type == corev1.EventTypeWarning && e.Reason != "FailedScheduling"
	})
}
