package remedy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Mark is something that was seen of a probe.
type Mark string

// The marks, in the order in which they come.
const (
	MarkSent     Mark = "sent"          // its creation is about to be sent
	MarkCreated  Mark = "created"       // the API server took it
	MarkBound    Mark = "bound"         // the scheduler gave it its node
	MarkTaken    Mark = "taken"         // its kubelet took it up
	MarkSandbox  Mark = "sandbox"       // its sandbox is there, with its network, and its volumes before that
	MarkImage    Mark = "image"         // its image is there
	MarkStarted  Mark = "started"       // its container runs, or ran
	MarkLog      Mark = "log"           // its log was read
	MarkNoLog    Mark = "no log"        // its log could not be read
	MarkUnasked  Mark = "log not asked" // its log may not be read, by whoever runs this
	MarkVanished Mark = "vanished"      // it is gone, and was not deleted by us
	MarkEnd      Mark = "end"           // nothing more is waited for: its deletion is about to be sent
	MarkGone     Mark = "gone"          // it is gone
	MarkKept     Mark = "kept"          // it was not gone when that was not waited for any more
)

// Moment is when a mark was seen first, by one clock. Text is what was said about it.
type Moment struct {
	Mark Mark
	Time time.Time
	Text string
}

// Marks tells what shows of a probe in the pod and in the events about it. Events show more than the pod does: a kubelet writes the state of a new pod when it
// took it up, and again when its container runs (pkg/kubelet SyncPod).
func Marks(pod *corev1.Pod, events []corev1.Event) []Mark {
	var out []Mark
	if pod == nil {
		return out
	}
	add := func(m Mark, seen bool) {
		if seen {
			out = append(out, m)
		}
	}
	reasons := map[string]bool{}
	for i := range events {
		reasons[events[i].Reason] = true
	}
	started, pulled, waits := false, false, ""
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != ProbeContainer {
			continue
		}
		switch {
		case c.State.Running != nil:
			started = true
		case c.State.Terminated != nil:
			started = !c.State.Terminated.StartedAt.IsZero() && !unstartable(c.State.Terminated.Reason)
			pulled = true
		case c.State.Waiting != nil:
			waits = c.State.Waiting.Reason
		}
		pulled = pulled || c.ImageID != ""
	}
	started = started || reasons["Started"]
	pulled = pulled || started || reasons["Pulled"] || reasons["Created"]
	sandbox := pulled || reasons["Pulling"] || condition(pod, corev1.PodReadyToStartContainers) == corev1.ConditionTrue ||
		slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}, waits)
	add(MarkBound, pod.Spec.NodeName != "")
	add(MarkTaken, pod.Spec.NodeName != "" && (pod.Status.StartTime != nil || len(pod.Status.ContainerStatuses) > 0 || sandbox))
	add(MarkSandbox, sandbox)
	add(MarkImage, pulled)
	add(MarkStarted, started)
	return out
}

// unstartable tells of the reason of a container's end that it never ran: "StartError" is what containerd says, "ContainerCannotRun" what Docker did.
func unstartable(reason string) bool { return reason == "StartError" || reason == "ContainerCannotRun" }

func condition(pod *corev1.Pod, t corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range pod.Status.Conditions {
		if c.Type == t {
			return c.Status
		}
	}
	return ""
}

// ProbeOver tells that a probe will not come further by itself, and why: its kubelet rejected it, its container ended without having run, its image cannot be
// pulled. A pull that failed is tried again once before it is called so (ImagePullBackOff).
func ProbeOver(pod *corev1.Pod) (why string, over bool) {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != ProbeContainer {
			continue
		}
		switch w, t := c.State.Waiting, c.State.Terminated; {
		case w != nil && slices.Contains([]string{"InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerConfigError"}, w.Reason):
			return said(w.Reason, w.Message), true
		case t != nil && unstartable(t.Reason):
			return said(t.Reason, t.Message), true
		}
	}
	if snapshot.IsTerminal(pod) {
		return said(cmp.Or(pod.Status.Reason, string(pod.Status.Phase)), pod.Status.Message), true
	}
	return "", false
}

// said is a reason with its message.
func said(reason, message string) string {
	reason, message = strings.TrimSpace(reason), strings.TrimSpace(message)
	switch {
	case message == "":
		return reason
	case reason == "":
		return message
	default:
		return reason + ": " + message
	}
}

