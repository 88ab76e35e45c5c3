package remedy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

var leftAt = time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC)

// ago is a time before the picture of a test was taken.
func ago(d time.Duration) metav1.Time { return metav1.NewTime(leftAt.Add(-d)) }

// w1Of is node w1 in a picture of these objects, of which those pods are all that it has.
func w1Of(t *testing.T, objects ...runtime.Object) *NodeCase {
	t.Helper()
	b := snapshot.NewBuilder()
	node := false
	for _, o := range objects {
		b.Add(o)
		_, is := o.(*corev1.Node)
		node = node || is
	}
	if !node {
		b.SetAbsent(snapshot.Node, "", "w1")
	}
	b.SetNodeComplete("w1")
	s, err := b.Build(leftAt)
	if err != nil {
		t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	p := NewPicture(s, found, diagnose.Run(s, found, causes.All(), "w1"))
	return p.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: "w1"}, Asked{DrainAndDelete: true}, nil)
}

func podOn(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("u-" + name), CreationTimestamp: ago(time.Hour)}}
	p.Spec.NodeName, p.Status.Phase = "w1", corev1.PodRunning
	if change != nil {
		change(p)
	}
	return p
}

func deleted(grace int64, finalizers ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		at := ago(10 * time.Minute)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds, p.Finalizers = &at, &grace, finalizers
	}
}

func attached(name string, age time.Duration) *storagev1.VolumeAttachment {
	pv := "pv-" + name
	va := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("va-" + name), CreationTimestamp: ago(age)}}
	va.Spec.NodeName, va.Spec.Attacher, va.Spec.Source.PersistentVolumeName, va.Status.Attached = "w1", "disk.csi.example.com", &pv, true
	return va
}

func TestOnlyWhatIsOlderThanTheNodeIsLeftOver(t *testing.T) {
	node := func(uid types.UID, age time.Duration) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: uid, CreationTimestamp: ago(age)}}
	}
	claims := func(name, pv string) []runtime.Object {
		pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("c-" + name)}}
		pvc.Spec.VolumeName, pvc.Status.Phase = pv, corev1.ClaimBound
		vol := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: pv, UID: types.UID("v-" + pv)}}
		vol.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "shop", Name: name, UID: pvc.UID}
		return []runtime.Object{pvc, vol}
	}
	mounts := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}}
	}
	running, ending, held := podOn("running", nil), podOn("ending", deleted(30)), podOn("held", deleted(0, "backup.example.com/x"))
	old := w1Of(t, node("old", 24*time.Hour), running, ending, held)
	fresh, freshEnding := podOn("fresh", nil), podOn("fresh-ending", deleted(30))
	user := podOn("user", mounts)
	for name, r := range map[string]struct {
		now   []runtime.Object
		first *NodeCase
		want  map[string]string // each leftover, and what is offered for it
	}{
		"gone":                                  {[]runtime.Object{running, ending, held, attached("a", time.Hour)}, old, map[string]string{"running": "--force", "ending": "--force", "held": "--finalizers", "a": "get"}},
		"gone, and what was there is not known": {[]runtime.Object{running, ending, held}, nil, map[string]string{"running": "--force", "ending": "--force", "held": "--finalizers"}},
		"back": {
			append(claims("c", "pv-used"), node("new", time.Minute), running, ending, held, fresh, freshEnding, user, attached("a", time.Hour), attached("used", time.Hour), attached("b", time.Second)),
			old, map[string]string{"ending": "explain", "held": "--finalizers", "a": "get"},
		},
		"back, and what was there is not known": {[]runtime.Object{node("new", time.Minute), running, ending, held, fresh, attached("a", time.Hour)}, nil, map[string]string{"a": "get"}},
	} {
		got := map[string]string{}
		for _, l := range Leftovers(w1Of(t, r.now...), r.first) {
			t.Logf("%s: %+v", name, l)
			got[l.Ref.Name] = l.Command
		}
		for ref, word := range r.want {
			if !strings.Contains(got[ref], word) {
				t.Errorf("%s: %s is offered %q, want %s", name, ref, got[ref], word)
			}
			delete(got, ref)
		}
		if len(got) > 0 {
			t.Errorf("%s: no leftovers: %s", name, fmt.Sprint(got))
		}
	}
}

