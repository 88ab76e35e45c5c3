package guards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/csi"
)

// hearsay is an attestation that is false.
const hearsay = "somebody in the chat said that edge-1 was switched off"

// The volume of the scene with a disk.
const (
	diskNamespace = "one-disk"
	diskVolume    = "pv-one-disk"
)

// edgeScenes are about pods of a node that nobody hears of, and that runs on.
func edgeScenes() []scene {
	return []scene{
		{
			name: "at-most-one keeps a StatefulSet's pod from running twice",
			setup: func(ctx context.Context, w *world) error {
				return w.set(ctx, "once", "web", edge, spec("web", onEdge, grace(2)))
			},
			test: testAtMostOne,
		},
		{
			name:  "volume-in-use keeps a disk from a second writer",
			setup: setUpDisk,
			test:  testDisk,
		},
		{
			name: "comes-back tells that a DaemonSet's pod only hangs again",
			setup: func(ctx context.Context, w *world) error {
				return w.daemon(ctx, "agents", "agent", spec("agent", onEdge, grace(2), func(s *corev1.PodSpec) {
					// As agents of nodes do, it tolerates everything: else its controller leaves a node alone that is unreachable.
					s.Affinity, s.NodeSelector, s.Tolerations = nil, edgeLabels(), []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
				}))
			},
			test: testComesBack,
		},
		{
			name: "blast-radius and symptom speak up where a whole node's pods are to go",
			setup: func(ctx context.Context, w *world) error {
				return w.deployment(ctx, "crowd", "seller", edge, 12, spec("seller", onEdge, grace(2)))
			},
			test: testBlastRadius,
		},
		{
			name: "a user without the right to read nodes",
			setup: func(ctx context.Context, w *world) error {
				return w.set(ctx, "blind", "cache", edge, spec("cache", onEdge, grace(2)))
			},
			test: testUnread,
		},
		{
			name: "system-critical pods are named as such",
			setup: func(ctx context.Context, w *world) error {
				return w.pod(ctx, metav1.NamespaceSystem, "clock", spec("clock", on(edge), grace(2), func(s *corev1.PodSpec) { s.PriorityClassName = "system-cluster-critical" }))
			},
			test: testSystemCritical,
		},
		{
			name:  "virtual-node tells of tasks that go on elsewhere",
			setup: setUpVirtualNode,
			test:  testVirtualNode,
		},
		{
			name: "off: a StatefulSet's pod for the node that will be off",
			setup: func(ctx context.Context, w *world) error {
				return w.set(ctx, offNamespace, "db", edge, spec("db", onEdge, grace(2)))
			},
			test: func(*testing.T, *world) {}, // testTrulyOff
		},
	}
}

func testAtMostOne(t *testing.T, w *world) {
	const namespace, name = "once", "web-0"
	first := w.until(t, namespace, name, overdue)
	args := []string{"--force", "--yes=" + name, "--wait", "60s"}
	a := w.refuses(t, namespace, name, "at-most-one", args...)
	if v, _ := a.verdict("at-most-one"); !strings.Contains(v.Override, "--attest") {
		t.Errorf("at-most-one says it is lifted by %q", v.Override)
	}
	if live := w.live(t, namespace, name); len(live) != 1 {
		t.Fatalf("before: %d live containers of %s: %+v", len(live), name, live)
	}
	// A false word lifts it, and what it prevents happens.
	dir := t.TempDir()
	a = w.fix(t, append([]string{"pod", name, "-n", namespace, "--attest", hearsay, "--journal", dir}, args...)...)
	a.must(t, 0, remedy.Done)
	second := w.until(t, namespace, name, other(first.UID, running("")))
	if second.Spec.NodeName == edge {
		t.Errorf("the second %s is on %s", name, edge)
	}
	live := w.live(t, namespace, name)
	if len(live) != 2 || live[0].UID == live[1].UID {
		t.Errorf("%d live containers of %s, want two of different pods: the damage that at-most-one prevents did not happen\n%+v", len(live), name, live)
	}
	v, _ := a.verdict("at-most-one")
	if !v.Lifted || !strings.Contains(v.By, hearsay) && !strings.Contains(v.By, "attest") {
		t.Errorf("the verdict does not say what lifted it: %+v", v)
	}
	if !strings.Contains(journalOf(t, dir), hearsay) {
		t.Error("the attestation is not in the journal")
	}
	if n := len(w.writes(t, namespace)); n != 1 {
		t.Errorf("%d writes, want one: %+v", n, w.writes(t, namespace))
	}
}

