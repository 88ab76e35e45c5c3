package diagnose

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// eventTTL is for how long an API server keeps an event, unless its --event-ttl says otherwise (pkg/controlplane/apiserver/options, EventTTL: 1h).
const eventTTL = time.Hour

// Hearing is what the events tell about a pod.
type Hearing string

// What the events tell about a pod.
const (
	// HearingSpoken is a pod of which events speak that are about what it hangs in now.
	HearingSpoken Hearing = "spoken"
	// HearingSilent is a pod of which nobody reported anything, so lately that it would still be there.
	HearingSilent Hearing = "silent"
	// HearingGone is a pod that is stuck for longer than events are kept: that there are none says nothing.
	HearingGone Hearing = "gone"
	// HearingUnread is a pod whose events could not be read.
	HearingUnread Hearing = "unread"
)

// Hear tells what the events tell about a stuck pod. That there are none is no evidence where they would be gone by now.
func Hear(s *snapshot.Snapshot, p stuck.Pod) Hearing {
	switch {
	case len(Events(s, p)) > 0:
		return HearingSpoken
	case !Heard(s, p.Ref.Namespace):
		return HearingUnread
	case p.For > eventTTL:
		return HearingGone
	default:
		return HearingSilent
	}
}
