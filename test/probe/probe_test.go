package probe

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

const (
	sick  = "worker-sick" // the node that is probed; what goes wrong goes wrong there
	well  = "worker-well" // the one to compare with
	space = "on-call"     // where probes run
)

// shared is set once by TestMain.
var shared *world.World

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(world.Main("probe", 15*time.Minute, func(ctx context.Context, dir string) (int, error) {
		return world.With(ctx, dir, func(w *world.World) (int, error) {
			if err := setUp(ctx, w); err != nil {
				return 1, err
			}
			shared = w
			return m.Run(), nil
		})
	}))
}

// setUp starts the nodes, and makes a namespace that takes no pod but a restricted one, with requests and limits.
func setUp(ctx context.Context, w *world.World) error {
	for _, name := range []string{sick, well} {
		if _, err := w.StartNode(ctx, name, bed.NodeOptions{Zone: "eu-central-1a", RuntimeRequestTimeout: 5 * time.Second}); err != nil {
			return err
		}
	}
	if err := w.EnsureNamespace(ctx, space); err != nil {
		return err
	}
	ns, err := w.Client().CoreV1().Namespaces().Get(ctx, space, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get namespace %s: %w", space, err)
	}
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	if _, err := w.Client().CoreV1().Namespaces().Update(ctx, ns, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("restrict namespace %s: %w", space, err)
	}
	one := resource.MustParse("1")
	if _, err := w.Client().CoreV1().ResourceQuotas(space).Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "little"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			corev1.ResourceRequestsCPU: one, corev1.ResourceLimitsCPU: one, corev1.ResourceRequestsMemory: resource.MustParse("1Gi"), corev1.ResourceLimitsMemory: resource.MustParse("1Gi"),
		}},
	}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create a quota: %w", err)
	}
	return nil
}

// bench is one test's own folder for the journal.
type bench struct {
	*testing.T
	w       *world.World
	journal string
}

func start(t *testing.T) *bench {
	t.Helper()
	return &bench{T: t, w: shared, journal: filepath.Join(t.TempDir(), "journal")}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) args(more ...string) []string {
	return append([]string{"node", sick, "--probe", "--yes", "-n", space, "--journal", b.journal}, more...)
}

func (b *bench) probe(more ...string) world.Answer {
	b.Helper()
	began := time.Now()
	a, err := b.w.Stuck(b.Context(), b.args(more...)...)
	b.ok(err)
	b.Logf("exit %d after %s\n%s", a.Code, time.Since(began).Round(100*time.Millisecond), a.ErrOut)
	if a.Doc.Node != nil && a.Doc.Node.Probe != nil {
		b.Log(asJSON(a.Doc.Node.Probe))
	}
	return a
}

// result expects an exit code and the outcome of a probe.
func (b *bench) result(a world.Answer, code int) *remedy.ProbeResult {
	b.Helper()
	if a.Code != code || a.Doc.Node == nil || a.Doc.Node.Probe == nil {
		b.Fatalf("exit code %d, want %d with a result\n%s", a.Code, code, &a)
	}
	return a.Doc.Node.Probe
}

// fails expects that the probe of the sick node fails at the stage, and that of the other passes.
func (b *bench) fails(a world.Answer, stage remedy.Stage, words ...string) remedy.StageTime {
	b.Helper()
	p := b.result(a, 1)
	if p.Works || p.Run.Works {
		b.Errorf("the node is called well: %s", p.Verdict)
	}
	if p.Beside == nil || !p.Beside.Works || p.Beside.Node != well {
		b.Errorf("the other node is not called well: %s", asJSON(p.Beside))
	}
	i := slices.IndexFunc(p.Run.Stages, func(s remedy.StageTime) bool { return !s.Passed && !s.Untold })
	if i < 0 || p.Run.Stages[i].Stage != stage {
		b.Fatalf("it does not fail at stage %s: %s", stage, asJSON(p.Run.Stages))
	}
	for _, word := range words {
		if !strings.Contains(p.Run.Stages[i].Text, word) {
			b.Errorf("%q is not said: %s", word, p.Run.Stages[i].Text)
		}
		if !strings.Contains(p.Verdict, word) {
			b.Errorf("%q is not in the verdict: %s", word, p.Verdict)
		}
	}
	b.nothingLeft()
	return p.Run.Stages[i]
}

