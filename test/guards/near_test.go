package guards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// unstoppable is what a container with a process in the kernel is like.
func (w *world) unstoppable(ctx context.Context, namespace string) error {
	match := fault.Match{Namespace: namespace}
	_, err := w.Node(near).Faults().Add(ctx,
		fault.Rule{ID: "stop-" + namespace, Call: fault.StopContainer, Match: match, Action: fault.Hang},
		fault.Rule{ID: "sandbox-" + namespace, Call: fault.StopPodSandbox, Match: match, Action: fault.Hang})
	if err != nil {
		return fmt.Errorf("make what runs in %s unstoppable: %w", namespace, err)
	}
	return nil
}

// nearScenes are about pods of nodes that are well.
func nearScenes() []scene {
	return []scene{
		{
			name: "in-grace leaves a pod the time that it was given",
			setup: func(ctx context.Context, w *world) error {
				return w.set(ctx, "grace", "settler", near, spec("settler", onNear, grace(300), func(s *corev1.PodSpec) {
					s.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "sleep 240"}}}}
				}))
			},
			test: testInGrace,
		},
		{
			name: "replaced spares the pod that has the name now",
			setup: func(ctx context.Context, w *world) error {
				return w.pod(ctx, "twice", "report", spec("report", on(near), grace(2)), "guards.example.com/hold")
			},
			test: testReplaced,
		},
		{
			name:  "mirror-pod leaves static pods to their node",
			setup: setUpStatic,
			test:  testMirrorPod,
		},
		{
			name: "not-being-deleted keeps pods that nobody deleted",
			setup: func(ctx context.Context, w *world) error {
				return w.pod(ctx, "alive", "keeper", spec("keeper", on(near), grace(30)), "guards.example.com/hold")
			},
			test: testNotBeingDeleted,
		},
		{
			name: "kubelet-alive tells of containers that run on unseen",
			setup: func(ctx context.Context, w *world) error {
				if err := w.set(ctx, "kernel", "encoder", near, spec("encoder", onNear, grace(2))); err != nil {
					return err
				}
				return w.deployment(ctx, "kernel", "viewer", near, 1, spec("viewer", onNear, grace(2)))
			},
			test: testKubeletAlive,
		},
		{
			name: "finalizers-remain tells that force alone does not help",
			setup: func(ctx context.Context, w *world) error {
				return w.pod(ctx, "remain", "export", spec("export", on(near), grace(2)), "guards.example.com/hold")
			},
			test: testFinalizersRemain,
		},
		{name: "owner-alive leaves a finalizer to the controller that works", test: testOwnerAlive},
		{name: "owner-alive lets go of a finalizer whose controller is gone", test: testOwnerGone},
		{
			name: "owner-unknown wants a finalizer named",
			setup: func(ctx context.Context, w *world) error {
				return w.pod(ctx, "unknown", "import", spec("import", on(near), grace(2)), "nobody.example.org/knows")
			},
			test: testOwnerUnknown,
		},
		{
			name:  "budget tells of a PodDisruptionBudget that a deletion walks past",
			setup: setUpBudget,
			test:  testBudget,
		},
	}
}

// onNear binds the pods of a controller to the node that is well.
func onNear(s *corev1.PodSpec) { s.NodeSelector = map[string]string{corev1.LabelHostname: near} }

func testInGrace(t *testing.T, w *world) {
	const namespace, name = "grace", "settler-0"
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.settled(t, namespace, name, deleting)
	args := []string{"--force", "--yes=" + name, "--wait", "45s"}
	a := w.refuses(t, namespace, name, "in-grace", args...)
	if v, _ := a.verdict("in-grace"); v.Override != "--even-in-grace" {
		t.Errorf("in-grace is lifted by %q", v.Override)
	}
	// It is a StatefulSet's, on a node that is well: to lift in-grace alone is not enough.
	w.refuses(t, namespace, name, "at-most-one", append(args, "--even-in-grace")...)
	if live := w.live(t, namespace, name, near); len(live) != 1 {
		t.Fatalf("live containers: %+v", live)
	}
	// Without both guards the controller makes the next one while the first is still at its work.
	a = w.fix(t, append([]string{"pod", name, "-n", namespace, "--even-in-grace", "--attest", "I believe that it has nothing to do any more"}, args...)...)
	if !w.gone(t, namespace, name, first.UID) {
		t.Fatalf("the pod is there: exit code %d", a.Code)
	}
	// The damage is one of two, as the kubelet decides: its work is cut off, or a second one runs beside it.
	eventually(t, soon, func(ctx context.Context) error {
		p, err := w.Client().CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get pod %s/%s: %w", namespace, name, err)
		}
		return other(first.UID, running(""))(p)
	})
	live := w.live(t, namespace, name, near)
	cut := !slices.ContainsFunc(live, func(c liveContainer) bool { return c.UID == string(first.UID) })
	t.Logf("the work of 240 s was cut off: %v; live containers: %d", cut, len(live))
	if !cut && len(live) != 2 {
		t.Errorf("no damage: %+v", live)
	}
}

