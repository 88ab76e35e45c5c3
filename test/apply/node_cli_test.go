package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/cli"
	runlog "github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// thinker is a person who is asked: something happens in the cluster before the answer is typed.
type thinker struct {
	meanwhile func()
	answer    io.Reader
}

func (p *thinker) Read(b []byte) (int, error) {
	if p.meanwhile != nil {
		p.meanwhile()
		p.meanwhile = nil
	}
	return p.answer.Read(b)
}

// person runs the command in a terminal where somebody types an answer.
func person(t *testing.T, meanwhile func(), answer string, args ...string) (code int, out string) {
	t.Helper()
	var both bytes.Buffer
	code = cli.Main(append([]string{"kubectl-stuck", "--kubeconfig", cluster.Kubeconfig()}, args...), cli.World{
		Streams: genericiooptions.IOStreams{In: &thinker{meanwhile, strings.NewReader(answer + "\n")}, Out: &both, ErrOut: &both},
		Now:     time.Now, Getenv: func(string) string { return "" }, Width: func(io.Writer) int { return 0 },
		Interactive: func() bool { return true }, Host: func() string { return "laptop" }, User: func() string { return "ana" },
		Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
	})
	t.Logf("%s: exit %d\n%s", strings.Join(args, " "), code, both.String())
	return code, both.String()
}

// ill makes a node whose kubelet is heard of and is not Ready, with labels and a taint that somebody gave it.
func ill(t *testing.T) *corev1.Node {
	t.Helper()
	n := machine(t, func(n *corev1.Node) {
		n.Labels = map[string]string{"example.com/disk": "ssd"}
		n.Spec.Taints = []corev1.Taint{{Key: "example.com/team", Value: "shop", Effect: corev1.TaintEffectPreferNoSchedule}}
	})
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: "PLEG is not healthy", LastTransitionTime: metav1.Now()}}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110")}
	n, err := cluster.Client().CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := metav1.NowMicro()
	if _, err := cluster.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &n.Name, RenewTime: &now},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return n
}