// stageOf are the stages that events of a pod speak of, by their reasons (pkg/kubelet/events, pkg/scheduler, attach/detach controller). NetworkNotReady is said
// before volumes are mounted, and keeps the sandbox from being made.
func stageOf(e *corev1.Event) Stage {
	switch e.Reason {
	case "FailedScheduling":
		return StageSchedule
	case "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedMountOnFilesystemMismatch", "VolumeResizeFailed":
		return StageVolume
	case "FailedCreatePodSandBox", "FailedPodSandBoxStatus", "NetworkNotReady", "FailedCreatePodContainer", "SandboxChanged", "FailedInPlacePodVerticalScaling":
		return StageSandbox
	case "InspectFailed", "ErrImageNeverPull", "FailedToRetrieveImagePullSecret":
		return StageImage
	case "FailedKillPod", "ExceededGracePeriod", "FailedPreStopHook":
		return StageDelete
	case "Failed", "BackOff":
		for _, word := range []string{"pull", "ErrImage", "ImagePull", "InvalidImageName", "ErrImageNeverPull"} {
			if strings.Contains(e.Message, word) {
				return StageImage
			}
		}
		return StageStart
	case "FailedPostStartHook", "CreateContainerError":
		return StageStart
	}
	return ""
}

func eventTime(e *corev1.Event) time.Time {
	latest := e.EventTime.Time
	times := []time.Time{e.LastTimestamp.Time, e.FirstTimestamp.Time}
	if e.Series != nil {
		times = append(times, e.Series.LastObservedTime.Time)
	}
	for _, t := range times {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// warnings are the last words of the events about each stage; those that belong to none are under "".
func warnings(events []corev1.Event) map[Stage]string {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b corev1.Event) int { return eventTime(&a).Compare(eventTime(&b)) })
	out := map[Stage]string{}
	for i := range sorted {
		e := &sorted[i]
		stage := stageOf(e)
		// "Back-off pulling image" and "Error: ErrImagePull" say less than what was said with them.
		word, short := strings.CutPrefix(e.Message, "Error: ")
		if short = short && !strings.Contains(word, " "); (e.Reason == "BackOff" || short) && out[stage] != "" {
			continue
		}
		if e.Type != corev1.EventTypeWarning && e.Reason != "BackOff" {
			continue
		}
		out[stage] = said(e.Reason, e.Message)
	}
	return out
}

// lastMessage is that of the last event with the reason.
func lastMessage(events []corev1.Event, reason string) string {
	var last *corev1.Event
	for i := range events {
		if e := &events[i]; e.Reason == reason && (last == nil || !eventTime(e).Before(eventTime(last))) {
			last = e
		}
	}
	if last == nil {
		return ""
	}
	return strings.TrimSpace(last.Message)
}

// ReadProbe tells how each stage of a probe went, from the pod as it was seen last, the events about it, and when each mark was seen first. Stages after one
// that was not passed are left out, except the deletion. Stages whose ends were seen at the same look cannot be told apart: the time of all of them is counted
// with the one that took longest by the clock of the kubelet, or with the last where that does not show. pod is nil where none was ever seen.
func ReadProbe(pod *corev1.Pod, events []corev1.Event, seen []Moment) []StageTime {
	r := probeReading{pod: pod, warned: warnings(events), seen: map[Mark]Moment{}}
	for _, m := range seen {
		if _, ok := r.seen[m.Mark]; !ok {
			r.seen[m.Mark] = m
		}
	}
	if _, ok := r.seen[MarkSent]; !ok {
		return nil
	}
	var out []StageTime
	since := r.seen[MarkSent].Time
	stages := []struct {
		stage Stage
		mark  Mark
	}{{StageCreate, MarkCreated}, {StageSchedule, MarkBound}, {StageVolume, MarkSandbox}, {StageSandbox, MarkSandbox}, {StageImage, MarkImage}, {StageStart, MarkStarted}, {StageLog, MarkLog}}
	longest := r.longest(events)
	for i, s := range stages {
		at, ok := r.seen[s.mark]
		if !ok {
			out = append(out, r.failed(s.stage, since)...)
			break
		}
		t := StageTime{Stage: s.stage, Passed: true}
		if s.stage == StageImage {
			t.Text = lastMessage(events, "Pulled")
		}
		if i+1 < len(stages) {
			next, ok := r.seen[stages[i+1].mark]
			t.Untold = ok && s.stage != StageCreate && s.stage != StageStart && !next.Time.After(at.Time)
		}
		if long, ok := r.seen[longest.mark]; ok && at.Time.Equal(long.Time) && slices.Contains(kubeletStages, s.stage) {
			t.Untold = s.stage != longest.stage
		}
		if !t.Untold {
			t.Milliseconds = max(at.Time.Sub(since).Milliseconds(), 0)
			since = at.Time
		}
		out = append(out, t)
	}
	return append(out, r.deletion()...)
}