func setUpDisk(ctx context.Context, w *world) error {
	if err := w.EnsureNamespace(ctx, diskNamespace); err != nil {
		return err
	}
	size, none := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}, ""
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	_, err := w.Client().CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: diskVolume},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:               &corev1.ObjectReference{Namespace: diskNamespace, Name: "data"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: csi.DriverName, VolumeHandle: "vol-one-disk"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create PersistentVolume: %w", err)
	}
	_, err = w.Client().CoreV1().PersistentVolumeClaims(diskNamespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size}, StorageClassName: &none, VolumeName: diskVolume,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create PersistentVolumeClaim: %w", err)
	}
	return w.deployment(ctx, diskNamespace, "ledger", edge, 1, spec("ledger", onEdge, grace(2), func(s *corev1.PodSpec) {
		s.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
		}}}
		s.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/var/lib/ledger"}}
	}))
}

// attached tells whether the node has the volume, says the API.
func (w *world) attached(ctx context.Context, volume, node string) (bool, error) {
	list, err := w.Client().StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list VolumeAttachments: %w", err)
	}
	for _, va := range list.Items {
		if n := va.Spec.Source.PersistentVolumeName; n != nil && *n == volume && va.Spec.NodeName == node && va.Status.Attached {
			return true, nil
		}
	}
	return false, nil
}

func testDisk(t *testing.T, w *world) {
	pods, err := w.podsOf(t.Context(), diskNamespace, "ledger")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Spec.NodeName == edge })
	if i < 0 {
		t.Fatalf("no pod of ledger is on %s", edge)
	}
	name := pods[i].Name
	first := w.until(t, diskNamespace, name, overdue)
	args := []string{"--force", "--yes=" + name, "--wait", "15s"}
	a := w.refuses(t, diskNamespace, name, "at-most-one", args...)
	a.mustRefuse(t, "volume-in-use")
	a = w.fix(t, append([]string{"pod", name, "-n", diskNamespace, "--attest", hearsay}, args...)...)
	if !w.gone(t, diskNamespace, name, first.UID) {
		t.Fatalf("the pod is there: %s", a.ErrOut)
	}
	// The API knows of no pod on the node that has the disk, and the container writes on.
	if live := w.live(t, diskNamespace, name, edge); len(live) != 1 {
		t.Errorf("%d containers write to the disk on %s, want one: %+v", len(live), edge, live)
	}
	still, err := w.attached(t.Context(), diskVolume, edge)
	if err != nil {
		t.Fatal(err)
	}
	if !still {
		t.Errorf("volume %s is not attached to %s any more", diskVolume, edge)
	}
	// The plugin says so, and who reads it knows that nothing is solved.
	if len(a.doc.Sights) != 1 || !slices.Contains(a.doc.Sights[0].Attached, diskVolume) {
		t.Errorf("what was seen afterwards: %s", asJSON(a.doc.Sights))
	}
	pods, err = w.podsOf(t.Context(), diskNamespace, "ledger")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		if running("")(&p) == nil {
			t.Errorf("pod %s runs on %s with a disk that %s has", p.Name, p.Spec.NodeName, edge)
		}
	}
}

// daemon makes a DaemonSet and waits until a pod of it runs on the edge.
func (w *world) daemon(ctx context.Context, namespace, name string, s corev1.PodSpec) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	_, err := w.Client().AppsV1().DaemonSets(namespace).Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labelsOf(name)}, Template: templateOf(name, s)},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create DaemonSet %s/%s: %w", namespace, name, err)
	}
	return bed.Poll(ctx, soon, func(ctx context.Context) error {
		pods, err := w.podsOf(ctx, namespace, name)
		if err != nil {
			return err
		}
		if len(pods) != 1 || running(edge)(&pods[0]) != nil {
			return fmt.Errorf("no pod of DaemonSet %s/%s runs on %s", namespace, name, edge)
		}
		return nil
	})
}