func testReplaced(t *testing.T, w *world) {
	const namespace, name = "twice", "report"
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, heldOnly)
	plan := w.fix(t, "pod", name, "-n", namespace, "--force", "--finalizers=guards.example.com/hold", "--dry-run=client")
	if plan.Code != 0 || plan.doc.Plan == nil {
		t.Fatalf("no plan: exit code %d", plan.Code)
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, []byte(plan.Out), 0o600); err != nil {
		t.Fatal(err)
	}
	// Meanwhile it went, and somebody made another of the name.
	patch := []byte(`{"metadata":{"finalizers":null}}`)
	if _, err := w.Client().CoreV1().Pods(namespace).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		if _, err := w.Client().CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("the pod is there"), err)
		}
		return nil
	})
	if err := w.pod(t.Context(), namespace, name, spec("report", on(near), grace(2)), "guards.example.com/hold"); err != nil {
		t.Fatal(err)
	}
	second := w.until(t, namespace, name, other(first.UID, running(near)))
	before := w.stands(t, namespace, name)
	a := w.fix(t, "-f", file, "--yes="+name, "--wait", "0")
	if a.Code != refused {
		t.Errorf("exit code %d, want %d", a.Code, refused)
	}
	if !strings.Contains(a.ErrOut+a.Out, string(second.UID)) {
		t.Errorf("it does not say which pod has the name now (%s): %s", second.UID, a.ErrOut)
	}
	if after := w.stands(t, namespace, name); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
	// By name alone, as kubectl does it, the healthy one goes.
	w.force(t, namespace, name)
	if p := w.get(t, namespace, name); p.DeletionTimestamp == nil || p.UID != second.UID {
		t.Errorf("kubectl's call did no damage: %v %v", p.UID, p.DeletionTimestamp)
	}
}

const staticPod = `apiVersion: v1
kind: Pod
metadata: {name: cache-proxy, namespace: static}
spec:
  terminationGracePeriodSeconds: 2
  containers: [{name: main, image: "registry.example.com/guards/cache-proxy:v1"}]
`

func setUpStatic(ctx context.Context, w *world) error {
	if err := w.EnsureNamespace(ctx, "static"); err != nil {
		return err
	}
	if err := w.Node(near).RunStatic("cache-proxy.yaml", []byte(staticPod)); err != nil {
		return err
	}
	return w.wait(ctx, "static", "cache-proxy-"+near, running(near))
}

func testMirrorPod(t *testing.T, w *world) {
	const namespace, name = "static", "cache-proxy-" + near
	first := w.until(t, namespace, name, running(near))
	for _, rung := range []string{"--force", "--delete"} {
		a := w.refuses(t, namespace, name, "mirror-pod", rung, "--yes="+name)
		v, _ := a.verdict("mirror-pod")
		if v.Override != "" || !strings.Contains(v.Reason, near) || !strings.Contains(v.Reason, "manifests") {
			t.Errorf("%s: %+v", rung, v)
		}
	}
	before := w.live(t, namespace, name, near)
	if len(before) != 1 {
		t.Fatalf("live containers: %+v", before)
	}
	// kubectl's call stops nothing: the very same container runs on, and the pod is shown again.
	w.force(t, namespace, name)
	w.until(t, namespace, name, other(first.UID, running(near)))
	if after := w.live(t, namespace, name, near); len(after) != 1 || after[0].ID != before[0].ID {
		t.Errorf("before %+v, after %+v: want the same container", before, after)
	}
}

