package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// What a person gave the node of the story.
const (
	storySpace = "search"
	role       = "node-role.kubernetes.io/search"
	rack       = "world.example.com/rack"
	licensed   = "world.example.com/licensed"
	keeper     = "world.example.com/keeper"
)

const staticPod = `apiVersion: v1
kind: Pod
metadata:
  name: proxy
  namespace: kube-system
spec:
  terminationGracePeriodSeconds: 1
  tolerations: [{operator: Exists}]
  containers: [{name: main, image: "registry.example.com/world/proxy:v1.14.2"}]
`

// story is a node whose runtime hangs, from the first look at it to the proof that it works again.
func story() scene {
	return scene{name: "a node with a hung runtime, drained, deleted, restored and proven", setup: setUpStory, test: testStory}
}

func setUpStory(ctx context.Context, w *world.World) error {
	// It is not the only one of its role.
	for _, node := range []string{hung, "worker-a1"} {
		if err := w.Merge(ctx, node, `{"metadata":{"labels":{"`+role+`":""}}}`); err != nil {
			return err
		}
	}
	if err := w.Merge(ctx, hung, `{"metadata":{"labels":{"`+rack+`":"r7"},"annotations":{"`+keeper+`":"team-search"}}}`); err != nil {
		return err
	}
	if err := w.Taint(ctx, hung, corev1.Taint{Key: licensed, Value: "yes", Effect: corev1.TaintEffectNoSchedule}); err != nil {
		return err
	}
	if err := w.Node(hung).RunStatic("proxy.yaml", []byte(staticPod)); err != nil {
		return err
	}
	spec := func(name string) corev1.PodSpec {
		return world.Spec(name, world.Grace(2), world.Tolerate(hung, licensed), world.Prefer(hung))
	}
	if err := w.Deploy(ctx, storySpace, "query", hung, 2, spec("query")); err != nil {
		return err
	}
	if err := w.Deploy(ctx, storySpace, "indexer", hung, 1, spec("indexer")); err != nil {
		return err
	}
	if err := w.Daemon(ctx, storySpace, "agent", hung, world.Spec("agent", world.Grace(1), world.Only(world.Pool, hung), world.Everywhere)); err != nil {
		return err
	}
	if _, err := w.Node(hung).Faults().Add(ctx, fault.Rule{ID: "hung", Call: fault.Every, Action: fault.Hang}); err != nil {
		return fmt.Errorf("let the runtime hang: %w", err)
	}
	// Somebody restarts what does not answer. Before the node is called NotReady, pods still come to it.
	if err := w.Client().CoreV1().Pods(storySpace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name in (query,indexer)"}); err != nil {
		return fmt.Errorf("delete the pods: %w", err)
	}
	return nil
}

