package room

import (
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	driver  = "csi.example.com"
	leaving = "leaving"
)

// world is a random cluster: nodes, one of which goes, and pods on them.
type world struct {
	seed     uint64
	r        *rand.Rand
	nodes    []*corev1.Node
	csiNodes []*storagev1.CSINode
	classes  []*storagev1.StorageClass
	volumes  []*corev1.PersistentVolume
	claims   []*corev1.PersistentVolumeClaim
	attached []*storagev1.VolumeAttachment
	pods     []*corev1.Pod // bound
	movers   []*corev1.Pod // bound to the node that goes
	dying    []*corev1.Pod // of pods: deleted after they are made
	ended    []*corev1.Pod // of pods: Succeeded
}

func newWorld(seed uint64) *world {
	w := &world{seed: seed, r: rand.New(rand.NewPCG(seed, 7))}
	w.makeNodes()
	w.makeClasses()
	for _, n := range w.nodes {
		if n.Name == leaving {
			continue
		}
		for i := range w.r.IntN(5) {
			w.makeGuest(n, i)
		}
	}
	for i := range 3 + w.r.IntN(4) {
		w.makeMover(i)
	}
	return w
}

// is tells in so many of a hundred cases that something is so.
func (w *world) is(percent int) bool { return w.r.IntN(100) < percent }

func pick[T any](w *world, of ...T) T { return of[w.r.IntN(len(of))] }

func (w *world) makeNodes() {
	for i := range 3 + w.r.IntN(5) {
		name := fmt.Sprintf("worker-%d", i)
		if i == 0 {
			name = leaving
		}
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, "disk": pick(w, "ssd", "hdd")}}}
		if !w.is(8) {
			n.Labels[corev1.LabelTopologyZone] = pick(w, "a", "b", "c")
		}
		if name != leaving {
			for effect, percent := range map[corev1.TaintEffect]int{corev1.TaintEffectNoSchedule: 15, corev1.TaintEffectPreferNoSchedule: 10} {
				if w.is(percent) {
					n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "dedicated", Value: pick(w, "db", "batch"), Effect: effect})
				}
			}
			n.Spec.Unschedulable = w.is(10)
		}
		n.Status.Capacity = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(pick(w, "1", "1500m", "2", "4")), corev1.ResourceMemory: resource.MustParse(pick(w, "1Gi", "2Gi", "4Gi")),
			corev1.ResourcePods: resource.MustParse(pick(w, "3", "6", "10", "110")), corev1.ResourceEphemeralStorage: resource.MustParse(pick(w, "2Gi", "20Gi")),
		}
		if w.is(30) {
			n.Status.Capacity["example.com/gpu"] = resource.MustParse(pick(w, "1", "2"))
		}
		if w.is(30) {
			n.Status.Capacity["hugepages-2Mi"] = resource.MustParse("64Mi")
		}
		n.Status.Allocatable = n.Status.Capacity
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now()}}
		w.nodes = append(w.nodes, n)
		if w.is(70) {
			c := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
			d := storagev1.CSINodeDriver{Name: driver, NodeID: name}
			if w.is(70) {
				count := int32(1 + w.r.IntN(2))
				d.Allocatable = &storagev1.VolumeNodeResources{Count: &count}
			}
			c.Spec.Drivers = append(c.Spec.Drivers, d)
			w.csiNodes = append(w.csiNodes, c)
		}
	}
}

func (w *world) makeClasses() {
	wait := storagev1.VolumeBindingWaitForFirstConsumer
	at := func(name string, zones ...string) {
		c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: driver, VolumeBindingMode: &wait}
		if len(zones) > 0 {
			c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: zones}}}}
		}
		w.classes = append(w.classes, c)
	}
	at("anywhere")
	at("zonal", "a", "b")
}

