package fault

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Call names what a rule applies to: a CRI call by its own name, or one of the
// node's other doings below.
type Call string

// The calls that rules are usually written for. Any other CRI call may be named
// too.
const (
	// Every is every CRI call, but none of the mounts.
	Every Call = "*"

	RunPodSandbox    Call = "RunPodSandbox"
	StopPodSandbox   Call = "StopPodSandbox"
	RemovePodSandbox Call = "RemovePodSandbox"
	ListPodSandbox   Call = "ListPodSandbox"
	PodSandboxStatus Call = "PodSandboxStatus"
	CreateContainer  Call = "CreateContainer"
	StartContainer   Call = "StartContainer"
	StopContainer    Call = "StopContainer"
	RemoveContainer  Call = "RemoveContainer"
	ListContainers   Call = "ListContainers"
	ContainerStatus  Call = "ContainerStatus"
	ExecSync         Call = "ExecSync"
	Status           Call = "Status"
	Version          Call = "Version"
	PullImage        Call = "PullImage"
	ImageStatus      Call = "ImageStatus"

	// Mount and Unmount are the kubelet's own mounts (NFS and the like),
	// matched by Match.Source.
	Mount   Call = "Mount"
	Unmount Call = "Unmount"

	// NodePublishVolume and NodeUnpublishVolume are the CSI driver's, with the
	// volume handle as Match.Source.
	NodePublishVolume   Call = "NodePublishVolume"
	NodeUnpublishVolume Call = "NodeUnpublishVolume"
)

// Action is what a rule does to a call.
type Action string

const (
	// Hang keeps the call from returning until the rule is removed or the
	// caller gives up.
	Hang Action = "hang"
	// Fail answers with Code and Message.
	Fail Action = "fail"
	// Delay lets the call happen after Rule.Delay.
	Delay Action = "delay"
)

// Rule is one thing that goes wrong. The first rule that matches a call
// decides.
type Rule struct {
	// ID names the rule, to remove it; given by the Set when empty.
	ID     string `json:"id,omitempty"`
	Call   Call   `json:"call"`
	Match  Match  `json:"match,omitzero"`
	Action Action `json:"action"`
	// Delay is the waiting time of Delay; with Fail it passes before the answer.
	Delay time.Duration `json:"delay,omitempty"`
	// Code is the gRPC code of a Fail; Unknown, as runtimes mostly answer, when
	// zero.
	Code codes.Code `json:"code,omitempty"`
	// Message is the text of a Fail. {namespace}, {pod}, {container}, {image},
	// {id} (of the sandbox or container) and {source} are replaced.
	Message string `json:"message,omitempty"`
	// Times ends the rule after so many calls; zero is for ever.
	Times int `json:"times,omitempty"`
}

// Match restricts a rule. Empty fields match all; the others are glob patterns
// as of path.Match, in which * does not cross a slash, or match as a prefix
// when they end in "**".
type Match struct {
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	Image     string `json:"image,omitempty"`
	Source    string `json:"source,omitempty"`
}

// Subject is what a call is about, as far as it is known.
type Subject struct {
	Namespace, Pod, Container, Image, Source, ID string
}

func (r Rule) validate() error {
	var errs []error
	if r.Call == "" {
		errs = append(errs, errors.New("no call is named"))
	}
	switch r.Action {
	case Hang, Fail:
	case Delay:
		if r.Delay <= 0 {
			errs = append(errs, errors.New("a delay needs a duration"))
		}
	default:
		errs = append(errs, fmt.Errorf("unknown action %q", r.Action))
	}
	for _, pattern := range []string{r.Match.Namespace, r.Match.Pod, r.Match.Container, r.Match.Image, r.Match.Source} {
		if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("pattern %q: %w", pattern, err))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("fault rule for %s: %w", r.Call, errors.Join(errs...))
	}
	return nil
}

func (r Rule) matches(call Call, about Subject) bool {
	if r.Call != call && (r.Call != Every || isMount(call)) {
		return false
	}
	return glob(r.Match.Namespace, about.Namespace) &&
		glob(r.Match.Pod, about.Pod) &&
		glob(r.Match.Container, about.Container) &&
		glob(r.Match.Image, about.Image) &&
		glob(r.Match.Source, about.Source)
}

func isMount(call Call) bool {
	switch call {
	case Mount, Unmount, NodePublishVolume, NodeUnpublishVolume:
		return true
	}
	return false
}

func glob(pattern, value string) bool {
	if pattern == "" {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "**"); ok {
		return strings.HasPrefix(value, prefix)
	}
	// A bad pattern was refused by validate.
	ok, err := path.Match(pattern, value)
	return err == nil && ok
}

func (r Rule) text(about Subject) string {
	return strings.NewReplacer(
		"{namespace}", about.Namespace,
		"{pod}", about.Pod,
		"{container}", about.Container,
		"{image}", about.Image,
		"{id}", about.ID,
		"{source}", about.Source,
	).Replace(r.Message)
}

// Condition is what the runtime says of itself in its Status call.
type Condition struct {
	// Type is RuntimeReady or NetworkReady.
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// NetworkLost is the condition of a containerd that has lost its CNI
// configuration.
func NetworkLost() Condition {
	return Condition{
		Type:    "NetworkReady",
		Reason:  "NetworkPluginNotReady",
		Message: "Network plugin returns error: cni plugin not initialized",
	}
}
