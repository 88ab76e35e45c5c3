package room_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const gone = "worker-0"

func now() time.Time { return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) }

func ptr[T any](v T) *T { return &v }

// picture is everything there is: the node that goes, and the objects.
func picture(t *testing.T, objects ...runtime.Object) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, i := range snapshot.Kinds() {
		b.SetComplete(i.Kind, "")
	}
	return build(t, b, objects...)
}

func build(t *testing.T, b *snapshot.Builder, objects ...runtime.Object) *snapshot.Snapshot {
	t.Helper()
	for _, o := range objects {
		if !b.Add(o) {
			t.Fatalf("a snapshot does not hold %T", o)
		}
	}
	s, err := b.Build(now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type nodeOption func(*corev1.Node)

// node is a Ready one with 4 CPUs, 8 GiB and room for 10 pods, in zone a.
func node(name string, options ...nodeOption) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: "a"}}}
	n.Status.Allocatable = list("cpu", "4", "memory", "8Gi", "pods", "10")
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	for _, o := range options {
		o(n)
	}
	return n
}

func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func label(k, v string) nodeOption { return func(n *corev1.Node) { n.Labels[k] = v } }

func zone(z string) nodeOption { return label(corev1.LabelTopologyZone, z) }

func has(pairs ...string) nodeOption {
	return func(n *corev1.Node) {
		for k, v := range list(pairs...) {
			n.Status.Allocatable[k] = v
		}
	}
}

func tainted(key string, effect corev1.TaintEffect) nodeOption {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: "yes", Effect: effect})
	}
}

func cordoned(n *corev1.Node) {
	n.Spec.Unschedulable = true
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
}

func notReady(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }

func going(n *corev1.Node) { n.DeletionTimestamp = ptr(metav1.NewTime(now())) }

type podOption func(*corev1.Pod)

// pod is one of app web in namespace shop, which asks for nothing.
func pod(name, on string, options ...podOption) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": "web"}, CreationTimestamp: metav1.NewTime(now().Add(-time.Hour))},
		Spec:       corev1.PodSpec{NodeName: on, Containers: []corev1.Container{{Name: "main"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, o := range options {
		o(p)
	}
	return p
}

func asks(pairs ...string) podOption {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = list(pairs...) }
}

func app(name string) podOption { return func(p *corev1.Pod) { p.Labels["app"] = name } }

func in(namespace string) podOption { return func(p *corev1.Pod) { p.Namespace = namespace } }

func priority(n int32) podOption { return func(p *corev1.Pod) { p.Spec.Priority = &n } }

func dying(p *corev1.Pod) { p.DeletionTimestamp = ptr(metav1.NewTime(now())) }

func ended(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }

func tolerates(t corev1.Toleration) podOption {
	return func(p *corev1.Pod) { p.Spec.Tolerations = append(p.Spec.Tolerations, t) }
}

func port(number int32, ip string, protocol corev1.Protocol) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, corev1.ContainerPort{HostPort: number, HostIP: ip, Protocol: protocol})
	}
}

func selects(k, v string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{k: v} }
}

func term(key, app string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{TopologyKey: key, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}
}

func affinity(p *corev1.Pod) *corev1.Affinity {
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{}
	}
	return p.Spec.Affinity
}

func near(terms ...corev1.PodAffinityTerm) podOption {
	return func(p *corev1.Pod) {
		affinity(p).PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	}
}

func away(terms ...corev1.PodAffinityTerm) podOption {
	return func(p *corev1.Pod) {
		affinity(p).PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	}
}

func needs(key string, op corev1.NodeSelectorOperator, values ...string) podOption {
	return func(p *corev1.Pod) {
		affinity(p).NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: where(key, op, values...)}
	}
}

func where(key string, op corev1.NodeSelectorOperator, values ...string) *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: op, Values: values}}}}}
}

func spread(key string, options ...func(*corev1.TopologySpreadConstraint)) podOption {
	return func(p *corev1.Pod) {
		c := corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		}
		for _, o := range options {
			o(&c)
		}
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, c)
	}
}

func claims(name string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}})
	}
}

func claim(name, volume string, modes ...corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume, AccessModes: modes},
	}
}

func waits(name, class string) *corev1.PersistentVolumeClaim {
	c := claim(name, "")
	c.Spec.StorageClassName = &class
	return c
}

func disk(name string, options ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: name}
	for _, o := range options {
		o(v)
	}
	return v
}

func usable(key string, values ...string) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: where(key, corev1.NodeSelectorOpIn, values...)}
	}
}

func local(v *corev1.PersistentVolume) {
	v.Spec.CSI, v.Spec.Local = nil, &corev1.LocalVolumeSource{Path: "/mnt/fast"}
}

func hostPath(v *corev1.PersistentVolume) {
	v.Spec.CSI, v.Spec.HostPath = nil, &corev1.HostPathVolumeSource{Path: "/mnt/data"}
}

func class(name string, mode storagev1.VolumeBindingMode, zones ...string) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "disk.example.com", VolumeBindingMode: &mode}
	if len(zones) > 0 {
		c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: zones}}}}
	}
	return c
}

func takes(name string, volumes int32) *storagev1.CSINode {
	return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: "disk.example.com", NodeID: name, Allocatable: &storagev1.VolumeNodeResources{Count: &volumes}},
	}}}
}

func attached(volume, on string) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "at-" + volume}, Spec: storagev1.VolumeAttachmentSpec{
		Attacher: "disk.example.com", NodeName: on, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
	}}
}