// pod makes a pod of one of the workloads.
func (w *world) pod(name, node string) *corev1.Pod {
	app := pick(w, "web", "db", "cache")
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pick(w, "shop", "data"), Name: name, Labels: map[string]string{"app": app, "rev": pick(w, "1", "2")},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app, UID: types.UID(app), Controller: &yes}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "registry.example/main:1"}}},
	}
	if w.is(85) {
		p.Spec.Containers[0].Resources.Requests = w.requests()
	}
	if w.is(10) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "second", Image: "registry.example/second:1", Resources: corev1.ResourceRequirements{Requests: w.requests()}})
	}
	if w.is(20) {
		c := corev1.Container{Name: "init", Image: "registry.example/init:1", Resources: corev1.ResourceRequirements{Requests: w.requests()}}
		if w.is(50) {
			always := corev1.ContainerRestartPolicyAlways
			c.RestartPolicy = &always
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	c := &p.Spec.Containers[0]
	if w.is(12) {
		c.Resources.Requests, c.Resources.Limits = with(c.Resources.Requests, "example.com/gpu", "1"), with(c.Resources.Limits, "example.com/gpu", "1")
	}
	if w.is(6) {
		c.Resources.Requests, c.Resources.Limits = with(c.Resources.Requests, "hugepages-2Mi", "32Mi"), with(c.Resources.Limits, "hugepages-2Mi", "32Mi")
		if _, ok := c.Resources.Requests[corev1.ResourceCPU]; !ok {
			c.Resources.Requests = with(c.Resources.Requests, "cpu", "100m")
		}
	}
	if w.is(12) {
		port := corev1.ContainerPort{ContainerPort: 80, HostPort: pick(w, int32(8080), 9090), Protocol: pick(w, corev1.ProtocolTCP, corev1.ProtocolUDP)}
		port.HostIP = pick(w, "", "127.0.0.1", "10.0.0.1")
		c.Ports = append(c.Ports, port)
	}
	if w.is(20) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{w.term(p)}}}
	}
	return p
}

func with(list corev1.ResourceList, name corev1.ResourceName, quantity string) corev1.ResourceList {
	if list == nil {
		list = corev1.ResourceList{}
	}
	list[name] = resource.MustParse(quantity)
	return list
}

func (w *world) requests() corev1.ResourceList {
	l := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(pick(w, "50m", "200m", "400m", "900m")), corev1.ResourceMemory: resource.MustParse(pick(w, "64Mi", "256Mi", "700Mi"))}
	if w.is(15) {
		l[corev1.ResourceEphemeralStorage] = resource.MustParse(pick(w, "500Mi", "1500Mi"))
	}
	return l
}

func (w *world) term(p *corev1.Pod) corev1.PodAffinityTerm {
	t := corev1.PodAffinityTerm{TopologyKey: pick(w, corev1.LabelHostname, corev1.LabelHostname, corev1.LabelTopologyZone), LabelSelector: w.selector(p)}
	switch w.r.IntN(6) {
	case 0:
		t.Namespaces = []string{pick(w, "shop", "data")}
	case 1:
		t.NamespaceSelector = &metav1.LabelSelector{}
	case 2:
		t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": pick(w, "red", "blue")}}
	}
	if w.is(15) {
		t.MatchLabelKeys = []string{"rev"}
	}
	return t
}

func (w *world) selector(p *corev1.Pod) *metav1.LabelSelector {
	if w.is(40) {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": p.Labels["app"]}}
	}
	if w.is(20) {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"web"}}}}
	}
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": pick(w, "web", "db", "cache")}}
}

func (w *world) makeGuest(n *corev1.Node, i int) {
	p := w.pod(fmt.Sprintf("%s-%d", n.Name, i), n.Name)
	w.pods = append(w.pods, p)
	switch {
	case w.is(12):
		w.dying = append(w.dying, p)
	case w.is(6):
		w.ended = append(w.ended, p)
	}
	if w.is(15) {
		v := w.bound(p, nil)
		w.attached = append(w.attached, &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "at-" + v.Name}, Spec: storagev1.VolumeAttachmentSpec{
			Attacher: driver, NodeName: n.Name, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &v.Name},
		}})
	}
}

