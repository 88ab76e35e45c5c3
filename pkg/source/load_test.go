package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func allKinds() []snapshot.Kind {
	var out []snapshot.Kind
	for _, i := range snapshot.Kinds() {
		out = append(out, i.Kind)
	}
	return out
}

// bigEnough limits make 20 pods a large cluster.
func bigEnough() limits {
	l := defaultLimits()
	l.small, l.request = 0, 0
	return l
}

func TestLoadReadsTheNodesOfStuckPodsAndNoOthers(t *testing.T) {
	objects := slices.Concat(crowd("shop", "node-a", 5), crowd("shop", "node-b", 5), crowd("blog", "node-a", 2), []runtime.Object{
		newPod("shop", "cart-1", "node-a", deleting), newNode("node-a", corev1.ConditionTrue), newNode("node-b", corev1.ConditionTrue),
	})
	m := newMemory(objects...)
	s, err := load(t.Context(), m, Query{}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	if got, all := s.PodsOnNode("node-a"); len(got) != 8 || !all {
		t.Errorf("node-a: %d pods, all=%v; want all 8", len(got), all)
	}
	if got, all := s.PodsOnNode("node-b"); len(got) != 0 || all {
		t.Errorf("node-b: %d pods were kept, all=%v; nothing on it is stuck", len(got), all)
	}
	if got := s.Census().Pods(); got != 13 {
		t.Errorf("census counts %d pods, want 13", got)
	}
	if s.Census().Of("node-b").Ready != 5 || s.Census().Partial {
		t.Errorf("census of node-b: %+v, partial=%v", s.Census().Of("node-b"), s.Census().Partial)
	}
	if len(s.Gaps()) != 0 {
		t.Errorf("gaps in a cluster that answers everything: %v", s.Gaps())
	}
	if s.Node("node-a").Status.Images == nil || s.Node("node-b").Status.Images != nil {
		t.Error("images should be kept of nodes in question only")
	}
}

func TestLoadReadsASmallClusterWhole(t *testing.T) {
	m := newMemory(append(crowd("shop", "node-b", 5), newPod("shop", "cart-1", "node-a", creating))...)
	s := mustLoad(t, m, Query{})
	if len(s.Pods()) != 6 || !s.Complete(snapshot.Pod, "") {
		t.Errorf("%d pods, complete=%v; want all 6", len(s.Pods()), s.Complete(snapshot.Pod, ""))
	}
	if s.Has(snapshot.Pod, "shop", "ghost") != snapshot.Absent {
		t.Error("a pod that a complete list does not have is absent")
	}
}

func TestLoadReadsOneWideListWhereMostNodesAreSuspects(t *testing.T) {
	var objects []runtime.Object
	for i := range 10 {
		node := fmt.Sprintf("node-%d", i)
		objects = append(objects, crowd("shop", node, 3)...)
		if i < 9 {
			objects = append(objects, newPod("shop", "cart-"+node, node, creating))
		}
	}
	m := newMemory(objects...)
	l := bigEnough()
	l.request = 1
	s, err := load(t.Context(), m, Query{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.requests("list Pod in  where spec.nodeName"); len(got) != 0 {
		t.Errorf("nodes were listed one by one: %v", got)
	}
	if _, all := s.PodsOnNode("node-0"); !all {
		t.Error("node-0 was read whole by the wide list")
	}
	if got, all := s.PodsOnNode("node-9"); len(got) != 0 || all {
		t.Errorf("node-9 is no suspect, but %d of its pods were kept, all=%v", len(got), all)
	}
}

func TestLoadFindsDeletionsThatSTATUSHides(t *testing.T) {
	cases := []struct {
		name  string
		phase corev1.PodPhase
		word  string
	}{
		{"a Job's pod that a finalizer holds reads Completed", corev1.PodSucceeded, "Completed"},
		{"a failed pod that a finalizer holds reads Error", corev1.PodFailed, "Error"},
		{"a failed pod with a word of its own", corev1.PodFailed, "ContainerStatusUnknown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			objects := append(crowd("shop", "node-a", 3), newPod("shop", "import-1", "node-a", over(c.phase, c.word), deleting), newPod("shop", "import-2", "node-b", over(c.phase, c.word)))
			m := newMemory(objects...)
			s, err := load(t.Context(), m, Query{}, bigEnough())
			if err != nil {
				t.Fatal(err)
			}
			if s.Pod("shop", "import-1") == nil {
				t.Fatal("the pod that is being deleted was not found")
			}
			if _, all := s.PodsOnNode("node-a"); !all {
				t.Error("its node was not read")
			}
			if s.Pod("shop", "import-2") != nil {
				t.Error("a leftover that nobody deletes was kept")
			}
		})
	}
}

func TestLoadLeavesLeftoversAlone(t *testing.T) {
	objects := append(crowd("shop", "node-a", 2), newPod("shop", "old-1", "node-a", func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Reason, p.Status.ContainerStatuses = corev1.PodFailed, "Evicted", nil
	}))
	m := newMemory(objects...)
	s, err := load(t.Context(), m, Query{}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pods()) != 0 || len(m.requests("list Pod in  where spec.nodeName")) != 0 {
		t.Errorf("an evicted leftover made its node a suspect: %v", podNames(s))
	}
}

func TestLoadReadsNodesThatAreNotWell(t *testing.T) {
	stale := metav1.NewMicroTime(time.Date(2026, 3, 1, 11, 50, 0, 0, time.UTC))
	lease := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &stale}}
	lease.Namespace, lease.Name = corev1.NamespaceNodeLease, "silent"
	objects := slices.Concat(crowd("shop", "unready", 2), crowd("shop", "silent", 2), crowd("shop", "well", 6), []runtime.Object{
		lease, newNode("unready", corev1.ConditionUnknown), newNode("silent", corev1.ConditionTrue), newNode("well", corev1.ConditionTrue), newNode("empty", corev1.ConditionFalse),
	})
	s, err := load(t.Context(), newMemory(objects...), Query{}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]bool{"unready": true, "silent": true, "well": false, "empty": false} {
		if _, all := s.PodsOnNode(node); all != want {
			t.Errorf("node %s: read=%v, want %v", node, all, want)
		}
	}
}