func testComesBack(t *testing.T, w *world) {
	const namespace = "agents"
	w.untilUnreachable(t)
	pods, err := w.podsOf(t.Context(), namespace, "agent")
	if err != nil || len(pods) == 0 {
		t.Fatalf("%v, %d pods", err, len(pods))
	}
	first := &pods[0]
	if first.DeletionTimestamp == nil {
		if err := w.delete(t.Context(), namespace, first.Name); err != nil {
			t.Fatal(err)
		}
	}
	first = w.until(t, namespace, first.Name, overdue)
	a := w.fix(t, "pod", first.Name, "-n", namespace, "--force", "--yes="+first.Name, "--wait", "10s")
	if v := a.warns(t, "comes-back"); v.Level != remedy.Warn || !v.WouldNotHelp {
		t.Errorf("comes-back: %+v", v)
	}
	if help := a.doc.Plan.Acts[0].Help; help != remedy.NoHelp && help != remedy.NotAlone {
		t.Errorf("it is expected that it %q", help)
	}
	// As predicted: there is another one on the same node, and it hangs.
	a.must(t, 1, remedy.Done)
	eventually(t, soon, func(ctx context.Context) error {
		now, err := w.podsOf(ctx, namespace, "agent")
		if err != nil {
			return err
		}
		if len(now) != 1 || now[0].UID == first.UID || now[0].Spec.NodeName != edge || now[0].Status.Phase != corev1.PodPending {
			return fmt.Errorf("the DaemonSet's pods: %d, want another one that hangs on %s", len(now), edge)
		}
		return nil
	})
}

// untilUnreachable waits until the node controller has given the edge up.
func (w *world) untilUnreachable(t *testing.T) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		n, err := w.Client().CoreV1().Nodes().Get(ctx, edge, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get node %s: %w", edge, err)
		}
		if !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == corev1.TaintNodeUnreachable && t.Effect == corev1.TaintEffectNoExecute
		}) {
			return errors.New("node " + edge + " is not tainted")
		}
		return nil
	})
}

func testBlastRadius(t *testing.T, w *world) {
	const namespace, name = "crowd", "seller"
	var old []corev1.Pod
	eventually(t, soon, func(ctx context.Context) error {
		pods, err := w.podsOf(ctx, namespace, name)
		if err != nil {
			return err
		}
		old = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return stuck(&p) != nil })
		if len(old) != 12 {
			return fmt.Errorf("%d pods are stuck, want 12", len(old))
		}
		return nil
	})
	version := func() string {
		var all []string
		for _, p := range old {
			all = append(all, w.get(t, namespace, p.Name).ResourceVersion)
		}
		return strings.Join(all, " ")
	}
	before := version()
	args := []string{"pods", "-n", namespace, "-l", app + "=" + name, "--force", "--wait", "60s"}
	a := w.fix(t, append(args, "--yes=12")...)
	a.mustRefuse(t, "blast-radius")
	if after := version(); after != before || len(w.writes(t, namespace)) != 0 {
		t.Errorf("the pods have changed: %s and %s, writes %+v", before, after, w.writes(t, namespace))
	}
	a.warns(t, "symptom")
	// With the limits lifted all twelve go at once, and all that the cut-off machine runs is known to nobody.
	a = w.fix(t, append(args, "--yes=12", "--max-pods", "12", "--max-share", "100")...)
	a.must(t, 0, remedy.Done)
	unseen := 0
	for _, p := range old {
		if !w.gone(t, namespace, p.Name, p.UID) {
			t.Errorf("%s is there", p.Name)
		}
		unseen += len(w.live(t, namespace, p.Name, edge))
	}
	if unseen != 12 {
		t.Errorf("%d containers run on %s and are known to nobody, want 12", unseen, edge)
	}
}

func testUnread(t *testing.T, w *world) {
	const namespace, name = "blind", "cache-0"
	config, err := w.NamespaceKubeconfig(t.Context(), "dev-blind", namespace, "edit")
	if err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, overdue)
	args := []string{"pod", name, "-n", namespace, "--force", "--yes=" + name, "--wait", "45s"}
	before := w.stands(t, namespace, name)
	a := w.fixAs(t, config, args...)
	if a.Code != refused {
		t.Errorf("exit code %d, want %d", a.Code, refused)
	}
	if after := w.stands(t, namespace, name); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
	blocks := 0
	for _, v := range a.verdicts() {
		if v.Blocks() {
			blocks++
			t.Logf("%s: %s", v.Guard, v.Reason)
		}
	}
	// Whether it is a storm is not known to them either.
	args = append(args, "--even-in-storm")
	if blocks == 0 || !strings.Contains(a.ErrOut, "node") {
		t.Errorf("%d guards block, and nodes are not named: %s", blocks, a.ErrOut)
	}
	if v, ok := a.verdict("unread"); !ok || !strings.Contains(strings.ToLower(v.Reason), "node") {
		t.Errorf("unread: %+v, %v", v, ok)
	}
	// The person's word stands for what they may not see.
	a = w.fixAs(t, config, append(args, "--attest", "the cluster's owner told me that edge-1 is off")...)
	if !w.gone(t, namespace, name, first.UID) {
		t.Errorf("with an attestation: exit code %d, and the pod is there", a.Code)
	}
}