// probeReading is what is known of a probe.
type probeReading struct {
	pod    *corev1.Pod
	warned map[Stage]string
	seen   map[Mark]Moment
}

func (r probeReading) has(m Mark) bool { _, ok := r.seen[m]; return ok }

// kubeletStages are those that one kubelet does one after the other and writes down at once where it is quick: they may be seen at the same look.
var kubeletStages = []Stage{StageSandbox, StageImage, StageStart}

// stageEnd is a stage with the mark of its end, and when that was by the clock of its kubelet.
type stageEnd struct {
	stage Stage
	mark  Mark
	at    time.Time
}

// longest is which of the stages that were seen to end at the same look as the start of the container took longest by the clock of the kubelet, which tells
// seconds: the status has when it took the pod up and when the container started, the events when the image was asked for and when it was there. It is empty
// where one of these is missing, or where none took so long that seconds tell it from the others.
func (r probeReading) longest(events []corev1.Event) stageEnd {
	started, ok := r.seen[MarkStarted]
	if !ok || r.pod == nil || r.pod.Status.StartTime == nil {
		return stageEnd{}
	}
	first := func(reasons ...string) (at time.Time) {
		for i := range events {
			if t := events[i].FirstTimestamp.Time; slices.Contains(reasons, events[i].Reason) && !t.IsZero() && (at.IsZero() || t.Before(at)) {
				at = t
			}
		}
		return at
	}
	ends := []stageEnd{{StageSandbox, MarkSandbox, first("Pulling", "Pulled")}, {StageImage, MarkImage, first("Pulled")}, {StageStart, MarkStarted, first("Started")}}
	out, most, since := stageEnd{}, time.Second, r.pod.Status.StartTime.Time
	for _, e := range ends {
		if e.at.IsZero() {
			return stageEnd{}
		}
		if took := e.at.Sub(since); took > most && r.seen[e.mark].Time.Equal(started.Time) {
			out, most = e, took
		}
		since = e.at
	}
	return out
}

// until is when the stages before the deletion came to their end.
func (r probeReading) until() time.Time {
	for _, m := range []Mark{MarkVanished, MarkEnd} {
		if at, ok := r.seen[m]; ok {
			return at.Time
		}
	}
	latest := time.Time{}
	for _, at := range r.seen {
		if at.Time.After(latest) {
			latest = at.Time
		}
	}
	return latest
}

// failed is a stage that was not passed. Whether a pod's volumes are mounted shows nowhere until its sandbox is there, except in the words of its kubelet:
// it mounts them first.
func (r probeReading) failed(stage Stage, since time.Time) []StageTime {
	t := StageTime{Stage: stage, Milliseconds: max(r.until().Sub(since).Milliseconds(), 0)}
	over, why := "", false
	if r.pod != nil {
		over, why = ProbeOver(r.pod)
	}
	switch {
	case stage == StageCreate:
		t.Text = cmp.Or(r.seen[MarkEnd].Text, "the API server did not take it")
		return []StageTime{t}
	case r.has(MarkVanished):
		t.Text = "somebody else deleted the pod meanwhile"
		return []StageTime{t}
	case stage == StageSchedule:
		t.Text = cmp.Or(r.unbound(), r.warned[StageSchedule], "the scheduler did not bind it, and says nothing")
		return []StageTime{t}
	case stage == StageLog:
		if at, ok := r.seen[MarkUnasked]; ok {
			return []StageTime{{Stage: stage, Untold: true, Text: at.Text}}
		}
		t.Text = cmp.Or(r.seen[MarkNoLog].Text, "its log was not read")
		return []StageTime{t}
	case stage == StageVolume && (!r.has(MarkTaken) || why && !r.ran()):
		t.Text = "its kubelet did not take it up"
		if why {
			t.Text = "its kubelet rejected it: " + over
		}
		return []StageTime{t}
	case stage == StageVolume:
		sandbox := r.warned[StageSandbox]
		if text := r.warned[StageVolume]; text != "" && sandbox == "" {
			t.Text = text
			return []StageTime{t}
		}
		// It tried the sandbox, so the volumes were there; unless it did not get so far for the network.
		mounted := sandbox != "" && !strings.HasPrefix(sandbox, "NetworkNotReady")
		t.Stage, t.Text = StageSandbox, cmp.Or(sandbox, r.warned[""], r.state()+"; its kubelet says nothing of why")
		return []StageTime{{Stage: StageVolume, Passed: mounted, Untold: true}, t}
	}
	t.Text = cmp.Or(r.warned[stage], over, r.warned[""], r.state())
	return []StageTime{t}
}