// aboard makes a pod that runs on the node and needs no time to stop: nobody is there to stop it.
func aboard(t *testing.T, ns, name string, n *corev1.Node) *corev1.Pod {
	t.Helper()
	zero := int64(0)
	p, err := cluster.Client().CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{NodeName: n.Name, TerminationGracePeriodSeconds: &zero, Containers: []corev1.Container{{Name: "c", Image: "registry.example.com/shop/web:1"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return setRunning(t, p)
}

var lifts = []string{"--even-in-storm", "--even-last", "--even-without-room", "--even-unmanaged", "--timeout", "3s"}

func TestWhatHappensWhileAPersonThinksIsSeenBeforeANodeIsDeleted(t *testing.T) {
	if err := cluster.EnsureNamespace(t.Context(), corev1.NamespaceNodeLease); err != nil {
		t.Fatal(err)
	}
	ns, n := space(t), ill(t)
	aboard(t, ns, "a-first", n)
	for _, name := range []string{"b-goes", "c-last"} {
		aboard(t, ns, name, n)
	}
	dir := t.TempDir()
	args := append([]string{"node", n.Name, "--drain-and-delete", "--journal", dir}, lifts...)

	code, out := person(t, nil, "", args...)
	if code != cli.ExitRefused || !strings.Contains(out, "not confirmed") {
		t.Errorf("without an answer: exit %d", code)
	}
	came := func() { aboard(t, ns, "d-came", n) }
	code, out = person(t, came, "yes", args...)
	if code != cli.ExitRefused || !strings.Contains(out, "d-came") || !strings.Contains(out, "nothing was changed") {
		t.Errorf("a pod that came while somebody thought: exit %d", code)
	}
	now := nodeNow(t, n.Name)
	if now == nil || now.ResourceVersion != n.ResourceVersion {
		t.Fatalf("the node was changed: %+v", now)
	}
	if runs, err := runlog.List(dir); err != nil || len(runs) != 0 {
		t.Fatalf("the journal has %d runs: %v", len(runs), err)
	}

	// One that goes is kept by nobody, and what is kept of the others goes with their acts.
	goes := func() {
		if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), "b-goes", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			t.Fatal(err)
		}
	}
	code, _ = person(t, goes, "yes", args...)
	if code != cli.ExitDone && code != 1 {
		t.Errorf("exit %d", code)
	}
	if nodeNow(t, n.Name) != nil {
		t.Fatal("the node is still there")
	}
	list, err := cluster.Client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("%d pods are left: %v", len(list.Items), err)
	}
	runs, err := runlog.List(dir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("the journal has %d runs: %v", len(runs), err)
	}
	h, err := runlog.Read(dir, runs[0].ID)
	if err != nil || len(h.Objects) != len(h.Plan.Acts) || len(h.Plan.Acts) != 5 {
		t.Fatalf("%d objects of %d acts: %v", len(h.Objects), len(h.Plan.Acts), err)
	}
	for i, raw := range h.Objects {
		var o struct {
			Metadata struct{ UID string } `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &o); err != nil || o.Metadata.UID != string(h.Plan.Acts[i].Target.UID) {
			t.Errorf("what is kept of %s is of %s: %v", h.Plan.Acts[i].Target, o.Metadata.UID, err)
		}
	}

	// And back: the Node as it was, and the pods that nobody makes again.
	code, _ = person(t, nil, "yes", "undo", runs[0].ID, "--wait", "0s", "--journal", dir)
	if code != cli.ExitDone {
		t.Errorf("undo: exit %d", code)
	}
	again := nodeNow(t, n.Name)
	if again == nil {
		t.Fatal("the node is not there again")
	}
	if again.UID == n.UID || again.Spec.Unschedulable || !maps.Equal(again.Labels, n.Labels) || len(again.Spec.Taints) == 0 || again.Spec.Taints[0].MatchTaint(&n.Spec.Taints[0]) != true {
		t.Errorf("it is not as it was: %+v %+v", again.Labels, again.Spec)
	}
	for _, name := range []string{"a-first", "c-last", "d-came"} {
		p, err := cluster.Client().CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || p.Spec.NodeName == "" && p.Spec.Containers[0].Image != "registry.example.com/shop/web:1" {
			t.Errorf("pod %s: %v", name, err)
		}
	}
	if _, err := cluster.Client().CoreV1().Pods(ns).Get(t.Context(), "b-goes", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod that somebody else deleted is there again: %v", err)
	}
}

func TestANodeIsRestoredOnAnotherMachineFromWhatTheJournalPrints(t *testing.T) {
	if err := cluster.EnsureNamespace(t.Context(), corev1.NamespaceNodeLease); err != nil {
		t.Fatal(err)
	}
	n, dir := ill(t), t.TempDir()
	if code, _ := person(t, nil, "yes", append([]string{"node", n.Name, "--drain-and-delete", "--journal", dir}, lifts...)...); code != cli.ExitDone || nodeNow(t, n.Name) != nil {
		t.Fatalf("exit %d", code)
	}
	runs, err := runlog.List(dir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("the journal has %d runs: %v", len(runs), err)
	}
	code, manifest := person(t, nil, "", "history", runs[0].ID, "--manifest", "--journal", dir)
	if code != cli.ExitDone {
		t.Fatalf("exit %d", code)
	}
	file := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}

	// Its kubelet registers it: another object, with what a kubelet sets.
	back, err := cluster.Client().CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{corev1.LabelHostname: n.Name}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	back.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.Now()}}
	back.Status.Images = []corev1.ContainerImage{{Names: []string{"registry.example.com/pause:3.10"}, SizeBytes: 700_000}}
	if _, err := cluster.Client().CoreV1().Nodes().UpdateStatus(t.Context(), back, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}

	elsewhere := t.TempDir()
	restore := []string{"node", n.Name, "--restore", "--journal", elsewhere, "--timeout", "3s"}
	if code, out := person(t, nil, "yes", restore...); code != cli.ExitRefused || !strings.Contains(out, "--saved") {
		t.Errorf("without the file: exit %d", code)
	}
	restore = append(restore, "--saved", file)
	version := nodeNow(t, n.Name).ResourceVersion
	if code, out := person(t, nil, "", append(restore, "--dry-run=server")...); code != cli.ExitDone || !strings.Contains(out, "example.com/disk") || nodeNow(t, n.Name).ResourceVersion != version {
		t.Errorf("a dry run: exit %d", code)
	}
	code, out := person(t, nil, "yes", restore...)
	now := nodeNow(t, n.Name)
	if now.Labels["example.com/disk"] != "ssd" || now.Labels[corev1.LabelHostname] != n.Name || now.Spec.Unschedulable {
		t.Errorf("it is not as it was: %v %+v", now.Labels, now.Spec)
	}
	keys := map[string]bool{}
	for _, taint := range now.Spec.Taints {
		keys[taint.Key] = true
	}
	// No kubelet runs there, so no probe can pass, and pods are kept from it.
	if !keys["example.com/team"] || !keys[remedy.TaintUnproven] || code != cli.ExitError || !strings.Contains(out, "keeps the taint") {
		t.Errorf("exit %d, taints %v", code, keys)
	}
}

func TestAPodThatComesWhileANodeIsEmptiedKeepsItsNode(t *testing.T) {
	if err := cluster.EnsureNamespace(t.Context(), corev1.NamespaceNodeLease); err != nil {
		t.Fatal(err)
	}
	ns, n, dir := space(t), ill(t), t.TempDir()
	slow, err := cluster.Client().CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{ // it has its grace period to stop in, and so long the run waits
		ObjectMeta: metav1.ObjectMeta{Name: "slow"},
		Spec:       corev1.PodSpec{NodeName: n.Name, Containers: []corev1.Container{{Name: "c", Image: "registry.example.com/shop/web:1"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	setRunning(t, slow)
	args := append([]string{"node", n.Name, "--drain-and-delete", "--journal", dir, "--yes"}, lifts...)
	came := make(chan error, 1)
	go func() {
		came <- bed.Poll(t.Context(), 20*time.Second, func(ctx context.Context) error {
			p, err := cluster.Client().CoreV1().Pods(ns).Get(ctx, slow.Name, metav1.GetOptions{})
			if err != nil || p.DeletionTimestamp == nil {
				return fmt.Errorf("it is not evicted yet: %w", err)
			}
			_, err = cluster.Client().CoreV1().Pods(ns).Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "came"},
				Spec:       corev1.PodSpec{NodeName: n.Name, TerminationGracePeriodSeconds: new(int64), Containers: slow.Spec.Containers},
			}, metav1.CreateOptions{})
			return err
		})
	}()
	code, out := person(t, nil, "", args...)
	if err := <-came; err != nil {
		t.Fatal(err)
	}
	if now := nodeNow(t, n.Name); code != cli.ExitRefused || now == nil || !now.Spec.Unschedulable || !strings.Contains(out, ns+"/came came to node") {
		t.Errorf("exit %d, %v", code, now)
	}
	if err := cluster.Client().CoreV1().Pods(ns).Delete(t.Context(), slow.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil { // its kubelet does that
		t.Fatal(err)
	}
	// The next run shows it, and takes it along.
	if code, out = person(t, nil, "", args...); code != cli.ExitDone || nodeNow(t, n.Name) != nil || !strings.Contains(out, ns+"/came") {
		t.Errorf("the second run: exit %d", code)
	}
}
