package remedy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// probed is the pod of a probe on node w, in the state that edit gives it.
func probed(edit func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: "stuck-probe", UID: "u"}, Spec: corev1.PodSpec{NodeName: "w"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	if edit != nil {
		edit(p)
	}
	return p
}

// takenUp is such a pod whose kubelet has written its first status.
func takenUp(state corev1.ContainerState) *corev1.Pod {
	return probed(func(p *corev1.Pod) {
		at := metav1.NewTime(noon())
		p.Status.StartTime = &at
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: ProbeContainer, State: state}}
	})
}

func waitingFor(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "says the kubelet"}}
}

func terminated(reason string, began bool) corev1.ContainerState {
	t := &corev1.ContainerStateTerminated{Reason: reason, Message: "says the runtime", ExitCode: 128}
	if began {
		t.StartedAt = metav1.NewTime(noon())
	}
	return corev1.ContainerState{Terminated: t}
}

func warned(reason, message string) corev1.Event {
	return corev1.Event{Type: corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: metav1.NewTime(noon())}
}

func TestAProbeShowsHowFarItCame(t *testing.T) {
	all := []Mark{MarkBound, MarkTaken, MarkSandbox, MarkImage, MarkStarted}
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		events []corev1.Event
		marks  int // so many of all, from the first on
	}{
		"never seen":                      {nil, nil, 0},
		"not bound":                       {probed(func(p *corev1.Pod) { p.Spec.NodeName = "" }), nil, 0},
		"bound":                           {probed(nil), nil, 1},
		"taken up":                        {takenUp(waitingFor("ContainerCreating")), nil, 2},
		"a sandbox that fails is none":    {takenUp(waitingFor("ContainerCreating")), []corev1.Event{warned("FailedCreatePodSandBox", "x")}, 2},
		"its image is pulled":             {takenUp(waitingFor("ContainerCreating")), []corev1.Event{{Reason: "Pulling"}}, 3},
		"its image cannot be pulled":      {takenUp(waitingFor("ErrImagePull")), nil, 3},
		"its image is there":              {takenUp(waitingFor("ContainerCreating")), []corev1.Event{{Reason: "Pulled"}}, 4},
		"its container cannot be started": {takenUp(terminated("StartError", false)), nil, 4},
		"as docker says it":               {takenUp(terminated("ContainerCannotRun", true)), nil, 4},
		"it runs":                         {takenUp(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), nil, 5},
		"it ran and ended":                {takenUp(terminated("Error", true)), nil, 5},
		"only its event says that it ran": {takenUp(waitingFor("ContainerCreating")), []corev1.Event{{Reason: "Started"}}, 5},
		"ready to start containers, of another container's state": {probed(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "sidecar-of-a-webhook", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}), nil, 3},
	} {
		if got := Marks(c.pod, c.events); !slices.Equal(got, all[:c.marks]) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAProbeIsOverWhereItComesNoFurtherByItself(t *testing.T) {
	rejected := probed(func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "OutOfcpu", "Pod was rejected"
	})
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		over bool
		says string
	}{
		"bound":               {probed(nil), false, ""},
		"creating":            {takenUp(waitingFor("ContainerCreating")), false, ""},
		"the first pull":      {takenUp(waitingFor("ErrImagePull")), false, ""},
		"after another pull":  {takenUp(waitingFor("ImagePullBackOff")), true, "ImagePullBackOff: says the kubelet"},
		"no such image there": {takenUp(waitingFor("ErrImageNeverPull")), true, "ErrImageNeverPull"},
		"cannot be started":   {takenUp(terminated("StartError", false)), true, "StartError: says the runtime"},
		"rejected":            {rejected, true, "OutOfcpu: Pod was rejected"},
		"running":             {takenUp(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), false, ""},
	} {
		if why, over := ProbeOver(c.pod); over != c.over || !strings.HasPrefix(why, c.says) {
			t.Errorf("%s: %t: %s", name, over, why)
		}
	}
}