// probes lists the probes there are, by the only thing that tells them.
func (b *bench) probes() []corev1.Pod {
	b.Helper()
	list, err := b.w.Client().CoreV1().Pods("").List(b.Context(), metav1.ListOptions{LabelSelector: remedy.ProbeLabel})
	b.ok(err)
	return list.Items
}

func (b *bench) nothingLeft() {
	b.Helper()
	for _, p := range b.probes() {
		b.Errorf("probe %s is there, on node %s, deleted %v", p.Name, p.Spec.NodeName, p.DeletionTimestamp)
	}
}

// writes are those of the plugin to pods of the namespace, from the audit log.
func (b *bench) writes() []string {
	b.Helper()
	all, err := b.w.Writes(func(l world.Write) bool { return l.ObjectRef.Resource == "pods" && l.ObjectRef.Namespace == space })
	b.ok(err)
	var out []string
	for _, l := range all {
		out = append(out, l.Verb)
	}
	return out
}

// journaled holds every write against the journal: each was written down before it, and what came of it after.
func (b *bench) journaled(writes int) {
	b.Helper()
	intents, results := 0, 0
	for _, j := range world.ReadJournal(b.journal) {
		if j.Err != "" {
			b.Errorf("journal %s: %s", j.Path, j.Err)
		}
		if len(j.Record.Objects) != len(j.Record.Plan.Acts) {
			b.Errorf("%d objects, %d acts", len(j.Record.Objects), len(j.Record.Plan.Acts))
		}
		for _, e := range j.Entries {
			if e.Type == remedy.Intent {
				intents++
			}
			if e.Type == remedy.Result {
				results++
			}
			if e.Act < 0 || e.Act >= len(j.Record.Plan.Acts) || e.Step < 0 || e.Step >= len(j.Record.Plan.Acts[e.Act].Steps) {
				b.Errorf("an entry about a step that the plan does not have: %s", asJSON(e))
			}
		}
	}
	if intents != writes || results < intents {
		b.Errorf("%d intents and %d outcomes in the journal, and %d writes", intents, results, writes)
	}
}

func (b *bench) fault(r fault.Rule) {
	b.Helper()
	id, err := b.w.Node(sick).Faults().Add(b.Context(), r)
	b.ok(err)
	b.Logf("fault %v: %s %s", id, r.Action, r.Call)
	b.Cleanup(func() {
		if err := b.w.Node(sick).Faults().Clear(context.Background()); err != nil {
			b.Error(err)
		}
	})
}