// told words a result in short: each pod and where it goes, stays Pending or cannot be told of.
func told(r room.Result) string {
	var out []string
	for _, p := range r.Places {
		out = append(out, p.Pod.Name+" → "+p.Node)
	}
	for _, p := range r.Pending {
		word := " Pending: "
		if p.Preempts {
			word = " Pending (preempts): "
		}
		out = append(out, p.Pod.Name+word+p.Why)
	}
	for _, p := range r.Unknown {
		out = append(out, p.Pod.Name+" unknown: "+p.Why)
	}
	return strings.Join(out, "\n")
}

func TestFitFollowsTheRulesOfTheScheduler(t *testing.T) {
	const host = corev1.LabelHostname
	const zones = corev1.LabelTopologyZone
	a, b := node("worker-1"), node("worker-2", zone("b"))
	cases := []struct {
		name  string
		there []runtime.Object
		mover *corev1.Pod
		want  string // how told begins
	}{
		{"a pod goes where most is left", []runtime.Object{a, b, pod("x", "worker-1", asks("cpu", "3"))}, pod("m", gone, asks("cpu", "500m")), "m → worker-2"},
		{"a pod goes where none of its kind is", []runtime.Object{a, b, pod("x", "worker-2", of("web-1")), pod("y", "worker-1", asks("cpu", "2"))}, pod("m", gone, of("web-1")), "m → worker-1"},
		{"no other node", nil, pod("m", gone), "m Pending: 0/0 nodes are available."},

		{"too little cpu and memory", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "3500m", "memory", "7Gi"))}, pod("m", gone, asks("cpu", "600m", "memory", "2Gi")), "m Pending: 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."},
		{"what fits to the last bit", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "3500m", "memory", "7Gi"))}, pod("m", gone, asks("cpu", "500m", "memory", "1Gi")), "m → worker-1"},
		{"a pod that has ended takes nothing", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "4"), ended)}, pod("m", gone, asks("cpu", "4")), "m → worker-1"},
		{"a pod that is being deleted takes its room until it is gone", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "4"), dying)}, pod("m", gone, asks("cpu", "1")), "m Pending: 0/1 nodes are available: 1 Insufficient cpu."},
		{"the other pods of the node that goes take nothing", []runtime.Object{a, pod("x", gone, asks("cpu", "4"))}, pod("m", gone, asks("cpu", "4")), "m → worker-1"},
		{"an init container that asks for most", []runtime.Object{a}, pod("m", gone, asks("cpu", "1"), initAsks("5", false)), "m Pending: 0/1 nodes are available: 1 Insufficient cpu."},
		{"a sidecar adds to what the others ask", []runtime.Object{a}, pod("m", gone, asks("cpu", "3"), initAsks("2", true)), "m Pending: 0/1 nodes are available: 1 Insufficient cpu."},
		{"an init container that is over before the others start adds nothing", []runtime.Object{a}, pod("m", gone, asks("cpu", "3"), initAsks("2", false)), "m → worker-1"},
		{"the overhead of the runtime class", []runtime.Object{a}, pod("m", gone, asks("cpu", "4"), func(p *corev1.Pod) { p.Spec.Overhead = list("cpu", "1m") }), "m Pending: 0/1 nodes are available: 1 Insufficient cpu."},
		{"requests of the pod as a whole", []runtime.Object{a}, pod("m", gone, func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu", "5")} }), "m Pending: 0/1 nodes are available: 1 Insufficient cpu."},
		{"as many pods as a node takes", []runtime.Object{node("worker-1", has("pods", "1")), pod("x", "worker-1")}, pod("m", gone), "m Pending: 0/1 nodes are available: 1 Too many pods."},
		{"an extended resource", []runtime.Object{a, node("worker-3", has("example.com/gpu", "1"))}, pod("m", gone, asks("example.com/gpu", "1")), "m → worker-3"},
		{"an extended resource that is taken", []runtime.Object{node("worker-3", has("example.com/gpu", "1")), pod("x", "worker-3", asks("example.com/gpu", "1"))}, pod("m", gone, asks("example.com/gpu", "1")), "m Pending: 0/1 nodes are available: 1 Insufficient example.com/gpu."},
		{"ephemeral storage", []runtime.Object{node("worker-1", has("ephemeral-storage", "1Gi"))}, pod("m", gone, asks("ephemeral-storage", "2Gi")), "m Pending: 0/1 nodes are available: 1 Insufficient ephemeral-storage."},
		{"huge pages", []runtime.Object{a}, pod("m", gone, asks("hugepages-2Mi", "4Mi")), "m Pending: 0/1 nodes are available: 1 Insufficient hugepages-2Mi."},

		{"a cordoned node", []runtime.Object{node("worker-1", cordoned)}, pod("m", gone), "m Pending: 0/1 nodes are available: 1 node(s) were unschedulable."},
		{"a pod that tolerates the cordon", []runtime.Object{node("worker-1", cordoned)}, pod("m", gone, tolerates(corev1.Toleration{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists})), "m → worker-1"},
		{"a node that is not Ready is no room, whatever is tolerated", []runtime.Object{node("worker-1", notReady)}, pod("m", gone, tolerates(corev1.Toleration{Operator: corev1.TolerationOpExists})), "m Pending: 0/1 nodes are available: 1 node(s) were not Ready."},
		{"a node that is being deleted is no room", []runtime.Object{node("worker-1", going)}, pod("m", gone), "m Pending: 0/1 nodes are available: 1 node(s) were being deleted."},
		{"a taint NoSchedule", []runtime.Object{node("worker-1", tainted("db", corev1.TaintEffectNoSchedule))}, pod("m", gone), "m Pending: 0/1 nodes are available: 1 node(s) had untolerated taint(s)."},
		{"a taint NoExecute", []runtime.Object{node("worker-1", tainted("db", corev1.TaintEffectNoExecute))}, pod("m", gone), "m Pending: 0/1 nodes are available: 1 node(s) had untolerated taint(s)."},
		{"a taint that is tolerated by its value", []runtime.Object{node("worker-1", tainted("db", corev1.TaintEffectNoSchedule))}, pod("m", gone, tolerates(corev1.Toleration{Key: "db", Value: "yes"})), "m → worker-1"},
		{"a taint that is tolerated for another effect", []runtime.Object{node("worker-1", tainted("db", corev1.TaintEffectNoSchedule))}, pod("m", gone, tolerates(corev1.Toleration{Key: "db", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute})), "m Pending: "},
		{"a taint PreferNoSchedule is for want of others", []runtime.Object{node("worker-1", tainted("db", corev1.TaintEffectPreferNoSchedule)), b, pod("x", "worker-2", asks("cpu", "3"))}, pod("m", gone), "m → worker-2"},

		{"a node selector", []runtime.Object{a, node("worker-3", label("disk", "ssd"))}, pod("m", gone, selects("disk", "ssd")), "m → worker-3"},
		{"a node selector that no node has", []runtime.Object{a}, pod("m", gone, selects("disk", "ssd")), "m Pending: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
		{"a node selector that only the node itself has", []runtime.Object{node(gone), a}, pod("m", gone, selects(host, gone)), "m Pending: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. Its node selector or affinity takes no node but worker-0."},
		{"required node affinity", []runtime.Object{a, b}, pod("m", gone, needs(zones, corev1.NodeSelectorOpNotIn, "a")), "m → worker-2"},
		{"a node affinity that nobody can read is met by no node", []runtime.Object{a}, pod("m", gone, needs("disk", corev1.NodeSelectorOpGt, "many")), "m Pending: "},

		{"near a pod", []runtime.Object{a, b, pod("x", "worker-2", app("cache"))}, pod("m", gone, near(term(host, "cache"))), "m → worker-2"},
		{"near a pod in its zone", []runtime.Object{a, b, node("worker-3", zone("b"), has("cpu", "64", "memory", "64Gi")), pod("x", "worker-2", app("cache"), asks("cpu", "1"))}, pod("m", gone, near(term(zones, "cache"))), "m → worker-3"},
		{"near a pod of which there is none", []runtime.Object{a}, pod("m", gone, near(term(host, "cache"))), "m Pending: 0/1 nodes are available: 1 node(s) didn't match pod affinity rules."},
		{"the first of its kind may go anywhere", []runtime.Object{a}, pod("m", gone, near(term(host, "web"))), "m → worker-1"},
		{"but not to a node without the label", []runtime.Object{node("worker-1", func(n *corev1.Node) { delete(n.Labels, host) })}, pod("m", gone, near(term(host, "web"))), "m Pending: "},
		{"one pod must meet all terms", []runtime.Object{a, pod("x", "worker-1", app("cache")), pod("y", "worker-1", app("db"))}, pod("m", gone, near(term(host, "cache"), term(host, "db"))), "m Pending: "},
		{"pods of another namespace are not meant", []runtime.Object{a, pod("x", "worker-1", app("cache"), in("data"))}, pod("m", gone, near(term(host, "cache"))), "m Pending: "},
		{"unless they are named", []runtime.Object{a, pod("x", "worker-1", app("cache"), in("data"))}, pod("m", gone, near(spaces(term(host, "cache"), "data"))), "m → worker-1"},
		{"or chosen by the labels of the namespace", []runtime.Object{a, space("data", "team", "red"), pod("x", "worker-1", app("cache"), in("data"))}, pod("m", gone, near(team(term(host, "cache"), "red"))), "m → worker-1"},
		{"which are not those", []runtime.Object{a, space("data", "team", "red"), pod("x", "worker-1", app("cache"), in("data"))}, pod("m", gone, near(team(term(host, "cache"), "blue"))), "m Pending: "},
		{"a selector of namespaces leaves its own out, too", []runtime.Object{a, space("shop", "team", "red"), pod("x", "worker-1", app("cache"))}, pod("m", gone, near(team(term(host, "cache"), "blue"))), "m Pending: "},
		{"not the first of its kind, and where the others are is no room", []runtime.Object{a, node("worker-2", has("pods", "0")), pod("x", "worker-2")}, pod("m", gone, near(term(host, "web"))), "m Pending: 0/2 nodes are available: 1 Too many pods, 1 node(s) didn't match pod affinity rules."},
		{"away from its own kind", []runtime.Object{a, b, pod("x", "worker-1"), pod("y", "worker-2")}, pod("m", gone, away(term(host, "web"))), "m Pending: 0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."},
		{"away from the zone of its own kind", []runtime.Object{a, b, node("worker-3"), pod("x", "worker-3")}, pod("m", gone, away(term(zones, "web"))), "m → worker-2"},
		{"others that want to be away from it", []runtime.Object{a, b, pod("x", "worker-1", app("db"), away(term(zones, "web"))), pod("y", "worker-2", app("db"), away(term(host, "web")))}, pod("m", gone), "m Pending: 0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."},
		{"others that want to be away from pods of their own namespace", []runtime.Object{a, pod("x", "worker-1", app("db"), in("data"), away(term(zones, "web")))}, pod("m", gone), "m → worker-1"},
		{"others that are being deleted keep it away until they are gone", []runtime.Object{a, pod("x", "worker-1", app("db"), dying, away(term(zones, "web")))}, pod("m", gone), "m Pending: "},

		{"spread over zones", []runtime.Object{a, b, pod("x", "worker-1")}, pod("m", gone, asks("cpu", "100m"), spread(zones)), "m → worker-2"},
		{"spread over zones of which one is full", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1")}, pod("m", gone, spread(zones)), "m Pending: 0/2 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints."},
		{"with a wider skew", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1")}, pod("m", gone, spread(zones, func(c *corev1.TopologySpreadConstraint) { c.MaxSkew = 2 })), "m → worker-1"},
		{"spread, if it can be", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1")}, pod("m", gone, spread(zones, func(c *corev1.TopologySpreadConstraint) { c.WhenUnsatisfiable = corev1.ScheduleAnyway })), "m → worker-1"},
		{"a pod that is being deleted does not count for the spread", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1", dying)}, pod("m", gone, spread(zones)), "m → worker-1"},
		{"a pod of another namespace does not count for the spread", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1", in("data"))}, pod("m", gone, spread(zones)), "m → worker-1"},
		{"a selector of everything counts nothing but the pod itself", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1")}, pod("m", gone, spread(zones, func(c *corev1.TopologySpreadConstraint) {
			c.LabelSelector = &metav1.LabelSelector{}
		})), "m → worker-1"},
		{"a node that lacks the label of one constraint counts for none", []runtime.Object{a, node("worker-2", zone("b"), func(n *corev1.Node) { delete(n.Labels, host) }), pod("x", "worker-1")}, pod("m", gone, spread(zones), spread(host)), "m → worker-1"},
		{"the node that goes is no place to spread over", []runtime.Object{node(gone, zone("z")), a, pod("x", "worker-1")}, pod("m", gone, spread(zones)), "m → worker-1"},
		{"a node without the label is no place", []runtime.Object{node("worker-1", func(n *corev1.Node) { delete(n.Labels, zones) })}, pod("m", gone, spread(zones)), "m Pending: 0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."},
		{"fewer zones than minDomains", []runtime.Object{a, pod("x", "worker-1")}, pod("m", gone, spread(zones, func(c *corev1.TopologySpreadConstraint) { c.MinDomains = ptr(int32(2)) })), "m Pending: "},
		{"nodes that its affinity leaves out do not count", []runtime.Object{a, b, pod("x", "worker-1")}, pod("m", gone, spread(zones), needs(zones, corev1.NodeSelectorOpIn, "a")), "m → worker-1"},
		{"unless nodeAffinityPolicy is Ignore", []runtime.Object{a, b, pod("x", "worker-1")}, pod("m", gone, needs(zones, corev1.NodeSelectorOpIn, "a"), spread(zones, func(c *corev1.TopologySpreadConstraint) {
			c.NodeAffinityPolicy = ptr(corev1.NodeInclusionPolicyIgnore)
		})), "m Pending: "},
		{"tainted nodes count", []runtime.Object{a, node("worker-2", zone("b"), tainted("db", corev1.TaintEffectNoSchedule)), pod("x", "worker-1")}, pod("m", gone, spread(zones)), "m Pending: "},
		{"unless nodeTaintsPolicy is Honor", []runtime.Object{a, node("worker-2", zone("b"), tainted("db", corev1.TaintEffectNoSchedule)), pod("x", "worker-1")}, pod("m", gone, spread(zones, func(c *corev1.TopologySpreadConstraint) {
			c.NodeTaintsPolicy = ptr(corev1.NodeInclusionPolicyHonor)
		})), "m → worker-1"},
		{"matchLabelKeys leaves other revisions out", []runtime.Object{a, node("worker-2", zone("b"), has("pods", "0")), pod("x", "worker-1", rev("1"))}, pod("m", gone, rev("2"), spread(zones, func(c *corev1.TopologySpreadConstraint) {
			c.MatchLabelKeys = []string{"rev"}
		})), "m → worker-1"},

		{"a port of the node that is taken", []runtime.Object{a, pod("x", "worker-1", port(80, "", ""))}, pod("m", gone, port(80, "10.0.0.1", corev1.ProtocolTCP)), "m Pending: 0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."},
		{"a port of another protocol", []runtime.Object{a, pod("x", "worker-1", port(80, "", corev1.ProtocolUDP))}, pod("m", gone, port(80, "", corev1.ProtocolTCP)), "m → worker-1"},
		{"a port of another address", []runtime.Object{a, pod("x", "worker-1", port(80, "10.0.0.1", ""))}, pod("m", gone, port(80, "10.0.0.2", "")), "m → worker-1"},

		{"a port of one address that every address takes", []runtime.Object{a, pod("x", "worker-1", port(80, "10.0.0.1", ""))}, pod("m", gone, port(80, "0.0.0.0", "")), "m Pending: "},
		{"a port that a sidecar holds", []runtime.Object{a, pod("x", "worker-1", initPort(80, true))}, pod("m", gone, port(80, "", "")), "m Pending: "},
		{"a port that an init container had", []runtime.Object{a, pod("x", "worker-1", initPort(80, false))}, pod("m", gone, port(80, "", "")), "m → worker-1"},

		{"a volume that no other node may use", []runtime.Object{node(gone), a, claim("d", "pv"), disk("pv", local, usable(host, gone))}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity. Its volume pv (claim d) is a local disk: only node worker-0 may use it, and the data stays there."},
		{"a directory of the node with node affinity", []runtime.Object{node(gone), a, claim("d", "pv"), disk("pv", hostPath, usable(host, gone))}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity. Its volume pv (claim d) is a directory of a node: only node worker-0 may use it"},
		{"a directory of the node without it", []runtime.Object{a, claim("d", "pv"), disk("pv", hostPath)}, pod("m", gone, claims("d")), "m → worker-1"},
		{"a volume of a zone", []runtime.Object{a, b, claim("d", "pv"), disk("pv", usable(zones, "b"))}, pod("m", gone, claims("d")), "m → worker-2"},
		{"a volume of a zone by its label", []runtime.Object{a, b, claim("d", "pv"), disk("pv", func(v *corev1.PersistentVolume) { v.Labels[zones] = "b__c" })}, pod("m", gone, claims("d")), "m → worker-2"},
		{"a volume of another zone by its old label", []runtime.Object{a, claim("d", "pv"), disk("pv", func(v *corev1.PersistentVolume) { v.Labels[corev1.LabelFailureDomainBetaZone] = "b" })}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) had no available volume zone."},
		{"a volume for one node at a time fits anywhere", []runtime.Object{a, claim("d", "pv", corev1.ReadWriteOnce), disk("pv")}, pod("m", gone, claims("d")), "m → worker-1"},
		{"a volume for one pod that another pod uses", []runtime.Object{a, claim("d", "pv", corev1.ReadWriteOncePod), disk("pv"), pod("x", "worker-1", claims("d"))}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod."},
		{"a claim that does not exist", []runtime.Object{a}, pod("m", gone, claims("d")), `m Pending: 0/1 nodes are available: persistentvolumeclaim "d" not found.`},
		{"a volume that does not exist", []runtime.Object{a, claim("d", "pv")}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."},
		{"a claim that is bound with its pod", []runtime.Object{a, b, waits("d", "zonal"), class("zonal", storagev1.VolumeBindingWaitForFirstConsumer, "b")}, pod("m", gone, claims("d")), "m → worker-2"},
		{"a claim that is bound with its pod, where no node is", []runtime.Object{a, waits("d", "zonal"), class("zonal", storagev1.VolumeBindingWaitForFirstConsumer, "b")}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind."},
		{"a claim that should be bound before", []runtime.Object{a, waits("d", "fast"), class("fast", storagev1.VolumeBindingImmediate)}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."},
		{"a claim that waits for a volume made by hand", []runtime.Object{a, waits("d", "hand"), byHand("hand")}, pod("m", gone, claims("d")), "m unknown: its claim \"d\" waits for a PersistentVolume of class hand that somebody makes by hand"},
		{"as many volumes as a node takes", []runtime.Object{a, takes("worker-1", 1), attached("other", "worker-1"), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) exceed max volume count."},
		{"one volume less than a node takes", []runtime.Object{a, takes("worker-1", 2), attached("other", "worker-1"), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m → worker-1"},
		{"volumes of pods that are not attached yet count", []runtime.Object{a, takes("worker-1", 1), claim("e", "other"), disk("other"), pod("x", "worker-1", claims("e")), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) exceed max volume count."},

		{"a volume that a pod of the node has is not counted twice", []runtime.Object{a, takes("worker-1", 1), claim("d", "pv"), disk("pv"), pod("x", "worker-1", claims("d"))}, pod("m", gone, claims("d")), "m → worker-1"},
		{"nor with another beside it", []runtime.Object{a, takes("worker-1", 2), claim("d", "pv"), disk("pv"), claim("e", "pv-2"), disk("pv-2"), pod("x", "worker-1", claims("d"))}, pod("m", gone, claims("d"), claims("e")), "m → worker-1"},
		{"volumes of other nodes do not count", []runtime.Object{a, takes("worker-1", 1), attached("other", gone), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m → worker-1"},
		{"a claim that is being deleted", []runtime.Object{a, func() runtime.Object {
			c := claim("d", "pv")
			c.DeletionTimestamp = ptr(metav1.NewTime(now()))
			return c
		}(), disk("pv")}, pod("m", gone, claims("d")), `m Pending: 0/1 nodes are available: persistentvolumeclaim "d" is being deleted.`},
		{"a claim whose volume was lost", []runtime.Object{a, func() runtime.Object { c := claim("d", "pv"); c.Status.Phase = corev1.ClaimLost; return c }(), disk("pv")}, pod("m", gone, claims("d")), `m Pending: 0/1 nodes are available: persistentvolumeclaim "d" bound to non-existent persistentvolume "pv".`},
		{"a volume of its zone by its old label", []runtime.Object{a, b, claim("d", "pv"), disk("pv", func(v *corev1.PersistentVolume) { v.Labels[corev1.LabelFailureDomainBetaZone] = "b" })}, pod("m", gone, claims("d")), "m → worker-2"},
		{"a claim for which the node that goes was selected", []runtime.Object{a, func() runtime.Object {
			c := waits("d", "any")
			c.Annotations = map[string]string{"volume.kubernetes.io/selected-node": gone}
			return c
		}(), class("any", storagev1.VolumeBindingWaitForFirstConsumer)}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind."},
		{"a class with a topology that is nowhere", []runtime.Object{a, waits("d", "no"), func() runtime.Object {
			c := class("no", storagev1.VolumeBindingWaitForFirstConsumer)
			c.AllowedTopologies = []corev1.TopologySelectorTerm{{}}
			return c
		}()}, pod("m", gone, claims("d")), "m Pending: "},
		{"a disk that is named in the pod, and in use", []runtime.Object{a, pod("x", "worker-1", iscsi(false))}, pod("m", gone, iscsi(true)), "m Pending: 0/1 nodes are available: 1 node(s) had no available disk."},
		{"a disk that all only read", []runtime.Object{a, pod("x", "worker-1", iscsi(true))}, pod("m", gone, iscsi(true)), "m → worker-1"},
		{"a claim that is made with the pod, and bound before it is scheduled", []runtime.Object{a, class("fast", storagev1.VolumeBindingImmediate)}, pod("m", gone, ephemeral("fast")), "m → worker-1"},
		{"a claim that is made with the pod, of no class", []runtime.Object{a}, pod("m", gone, ephemeral("")), "m → worker-1"},
		{"a claim that is made with the pod, and bound with it", []runtime.Object{a, b, class("zonal", storagev1.VolumeBindingWaitForFirstConsumer, "b")}, pod("m", gone, ephemeral("zonal")), "m → worker-2"},
		{"a driver that is missing", []runtime.Object{a, installed(false), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m → worker-1"},
		{"a driver that is missing where it asks to be there", []runtime.Object{a, installed(true), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m Pending: 0/1 nodes are available: 1 disk.example.com CSI driver is not installed on the node."},
		{"a driver that asks to be there, and is", []runtime.Object{a, takes("worker-1", 9), installed(true), claim("d", "pv"), disk("pv")}, pod("m", gone, claims("d")), "m → worker-1"},
		{"a plugin of the kubelet's own, without a CSINode", []runtime.Object{a, claim("d", "pv"), disk("pv", func(v *corev1.PersistentVolume) {
			v.Spec.CSI, v.Spec.GCEPersistentDisk = nil, &corev1.GCEPersistentDiskVolumeSource{PDName: "d"}
		})}, pod("m", gone, claims("d")), "m → worker-1"},

		{"another scheduler", []runtime.Object{a}, pod("m", gone, func(p *corev1.Pod) { p.Spec.SchedulerName = "batch" }), `m unknown: its scheduler is "batch"`},
		{"a scheduling gate", []runtime.Object{a}, pod("m", gone, func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "quota"}} }), `m unknown: its scheduling gate "quota"`},
		{"devices by claims", []runtime.Object{a}, pod("m", gone, func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }), "m unknown: it asks for devices"},

		{"others of a lower priority would give way", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "4"))}, pod("m", gone, asks("cpu", "1"), priority(10)), "m Pending (preempts): 0/1 nodes are available: 1 Insufficient cpu."},
		{"others of the same priority do not", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "4"), priority(10))}, pod("m", gone, asks("cpu", "1"), priority(10)), "m Pending: "},
		{"nobody gives way to a pod that does not preempt", []runtime.Object{a, pod("x", "worker-1", asks("cpu", "4"))}, pod("m", gone, asks("cpu", "1"), priority(10), func(p *corev1.Pod) {
			p.Spec.PreemptionPolicy = ptr(corev1.PreemptNever)
		}), "m Pending: "},
		{"where giving way would not help nobody does", []runtime.Object{node("worker-1", tainted("db", corev1.TaintEffectNoSchedule)), pod("x", "worker-1", asks("cpu", "4"))}, pod("m", gone, asks("cpu", "1"), priority(10)), "m Pending: "},
		{"others of which it wants to be away give way", []runtime.Object{a, pod("x", "worker-1")}, pod("m", gone, priority(10), away(term(host, "web"))), "m Pending (preempts): "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := room.Fit(picture(t, append(c.there, c.mover)...), gone, []*corev1.Pod{c.mover})
			if got := told(r); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			if strings.Contains(c.want, "Pending: ") && (len(r.Pending) == 0 || r.Pending[0].Preempts) {
				t.Errorf("nobody should give way: %+v", r)
			}
		})
	}
}

func of(replicaSet string) podOption {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: replicaSet, Controller: ptr(true)}}
	}
}

func rev(r string) podOption { return func(p *corev1.Pod) { p.Labels["rev"] = r } }

func initAsks(cpu string, sidecar bool) podOption {
	return func(p *corev1.Pod) {
		c := corev1.Container{Name: "init", Resources: corev1.ResourceRequirements{Requests: list("cpu", cpu)}}
		if sidecar {
			c.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
}

func initPort(number int32, sidecar bool) podOption {
	return func(p *corev1.Pod) {
		initAsks("1m", sidecar)(p)
		p.Spec.InitContainers[0].Ports = []corev1.ContainerPort{{HostPort: number}}
	}
}

func iscsi(readOnly bool) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "lun", VolumeSource: corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{IQN: "iqn.2026-01.example.com:disk", ReadOnly: readOnly}}})
	}
}

func ephemeral(class string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
			VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}},
		}}})
	}
}