// ran tells whether a container of the probe has come so far that it has a state of its own.
func (r probeReading) ran() bool {
	return slices.ContainsFunc(r.pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Terminated != nil || c.State.Running != nil })
}

// unbound is what the scheduler says in the pod's condition.
func (r probeReading) unbound() string {
	if r.pod == nil {
		return ""
	}
	for _, c := range r.pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return said(c.Reason, c.Message)
		}
	}
	return ""
}

// state is how the pod was seen last, for a clause.
func (r probeReading) state() string {
	if r.pod == nil {
		return "it was never seen"
	}
	for _, c := range r.pod.Status.ContainerStatuses {
		if w := c.State.Waiting; c.Name == ProbeContainer && w != nil {
			return "it waits in " + said(w.Reason, w.Message)
		}
	}
	return "it is " + cmp.Or(string(r.pod.Status.Phase), "without a status")
}

// deletion is the last stage.
func (r probeReading) deletion() []StageTime {
	began, ok := r.seen[MarkEnd]
	if !ok || !r.has(MarkCreated) || r.has(MarkVanished) {
		return nil
	}
	if gone, ok := r.seen[MarkGone]; ok {
		return []StageTime{{Stage: StageDelete, Passed: true, Milliseconds: max(gone.Time.Sub(began.Time).Milliseconds(), 0)}}
	}
	kept, ok := r.seen[MarkKept]
	if !ok {
		return nil
	}
	text := cmp.Or(kept.Text, r.warned[StageDelete], "its kubelet did not say that its containers stopped")
	return []StageTime{{Stage: StageDelete, Milliseconds: max(kept.Time.Sub(began.Time).Milliseconds(), 0), Text: text}}
}

// failedStage is the first stage that was not passed, apart from those of which nothing can be told; nil where there is none.
func (r *ProbeRun) failedStage() *StageTime {
	for i := range r.Stages {
		if s := &r.Stages[i]; !s.Passed && !s.Untold {
			return s
		}
	}
	return nil
}

func (r *ProbeRun) stage(s Stage) (StageTime, bool) {
	i := slices.IndexFunc(r.Stages, func(t StageTime) bool { return t.Stage == s })
	if i < 0 {
		return StageTime{}, false
	}
	return r.Stages[i], true
}

// together is how long the stages took, in milliseconds.
func (r *ProbeRun) together(stages []Stage) (sum int64) {
	for _, s := range r.Stages {
		if slices.Contains(stages, s.Stage) {
			sum += s.Milliseconds
		}
	}
	return sum
}

// works tells that the probe came to its end, the deletion, and that no stage is known to have failed.
func (r *ProbeRun) works() bool {
	_, ended := r.stage(StageDelete)
	return ended && r.failedStage() == nil
}

// took is how long all of it took.
func (r *ProbeRun) took() time.Duration {
	sum := int64(0)
	for _, s := range r.Stages {
		sum += s.Milliseconds
	}
	return time.Duration(sum) * time.Millisecond
}

// A node is called slow in a stage where it takes this many times as long as the healthy one, and so much longer, in milliseconds: less is chance.
const (
	slowTimes = 5
	slowBy    = 5000
)

// slower names the stages in which the node is slow.
func slower(run, beside *ProbeRun) []string {
	var out []string
	for _, s := range run.Stages {
		b, ok := beside.stage(s.Stage)
		if ok && b.Untold && slices.Contains(kubeletStages, s.Stage) {
			// Its time is counted with a neighbour: it was no more than theirs together.
			b.Milliseconds = beside.together(kubeletStages)
		}
		if !ok || !s.Passed || !b.Passed || s.Untold || s.Milliseconds-b.Milliseconds < slowBy || s.Milliseconds < slowTimes*b.Milliseconds {
			continue
		}
		out = append(out, fmt.Sprintf("%s took %s there, and %s on %s", s.Stage, seconds(s.Milliseconds), seconds(b.Milliseconds), beside.Node))
	}
	return out
}

