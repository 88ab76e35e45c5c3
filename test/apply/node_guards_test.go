package apply

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/cli"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// silent makes it a node that nobody has heard of for ten minutes.
func silent(t *testing.T, n *corev1.Node) {
	t.Helper()
	n = nodeNow(t, n.Name)
	n.Status.Conditions[0].Status, n.Status.Conditions[0].Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
	if _, err := cluster.Client().CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	l, err := cluster.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), n.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	old := metav1.NewMicroTime(time.Now().Add(-10 * time.Minute))
	l.Spec.RenewTime = &old
	if _, err := cluster.Client().CoordinationV1().Leases(l.Namespace).Update(t.Context(), l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// well makes the node Ready.
func well(t *testing.T, n *corev1.Node) {
	t.Helper()
	n = nodeNow(t, n.Name)
	n.Status.Conditions[0].Status = corev1.ConditionTrue
	if _, err := cluster.Client().CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func label(t *testing.T, n *corev1.Node, key string) {
	t.Helper()
	n = nodeNow(t, n.Name)
	n.Labels[key] = ""
	if _, err := cluster.Client().CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// spare makes a node that has room for what goes.
func spare(t *testing.T) *corev1.Node {
	t.Helper()
	n := ill(t)
	well(t, n)
	return n
}

func web() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "registry.example.com/shop/web:1"}}}
}