func TestAnAttachmentThatDoesNotGoNamesWhoIsToEndIt(t *testing.T) {
	va, at := attached("a", time.Hour), ago(time.Minute)
	va.DeletionTimestamp, va.Finalizers = &at, []string{"external-attacher/disk-csi-example-com"}
	va.Status.DetachError = &storagev1.VolumeError{Message: "disk is busy"}
	none := int32(0)
	driver := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "disk-csi-controller", UID: "d"}}
	driver.Spec.Replicas, driver.Spec.Template.Spec.Containers = &none, []corev1.Container{{Name: "csi-attacher", Image: "registry.example.com/csi-attacher:1"}}
	got := Leftovers(w1Of(t, va, driver), nil)
	if len(got) != 1 || !strings.Contains(got[0].Held, "disk is busy") || !strings.Contains(got[0].By, "external-attacher/disk-csi-example-com of external-attacher of the CSI driver is") {
		t.Fatalf("%+v", got)
	}
	t.Logf("%+v", got[0])
}

func TestWhatIsBeingDeletedGoesWithATaintThatItTolerates(t *testing.T) {
	tolerates := func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }
	c := w1Of(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "n"}}, podOn("stays", tolerates), podOn("ending", func(p *corev1.Pod) { tolerates(p); deleted(30)(p) }), podOn("plain", nil))
	c.Asked = Asked{OutOfService: true}
	plan, err := MakeNode(c, Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	loses := strings.Join(plan.Acts[0].Loses, "\n")
	if !strings.Contains(loses, "shop/ending") || !strings.Contains(loses, "shop/plain") || strings.Contains(loses, "shop/stays") {
		t.Errorf("it loses: %s", loses)
	}
	var moves []string
	for _, m := range NewBeforeNode(c, []ID{OutOfService}).Moves {
		moves = append(moves, m.Target.Name)
	}
	if got := strings.Join(moves, " "); got != "ending plain" {
		t.Errorf("what goes is %q", got)
	}
}

func TestNewcomersAreWhatADeletionWouldTakeUnasked(t *testing.T) {
	owned := func(kind string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "o", UID: "o", Controller: &yes}}
		}
	}
	tolerant := func(p *corev1.Pod) {
		owned("ReplicaSet")(p)
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "n"}}
	first := w1Of(t, node, podOn("old", nil), podOn("old-web", owned("ReplicaSet")))
	now := w1Of(t, node, podOn("old", nil), podOn("bare", nil), podOn("web", owned("ReplicaSet")), podOn("agent", owned("DaemonSet")), podOn("db", owned("StatefulSet")), podOn("everywhere", tolerant),
		podOn("old-web", func(p *corev1.Pod) { owned("ReplicaSet")(p); p.UID = "another" }),
		podOn("over", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }))
	if got := strings.Join(now.Newcomers(first), " "); got != "shop/bare shop/db shop/old-web shop/web" {
		t.Errorf("newcomers are %q", got)
	}
	if got := first.Newcomers(first); len(got) > 0 {
		t.Errorf("nothing came, and yet %v", got)
	}
}

func TestANodeIsNotCreatedAgainOutOfService(t *testing.T) {
	raw := []byte(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"w1"},"spec":{"taints":[{"key":"node.kubernetes.io/out-of-service","value":"nodeshutdown","effect":"NoExecute"},{"key":"team","effect":"NoSchedule"}]}}`)
	out, err := NodeManifest(raw, false)
	if err != nil || strings.Contains(string(out), "out-of-service") || !strings.Contains(string(out), `"team"`) {
		t.Errorf("%v %s", err, out)
	}
}