func seconds(milliseconds int64) string {
	return fmt.Sprintf("%.1fs", float64(milliseconds)/1000)
}

// pulledBefore begins what is said of an image that a node had already (kubelet's event Pulled).
const pulledBefore = "already present"

// JudgeProbe says what follows from the probe of a node beside that of a healthy one, which is nil where there is none. Reach is what was known before of what
// hangs on the node: the probe settles one that is undecided.
func JudgeProbe(run ProbeRun, beside *ProbeRun, reach scope.Reach) ProbeResult {
	run.Works = run.works()
	if beside != nil {
		other := *beside
		other.Works = other.works()
		beside = &other
	}
	out := ProbeResult{Run: run, Beside: beside, Works: run.Works}
	settled := scope.Reach("")
	fail := run.failedStage()
	switch {
	case run.Works:
		settled = scope.ReachPod
		out.Verdict = fmt.Sprintf("Node %s works: a pod with an empty volume is scheduled, gets its sandbox and image, starts and stops, in %s.", run.Node, seconds(run.took().Milliseconds()))
		if beside != nil && beside.Works {
			if slow := slower(&run, beside); len(slow) > 0 {
				settled = ""
				out.Verdict = fmt.Sprintf("Node %s works, and is slow: %s.", run.Node, strings.Join(slow, "; "))
			} else {
				out.Verdict += fmt.Sprintf(" Node %s takes %s.", beside.Node, seconds(beside.took().Milliseconds()))
			}
		} else if beside != nil {
			out.Verdict += fmt.Sprintf(" Node %s, which looked healthy, does not: %s.", beside.Node, failure(beside.failedStage()))
		}
		if log, ok := run.stage(StageLog); ok && log.Untold {
			out.Verdict += fmt.Sprintf(" Its log was not read: %s.", strings.TrimSuffix(log.Text, "."))
		}
	case fail == nil:
		out.Verdict = fmt.Sprintf("The probe of node %s did not come to its end, so that nothing follows from it.", run.Node)
	case fail.Stage == StageCreate:
		out.Verdict = fmt.Sprintf("The API server does not take the probe, whatever node it is for: %s.", strings.TrimSuffix(fail.Text, "."))
	case beside == nil:
		out.Verdict = fmt.Sprintf("Node %s does not work: %s. There was no healthy node to compare with, so whether it is this node alone is not shown.", run.Node, failure(fail))
	case beside.Works:
		out.Verdict = fmt.Sprintf("It is node %s: %s. Node %s passes.", run.Node, failure(fail), beside.Node)
		settled = ofNode(fail.Stage)
		if at, _ := beside.stage(StageImage); fail.Stage == StageImage && strings.Contains(at.Text, pulledBefore) {
			settled = ""
			out.Verdict = fmt.Sprintf("Node %s cannot get the image: %s. Node %s had it already, so whether others can is not shown; --probe-image names one that both have.", run.Node, failure(fail), beside.Node)
		}
	default:
		other := beside.failedStage()
		switch {
		case other != nil && other.Stage == fail.Stage:
			settled = scope.ReachCluster
			out.Verdict = fmt.Sprintf("It is not node %s alone: stage %s does not work on node %s either, which looked healthy. Something that both need is broken, or the cluster is. On %s: %s. On %s: %s.",
				run.Node, fail.Stage, beside.Node, run.Node, failure(fail), beside.Node, failure(other))
		default:
			out.Verdict = fmt.Sprintf("Node %s does not work: %s. Node %s, which looked healthy, does not either, and fails elsewhere: %s. Whether it is this node is not shown.",
				run.Node, failure(fail), beside.Node, failure(other))
		}
	}
	if reach == scope.ReachUndecided {
		out.Reach = string(settled)
	}
	return out
}

// ofNode is what a stage that fails here and passes elsewhere tells of pods that hang: what their scheduler or their log is about does not make them.
func ofNode(s Stage) scope.Reach {
	if s == StageSchedule || s == StageLog {
		return ""
	}
	return scope.ReachNode
}

// failure says of a stage that it does not work, and what was said.
func failure(s *StageTime) string {
	if s == nil {
		return "the probe did not come to its end"
	}
	return fmt.Sprintf("stage %s does not work after %s (%s)", s.Stage, seconds(s.Milliseconds), strings.TrimSuffix(s.Text, "."))
}