func asJSON(v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// The tests come one after the other: they share the node.

func TestANodeWhoseImagesAreNotKnownIsNotProbed(t *testing.T) {
	b := start(t)
	a := b.probe()
	if a.Code != 1 || !strings.Contains(a.ErrOut, "--probe-image") {
		t.Errorf("%s", &a)
	}
	if w := b.writes(); len(w) > 0 {
		t.Errorf("writes: %v", w)
	}
	// From now on it has one.
	b.ok(b.w.Daemon(t.Context(), "kube-system", "agent", sick, world.Spec("pause-amd64", world.Everywhere)))
	b.ok(b.w.UntilNode(t.Context(), world.Soon, sick, func(n *corev1.Node) error {
		if len(n.Status.Images) == 0 {
			return errors.New("it lists no image")
		}
		return nil
	}))
}

// endsBy runs a probe and sends the signal once the pod on the sick node is bound and taken up.
func (b *bench) endsBy(sig syscall.Signal, after func(code int, errOut string), more ...string) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var process *os.Process
	known := make(chan struct{})
	go func() {
		<-known
		for ctx.Err() == nil {
			list, err := b.w.Client().CoreV1().Pods(space).List(ctx, metav1.ListOptions{LabelSelector: remedy.ProbeLabel})
			if err == nil && slices.ContainsFunc(list.Items, func(p corev1.Pod) bool {
				return p.Spec.NodeName == sick && p.Status.StartTime != nil && p.DeletionTimestamp == nil
			}) {
				_ = process.Signal(sig)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	began := time.Now()
	a, err := b.w.Plugin.RunAs(b.Context(), b.w.Kubeconfig(), func(p *os.Process) { process = p; close(known) }, append(b.args(more...), "-o", "json")...)
	b.ok(err)
	b.Logf("%s: exit %d after %s\n%s", sig, a.Code, time.Since(began).Round(100*time.Millisecond), a.ErrOut)
	after(a.Code, a.ErrOut)
}

func TestANodeThatWorksPassesEveryStage(t *testing.T) {
	b := start(t)
	before := len(b.writes())
	began := time.Now()
	a := b.probe()
	took := time.Since(began)
	p := b.result(a, 0)
	if !p.Works || p.Beside == nil || p.Beside.Node != well || !p.Beside.Works || p.Alone != "" {
		t.Errorf("%s", asJSON(p))
	}
	if !strings.Contains(p.Verdict, "Node "+sick+" works") || !strings.Contains(p.Run.Image, "/pause-amd64:") {
		t.Errorf("%s; image %s", p.Verdict, p.Run.Image)
	}
	sum := time.Duration(0)
	for _, run := range []*remedy.ProbeRun{&p.Run, p.Beside} {
		var stages []remedy.Stage
		for _, s := range run.Stages {
			stages = append(stages, s.Stage)
			d := time.Duration(s.Milliseconds) * time.Millisecond
			sum += d
			if !s.Passed || d < 0 || d > 15*time.Second || s.Untold && d != 0 {
				t.Errorf("node %s: %s", run.Node, asJSON(s))
			}
			// A sandbox, and a pod that is gone, take a kubelet longer than nothing.
			if s.Stage == remedy.StageDelete && d < 50*time.Millisecond {
				t.Errorf("node %s: deleted in %s", run.Node, d)
			}
		}
		if want := []remedy.Stage{
			remedy.StageCreate, remedy.StageSchedule, remedy.StageVolume, remedy.StageSandbox, remedy.StageImage, remedy.StageStart, remedy.StageLog, remedy.StageDelete,
		}; !slices.Equal(stages, want) {
			t.Errorf("node %s: stages %v", run.Node, stages)
		}
	}
	if sum > took || sum < time.Second {
		t.Errorf("the stages took %s, and all of it %s", sum, took)
	}
	if w := b.writes()[before:]; !slices.Equal(w, []string{"create", "delete", "create", "delete"}) {
		t.Errorf("writes: %v", w)
	}
	b.journaled(4)
	b.nothingLeft()
	h, err := b.w.Plugin.Run(t.Context(), b.w.Kubeconfig(), "history", "--journal", b.journal)
	b.ok(err)
	if h.Code != 0 || !strings.Contains(h.Out, "done") {
		t.Errorf("history: exit %d\n%s%s", h.Code, h.Out, h.ErrOut)
	}
}

func TestWhoMayNotReadLogsStillProbes(t *testing.T) {
	b := start(t)
	// A plain namespace admin may do all of it but see nodes.
	dir := t.TempDir()
	role := fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"prober"},"rules":[
		{"apiGroups":["","coordination.k8s.io","apps","events.k8s.io"],"resources":["nodes","namespaces","events","leases","replicasets","resourcequotas"],"verbs":["get","list"]},
		{"apiGroups":[""],"resources":["pods"],"verbs":["get","list","create","delete"]}]}`)
	_, err := b.w.Client().RbacV1().RESTClient().Post().AbsPath("/apis/rbac.authorization.k8s.io/v1/clusterroles").Body([]byte(role)).SetHeader("Content-Type", "application/json").DoRaw(t.Context())
	b.ok(err)
	config, err := b.w.UserKubeconfig("prober")
	b.ok(err)
	binding := `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"prober"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"prober"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"prober"}]}`
	_, err = b.w.Client().RbacV1().RESTClient().Post().AbsPath("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings").Body([]byte(binding)).SetHeader("Content-Type", "application/json").DoRaw(t.Context())
	b.ok(err)
	args := append(b.args("--journal", filepath.Join(dir, "journal")), "-o", "json")
	raw, err := b.w.Plugin.Run(t.Context(), config, args...)
	b.ok(err)
	a, err := world.Read(raw, args)
	b.ok(err)
	p := b.result(a, 0)
	log := slices.IndexFunc(p.Run.Stages, func(s remedy.StageTime) bool { return s.Stage == remedy.StageLog })
	if !p.Works || log < 0 || p.Run.Stages[log].Passed || !p.Run.Stages[log].Untold || !strings.Contains(p.Verdict, "pods/log") {
		t.Errorf("%s", asJSON(p))
	}
}

func TestARuntimeThatHangsIsFoundAtTheSandbox(t *testing.T) {
	b := start(t)
	b.fault(fault.Rule{Call: fault.RunPodSandbox, Match: fault.Match{Namespace: space}, Action: fault.Hang})
	s := b.fails(b.probe("--timeout", "25s"), remedy.StageSandbox, "FailedCreatePodSandBox", "DeadlineExceeded")
	if s.Milliseconds < 20_000 || s.Milliseconds > 27_000 {
		t.Errorf("it was waited for %d ms", s.Milliseconds)
	}
}

func TestARuntimeThatHangsWithoutAWordIsFoundAtTheSandbox(t *testing.T) {
	b := start(t)
	b.fault(fault.Rule{Call: fault.RunPodSandbox, Match: fault.Match{Namespace: space}, Action: fault.Hang})
	b.fails(b.probe("--timeout", "4s"), remedy.StageSandbox, "ContainerCreating")
}

func TestAContainerThatDoesNotStopIsFoundAtTheDeletion(t *testing.T) {
	b := start(t)
	before := len(b.writes())
	for _, call := range []fault.Call{fault.StopContainer, fault.StopPodSandbox} {
		b.fault(fault.Rule{Call: call, Match: fault.Match{Namespace: space}, Action: fault.Hang})
	}
	a := b.probe()
	b.fails(a, remedy.StageDelete, "FailedKillPod")
	if w := b.writes()[before:]; !slices.Equal(w, []string{"create", "delete", "create", "delete", "delete"}) {
		t.Errorf("writes: %v", w)
	}
	b.journaled(5)
	if last := a.Doc.Outcomes[len(a.Doc.Outcomes)-1]; !strings.Contains(last.Text, "by force") {
		t.Errorf("the force is not told: %s", asJSON(last))
	}
	if a.Doc.Node.Probe.Run.Left != "" {
		t.Error(a.Doc.Node.Probe.Run.Left)
	}
	text, err := os.ReadFile(world.ReadJournal(b.journal)[0].Path)
	b.ok(err)
	if !strings.Contains(string(text), `"gracePeriodSeconds":0`) {
		t.Error("the journal does not tell of the deletion by force")
	}
}

func TestANodeThatIsSlowIsToldFromOneThatWorks(t *testing.T) {
	b := start(t)
	b.fault(fault.Rule{Call: fault.RunPodSandbox, Match: fault.Match{Namespace: space}, Action: fault.Delay, Delay: 9 * time.Second})
	p := b.result(b.probe(), 0)
	if !p.Works || !strings.Contains(p.Verdict, "is slow: sandbox took ") {
		t.Errorf("%s", asJSON(p))
	}
	b.nothingLeft()
}

func TestAnImageThatCannotBePulledIsFoundThere(t *testing.T) {
	b := start(t)
	b.fault(fault.Rule{Call: fault.PullImage, Action: fault.Fail, Message: `failed to resolve reference "{image}": dial tcp: i/o timeout`})
	s := b.fails(b.probe("--probe-image", "registry.example.com/world/absent:v1"), remedy.StageImage, "i/o timeout")
	if s.Milliseconds > 40_000 {
		t.Errorf("it was waited for %d ms for what fails at once", s.Milliseconds)
	}
}

func TestAnImageThatNobodyCanPullIsNotTheNodes(t *testing.T) {
	b := start(t)
	rule := fault.Rule{Call: fault.PullImage, Match: fault.Match{Image: "registry.example.com/world/nowhere**"}, Action: fault.Fail, Message: `"{image}": not found`}
	b.fault(rule)
	_, err := b.w.Node(well).Faults().Add(t.Context(), rule)
	b.ok(err)
	defer func() {
		if err := b.w.Node(well).Faults().Clear(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	p := b.result(b.probe("--probe-image", "registry.example.com/world/nowhere:v1"), 1)
	if p.Works || p.Beside == nil || p.Beside.Works || !strings.Contains(p.Verdict, "not node "+sick+" alone") {
		t.Errorf("%s", asJSON(p))
	}
	b.nothingLeft()
}

func TestANetworkThatIsNotReadyIsFoundAtTheSandbox(t *testing.T) {
	b := start(t)
	b.fault(fault.Rule{Call: fault.RunPodSandbox, Match: fault.Match{Namespace: space}, Action: fault.Fail, Message: `failed to setup network for sandbox "{id}": plugin type="calico" failed (add): connection is unauthorized`})
	b.fails(b.probe("--timeout", "10s"), remedy.StageSandbox, "connection is unauthorized")
}

func TestAnInterruptedProbeLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			b := start(t)
			b.fault(fault.Rule{Call: fault.RunPodSandbox, Match: fault.Match{Namespace: space}, Action: fault.Hang})
			began, before := time.Now(), len(b.writes())
			b.endsBy(sig, func(code int, errOut string) {
				if code != 1 || strings.Contains(errOut, "nothing was changed") {
					t.Errorf("exit %d: %s", code, errOut)
				}
				b.nothingLeft()
			})
			if took := time.Since(began); took > 40*time.Second {
				t.Errorf("it ended after %s", took)
			}
			b.journaled(len(b.writes()) - before)
		})
	}
}

func TestADeadKubeletIsFoundAtTheFirstThingItHasToDo(t *testing.T) {
	b := start(t)
	b.ok(b.w.Node(sick).Freeze())
	defer func() { b.ok(b.w.Node(sick).Thaw()) }()
	b.fails(b.probe("--timeout", "5s"), remedy.StageVolume, "did not take it up")
}

func TestWhatAKilledRunLeftIsCleanedUpByTheNext(t *testing.T) {
	b := start(t)
	b.endsBy(syscall.SIGKILL, func(int, string) {
		if n := len(b.probes()); n != 1 {
			t.Fatalf("%d probes are left", n)
		}
	}, "--timeout", "1s", "--journal", filepath.Join(t.TempDir(), "first")) // its deadline is so much and 90 s
	left := b.probes()[0]

	t.Log("it may be somebody's who runs one now")
	a := b.probe("--journal", filepath.Join(t.TempDir(), "second"))
	if p := b.result(a, 0); !p.Works {
		t.Error(p.Verdict)
	}
	if all := b.probes(); len(all) != 1 || all[0].UID != left.UID {
		t.Fatalf("%d probes are there: one that is no older than its deadline is not this run's to delete", len(all))
	}

	t.Log("it is older than its deadline, by which its kubelet has ended it")
	time.Sleep(time.Until(left.CreationTimestamp.Add(93 * time.Second)))
	if p := b.probes()[0]; p.Status.Phase != corev1.PodFailed || p.Status.Reason != "DeadlineExceeded" {
		t.Errorf("it is %s (%s)", p.Status.Phase, p.Status.Reason)
	}
	before := len(b.writes())
	a = b.probe()
	if p := b.result(a, 0); !p.Works {
		t.Error(p.Verdict)
	}
	if w := b.writes()[before:]; !slices.Equal(w, []string{"delete", "create", "delete", "create", "delete"}) {
		t.Errorf("writes: %v", w)
	}
	b.journaled(5)
	b.nothingLeft()
	if raw := world.ReadJournal(b.journal)[0].Record.Objects[0]; !strings.Contains(string(raw), string(left.UID)) {
		t.Errorf("the journal does not keep what was cleaned up: %s", raw)
	}
}