func installed(must bool) *storagev1.CSIDriver {
	return &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "disk.example.com"}, Spec: storagev1.CSIDriverSpec{PreventPodSchedulingIfMissing: &must}}
}

func spaces(t corev1.PodAffinityTerm, names ...string) corev1.PodAffinityTerm {
	t.Namespaces = names
	return t
}

func team(t corev1.PodAffinityTerm, name string) corev1.PodAffinityTerm {
	t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": name}}
	return t
}

func space(name, k, v string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{k: v}}}
}

func byHand(name string) *storagev1.StorageClass {
	c := class(name, storagev1.VolumeBindingWaitForFirstConsumer)
	c.Provisioner = "kubernetes.io/no-provisioner"
	return c
}

func TestFitPlacesOnePodAfterTheOther(t *testing.T) {
	t.Run("each takes room from the next", func(t *testing.T) {
		movers := []*corev1.Pod{pod("m-1", gone, asks("cpu", "3")), pod("m-2", gone, asks("cpu", "3")), pod("m-3", gone, asks("cpu", "3"))}
		r := room.Fit(picture(t, node("worker-1"), node("worker-2"), movers[0], movers[1], movers[2]), gone, movers)
		want := "m-1 → worker-1\nm-2 → worker-2\nm-3 Pending: 0/2 nodes are available: 2 Insufficient cpu."
		if got := told(r); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
	t.Run("priority goes before age, and age before name", func(t *testing.T) {
		young := pod("a-young", gone, asks("cpu", "3"))
		young.CreationTimestamp = metav1.NewTime(now())
		movers := []*corev1.Pod{young, pod("z-old", gone, asks("cpu", "3")), pod("y-high", gone, asks("cpu", "3"), priority(5))}
		r := room.Fit(picture(t, node("worker-1"), node("worker-2")), gone, movers)
		if got := told(r); !strings.HasPrefix(got, "y-high → worker-1\nz-old → worker-2\na-young Pending: ") {
			t.Error(got)
		}
	})
	t.Run("a pod that was placed keeps the next away", func(t *testing.T) {
		movers := []*corev1.Pod{pod("m-1", gone, away(term(corev1.LabelHostname, "web"))), pod("m-2", gone)}
		r := room.Fit(picture(t, node("worker-1")), gone, movers)
		if got := told(r); got != "m-1 → worker-1\nm-2 Pending: 0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules." {
			t.Error(got)
		}
	})
	t.Run("what stands for a pod that is being deleted is not being deleted", func(t *testing.T) {
		movers := []*corev1.Pod{pod("m-1", gone, dying, spread(corev1.LabelTopologyZone)), pod("m-2", gone, dying, spread(corev1.LabelTopologyZone))}
		r := room.Fit(picture(t, node("worker-1"), node("worker-2", zone("b"), has("pods", "0"))), gone, movers)
		if got := told(r); !strings.HasPrefix(got, "m-1 → worker-1\nm-2 Pending: ") {
			t.Error(got)
		}
	})
	t.Run("a hundred pods spread over the nodes", func(t *testing.T) {
		var objects []runtime.Object
		var movers []*corev1.Pod
		for i := range 10 {
			objects = append(objects, node(fmt.Sprintf("worker-%02d", i+1)))
		}
		for i := range 100 {
			movers = append(movers, pod(fmt.Sprintf("m-%03d", i), gone, of("web-1"), asks("cpu", "300m")))
		}
		r := room.Fit(picture(t, objects...), gone, movers)
		on := map[string]int{}
		for _, p := range r.Places {
			on[p.Node]++
		}
		for n, c := range on {
			if c != 10 {
				t.Errorf("%s has %d, want 10", n, c)
			}
		}
		if len(r.Places) != 100 {
			t.Errorf("%d were placed: %s", len(r.Places), told(r))
		}
	})
}

// TestWhatWasNotReadIsNeverTakenForRoomNorForWantOfIt: nodes whose pods were not read, namespaces, and objects.
func TestWhatWasNotReadIsNeverTakenForRoomNorForWantOfIt(t *testing.T) {
	full := pod("x", "worker-1", asks("cpu", "4"))
	except := func(t *testing.T, kinds []snapshot.Kind, whole []string, objects ...runtime.Object) *snapshot.Snapshot {
		t.Helper()
		b := snapshot.NewBuilder()
		for _, i := range snapshot.Kinds() {
			left := i.Kind == snapshot.Pod
			for _, k := range kinds {
				left = left || k == i.Kind
			}
			if !left {
				b.SetComplete(i.Kind, "")
			}
		}
		for _, n := range whole {
			b.SetNodeComplete(n)
		}
		return build(t, b, objects...)
	}
	two := []runtime.Object{node("worker-1"), node("worker-2", zone("b")), full}
	cases := []struct {
		name   string
		unread []snapshot.Kind
		whole  []string
		there  []runtime.Object
		mover  *corev1.Pod
		want   string
	}{
		{"a node whose pods were not read may have room", nil, []string{"worker-1"}, two, pod("m", gone, asks("cpu", "1")), "m unknown: it cannot be told: 1 node(s) of which the pods were not read; of the others: 1 Insufficient cpu"},
		{"a node whose pods were read has it", nil, []string{"worker-2"}, two, pod("m", gone, asks("cpu", "1")), "m → worker-2"},
		{"a node that refuses whatever pods it has is no doubt", nil, []string{"worker-1"}, two, pod("m", gone, asks("cpu", "64")), "m Pending: 0/2 nodes are available: 2 Insufficient cpu."},
		{"nodes that were not read", []snapshot.Kind{snapshot.Node}, []string{"worker-1"}, []runtime.Object{node("worker-1"), full}, pod("m", gone, asks("cpu", "1")), "m unknown: it cannot be told: not all nodes were read; of the others: 1 Insufficient cpu"},
		{"spread over pods that were not all read", nil, []string{"worker-2"}, two, pod("m", gone, spread(corev1.LabelTopologyZone)), "m unknown: "},
		{"near pods that were not all read", nil, []string{"worker-2"}, two, pod("m", gone, near(term(corev1.LabelHostname, "web"))), "m unknown: "},
		{"the first of its kind, as far as pods were read", nil, []string{"worker-2"}, []runtime.Object{node("worker-1"), node("worker-2")}, pod("m", gone, near(term(corev1.LabelHostname, "web"))), "m unknown: it cannot be told: 2 node(s) near which may be pods of its affinity"},
		{"near pods that were read", nil, []string{"worker-2"}, append(two, pod("y", "worker-2", app("cache"))), pod("m", gone, near(term(corev1.LabelHostname, "cache"))), "m → worker-2"},
		{"away from pods of a zone that were not all read", nil, []string{"worker-2"}, two, pod("m", gone, away(term(corev1.LabelTopologyZone, "web"))), "m unknown: "},
		{"away from pods of a node that were all read", nil, []string{"worker-2"}, two, pod("m", gone, away(term(corev1.LabelHostname, "web"))), "m → worker-2"},
		{"a claim that was not read", []snapshot.Kind{snapshot.PersistentVolumeClaim}, []string{"worker-2"}, two, pod("m", gone, claims("d")), `m unknown: its claim "d" was not read`},
		{"a volume that was not read", []snapshot.Kind{snapshot.PersistentVolume}, []string{"worker-2"}, append(two, claim("d", "pv")), pod("m", gone, claims("d")), `m unknown: its PersistentVolume "pv" was not read`},
		{"a class that was not read", []snapshot.Kind{snapshot.StorageClass}, []string{"worker-2"}, append(two, waits("d", "fast")), pod("m", gone, claims("d")), `m unknown: the StorageClass "fast" of its claim "d" was not read`},
		{"how many volumes a node takes was not read", []snapshot.Kind{snapshot.CSINode}, []string{"worker-1", "worker-2"}, append(two, claim("d", "pv"), disk("pv")), pod("m", gone, claims("d")), "m unknown: "},
		{"how many volumes a node has was not read", []snapshot.Kind{snapshot.VolumeAttachment}, []string{"worker-1", "worker-2"}, append(two, claim("d", "pv"), disk("pv"), takes("worker-1", 9), takes("worker-2", 9)), pod("m", gone, claims("d")), "m unknown: "},
		{"a volume for one pod whose users were not all read", nil, []string{"worker-2"}, append(two, claim("d", "pv", corev1.ReadWriteOncePod), disk("pv")), pod("m", gone, claims("d")), `m unknown: its claim "d" is for one pod alone`},
		{"labels of a namespace that were not read", []snapshot.Kind{snapshot.Namespace}, []string{"worker-1", "worker-2"}, append(two, pod("y", "worker-2", in("data"))), pod("m", gone, away(team(term(corev1.LabelHostname, "web"), "red"))), "m unknown: "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := room.Fit(except(t, c.unread, c.whole, c.there...), gone, []*corev1.Pod{c.mover})
			if got := told(r); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
	t.Run("a namespace that was read whole is enough", func(t *testing.T) {
		b := snapshot.NewBuilder()
		b.SetComplete(snapshot.Node, "")
		b.SetComplete(snapshot.Pod, "shop")
		b.SetNodeComplete("worker-2")
		s := build(t, b, node("worker-1"), node("worker-2", zone("b")), pod("x", "worker-1"))
		mover := pod("m", gone, spread(corev1.LabelTopologyZone), away(term(corev1.LabelTopologyZone, "web")))
		if got := told(room.Fit(s, gone, []*corev1.Pod{mover})); got != "m → worker-2" {
			t.Error(got)
		}
	})
	t.Run("it is said on what it rests", func(t *testing.T) {
		s := except(t, nil, []string{"worker-1"}, append(two, pod("q", "", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }))...)
		r := room.Fit(s, gone, []*corev1.Pod{pod("m", gone)})
		if r.Candidates != 2 || r.Looked != 1 {
			t.Errorf("%d of %d nodes were looked at, want 1 of 2", r.Looked, r.Candidates)
		}
		rests := strings.Join(r.Rests, "\n")
		for _, want := range []string{"default configuration", "the pods of 1 of 2 nodes were not read", "1 pods wait for a node already"} {
			if !strings.Contains(rests, want) {
				t.Errorf("%q is not said:\n%s", want, rests)
			}
		}
	})
	t.Run("a directory of the node is said to stay", func(t *testing.T) {
		mover := pod("m", gone, claims("d"))
		r := room.Fit(picture(t, node("worker-1"), claim("d", "pv"), disk("pv", hostPath)), gone, []*corev1.Pod{mover})
		if !strings.Contains(strings.Join(r.Rests, "\n"), "PersistentVolume pv is a directory of node worker-0") {
			t.Error(r.Rests)
		}
	})
}

// FuzzFit takes any pod and any node: what a dump holds may be anything.
func FuzzFit(f *testing.F) {
	f.Add(`{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"-1"}}}],"topologySpreadConstraints":[{"whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchExpressions":[{"key":"","operator":"?"}]}}]}}`, `{"status":{}}`)
	f.Add(`{"spec":{"volumes":[{"ephemeral":{}},{"persistentVolumeClaim":{}},{}],"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{}]},"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{}]}}}}}`, `{"spec":{"taints":[{}]}}`)
	f.Fuzz(func(t *testing.T, podJSON, nodeJSON string) {
		p, n := &corev1.Pod{}, &corev1.Node{}
		if parse(podJSON, p) != nil || parse(nodeJSON, n) != nil {
			return
		}
		n.Name = "worker-1"
		other := p.DeepCopy()
		other.Name, other.Spec.NodeName = p.Name+"x", n.Name
		r := room.Fit(picture(t, n, node("worker-2"), other), gone, []*corev1.Pod{p, nil})
		if len(r.Places)+len(r.Pending)+len(r.Unknown) != 1 {
			t.Errorf("a pod was lost: %+v", r)
		}
	})
}

func parse(text string, into any) error { return json.Unmarshal([]byte(text), into) }