func testNotBeingDeleted(t *testing.T, w *world) {
	const namespace, name, finalizer = "alive", "keeper", "guards.example.com/hold"
	first := w.until(t, namespace, name, running(near))
	for _, args := range [][]string{{"--force"}, {"--finalizers"}, {"--finalizers=" + finalizer}, {"--force", "--finalizers=" + finalizer}} {
		a := w.refuses(t, namespace, name, "not-being-deleted", append(args, "--yes="+name, "--attest", "I know that nothing runs there")...)
		if v, _ := a.verdict("not-being-deleted"); v.Override != "" || v.Lifted || !strings.Contains(v.Reason, "--delete") {
			t.Errorf("%q: %+v", args, v)
		}
	}
	// kubectl's calls: what the finalizer was to keep is gone at once, with the container still there.
	if _, err := w.Client().CoreV1().Pods(namespace).Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.force(t, namespace, name)
	if !w.gone(t, namespace, name, first.UID) {
		t.Error("the pod is there")
	}
}

func testKubeletAlive(t *testing.T, w *world) {
	const namespace = "kernel"
	if err := w.unstoppable(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	pods, err := w.podsOf(t.Context(), namespace, "viewer")
	if err != nil || len(pods) != 1 {
		t.Fatalf("%v, %d pods", err, len(pods))
	}
	viewer := pods[0].Name
	for _, name := range []string{viewer, "encoder-0"} {
		if err := w.delete(t.Context(), namespace, name); err != nil {
			t.Fatal(err)
		}
	}
	w.until(t, namespace, viewer, overdue)
	w.until(t, namespace, "encoder-0", overdue)
	// The StatefulSet's pod is refused, and the plugin says that the node is well.
	a := w.refuses(t, namespace, "encoder-0", "at-most-one", "--force", "--yes=encoder-0")
	a.warns(t, "kubelet-alive")
	// An attestation against what is seen is taken, and said to be against it.
	a = w.fix(t, "pod", "encoder-0", "-n", namespace, "--force", "--dry-run=client", "--attest", "the node is off, I swear")
	if v, _ := a.verdict("at-most-one"); !v.Lifted || a.Code != 0 {
		t.Errorf("exit code %d: %+v", a.Code, v)
	} else {
		t.Logf("against the evidence: %s", v.Reason)
	}
	// The Deployment's goes, with a warning, and its container is known to nobody.
	first := w.get(t, namespace, viewer)
	a = w.fix(t, "pod", viewer, "-n", namespace, "--force", "--yes="+viewer, "--wait", "60s")
	if v := a.warns(t, "kubelet-alive"); v.Level != remedy.Warn || !strings.Contains(v.Reason, near) {
		t.Errorf("%+v", v)
	}
	a.must(t, 0, remedy.Done)
	if !w.gone(t, namespace, viewer, first.UID) {
		t.Error("the pod is there")
	}
	if live := w.live(t, namespace, viewer, near); len(live) != 1 {
		t.Errorf("live containers of a pod that the API does not know: %+v, want one", live)
	}
}

func testFinalizersRemain(t *testing.T, w *world) {
	const namespace, name = "remain", "export"
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, heldOnly)
	a := w.fix(t, "pod", name, "-n", namespace, "--force", "--yes="+name, "--wait", "5s")
	if v := a.warns(t, "finalizers-remain"); !v.WouldNotHelp {
		t.Errorf("%+v", v)
	}
	if help := a.doc.Plan.Acts[0].Help; help != remedy.NotAlone && help != remedy.NoHelp {
		t.Errorf("it is expected that it %q", help)
	}
	// As predicted.
	if p := w.get(t, namespace, name); p.UID != first.UID || len(p.Finalizers) != 1 {
		t.Errorf("the pod: %v, finalizers %q", p.UID, p.Finalizers)
	}
	if a.Code == 0 {
		t.Error("exit code 0: that is called a success")
	}
}

// held waits for a pod of the scenario about owners.
func (w *world) held(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	return w.until(t, scenario.OwnersNamespace, name, heldOnly)
}

func testOwnerAlive(t *testing.T, w *world) {
	first := w.held(t, scenario.OwnerAlivePod)
	args := []string{"--yes=" + scenario.OwnerAlivePod, "--wait", "10s"}
	for _, which := range []string{"--finalizers", "--finalizers=" + scenario.OwnerAlive} {
		a := w.refuses(t, scenario.OwnersNamespace, scenario.OwnerAlivePod, "owner-alive", append(args, which)...)
		if v, _ := a.verdict("owner-alive"); v.Override != "--even-if-owner-alive" || !strings.Contains(v.Reason, "workflow-controller") {
			t.Errorf("%s: %+v", which, v)
		}
	}
	// With it lifted, the controller that runs never gets to record what it waited for.
	a := w.fix(t, append([]string{"pod", scenario.OwnerAlivePod, "-n", scenario.OwnersNamespace, "--finalizers", "--even-if-owner-alive"}, args...)...)
	if !w.gone(t, scenario.OwnersNamespace, scenario.OwnerAlivePod, first.UID) {
		t.Errorf("exit code %d, and the pod is there", a.Code)
	}
	d, err := w.Client().AppsV1().Deployments(scenario.OwnersNamespace).Get(t.Context(), "workflow-controller", metav1.GetOptions{})
	if err != nil || d.Status.ReadyReplicas == 0 {
		t.Errorf("the owner is not alive: %v", err)
	}
}