// owned makes a pod of a ReplicaSet, or of a StatefulSet, on the node.
func owned(t *testing.T, ns, name string, n *corev1.Node, set bool, volumes ...corev1.Volume) *corev1.Pod {
	t.Helper()
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: selector.MatchLabels}, Spec: web()}
	yes, one := true, int32(1)
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Name: name, Controller: &yes}
	if set {
		o, err := cluster.Client().AppsV1().StatefulSets(ns).Create(t.Context(), &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.StatefulSetSpec{Replicas: &one, Selector: selector, Template: template}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		owner.Kind, owner.UID = "StatefulSet", o.UID
	} else {
		o, err := cluster.Client().AppsV1().ReplicaSets(ns).Create(t.Context(), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.ReplicaSetSpec{Replicas: &one, Selector: selector, Template: template}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		owner.Kind, owner.UID = "ReplicaSet", o.UID
	}
	s := web()
	s.NodeName, s.Volumes = n.Name, volumes
	p, err := cluster.Client().CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-0", Labels: selector.MatchLabels, OwnerReferences: []metav1.OwnerReference{owner}}, Spec: s,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return setRunning(t, p)
}

// disk makes a claim for one node at a time, bound to a volume that is attached to the node.
func disk(t *testing.T, ns string, n *corev1.Node) corev1.Volume {
	t.Helper()
	pv, class := "disk-"+ns, ""
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	if _, err := cluster.Client().CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: pv},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, ClaimRef: &corev1.ObjectReference{Namespace: ns, Name: "data"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.csi.example.com", VolumeHandle: pv}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Client().CoreV1().PersistentVolumeClaims(ns).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeName: pv, StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: size}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	va, err := cluster.Client().StorageV1().VolumeAttachments().Create(t.Context(), &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "va-" + ns}, Spec: storagev1.VolumeAttachmentSpec{Attacher: "disk.csi.example.com", NodeName: n.Name, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	va.Status.Attached = true
	if _, err := cluster.Client().StorageV1().VolumeAttachments().UpdateStatus(t.Context(), va, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}
}

// verdicts are what the guards say to a command, by the name of the guard.
func verdicts(t *testing.T, args ...string) (code int, by map[string]remedy.Verdict) {
	t.Helper()
	code, out := person(t, nil, "", append(args, "--dry-run=client", "-o", "json")...)
	_, doc, ok := strings.Cut(out, "{\n")
	if !ok {
		t.Fatalf("no document: %s", out)
	}
	var got struct {
		Plan remedy.Plan `json:"plan"`
	}
	if err := json.NewDecoder(strings.NewReader("{\n" + doc)).Decode(&got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	by = map[string]remedy.Verdict{}
	all := slices.Clone(got.Plan.Verdicts)
	for _, a := range got.Plan.Acts {
		all = append(all, a.Verdicts...)
	}
	for _, v := range all {
		if old, has := by[v.Guard]; !has || !old.Blocks() {
			by[v.Guard] = v
		}
	}
	return code, by
}

func blocking(by map[string]remedy.Verdict) string {
	maps.DeleteFunc(by, func(_ string, v remedy.Verdict) bool { return !v.Blocks() })
	return strings.Join(slices.Sorted(maps.Keys(by)), " ")
}

// TestTheGuardsOfANodeSpeakOfWhatARealAPIServerHas goes through what a deletion is refused for, with all other lifts given, and what lifts it.
func TestTheGuardsOfANodeSpeakOfWhatARealAPIServerHas(t *testing.T) {
	if err := cluster.EnsureNamespace(t.Context(), corev1.NamespaceNodeLease); err != nil {
		t.Fatal(err)
	}
	off := "I switched the power of %s off at 14:20"
	lifts := []string{"--even-in-storm", "--even-last", "--even-without-room", "--even-unmanaged", "--even-if-healthy", "--even-control-plane", "--even-past-budget", "--delete-emptydir-data", "--attest"}
	for name, c := range map[string]struct {
		world   func(t *testing.T, ns string, n *corev1.Node)
		asks    string // instead of --drain-and-delete
		want    string // the guards that refuse
		lift    string // the flag that lifts them; empty where nothing does
		without bool   // no other node that has room
	}{
		"nothing":          {world: func(*testing.T, string, *corev1.Node) {}},
		"a healthy node":   {world: func(t *testing.T, _ string, n *corev1.Node) { well(t, n) }, want: "node-healthy", lift: "--even-if-healthy"},
		"a pod of its own": {world: func(t *testing.T, ns string, n *corev1.Node) { aboard(t, ns, "bare", n) }, want: "node-unmanaged", lift: "--even-unmanaged"},
		"an emptyDir": {world: func(t *testing.T, ns string, n *corev1.Node) {
			owned(t, ns, "web", n, false, corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		}, want: "node-local-data", lift: "--delete-emptydir-data"},
		"a control plane": {world: func(t *testing.T, _ string, n *corev1.Node) {
			label(t, n, "node-role.kubernetes.io/control-plane")
			o := spare(t)
			label(t, o, "node-role.kubernetes.io/control-plane")
		}, want: "node-control-plane", lift: "--even-control-plane"},
		"all of it":     {world: func(t *testing.T, _ string, n *corev1.Node) { label(t, n, "node-role.kubernetes.io/control-plane") }, want: "node-control-plane-last"},
		"no other node": {world: func(*testing.T, string, *corev1.Node) {}, want: "node-last-of-kind", lift: "--even-last", without: true},
		"no room":       {world: func(t *testing.T, ns string, n *corev1.Node) { owned(t, ns, "web", n, false) }, want: "node-room", lift: "--even-without-room", without: true},
		"one identity":  {world: func(t *testing.T, ns string, n *corev1.Node) { owned(t, ns, "db", n, true); silent(t, n) }, want: "node-at-most-one", lift: "--attest"},
		"a disk": {world: func(t *testing.T, ns string, n *corev1.Node) {
			owned(t, ns, "web", n, false, disk(t, ns, n))
			silent(t, n)
		}, want: "node-at-most-one node-volumes", lift: "--attest"},
		"a budget": {world: func(t *testing.T, ns string, n *corev1.Node) {
			owned(t, ns, "web", n, false)
			guard(t, ns, "keeps", "web", 0)
			silent(t, n)
		}, want: "node-budgets", lift: "--even-past-budget"},
		"many ill at once": {world: func(t *testing.T, _ string, _ *corev1.Node) {
			for range 4 {
				ill(t)
			}
		}, want: "node-storm", lift: "--even-in-storm"},
		"off, and it is not":  {world: func(*testing.T, string, *corev1.Node) {}, asks: "--out-of-service", want: "node-out-of-service"},
		"off, says nobody":    {world: func(t *testing.T, _ string, n *corev1.Node) { silent(t, n) }, asks: "--out-of-service", want: "node-off-vouched", lift: "--attest"},
		"back, and it is not": {world: func(t *testing.T, _ string, n *corev1.Node) { silent(t, n); taintOff(t, n.Name) }, asks: "--out-of-service=remove", want: "node-in-service"},
	} {
		t.Run(name, func(t *testing.T) {
			ns, n := space(t), ill(t)
			if !c.without {
				spare(t)
			}
			c.world(t, ns, n)
			asks := c.asks
			if asks == "" {
				asks = "--drain-and-delete"
			}
			args := func(but string) []string {
				out := []string{"node", n.Name, asks}
				for _, l := range lifts {
					switch {
					case l == but, asks != "--drain-and-delete" && (l != "--attest" && l != "--even-in-storm" || asks != "--out-of-service"):
					case l == "--attest":
						out = append(out, l, strings.ReplaceAll(off, "%s", n.Name))
					default:
						out = append(out, l)
					}
				}
				return out
			}
			code, by := verdicts(t, args(c.lift)...)
			if got := blocking(by); got != c.want || (code == cli.ExitRefused) != (c.want != "") {
				t.Errorf("refused by %q with exit code %d, want %q", got, code, c.want)
			}
			if c.lift == "" {
				return
			}
			code, by = verdicts(t, args("")...)
			for _, g := range strings.Fields(c.want) {
				if !by[g].Lifted {
					t.Errorf("%s is not lifted by %s: %+v", g, c.lift, by[g])
				}
			}
			if got := blocking(by); got != "" || code != cli.ExitDone {
				t.Errorf("with %s it is refused by %q, exit code %d", c.lift, got, code)
			}
			if now := nodeNow(t, n.Name); now == nil || now.Spec.Unschedulable {
				t.Errorf("a dry run changed the node: %+v", now)
			}
		})
	}
}

func taintOff(t *testing.T, name string) {
	t.Helper()
	n := nodeNow(t, name)
	n.Spec.Taints = append(n.Spec.Taints, remedy.OutOfServiceTaint())
	if _, err := cluster.Client().CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
