package source

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// manyPods limits make a few pods a cluster whose pods are not all read.
func manyPods(nodes int) limits {
	l := bigEnough()
	l.roomPods, l.roomNodes = 1, nodes
	return l
}

func zoned(name, zone string) *corev1.Node {
	n := newNode(name, corev1.ConditionTrue)
	n.Labels = map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelHostname: name}
	return n
}

// rich gives a pod what a pod has much of.
func rich(p *corev1.Pod) {
	p.Annotations = map[string]string{"note": strings.Repeat("x", 100)}
	c := &p.Spec.Containers[0]
	c.Env = []corev1.EnvVar{{Name: "A", Value: "b"}}
	c.Ports = []corev1.ContainerPort{{HostPort: 80}}
	p.Spec.Volumes = []corev1.Volume{
		{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
	}
}

func TestLoadReadsAllPodsToSeeWhereThereIsRoom(t *testing.T) {
	m := newMemory(slices.Concat(crowd("shop", "node-a", 3), crowd("shop", "node-b", 4), []runtime.Object{
		zoned("node-a", "x"), zoned("node-b", "y"), newPod("blog", "post-1", "node-b", rich), newPod("blog", "draft-1", "node-a", rich), newPod("blog", "wait-1", "", creating),
	})...)
	s, err := load(t.Context(), m, Query{Room: []string{"node-a"}}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]int{"node-a": 4, "node-b": 5, "": 1} {
		if got, all := s.PodsOnNode(node); len(got) != want || !all {
			t.Errorf("node %q: %d pods, all=%v; want all %d", node, len(got), all, want)
		}
	}
	if !s.Complete(snapshot.Pod, "") {
		t.Error("all pods were read")
	}
	other, own := s.Pod("blog", "post-1"), s.Pod("blog", "draft-1")
	if other.Annotations != nil || other.Spec.Containers[0].Env != nil || len(other.Spec.Volumes) != 1 {
		t.Errorf("a pod that only takes room is kept with all it has: %+v", other)
	}
	if len(other.Spec.Containers[0].Ports) != 1 || other.Labels["app"] == "" || len(other.Status.ContainerStatuses) != 1 {
		t.Errorf("what tells of its room is not kept: %+v", other)
	}
	if own.Annotations == nil || len(own.Spec.Containers[0].Env) != 1 || len(own.Spec.Volumes) != 2 {
		t.Errorf("a pod that has to move is kept as it is: %+v", own)
	}
	if s.Node("node-a").Status.Images == nil {
		t.Error("the node is read in full")
	}
	if len(s.Gaps()) != 0 {
		t.Errorf("gaps: %v", s.Gaps())
	}
}

func TestLoadWithoutRoomReadsNoOtherNodes(t *testing.T) {
	m := newMemory(slices.Concat(crowd("shop", "node-a", 3), crowd("shop", "node-b", 4), []runtime.Object{zoned("node-a", "x"), zoned("node-b", "y")})...)
	s, err := load(t.Context(), m, Query{Nodes: []string{"node-a"}}, bigEnough())
	if err != nil {
		t.Fatal(err)
	}
	if got, all := s.PodsOnNode("node-b"); len(got) != 0 || all {
		t.Errorf("%d pods of node-b were read, all=%v", len(got), all)
	}
}

func TestLoadReadsSomeNodesOfAHugeCluster(t *testing.T) {
	objects := crowd("shop", "node-a", 3)
	objects = append(objects, zoned("node-a", "x"))
	for i := range 6 { // the higher its number, the fewer pods has the node
		for _, z := range []string{"x", "y"} {
			name := fmt.Sprintf("node-%s%d", z, i)
			objects = append(objects, zoned(name, z))
			objects = append(objects, crowd("shop", name, 8-i)...)
		}
	}
	for name, change := range map[string]func(*corev1.Node){
		"out-cordoned": func(n *corev1.Node) { n.Spec.Unschedulable = true },
		"out-silent":   func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown },
	} {
		n := zoned(name, "x")
		change(n)
		objects = append(objects, n)
	}
	s, err := load(t.Context(), newMemory(objects...), Query{Room: []string{"node-a"}}, manyPods(4))
	if err != nil {
		t.Fatal(err)
	}
	var whole []string
	for _, n := range s.Nodes() {
		if _, all := s.PodsOnNode(n.Name); all {
			whole = append(whole, n.Name)
		}
	}
	if want := []string{"node-a", "node-x4", "node-x5", "node-y4", "node-y5"}; !slices.Equal(whole, want) {
		t.Errorf("read whole: %v, want %v: those with the fewest pods, over the zones", whole, want)
	}
	if s.Complete(snapshot.Pod, "") || s.Complete(snapshot.Pod, "shop") {
		t.Error("not all pods were read, and nothing made it necessary")
	}
}