// seen are moments, one every 100 ms from noon on; a mark that begins with = comes at the time of the one before it.
func seen(marks ...string) []Moment {
	var out []Moment
	at := noon()
	for i, m := range marks {
		m, text, _ := strings.Cut(m, "|")
		m, same := strings.CutPrefix(m, "=")
		if i > 0 && !same {
			at = at.Add(100 * time.Millisecond)
		}
		out = append(out, Moment{Mark: Mark(m), Time: at, Text: text})
	}
	return out
}

// brief writes stages as "create+100 sandbox?0 image-300": passed, untold, or not passed, with milliseconds.
func brief(stages []StageTime) string {
	var out []string
	for _, s := range stages {
		sign := "-"
		switch {
		case s.Untold:
			sign = "?"
		case s.Passed:
			sign = "+"
		}
		out = append(out, fmt.Sprintf("%s%s%d", s.Stage, sign, s.Milliseconds))
	}
	return strings.Join(out, " ")
}

func TestTheStagesOfAProbeAreReadFromWhatWasSeen(t *testing.T) {
	creating, running := takenUp(waitingFor("ContainerCreating")), takenUp(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		events []corev1.Event
		seen   []Moment
		want   string
		says   string // of the stage that was not passed first
	}{
		"nothing was sent": {nil, nil, nil, "", ""},
		"every stage by itself": {running, []corev1.Event{{Reason: "Pulled", Message: "already present on machine"}}, seen("sent", "created", "bound", "taken", "sandbox", "image", "started", "log", "end", "gone"),
			"create+100 schedule+100 volume?0 sandbox+200 image+100 start+100 log+100 delete+100", ""},
		"seen at one look": {running, nil, seen("sent", "created", "bound", "taken", "sandbox", "=image", "=started", "log", "end", "gone"),
			"create+100 schedule+100 volume?0 sandbox?0 image?0 start+200 log+100 delete+100", ""},
		"not taken in":            {nil, nil, seen("sent", "end|quota exceeded"), "create-100", "quota exceeded"},
		"no node for it":          {probed(func(p *corev1.Pod) { p.Spec.NodeName = "" }), []corev1.Event{warned("FailedScheduling", "0/3 nodes")}, seen("sent", "created", "end", "gone"), "create+100 schedule-100 delete+100", "0/3 nodes"},
		"a kubelet that is deaf":  {probed(nil), nil, seen("sent", "created", "bound", "end", "kept"), "create+100 schedule+100 volume-100 delete-100", "did not take it up"},
		"rejected by its kubelet": {probed(func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "OutOfcpu" }), nil, seen("sent", "created", "bound", "taken", "end", "gone"), "create+100 schedule+100 volume-200 delete+100", "rejected it: OutOfcpu"},
		"a volume":                {creating, []corev1.Event{warned("FailedMount", "no space")}, seen("sent", "created", "bound", "taken", "end", "gone"), "create+100 schedule+100 volume-200 delete+100", "FailedMount: no space"},
		"a sandbox, after a volume": {creating, []corev1.Event{warned("FailedMount", "no space"), warned("FailedCreatePodSandBox", "cni")}, seen("sent", "created", "bound", "taken", "end", "gone"),
			"create+100 schedule+100 volume?0 sandbox-200 delete+100", "FailedCreatePodSandBox: cni"},
		"silence": {creating, nil, seen("sent", "created", "bound", "taken", "end", "kept"), "create+100 schedule+100 volume?0 sandbox-200 delete-100", "ContainerCreating: says the kubelet; its kubelet says nothing"},
		"an image": {takenUp(waitingFor("ImagePullBackOff")), []corev1.Event{warned("Failed", "Failed to pull image: 404"), {Reason: "BackOff", Type: "Normal", Message: "Back-off pulling image"}, warned("Failed", "Error: ImagePullBackOff")},
			seen("sent", "created", "bound", "taken", "sandbox", "end", "gone"), "create+100 schedule+100 volume?0 sandbox+200 image-100 delete+100", "Failed: Failed to pull image: 404"},
		"a start": {takenUp(terminated("StartError", false)), []corev1.Event{warned("Failed", "Error: exec format error")}, seen("sent", "created", "bound", "taken", "sandbox", "image", "end", "gone"),
			"create+100 schedule+100 volume?0 sandbox+200 image+100 start-100 delete+100", "exec format error"},
		"a log":                    {running, nil, seen("sent", "created", "bound", "taken", "sandbox", "image", "started", "no log|502", "end", "gone"), "create+100 schedule+100 volume?0 sandbox+200 image+100 start+100 log-200 delete+100", "502"},
		"a log that is not to see": {running, nil, seen("sent", "created", "bound", "taken", "sandbox", "image", "started", "log not asked|no right", "end", "gone"), "create+100 schedule+100 volume?0 sandbox+200 image+100 start+100 log?0 delete+100", ""},
		"deleted by somebody":      {creating, nil, seen("sent", "created", "bound", "taken", "vanished", "end", "gone"), "create+100 schedule+100 volume-200", "somebody else"},
		"it stays":                 {running, []corev1.Event{warned("FailedKillPod", "rpc error")}, seen("sent", "created", "bound", "taken", "sandbox", "image", "started", "log", "end", "kept"), "create+100 schedule+100 volume?0 sandbox+200 image+100 start+100 log+100 delete-100", "FailedKillPod: rpc error"},
	} {
		run := ProbeRun{Node: "w", Stages: ReadProbe(c.pod, c.events, c.seen)}
		if got := brief(run.Stages); got != c.want {
			t.Errorf("%s: %s\nand not  %s", name, got, c.want)
		}
		if fail := run.failedStage(); (fail != nil) != (c.says != "") || fail != nil && !strings.Contains(fail.Text, c.says) {
			t.Errorf("%s: %+v", name, fail)
		}
		if over := run.works(); over != (c.says == "" && c.want != "") {
			t.Errorf("%s: it works: %t", name, over)
		}
	}
}

