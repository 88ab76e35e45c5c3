package stuck

import (
	"strings"
	"time"
)

// State is what a pod hangs in. The values are the words that kubectl and the API use.
type State string

// The states that are told apart.
const (
	Terminating                State = "Terminating"
	ContainerCreating          State = "ContainerCreating"
	PodInitializing            State = "PodInitializing"
	Init                       State = "Init"             // an init container runs, or fails
	ImagePullBackOff           State = "ImagePullBackOff" // and ErrImagePull, InvalidImageName, ErrImageNeverPull, …
	CreateContainerConfigError State = "CreateContainerConfigError"
	CreateContainerError       State = "CreateContainerError"
	RunContainerError          State = "RunContainerError"
	CrashLoopBackOff           State = "CrashLoopBackOff"
	Unschedulable              State = "Unschedulable"
	SchedulingGated            State = "SchedulingGated"
	Pending                    State = "Pending"  // no scheduler, or no kubelet, has taken it up
	NodeLost                   State = "NodeLost" // its node is unreachable and nothing was done about it
	Rejected                   State = "Rejected" // a kubelet refused to run it, and will not try again
)

// States lists them all, in the order in which help shows them.
func States() []State {
	return []State{
		Terminating, ContainerCreating, PodInitializing, Init, ImagePullBackOff, CreateContainerConfigError,
		CreateContainerError, RunContainerError, CrashLoopBackOff, Unschedulable, SchedulingGated, Pending, NodeLost, Rejected,
	}
}

// Starting tells whether a pod in this state is on its way up, rather than down or lost.
func (s State) Starting() bool { return s != Terminating && s != NodeLost }

// DefaultThreshold is how long a pod may be in a state before it counts as stuck. For Terminating it counts from
// metadata.deletionTimestamp, which already includes the grace period.
//
// The values are this tool's own: a healthy kubelet ends a pod within seconds of its grace period, and starts one
// within seconds of the image being there; an init container may rightly run for a while. A pod that starts, and of which something was said
// to fail, is given failingThreshold.
func DefaultThreshold(s State) time.Duration {
	switch s {
	case Terminating:
		return 30 * time.Second
	case CreateContainerConfigError, CreateContainerError, RunContainerError, ImagePullBackOff, Pending, Unschedulable, Rejected:
		return time.Minute
	case ContainerCreating, PodInitializing:
		return 2 * time.Minute
	case CrashLoopBackOff:
		return 5 * time.Minute
	case Init, SchedulingGated:
		return 10 * time.Minute
	default:
		return 0
	}
}

// failingThreshold is how long a pod may be starting after a Warning was said of it: the kubelet has tried again by then.
const failingThreshold = time.Minute

// pullThreshold is how long an image pull that is under way and has not failed may take.
const pullThreshold = 10 * time.Minute

// Stage is how far the deletion of a pod got.
type Stage string

// The stages of a deletion.
const (
	NotDeleting     Stage = ""
	InGrace         Stage = "in grace"         // metadata.deletionTimestamp lies ahead
	KillUnconfirmed Stage = "kill unconfirmed" // the node never said that the containers stopped
	Cleanup         Stage = "cleanup"          // containers are dead; volumes, cgroups or devices are not released
	FinalizersOnly  Stage = "finalizers only"  // the final delete was done; only finalizers hold the object
	NeverScheduled  Stage = "never scheduled"  // no node has it; PodGC removes it
	NodeGone        Stage = "node gone"        // its Node object does not exist; PodGC removes it
)

// stateOf maps the STATUS word of a pod that is not being deleted to a state. ok is false for words that are no
// trouble of ours: Running, Completed, Error and the like.
func stateOf(word string, scheduled bool) (State, bool) {
	word, isInit := strings.CutPrefix(word, "Init:")
	switch word {
	case "ContainerCreating":
		return ContainerCreating, true
	case "PodInitializing":
		return PodInitializing, true
	// pkg/kubelet/images/types.go names these; "RegistryUnavailable" is older.
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
		"RegistryUnavailable", "SignatureValidationFailed":
		return ImagePullBackOff, true
	case "CreateContainerConfigError":
		return CreateContainerConfigError, true
	// pkg/kubelet/container/sync_result.go and kuberuntime: what kubelet says between image and start.
	case "CreateContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError", "CreatePodSandboxError", "ConfigPodSandboxError":
		return CreateContainerError, true
	case "RunContainerError":
		return RunContainerError, true
	case "CrashLoopBackOff":
		return CrashLoopBackOff, true
	case "SchedulingGated":
		return SchedulingGated, true
	case "Unknown", "NodeLost":
		return NodeLost, true
	case "Pending":
		if scheduled {
			return Pending, true
		}
		return Unschedulable, true // refined by the PodScheduled condition
	}
	if isInit {
		return Init, true
	}
	return "", false
}