func TestLoadReadsNodesThatWouldTakeThePodsThatMove(t *testing.T) {
	gpu := func(p *corev1.Pod) {
		p.Spec.NodeSelector = map[string]string{"gpu": "yes"}
		p.Spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
	}
	objects := []runtime.Object{zoned("node-a", "x"), newPod("shop", "train-1", "node-a", gpu), newPod("shop", "cart-1", "node-a")}
	for i := range 9 {
		name := fmt.Sprintf("node-x%d", i)
		objects = append(objects, zoned(name, "x"))
	}
	special := zoned("zz-gpu", "x")
	special.Labels["gpu"] = "yes"
	special.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
	objects = append(append(objects, special), crowd("data", "zz-gpu", 9)...)
	s, err := load(t.Context(), newMemory(objects...), Query{Room: []string{"node-a"}}, manyPods(4))
	if err != nil {
		t.Fatal(err)
	}
	if _, all := s.PodsOnNode("zz-gpu"); !all {
		t.Error("the one node that takes the pod was not read")
	}
	if _, all := s.PodsOnNode("node-x0"); !all {
		t.Error("no node was read for the other pod")
	}
}

func TestLoadReadsTheNamespacesOfPodsThatAreSpreadOrKeepAway(t *testing.T) {
	term := func(key string, namespaces ...string) []corev1.PodAffinityTerm {
		return []corev1.PodAffinityTerm{{TopologyKey: key, Namespaces: namespaces, LabelSelector: &metav1.LabelSelector{}}}
	}
	cases := []struct {
		name string
		pod  podOption
		want []string // namespaces read whole
	}{
		{"a pod that asks nothing", func(*corev1.Pod) {}, nil},
		{"spread", func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{WhenUnsatisfiable: corev1.DoNotSchedule}}
		}, []string{"shop"}},
		{"spread, if it can be", func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{WhenUnsatisfiable: corev1.ScheduleAnyway}}
		}, nil},
		{"near pods of another namespace", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: term(corev1.LabelHostname, "data")}}
		}, []string{"data"}},
		{"away from pods of its zone", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: term(corev1.LabelTopologyZone)}}
		}, []string{"shop"}},
		{"away from pods of its node", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: term(corev1.LabelHostname)}}
		}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			objects := slices.Concat(crowd("shop", "node-b", 3), crowd("data", "node-c", 3), []runtime.Object{
				zoned("node-a", "x"), zoned("node-b", "x"), zoned("node-c", "y"), newPod("shop", "cart-1", "node-a", c.pod),
			})
			s, err := load(t.Context(), newMemory(objects...), Query{Room: []string{"node-a"}}, manyPods(0))
			if err != nil {
				t.Fatal(err)
			}
			var whole []string
			for _, ns := range []string{"data", "shop"} {
				if s.Complete(snapshot.Pod, ns) {
					whole = append(whole, ns)
				}
			}
			// Of more pods than are read, a namespace is not whole.
			if len(c.want) > 0 {
				if len(whole) != 0 || s.Gap(snapshot.Pod) == nil {
					t.Errorf("read whole beyond the bound: %v, gap %v", whole, s.Gap(snapshot.Pod))
				}
				l := manyPods(0)
				l.roomPods = 6
				if s, err = load(t.Context(), newMemory(objects...), Query{Room: []string{"node-a"}}, l); err != nil {
					t.Fatal(err)
				}
				whole = nil
				for _, ns := range []string{"data", "shop"} {
					if s.Complete(snapshot.Pod, ns) {
						whole = append(whole, ns)
					}
				}
			}
			if !slices.Equal(whole, c.want) {
				t.Errorf("read whole: %v, want %v", whole, c.want)
			}
			if s.Complete(snapshot.Pod, "") {
				t.Error("all pods were read")
			}
		})
	}
}