func testStory(t *testing.T, w *world.World) {
	ctx, journal := t.Context(), journalIn(t)
	ok(t, w.UntilNode(ctx, 2*time.Minute, hung, world.Ready(corev1.ConditionFalse)))
	first := getNode(t, w, hung)

	// 1. It is the node.
	ok(t, bed.Poll(ctx, 90*time.Second, func(ctx context.Context) error {
		a, err := w.Plugin.Run(ctx, w.Kubeconfig(), "node", hung, "-o", "json")
		if err != nil {
			return err
		}
		var doc report.Report
		if err := json.Unmarshal([]byte(a.Out), &doc); err != nil {
			return fmt.Errorf("node %s -o json: %w\n%s%s", hung, err, a.Out, a.ErrOut)
		}
		for _, g := range doc.Groups {
			if g.Node == hung && g.Reach == "node" {
				return nil
			}
		}
		return fmt.Errorf("%s is not called a node that is broken itself:\n%s", hung, a.Out)
	}))

	// 2. It is drained and deleted.
	began := time.Now()
	a := stuck(t, w, "node", hung, "--drain-and-delete", "--yes="+hung, "--journal", journal)
	must(t, a, 0)
	t.Logf("drained, deleted and seen through in %s", time.Since(began).Round(time.Second))
	if findNode(t, w, hung) != nil {
		t.Fatalf("node %s is there", hung)
	}
	for name, n := range map[string]int{"query": 2, "indexer": 1} {
		ok(t, w.Until(ctx, storySpace, name, n, world.Off(hung)))
	}
	theStoryIsTold(t, w, a, first)

	// 3. Who asks again is told the rest of the way.
	again, err := w.Plugin.Run(ctx, w.Kubeconfig(), "node", hung, "--drain-and-delete", "--yes="+hung, "--journal", journal)
	ok(t, err)
	t.Logf("again: exit %d\n%s%s", again.Code, again.Out, again.ErrOut)
	if again.Code != 0 {
		t.Errorf("asked again: exit code %d", again.Code)
	}
	says(t, again.Out, "Ready elsewhere", "search/query 2 on", "search/indexer 1 on", "systemctl reboot", "--restore")

	// 4. The machine is started again while somebody waits for it.
	waited := make(chan world.Answer, 1)
	go func() {
		a, err := w.Stuck(ctx, "node", hung, "--wait=3m", "--journal", journal)
		if err != nil {
			a.ErrOut += err.Error()
			a.Code = -1
		}
		waited <- a
	}()
	time.Sleep(2 * time.Second)
	ok(t, w.Node(hung).Restart(ctx))
	a = <-waited
	t.Logf("waited: exit %d\n%s", a.Code, a.ErrOut)
	must(t, a, 0)
	second := getNode(t, w, hung)
	if second.UID == first.UID {
		t.Fatal("it is the same Node object")
	}
	for _, key := range []string{role, rack} {
		if _, has := second.Labels[key]; has {
			t.Errorf("label %s has come back by itself: nothing is left to restore", key)
		}
	}

	// 5. What was lost is put back. It is not proven, because nothing can be started on it yet, and so no pod comes to it.
	_, err = w.Node(hung).Faults().Add(ctx, fault.Rule{ID: "no-network", Call: fault.RunPodSandbox, Match: fault.Match{Namespace: "default"}, Action: fault.Fail, Message: `failed to set up sandbox container "{id}" network: no address`})
	ok(t, err)
	a = stuck(t, w, "node", hung, "--restore", "--yes", "--timeout", "25s", "--journal", journal)
	must(t, a, 1)
	n := getNode(t, w, hung)
	if !world.Tainted(n, remedy.TaintUnproven) {
		t.Errorf("it is not proven, and has no taint that says so: %s", asJSON(n.Spec.Taints))
	}
	restored(t, first, n)
	told(t, a)
	if p := a.Doc.Node.Probe; p == nil || p.Works || p.Run.Left != "" || !strings.Contains(asJSON(p.Run.Stages), "no address") {
		t.Errorf("the probe: %s", asJSON(a.Doc.Node.Probe))
	}
	noProbe(t, w)
	ok(t, w.Client().CoreV1().Pods(storySpace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=indexer"}))
	ok(t, w.Until(ctx, storySpace, "indexer", 1, world.Off(hung)))

	// 6. It is proven.
	ok(t, w.Node(hung).Faults().Clear(ctx))
	a = stuck(t, w, "node", hung, "--restore", "--yes", "--journal", journal)
	must(t, a, 0)
	proven(t, a)
	nothingLeft(t, w, hung)
	restored(t, first, getNode(t, w, hung))
	a = stuck(t, w, "node", hung, "--probe", "--yes", "--journal", journal)
	must(t, a, 0)
	proven(t, a)
	nothingLeft(t, w, hung)
	attached, err := w.Client().StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	ok(t, err)
	if slices.ContainsFunc(attached.Items, func(va storagev1.VolumeAttachment) bool { return va.Spec.NodeName == hung }) {
		t.Error("a volume is attached to it")
	}
	// The DaemonSet's and the static pod run on it again, and so may others.
	ok(t, w.Until(ctx, storySpace, "agent", 1, world.On(hung)))
	ok(t, bed.Poll(ctx, world.Soon, func(ctx context.Context) error {
		p, err := w.Client().CoreV1().Pods("kube-system").Get(ctx, "proxy-"+hung, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("the static pod: %w", err)
		}
		return world.On(hung)(p)
	}))
	ok(t, w.Client().CoreV1().Pods(storySpace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=indexer"}))
	ok(t, w.Until(ctx, storySpace, "indexer", 1, world.On(hung)))
}

// theStoryIsTold looks at what the run says of itself.
func theStoryIsTold(t *testing.T, w *world.World, a world.Answer, first *corev1.Node) {
	t.Helper()
	doc := a.Doc
	if doc.Status != remedy.Done || doc.Node == nil || doc.Node.Name != hung || doc.Node.Reach != "node" {
		t.Fatalf("status %q, node %s", doc.Status, asJSON(doc.Node))
	}
	fates := map[remedy.Fate]int{}
	for _, p := range doc.Node.Pods {
		fates[p.Fate]++
	}
	if len(doc.Node.Pods) < 5 || fates[remedy.Remains] != 1 || fates[remedy.WithNode] != 1 || fates[remedy.Dropped] < 3 {
		t.Errorf("what becomes of the pods: %v\n%s", fates, asJSON(doc.Node.Pods))
	}
	if len(doc.Node.Host) == 0 {
		t.Error("nothing is said of what to do on the machine")
	}
	acts := doc.Plan.Acts
	last := acts[len(acts)-1]
	if !slices.Contains(last.Remedies, remedy.DeleteNode) || len(last.Steps) != 1 || last.Steps[0].Verb != remedy.Delete || last.Steps[0].Ref.UID != first.UID || last.Steps[0].ResourceVersion == "" {
		t.Errorf("the last act: %s", asJSON(last))
	}
	// What PodGC did is told pod by pod.
	if len(doc.Sights) == 0 {
		t.Fatal("nothing was seen afterwards")
	}
	sight := doc.Sights[len(doc.Sights)-1]
	if !sight.Gone || !sight.Settled || len(sight.Moves) == 0 {
		t.Fatalf("what was seen: %s", asJSON(sight))
	}
	for _, m := range sight.Moves {
		if m.Target == nil {
			t.Errorf("of which pod is this said? %s", asJSON(m))
		} else if !m.Gone {
			t.Errorf("%s is not seen to be gone: %q", m.Target, m.Says)
		}
	}
	if all := asJSON(doc.Sights); !strings.Contains(all, `"ready": true`) {
		t.Errorf("no replacement was seen: %s", all)
	}
	for _, p := range podsOn(t, w, hung) {
		t.Errorf("pod %s/%s is bound to the node that is gone", p.Namespace, p.Name)
	}
	writes, err := w.Writes(world.About(hung, storySpace))
	ok(t, err)
	for _, l := range writes {
		if l.Verb == "delete" && l.ObjectRef.Resource == "pods" {
			t.Errorf("the tool deleted a pod itself: %+v", l)
		}
	}
	// The journal holds all that is needed to put it back.
	runs := world.ReadJournal(journalOf(a))
	if len(runs) != 1 || runs[0].Err != "" || len(runs[0].Record.Objects) != len(acts) {
		t.Fatalf("%d runs in the journal: %s", len(runs), asJSON(runs))
	}
	var saved corev1.Node
	ok(t, json.Unmarshal(runs[0].Record.Objects[len(acts)-1], &saved))
	if saved.UID != first.UID || saved.Labels[rack] != "r7" || !world.Tainted(&saved, licensed) {
		t.Errorf("the journal's Node: %s", asJSON(saved))
	}
}

// journalOf is the folder that a run was given.
func journalOf(a world.Answer) string {
	i := slices.Index(a.Args, "--journal")
	return a.Args[i+1]
}

// restored expects what a person had given the node, and that what the kubelet says of it is the new kubelet's.
func restored(t *testing.T, first, now *corev1.Node) {
	t.Helper()
	for _, key := range []string{role, rack, world.Pool, corev1.LabelTopologyZone} {
		if v, has := now.Labels[key]; !has || v != first.Labels[key] {
			t.Errorf("label %s is %q (there: %t), and was %q", key, v, has, first.Labels[key])
		}
	}
	if now.Annotations[keeper] != "team-search" {
		t.Errorf("annotation %s is %q", keeper, now.Annotations[keeper])
	}
	for _, key := range []string{licensed, world.Pool} {
		if n := len(slices.DeleteFunc(slices.Clone(now.Spec.Taints), func(t corev1.Taint) bool { return t.Key != key })); n != 1 {
			t.Errorf("%d taints %s: %s", n, key, asJSON(now.Spec.Taints))
		}
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable} {
		if world.Tainted(now, key) {
			t.Errorf("a condition of before has come back as a taint: %s", key)
		}
	}
}

// told expects that what is put back is said, and that nothing is that is somebody else's.
func told(t *testing.T, a world.Answer) {
	t.Helper()
	if a.Doc.Node == nil {
		t.Fatalf("nothing is said of the node\n%s", &a)
	}
	puts := map[string]bool{}
	for _, i := range a.Doc.Node.Restore {
		puts[i.Field+" "+i.Key] = i.Puts
		if i.Puts && (i.Owner != "" || strings.Contains(i.Key, "kubernetes.io/hostname")) {
			t.Errorf("what %s owns is put back: %s", i.Owner, asJSON(i))
		}
	}
	for _, want := range []string{"label " + role, "label " + rack, "taint " + licensed, "annotation " + keeper} {
		if !puts[want] {
			t.Errorf("%s is not said to be put back: %v", want, puts)
		}
	}
}

// proven expects that every stage of a probe passed.
func proven(t *testing.T, a world.Answer) {
	t.Helper()
	if a.Doc.Node == nil || a.Doc.Node.Probe == nil {
		t.Fatalf("there is no probe in the answer\n%s", &a)
	}
	p := a.Doc.Node.Probe
	if !p.Works || !p.Run.Works || p.Run.Left != "" || p.Run.Image == "" {
		t.Errorf("the probe: %s", asJSON(p))
	}
	var stages []remedy.Stage
	for _, s := range p.Run.Stages {
		stages = append(stages, s.Stage)
		if !s.Passed && !s.Untold {
			t.Errorf("stage %s: %s", s.Stage, asJSON(s))
		}
	}
	for _, s := range []remedy.Stage{remedy.StageCreate, remedy.StageSchedule, remedy.StageSandbox, remedy.StageImage, remedy.StageStart, remedy.StageLog, remedy.StageDelete} {
		if !slices.Contains(stages, s) {
			t.Errorf("the probe says nothing of %s: %v", s, stages)
		}
	}
}