func TestWhatFollowsFromAProbe(t *testing.T) {
	good := func(node string, ms int64) *ProbeRun {
		return &ProbeRun{Node: node, Stages: []StageTime{{Stage: StageSandbox, Passed: true, Milliseconds: ms}, {Stage: StageImage, Passed: true}, {Stage: StageDelete, Passed: true, Milliseconds: 100}}}
	}
	bad := func(node string, stage Stage) *ProbeRun {
		return &ProbeRun{Node: node, Stages: []StageTime{{Stage: StageCreate, Passed: true}, {Stage: stage, Text: "why.", Milliseconds: 1500}, {Stage: StageDelete, Passed: true}}}
	}
	had := good("b", 800)
	had.Stages[1].Text = "Container image already present on machine"
	part := good("b", 0)
	part.Stages[0].Untold, part.Stages[1].Milliseconds = true, 700
	unread := good("a", 900)
	unread.Stages = slices.Insert(unread.Stages, 2, StageTime{Stage: StageLog, Untold: true, Text: "no right"})
	cut := &ProbeRun{Node: "a", Stages: []StageTime{{Stage: StageCreate, Passed: true}}}
	const undecided = scope.ReachUndecided
	for name, c := range map[string]struct {
		run, beside *ProbeRun
		reach       scope.Reach
		settles     scope.Reach
		works       bool
		says        string
	}{
		"both work":              {good("a", 900), good("b", 800), undecided, scope.ReachPod, true, "Node a works"},
		"nobody to compare with": {good("a", 900), nil, undecided, scope.ReachPod, true, "Node a works"},
		"slow":                   {good("a", 30000), good("b", 800), undecided, "", true, "slow: sandbox took 30.0s there, and 0.8s on b"},
		"slow beside what is counted with another": {good("a", 30000), part, undecided, "", true, "slow: sandbox took 30.0s there, and 0.7s on b"},
		"slower by chance":                         {good("a", 4000), good("b", 400), undecided, scope.ReachPod, true, "Node b takes 0.5s"},
		"slow as both are":                         {good("a", 30000), good("b", 20000), undecided, scope.ReachPod, true, "Node a works"},
		"the other does not":                       {good("a", 900), bad("b", StageSandbox), undecided, scope.ReachPod, true, "Node b, which looked healthy, does not"},
		"its log was not read":                     {unread, good("b", 800), undecided, scope.ReachPod, true, "Its log was not read: no right."},
		"it is the node":                           {bad("a", StageSandbox), good("b", 800), undecided, scope.ReachNode, false, "It is node a: stage sandbox does not work after 1.5s (why). Node b passes."},
		"decided before":                           {bad("a", StageSandbox), good("b", 800), scope.ReachNode, "", false, "It is node a"},
		"its log":                                  {bad("a", StageLog), good("b", 800), undecided, "", false, "It is node a: stage log"},
		"an image that b had already":              {bad("a", StageImage), had, undecided, "", false, "Node b had it already"},
		"an image that b pulled":                   {bad("a", StageImage), good("b", 800), undecided, scope.ReachNode, false, "It is node a"},
		"both fail alike":                          {bad("a", StageSandbox), bad("b", StageSandbox), undecided, scope.ReachCluster, false, "It is not node a alone"},
		"each in its own way":                      {bad("a", StageSandbox), bad("b", StageImage), undecided, "", false, "Whether it is this node is not shown"},
		"fails, nobody to compare":                 {bad("a", StageSandbox), nil, undecided, "", false, "no healthy node to compare with"},
		"not taken in":                             {&ProbeRun{Node: "a", Stages: []StageTime{{Stage: StageCreate, Text: "quota"}}}, good("b", 800), undecided, "", false, "The API server does not take the probe"},
		"ended in the middle":                      {cut, good("b", 800), undecided, "", false, "nothing follows"},
		"nothing was done":                         {&ProbeRun{Node: "a"}, nil, undecided, "", false, "nothing follows"},
	} {
		got := JudgeProbe(*c.run, c.beside, c.reach)
		if got.Reach != string(c.settles) || got.Works != c.works || got.Run.Works != c.works || !strings.Contains(got.Verdict, c.says) {
			t.Errorf("%s: reach %q, works %t: %s", name, got.Reach, got.Works, got.Verdict)
		}
		if strings.Contains(got.Verdict, "..") {
			t.Errorf("%s: two full stops: %s", name, got.Verdict)
		}
	}
}