func TestLoadOfOneNamespaceReadsTheWholeNode(t *testing.T) {
	objects := slices.Concat(crowd("shop", "node-a", 2), crowd("blog", "node-a", 3), []runtime.Object{newPod("shop", "cart-1", "node-a", creating), newPod("blog", "post-1", "node-b", creating)})
	s := mustLoad(t, newMemory(objects...), Query{Namespace: "shop"})
	if got, all := s.PodsOnNode("node-a"); len(got) != 6 || !all {
		t.Errorf("node-a: %d pods, all=%v; want 6 of both namespaces", len(got), all)
	}
	if s.Pod("blog", "post-1") != nil {
		t.Error("a stuck pod of another namespace was looked for")
	}
	if c := s.Census(); c.Namespace != "shop" || c.Pods() != 3 || c.Partial {
		t.Errorf("census of %q counts %d, partial=%v", c.Namespace, c.Pods(), c.Partial)
	}
}

func TestLoadWithRightsInOneNamespaceOnly(t *testing.T) {
	pvc := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1"}}
	pvc.Namespace, pvc.Name = "shop", "data"
	stuck := newPod("shop", "cart-1", "node-a", creating, func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	})
	objects := slices.Concat(crowd("shop", "node-a", 2), crowd("shop", "node-b", 2), crowd("blog", "node-a", 3), []runtime.Object{stuck, pvc, newNode("node-a", corev1.ConditionTrue)})
	m := newMemory(objects...)
	m.refuse = func(k snapshot.Kind, namespace, name string, _ ListRequest) error {
		if namespace != "shop" {
			return forbidden(k, name)
		}
		return nil
	}

	s := mustLoad(t, m, Query{Namespace: "shop", Needs: allKinds()})
	if s.Pod("shop", "cart-1") == nil || s.PVC("shop", "data") == nil {
		t.Error("what the namespace shows is missing")
	}
	if !s.Census().Partial {
		t.Error("pods of other namespaces on the node were not counted, and the census does not say so")
	}
	if _, all := s.PodsOnNode("node-a"); all {
		t.Error("node-a is said to be read whole")
	}
	if !s.Complete(snapshot.Pod, "shop") {
		t.Error("the namespace was small enough to be read whole")
	}
	for _, k := range []snapshot.Kind{snapshot.Pod, snapshot.Node, snapshot.Lease, snapshot.PersistentVolume, snapshot.VolumeAttachment, snapshot.DaemonSet, snapshot.MutatingWebhookConfiguration, snapshot.Event} {
		if _, ok := gapWith(s, k, snapshot.ReasonForbidden); !ok {
			t.Errorf("no gap says that %s could not be read", k)
		}
	}
	if s.Has(snapshot.Node, "", "node-a") != snapshot.Unknown || s.Has(snapshot.PersistentVolume, "", "pv-1") != snapshot.Unknown {
		t.Error("what may not be read is unknown, not absent")
	}
	if n := len(m.requests("list Pod in  where spec.nodeName")); n != 1 {
		t.Errorf("%d requests were refused for other namespaces; one is enough to know", n)
	}
}