func testSystemCritical(t *testing.T, w *world) {
	const name = "clock"
	if err := w.delete(t.Context(), metav1.NamespaceSystem, name); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	first := w.until(t, metav1.NamespaceSystem, name, overdue)
	a := w.fix(t, "pod", name, "-n", metav1.NamespaceSystem, "--force", "--yes="+name, "--wait", "10s")
	a.warns(t, "system-critical")
	if !w.gone(t, metav1.NamespaceSystem, name, first.UID) {
		t.Errorf("a warning has kept the pod: exit code %d", a.Code)
	}
	if live := w.live(t, metav1.NamespaceSystem, name, edge); len(live) != 1 {
		t.Errorf("%d containers of it, want one that runs on unseen", len(live))
	}
}

// setUpVirtualNode makes a node of a virtual kubelet that does not answer: an object, because its machine is a cloud.
func setUpVirtualNode(ctx context.Context, w *world) error {
	_, err := w.Client().CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "virtual-1", Labels: map[string]string{"type": "virtual-kubelet", "kubernetes.io/role": "agent"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "virtual-kubelet.io/provider", Value: "example", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create node: %w", err)
	}
	if err := w.EnsureNamespace(ctx, "virtual"); err != nil {
		return err
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "task"}, Spec: spec("task", on("virtual-1"), grace(2))}
	p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	if _, err := w.Client().CoreV1().Pods("virtual").Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create pod: %w", err)
	}
	// Its kubelet said that it runs, while there was one.
	p, err = w.Client().CoreV1().Pods("virtual").Get(ctx, "task", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get pod: %w", err)
	}
	now := metav1.NewTime(time.Now())
	p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &now
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "main", Ready: true, Image: p.Spec.Containers[0].Image, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
	}}
	if _, err := w.Client().CoreV1().Pods("virtual").UpdateStatus(ctx, p, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("say that the pod runs: %w", err)
	}
	return nil
}

func testVirtualNode(t *testing.T, w *world) {
	if err := w.delete(t.Context(), "virtual", "task"); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, "virtual", "task", overdue)
	a := w.fix(t, "pod", "task", "-n", "virtual", "--force", "--yes=task", "--wait", "5s")
	a.warns(t, "virtual-node")
	if !w.gone(t, "virtual", "task", first.UID) {
		t.Errorf("a warning has kept the pod: exit code %d", a.Code)
	}
}

const offNamespace = "truly-off"

// testTrulyOff is the good end: the person's word is true, the pod runs elsewhere, and that is proven.
func testTrulyOff(t *testing.T, w *world) {
	const name = "db-0"
	first := w.until(t, offNamespace, name, overdue)
	args := []string{"--force", "--yes=" + name, "--wait", "90s"}
	w.refuses(t, offNamespace, name, "at-most-one", args...)
	if err := w.Node(edge).Stop(); err != nil {
		t.Fatal(err)
	}
	// Nothing in the API tells that the machine is off now, so it is still refused.
	w.refuses(t, offNamespace, name, "at-most-one", args...)
	a := w.fix(t, append([]string{"pod", name, "-n", offNamespace, "--attest", "I switched edge-1 off at its power supply"}, args...)...)
	a.must(t, 0, remedy.Done)
	second := w.get(t, offNamespace, name)
	if second.UID == first.UID || second.Spec.NodeName == edge {
		t.Errorf("%s is on %s, the same: %v", name, second.Spec.NodeName, second.UID == first.UID)
	}
	if live := w.live(t, offNamespace, name); len(live) != 1 || live[0].UID != string(second.UID) {
		t.Errorf("live containers: %+v, want that of the second pod alone", live)
	}
	if len(a.doc.Sights) != 1 {
		t.Fatalf("sights: %s", asJSON(a.doc.Sights))
	}
	s := a.doc.Sights[0]
	if !s.Gone || !s.Good || s.Replacement == nil || !s.Replacement.Ready || s.Replacement.Node != second.Spec.NodeName || s.Replacement.Ref.UID != second.UID {
		t.Errorf("the proof: %s", asJSON(s))
	}
}