func testOwnerGone(t *testing.T, w *world) {
	first := w.held(t, scenario.OwnerGonePod)
	a := w.fix(t, "pod", scenario.OwnerGonePod, "-n", scenario.OwnersNamespace, "--finalizers", "--yes="+scenario.OwnerGonePod, "--wait", "10s")
	a.must(t, 0, remedy.Done)
	if !w.gone(t, scenario.OwnersNamespace, scenario.OwnerGonePod, first.UID) {
		t.Error("the pod is there")
	}
}

func testOwnerUnknown(t *testing.T, w *world) {
	const namespace, name, finalizer = "unknown", "import", "nobody.example.org/knows"
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, heldOnly)
	a := w.refuses(t, namespace, name, "owner-unknown", "--finalizers", "--yes="+name)
	if v, _ := a.verdict("owner-unknown"); v.Override != "--finalizers="+finalizer {
		t.Errorf("%+v", v)
	}
	// Whoever waits for that finalizer never sees the pod go: a watch that would have held it is passed by.
	a = w.fix(t, "pod", name, "-n", namespace, "--finalizers="+finalizer, "--yes="+name, "--wait", "10s")
	a.must(t, 0, remedy.Done)
	if !w.gone(t, namespace, name, first.UID) {
		t.Error("the pod is there")
	}
	// One patch, that touches nothing but the finalizer.
	writes := w.writes(t, namespace)
	if len(writes) != 1 || writes[0].Verb != "patch" || !strings.Contains(string(writes[0].RequestObject), `"test"`) {
		t.Errorf("writes: %+v", writes)
	}
}

func setUpBudget(ctx context.Context, w *world) error {
	const namespace, name = "promise", "basket"
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	one := intstr.FromInt32(1)
	_, err := w.Client().PolicyV1().PodDisruptionBudgets(namespace).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: labelsOf(name)}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create PodDisruptionBudget: %w", err)
	}
	return w.deployment(ctx, namespace, name, near, 1, spec(name, onNear, grace(2), func(s *corev1.PodSpec) {
		s.Containers[0].Command = []string{"sh", "-c", "sleep 5; exit 1"}
	}))
}

func testBudget(t *testing.T, w *world) {
	const namespace, name = "promise", "basket"
	var pod *corev1.Pod
	eventually(t, soon, func(ctx context.Context) error {
		pods, err := w.podsOf(ctx, namespace, name)
		if err != nil || len(pods) != 1 {
			return fmt.Errorf("%d pods: %w", len(pods), err)
		}
		pod = &pods[0]
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff" {
				return nil
			}
		}
		return errors.New("it does not crash")
	})
	if t.Failed() {
		t.FailNow()
	}
	// An eviction asks the budget, and is refused.
	err := w.Client().PolicyV1().Evictions(namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: namespace}})
	if !apierrors.IsTooManyRequests(err) {
		t.Fatalf("an eviction is answered with %v", err)
	}
	// A deletion does not ask.
	a := w.fix(t, "pod", pod.Name, "-n", namespace, "--delete", "--yes="+pod.Name, "--wait", "0")
	for range 5 { // between two crashes it runs, and is not stuck
		if a.Code != 4 || !strings.Contains(a.ErrOut, "not-stuck") {
			break
		}
		time.Sleep(5 * time.Second)
		a = w.fix(t, "pod", pod.Name, "-n", namespace, "--delete", "--yes="+pod.Name, "--wait", "0")
	}
	if v := a.warns(t, "budget"); v.Level != remedy.Warn || !strings.Contains(v.Reason, name) {
		t.Errorf("%+v", v)
	}
	if a.doc.Status != remedy.Done {
		t.Errorf("exit code %d, status %q", a.Code, a.doc.Status)
	}
	eventually(t, 30*time.Second, func(context.Context) error {
		if !w.gone(t, namespace, pod.Name, pod.UID) {
			return errors.New("the pod is there")
		}
		return nil
	})
}