func TestLoadReadsWhatDecidesOnRoom(t *testing.T) {
	yes, hash := true, "6d4b"
	replicaSet := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-" + hash, OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: "cart", Controller: &yes}}}}
	uses := func(claim string) podOption {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
		}
	}
	owned := func(kind, name string) podOption {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: &yes}}
		}
	}
	fast := "fast"
	m := newMemory(
		zoned("node-a", "x"), zoned("node-b", "x"),
		newPod("shop", "cart-1", "node-a", uses("data"), owned("ReplicaSet", replicaSet.Name)), newPod("shop", "db-0", "node-a", owned("StatefulSet", "db")),
		newPod("shop", "agent-1", "node-a", owned("DaemonSet", "agent")),
		replicaSet, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}}, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}},
		&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "agent"}},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1", StorageClassName: &fast}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-1"}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "slow"}},
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}}, &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "disk.example.com"}},
		&storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "at-1"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "node-b"}},
		&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}},
	)
	l := bigEnough()
	l.volumes = 0 // VolumeAttachments of every node decide, however many there are
	s, err := load(t.Context(), m, Query{Room: []string{"node-a"}}, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []snapshot.Ref{
		{Kind: snapshot.ReplicaSet, Namespace: "shop", Name: replicaSet.Name}, {Kind: snapshot.Deployment, Namespace: "shop", Name: "cart"},
		{Kind: snapshot.StatefulSet, Namespace: "shop", Name: "db"}, {Kind: snapshot.DaemonSet, Namespace: "shop", Name: "agent"},
		{Kind: snapshot.PersistentVolumeClaim, Namespace: "shop", Name: "data"}, {Kind: snapshot.PersistentVolume, Name: "pv-1"},
		{Kind: snapshot.StorageClass, Name: "slow"}, {Kind: snapshot.CSINode, Name: "node-b"}, {Kind: snapshot.CSIDriver, Name: "disk.example.com"},
		{Kind: snapshot.VolumeAttachment, Name: "at-1"}, {Kind: snapshot.PodDisruptionBudget, Namespace: "shop", Name: "db"},
		{Kind: snapshot.Namespace, Name: "other"},
	} {
		if got := s.Has(r.Kind, r.Namespace, r.Name); got != snapshot.Present {
			t.Errorf("%s is %s", r, got)
		}
	}
	for _, k := range []snapshot.Kind{snapshot.Namespace, snapshot.StorageClass, snapshot.CSINode, snapshot.CSIDriver, snapshot.VolumeAttachment} {
		if !s.Complete(k, "") {
			t.Errorf("%s is not known to be all", k)
		}
	}
}

// TestLoadForRoomSurvivesAnyOneFailure: what cannot be read is a gap, and never complete.
func TestLoadForRoomSurvivesAnyOneFailure(t *testing.T) {
	objects := slices.Concat(crowd("shop", "node-a", 2), crowd("shop", "node-b", 2), []runtime.Object{
		zoned("node-a", "x"), zoned("node-b", "y"), newPod("shop", "cart-1", "node-a", func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{WhenUnsatisfiable: corev1.DoNotSchedule}}
		}),
	})
	for _, k := range []snapshot.Kind{snapshot.Namespace, snapshot.StorageClass, snapshot.CSINode, snapshot.CSIDriver, snapshot.VolumeAttachment, snapshot.DaemonSet} {
		m := newMemory(objects...)
		m.refuse = func(asked snapshot.Kind, _, _ string, _ ListRequest) error {
			if asked == k {
				return forbidden(k, "")
			}
			return nil
		}
		s, err := load(t.Context(), m, Query{Room: []string{"node-a"}}, bigEnough())
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		if s.Complete(k, "") || s.Gap(k) == nil {
			t.Errorf("%s could not be read: complete=%v, gap %v", k, s.Complete(k, ""), s.Gap(k))
		}
	}
	l := manyPods(4)
	l.roomPods = 4
	m := newMemory(objects...)
	m.refuse = func(asked snapshot.Kind, namespace, _ string, r ListRequest) error {
		if asked == snapshot.Pod && (namespace == "shop" || r.FieldSelector == podsOf("node-b").FieldSelector) {
			return apierrors.NewTimeoutError("too slow", 1)
		}
		return nil
	}
	s, err := load(t.Context(), m, Query{Room: []string{"node-a"}}, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, all := s.PodsOnNode("node-b"); all || s.Complete(snapshot.Pod, "shop") || s.Gap(snapshot.Pod) == nil {
		t.Errorf("pods could not be read: node-b all=%v, namespace complete=%v, gap %v", all, s.Complete(snapshot.Pod, "shop"), s.Gap(snapshot.Pod))
	}
	if _, all := s.PodsOnNode("node-a"); !all {
		t.Error("the pods of the node itself were read")
	}
}