func TestLoadOfAllNamespacesWithoutTheRight(t *testing.T) {
	m := newMemory()
	m.refuse = func(k snapshot.Kind, namespace, name string, _ ListRequest) error { return forbidden(k, name) }
	_, err := Load(t.Context(), m, Query{})
	var f *ForbiddenError
	if !errors.As(err, &f) || f.Namespace != "" || !strings.Contains(err.Error(), "-n") || !apierrors.IsForbidden(err) {
		t.Errorf("got %v; want a ForbiddenError that suggests -n", err)
	}
	_, err = Load(t.Context(), m, Query{Namespace: "shop"})
	if !errors.As(err, &f) || f.Namespace != "shop" || strings.Contains(err.Error(), "-n ") {
		t.Errorf("got %v; want a ForbiddenError about the namespace", err)
	}
}

func TestLoadAsksNothingOfADeadServer(t *testing.T) {
	m := newMemory()
	m.openErr = errors.New("connection refused")
	if _, err := Load(t.Context(), m, Query{}); !errors.Is(err, m.openErr) {
		t.Errorf("got %v", err)
	}
	if len(m.asked) != 1 {
		t.Errorf("asked %v after the server did not answer", m.asked[1:])
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newMemory(newPod("shop", "cart-1", "node-a", creating))
	m.refuse = func(k snapshot.Kind, _, _ string, _ ListRequest) error {
		if k == snapshot.Event {
			cancel()
		}
		return nil
	}
	if _, err := Load(ctx, m, Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestLoadSurvivesAnyOneFailure(t *testing.T) {
	objects := append(crowd("shop", "node-a", 3), newPod("shop", "cart-1", "node-a", creating), newNode("node-a", corev1.ConditionTrue))
	for _, k := range allKinds() {
		if k == snapshot.Pod {
			continue
		}
		t.Run(fmt.Sprintf("%s cannot be read", k), func(t *testing.T) {
			m := newMemory(objects...)
			m.refuse = func(asked snapshot.Kind, _, _ string, _ ListRequest) error {
				if asked == k {
					return apierrors.NewInternalError(errors.New("etcd is not well"))
				}
				return nil
			}
			s := mustLoad(t, m, Query{Needs: allKinds()})
			if s.Pod("shop", "cart-1") == nil {
				t.Error("the stuck pod is gone")
			}
			if len(m.requests("list "+string(k)))+len(m.requests("get "+string(k))) > 0 && s.Gap(k) == nil {
				t.Error("the failed read left no gap")
			}
			if s.Has(k, "", "anything") == snapshot.Absent || s.Has(k, "shop", "anything") == snapshot.Absent {
				t.Error("a failed read proves absence")
			}
		})
	}
}

func TestLoadWithoutACountGoesOnWithThePodsThatItHas(t *testing.T) {
	m := newMemory(newPod("shop", "cart-1", "node-a", creating))
	m.refuse = func(k snapshot.Kind, _, _ string, r ListRequest) error {
		if k == snapshot.Pod && r.FieldSelector == "" {
			return apierrors.NewInternalError(errors.New("a pod cannot be decrypted"))
		}
		return nil
	}
	s := mustLoad(t, m, Query{})
	if s.Pod("shop", "cart-1") == nil || !s.Census().Partial || s.Gap(snapshot.Pod) == nil {
		t.Errorf("pods %v, partial=%v, gaps %v", podNames(s), s.Census().Partial, s.Gaps())
	}
}

func TestLoadTellsAMissingKindFromAMissingObject(t *testing.T) {
	class := "gvisor"
	m := newMemory(newPod("shop", "cart-1", "node-a", creating, func(p *corev1.Pod) { p.Spec.RuntimeClassName = &class }))
	s := mustLoad(t, m, Query{Needs: allKinds()})
	if s.Has(snapshot.RuntimeClass, "", class) != snapshot.Absent || s.Gap(snapshot.RuntimeClass) != nil {
		t.Errorf("a RuntimeClass that does not exist is %v, gap %v", s.Has(snapshot.RuntimeClass, "", class), s.Gap(snapshot.RuntimeClass))
	}
	m.refuse = func(k snapshot.Kind, _, _ string, _ ListRequest) error {
		if k == snapshot.RuntimeClass {
			return notServed(k)
		}
		return nil
	}
	s = mustLoad(t, m, Query{Needs: allKinds()})
	if _, ok := gapWith(s, snapshot.RuntimeClass, snapshot.ReasonNotFound); !ok || s.Has(snapshot.RuntimeClass, "", class) != snapshot.Unknown {
		t.Errorf("a kind that is not served: %v, gaps %v", s.Has(snapshot.RuntimeClass, "", class), s.Gaps())
	}
}

func TestLoadLooksWhetherConfigExists(t *testing.T) {
	optional := true
	from := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{
			{Name: "a", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "there"}}}},
			{Name: "b", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "missing"}}},
			{Name: "c", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "maybe", Optional: &optional}}},
			{Name: "d", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "projected"}}}}}}},
		}
		p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
		p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "env"}}}}
		p.Spec.InitContainers = []corev1.Container{{Name: "init", Env: []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "key"}}}}}}}
	}
	there := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}}
	there.Namespace, there.Name = "shop", "there"
	m := newMemory(there, newPod("shop", "cart-1", "node-a", creating, from), newPod("shop", "gone-1", "node-a", deleting, func(p *corev1.Pod) {
		p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "of-a-deleted-pod"}}
	}))
	s := mustLoad(t, m, Query{Needs: allKinds()})
	for name, want := range map[string]snapshot.Presence{"there": snapshot.Present, "projected": snapshot.Absent, "key": snapshot.Absent} {
		if got := s.Has(snapshot.ConfigMap, "shop", name); got != want {
			t.Errorf("ConfigMap %s is %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]snapshot.Presence{"missing": snapshot.Absent, "registry": snapshot.Absent, "env": snapshot.Absent, "maybe": snapshot.Unknown, "of-a-deleted-pod": snapshot.Unknown} {
		if got := s.Has(snapshot.Secret, "shop", name); got != want {
			t.Errorf("Secret %s is %v, want %v", name, got, want)
		}
	}
}

func TestLoadReadsOnlyWhatIsNeeded(t *testing.T) {
	m := newMemory(newPod("shop", "cart-1", "node-a", creating), newNode("node-a", corev1.ConditionTrue))
	mustLoad(t, m, Query{})
	for _, k := range allKinds() {
		switch k {
		case snapshot.Pod, snapshot.Node, snapshot.Lease, snapshot.Event:
		default:
			if got := slices.Concat(m.requests("list "+string(k)+" "), m.requests("get "+string(k)+" ")); len(got) > 0 {
				t.Errorf("nobody needs %s, and it was read: %v", k, got)
			}
		}
	}
}

func TestLoadAsksNothingMoreOfAHealthyCluster(t *testing.T) {
	m := newMemory(append(crowd("shop", "node-a", 3), newNode("node-a", corev1.ConditionTrue))...)
	s := mustLoad(t, m, Query{Needs: allKinds()})
	for _, k := range []string{"list Event", "list DaemonSet", "list Pod in  where spec", "list Mutating"} {
		if got := m.requests(k); len(got) > 0 {
			t.Errorf("a healthy cluster was asked %v", got)
		}
	}
	if len(s.Pods()) != 0 || len(s.Gaps()) != 0 {
		t.Errorf("pods %v, gaps %v", podNames(s), s.Gaps())
	}
}

func TestLoadFollowsSelectors(t *testing.T) {
	objects := slices.Concat(crowd("shop", "node-a", 2), crowd("shop", "node-b", 2), []runtime.Object{
		newPod("shop", "cart-1", "node-a", creating), newPod("shop", "stock-1", "node-b", creating), newPod("shop", "stock-2", "node-b", deleting),
	})
	cases := []struct {
		name  string
		query Query
		nodes []string
	}{
		{"by label", Query{LabelSelector: "app=cart"}, []string{"node-a"}},
		{"by field", Query{FieldSelector: "spec.nodeName=node-b"}, []string{"node-b"}},
		{"by both, and nothing matches", Query{LabelSelector: "app=cart", FieldSelector: "spec.nodeName=node-b"}, nil},
		{"no selector", Query{}, []string{"node-a", "node-b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := bigEnough()
			l.request = -10 // never one wide list
			s, err := load(t.Context(), newMemory(objects...), c.query, l)
			if err != nil {
				t.Fatal(err)
			}
			var read []string
			for _, n := range []string{"node-a", "node-b"} {
				if _, all := s.PodsOnNode(n); all {
					read = append(read, n)
				}
			}
			if !slices.Equal(read, c.nodes) {
				t.Errorf("read %v, want %v", read, c.nodes)
			}
			if s.Census().Pods() != 7 {
				t.Errorf("the census counts %d pods; selectors do not change what a node holds", s.Census().Pods())
			}
		})
	}
}

func TestLoadByName(t *testing.T) {
	objects := slices.Concat(crowd("shop", "node-a", 3), crowd("shop", "node-b", 3), []runtime.Object{newPod("shop", "cart-1", "node-b", deleting)})
	m := newMemory(objects...)
	s, err := load(t.Context(), m, Query{Namespace: "shop", Names: []string{"node-a-001", "ghost"}}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	if s.Pod("shop", "node-a-001") == nil {
		t.Error("a pod that was asked for is kept even where it is healthy")
	}
	if s.Has(snapshot.Pod, "shop", "ghost") != snapshot.Absent {
		t.Error("a pod that does not exist is absent")
	}
	if _, all := s.PodsOnNode("node-a"); !all {
		t.Error("the node of the pod was not read")
	}
	if _, all := s.PodsOnNode("node-b"); all {
		t.Error("a node of pods that nobody asked for was read")
	}
	if _, err := Load(t.Context(), m, Query{Names: []string{"x"}}); err == nil {
		t.Error("a name without a namespace names nothing")
	}
}

func TestLoadOfANodeReadsItAlthoughItLooksHealthy(t *testing.T) {
	s, err := load(t.Context(), newMemory(append(slices.Concat(crowd("shop", "node-a", 2), crowd("shop", "node-b", 9)), newNode("node-a", corev1.ConditionTrue))...), Query{Nodes: []string{"node-a"}}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	if got, all := s.PodsOnNode("node-a"); len(got) != 2 || !all {
		t.Errorf("%d pods, all=%v", len(got), all)
	}
	if s.Node("node-a").Status.Images == nil {
		t.Error("everything about the node was asked for")
	}
}

func TestLoadKeepsTheYoungestWitnessesOfABigIncident(t *testing.T) {
	var objects []runtime.Object
	for i := range 4 {
		node := fmt.Sprintf("node-%d", i)
		objects = append(objects, crowd("shop", node, 10)...)
		objects = append(objects, newPod("shop", "stuck-"+node, node, creating))
	}
	objects = append(objects, crowd("shop", "node-x", 100)...)
	l := bigEnough()
	l.witnesses = 16
	s, err := load(t.Context(), newMemory(objects...), Query{}, l)
	if err != nil {
		t.Fatal(err)
	}
	got, all := s.PodsOnNode("node-2")
	var names []string
	for _, p := range got {
		names = append(names, p.Name)
	}
	want := []string{"node-2-006", "node-2-007", "node-2-008", "node-2-009", "stuck-node-2"}
	if !slices.Equal(names, want) || all {
		t.Errorf("kept %v, all=%v; want the stuck pod and the four youngest", names, all)
	}
	if g, ok := gapWith(s, snapshot.Pod, snapshot.ReasonTruncated); !ok || !strings.Contains(g.Detail, "24 healthy pods on 4 nodes") {
		t.Errorf("the gaps do not say what was left out: %v", s.Gaps())
	}
	if s.Census().Of("node-2").Pods != 11 {
		t.Error("the census counts them all the same")
	}
}

func TestLoadBoundsStuckPods(t *testing.T) {
	var objects []runtime.Object
	for i := range 60 {
		objects = append(objects, newPod("shop", fmt.Sprintf("cart-%03d", i), fmt.Sprintf("node-%d", i%2), deleting))
	}
	for i := range 30 {
		objects = append(objects, newPod("shop", fmt.Sprintf("wait-%03d", i), "", func(p *corev1.Pod) { p.Status.Phase, p.Status.ContainerStatuses = corev1.PodPending, nil }))
	}
	l := bigEnough()
	l.candidates, l.pending = 20, 10
	s, err := load(t.Context(), newMemory(objects...), Query{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.Pods()); got != 30 {
		t.Errorf("%d pods kept, want 10 of each node and 10 pending", got)
	}
	truncated := 0
	for _, g := range s.Gaps() {
		if g.Reason == snapshot.ReasonTruncated {
			truncated++
		}
	}
	if truncated != 2 {
		t.Errorf("want two gaps, of stuck and of pending pods: %v", s.Gaps())
	}
	if s.Census().Pods() != 90 {
		t.Errorf("the census counts %d", s.Census().Pods())
	}
}

func TestLoadReadsListsWhereManyAreWanted(t *testing.T) {
	var objects []runtime.Object
	for i := range 9 {
		claim := fmt.Sprintf("data-%d", i)
		objects = append(objects, newPod("shop", fmt.Sprintf("cart-%d", i), "node-a", creating, func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
		}))
		if i > 0 {
			pvc := &corev1.PersistentVolumeClaim{}
			pvc.Namespace, pvc.Name = "shop", claim
			objects = append(objects, pvc)
		}
	}
	m := newMemory(objects...)
	l := defaultLimits()
	l.gets = 5
	s, err := load(t.Context(), m, Query{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.requests("get PersistentVolumeClaim")) != 0 || len(m.requests("list PersistentVolumeClaim in shop")) != 1 {
		t.Errorf("want one list: %v", m.asked)
	}
	if s.Has(snapshot.PersistentVolumeClaim, "shop", "data-0") != snapshot.Absent || s.PVC("shop", "data-8") == nil {
		t.Error("what the list does not have is absent, what it has is there")
	}
}

func TestLoadReadsTheServicesOfWebhooksThatSeePods(t *testing.T) {
	config := &admissionv1.MutatingWebhookConfiguration{}
	config.Name = "sidecars"
	hook := func(name, resource string) admissionv1.MutatingWebhook {
		return admissionv1.MutatingWebhook{
			Name:         name,
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "mesh", Name: name}},
			Rules:        []admissionv1.RuleWithOperations{{Rule: admissionv1.Rule{APIGroups: []string{""}, Resources: []string{resource}}}},
		}
	}
	config.Webhooks = []admissionv1.MutatingWebhook{hook("injector", "pods"), hook("routes", "services")}
	m := newMemory(config, newPod("shop", "cart-1", "node-a", deleting))
	s := mustLoad(t, m, Query{Needs: allKinds()})
	if s.Has(snapshot.Service, "mesh", "injector") != snapshot.Absent {
		t.Error("the Service of a webhook for pods was not asked for")
	}
	if s.Has(snapshot.Service, "mesh", "routes") != snapshot.Unknown {
		t.Error("the Service of a webhook that never sees a pod was asked for")
	}
}

func TestLoadBoundsEvents(t *testing.T) {
	objects := []runtime.Object{}
	event := func(name, kind, about, typ string) *corev1.Event {
		e := &corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "shop", Name: about}, Type: typ, Reason: "R"}
		e.Namespace, e.Name = "shop", name
		return e
	}
	for i := range 5 {
		objects = append(objects, newPod("shop", fmt.Sprintf("cart-%d", i), "node-a", creating))
		objects = append(objects, event(fmt.Sprintf("z%d", i), "Pod", fmt.Sprintf("cart-%d", i), corev1.EventTypeNormal))
	}
	for i := range 20 {
		objects = append(objects, event(fmt.Sprintf("a%02d", i), "Pod", "other", corev1.EventTypeNormal))
	}
	l := defaultLimits()
	l.events = 10
	m := newMemory(objects...)
	s, err := load(t.Context(), m, Query{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Events(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0"})) != 1 {
		t.Error("where there are too many events, those of representative pods are read by name")
	}
	if len(s.Events(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "other"})) != 0 {
		t.Error("the chatter of healthy pods was kept")
	}
	if _, ok := gapWith(s, snapshot.Event, snapshot.ReasonTruncated); !ok {
		t.Errorf("no gap says that events were left out: %v", s.Gaps())
	}
	if len(m.requests("list Event in  ")) != 0 {
		t.Error("events of all namespaces were read")
	}
}

func TestLoadBoundsItsRequests(t *testing.T) {
	var objects []runtime.Object
	for i := range 40 {
		objects = append(objects, newPod("shop", fmt.Sprintf("cart-%d", i), fmt.Sprintf("node-%d", i), creating))
	}
	objects = append(objects, crowd("shop", "node-x", 200)...)
	m := newMemory(objects...)
	m.refuse = func(snapshot.Kind, string, string, ListRequest) error { time.Sleep(time.Millisecond); return nil }
	if _, err := load(t.Context(), m, Query{Concurrency: 3}, bigEnough()); err != nil {
		t.Fatal(err)
	}
	if m.busiest > 3 {
		t.Errorf("%d requests were under way at once, want at most 3", m.busiest)
	}
}

func TestGapReasonNamesTheFailure(t *testing.T) {
	cases := map[string]error{
		snapshot.ReasonForbidden:    forbidden(snapshot.Node, ""),
		snapshot.ReasonUnauthorized: apierrors.NewUnauthorized("who"),
		snapshot.ReasonNotFound:     notServed(snapshot.Node),
		snapshot.ReasonTimeout:      fmt.Errorf("list: %w", context.DeadlineExceeded),
		snapshot.ReasonUnavailable:  apierrors.NewTooManyRequests("busy", 1),
		snapshot.ReasonTruncated:    fmt.Errorf("list: %w", ErrTruncated),
		snapshot.ReasonNotInDump:    fmt.Errorf("list: %w", ErrNotInDump),
		snapshot.ReasonError:        errors.New("strange"),
	}
	for want, err := range cases {
		if got := gapReason(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestGapsOfTheSameKindAreOne(t *testing.T) {
	var l gapLog
	for range 3 {
		l.add(snapshot.Gap{Kind: snapshot.Pod, Reason: snapshot.ReasonTimeout, Detail: "node-a"})
	}
	got := l.list()
	if len(got) != 1 || got[0].Detail != "node-a (and 2 more like it)" {
		t.Errorf("got %v", got)
	}
}