// TestStagesSeenAtOneLookAreToldApartByTheClockOfTheKubelet: a kubelet that is quick after a slow sandbox writes all of it at once.
func TestStagesSeenAtOneLookAreToldApartByTheClockOfTheKubelet(t *testing.T) {
	at := func(reason string, seconds int) corev1.Event {
		return corev1.Event{Reason: reason, FirstTimestamp: metav1.NewTime(noon().Add(time.Duration(seconds) * time.Second))}
	}
	once := []string{"sent", "created", "bound", "taken", "sandbox", "=image", "=started", "log", "end", "gone"}
	apart := []string{"sent", "created", "bound", "taken", "sandbox", "image", "=started", "log", "end", "gone"}
	for name, c := range map[string]struct {
		seen   []string
		events []corev1.Event
		want   string
	}{
		"a slow sandbox":              {once, []corev1.Event{at("Pulled", 9), at("Started", 9)}, "volume?0 sandbox+200 image?0 start?0"},
		"a slow image":                {once, []corev1.Event{at("Pulling", 1), at("Pulled", 9), at("Started", 10)}, "volume?0 sandbox?0 image+200 start?0"},
		"a slow start":                {once, []corev1.Event{at("Pulled", 1), at("Started", 9)}, "volume?0 sandbox?0 image?0 start+200"},
		"none is slow":                {once, []corev1.Event{at("Pulled", 1), at("Started", 1)}, "volume?0 sandbox?0 image?0 start+200"},
		"one event is missing":        {once, []corev1.Event{at("Pulled", 9)}, "volume?0 sandbox?0 image?0 start+200"},
		"the slow one was seen apart": {apart, []corev1.Event{at("Pulled", 9), at("Started", 11)}, "volume?0 sandbox+200 image?0 start+100"},
	} {
		got := brief(ReadProbe(takenUp(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), c.events, seen(c.seen...)))
		if want := "create+100 schedule+100 " + c.want + " log+100 delete+100"; got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}