func (w *world) makeMover(i int) {
	p := w.pod(fmt.Sprintf("mover-%d", i), leaving)
	w.movers = append(w.movers, p)
	p.Spec.PriorityClassName = pick(w, "", "", "", "calm", "high", "high")
	if w.is(30) {
		t := corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists}
		switch w.r.IntN(4) {
		case 0:
			t.Operator, t.Value = corev1.TolerationOpEqual, pick(w, "db", "batch")
		case 1:
			t.Effect = pick(w, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute)
		case 2:
			t = corev1.Toleration{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists}
		}
		p.Spec.Tolerations = append(p.Spec.Tolerations, t)
	}
	if w.is(15) {
		p.Spec.NodeSelector = map[string]string{"disk": pick(w, "ssd", "hdd")}
	}
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{}
	}
	if w.is(15) {
		p.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: w.nodeTerms()}}
	}
	if w.is(18) {
		p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{}
		for range 1 + w.r.IntN(2) {
			p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(p.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, w.term(p))
		}
	}
	if w.is(30) {
		w.spread(p)
	}
	switch w.r.IntN(12) {
	case 0:
		w.bound(p, []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{pick(w, "a", "b", "c")}}})
	case 1:
		w.bound(p, []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{leaving}}})
	case 2:
		v := w.bound(p, nil)
		v.Labels = map[string]string{corev1.LabelTopologyZone: pick(w, "a", "b__c", "c")}
	case 3:
		w.bound(p, nil)
	case 4:
		w.unbound(p)
	}
}

func (w *world) nodeTerms() []corev1.NodeSelectorTerm {
	r := corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: pick(w, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn), Values: []string{pick(w, "a", "b", "c")}}
	out := []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{r}}}
	if w.is(20) {
		out = append(out, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpExists}}})
	}
	return out
}

func (w *world) spread(p *corev1.Pod) {
	for i := range 1 + w.r.IntN(2) {
		c := corev1.TopologySpreadConstraint{
			MaxSkew: int32(1 + w.r.IntN(2)), TopologyKey: []string{corev1.LabelTopologyZone, corev1.LabelHostname}[i],
			WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: w.selector(p),
		}
		if w.is(15) {
			c.WhenUnsatisfiable = corev1.ScheduleAnyway
		} else if w.is(25) {
			n := int32(1 + w.r.IntN(4))
			c.MinDomains = &n
		}
		if w.is(25) {
			honor := pick(w, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)
			c.NodeTaintsPolicy = &honor
		}
		if w.is(25) {
			honor := pick(w, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)
			c.NodeAffinityPolicy = &honor
		}
		if w.is(25) {
			c.MatchLabelKeys = []string{"rev"}
		}
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, c)
	}
}

// claim gives a pod a volume with a claim.
func (w *world) claim(p *corev1.Pod, class string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: fmt.Sprintf("claim-%d-%s", w.seed, p.Name), Annotations: map[string]string{}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{pick(w, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)}, StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name}}})
	w.claims = append(w.claims, c)
	return c
}

// bound gives a pod a claim and its volume.
func (w *world) bound(p *corev1.Pod, at []corev1.NodeSelectorRequirement) *corev1.PersistentVolume {
	c := w.claim(p, "")
	v := volumeFor(c)
	if at != nil {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: at}}}}
		if at[0].Key == corev1.LabelHostname {
			v.Spec.CSI, v.Spec.Local = nil, &corev1.LocalVolumeSource{Path: "/mnt/disk"}
		}
	}
	c.Spec.VolumeName, c.Annotations["pv.kubernetes.io/bind-completed"] = v.Name, "yes"
	w.volumes = append(w.volumes, v)
	return v
}

func volumeFor(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	name := "pv-" + c.Namespace + "-" + c.Name
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: c.Spec.AccessModes, StorageClassName: *c.Spec.StorageClassName,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}},
		ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: c.Namespace, Name: c.Name},
	}}
}

// unbound gives a pod a claim that is bound when it is scheduled.
func (w *world) unbound(p *corev1.Pod) { w.claim(p, pick(w, "anywhere", "zonal")) }

// copyOf is the pod that a controller makes in place of the old one.
func copyOf(p *corev1.Pod) *corev1.Pod {
	out := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.Namespace, Name: p.Name + "-again", Labels: p.Labels, OwnerReferences: p.OwnerReferences,
	}, Spec: *p.Spec.DeepCopy()}
	out.Spec.NodeName = ""
	return out
}

const patience = 15 * time.Second
