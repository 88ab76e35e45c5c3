package volume_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

const driver = "disk.example.com"

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func ptr[T any](v T) *T { return &v }

// picture is everything there is.
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
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func user() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-0"},
		Spec: corev1.PodSpec{NodeName: "worker-1", Volumes: []corev1.Volume{
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "db-data"}}},
			{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
}

func disk() []runtime.Object {
	return []runtime.Object{
		&corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-data"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
		},
		&corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv-1"},
			Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "vol-1"}}},
		},
	}
}

func attachment(node string, change func(*storagev1.VolumeAttachment)) *storagev1.VolumeAttachment {
	va := &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "csi-" + node, CreationTimestamp: ago(time.Hour)},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: driver, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr("pv-1")}},
	}
	if change != nil {
		change(va)
	}
	return va
}

func csiNode(drivers ...storagev1.CSINodeDriver) *storagev1.CSINode {
	return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "worker-1"}, Spec: storagev1.CSINodeSpec{Drivers: drivers}}
}

func follow(t *testing.T, s *snapshot.Snapshot, p *corev1.Pod) (volume.Link, string) {
	t.Helper()
	links := volume.NewFollower(s).Fill(p)
	if len(links) != 1 {
		t.Fatalf("%d volumes rest on something, want 1", len(links))
	}
	var words []string
	for _, o := range links[0].Odd(s, p.Namespace) {
		words = append(words, string(o.Hop)+": "+o.What)
	}
	return links[0], strings.Join(words, "; ")
}

func TestWhatIsWrongAlongTheChainIsSaidAtItsHop(t *testing.T) {
	registered := storagev1.CSINodeDriver{Name: driver, NodeID: "i-1", Allocatable: &storagev1.VolumeNodeResources{Count: ptr(int32(1))}}
	attached := attachment("worker-1", func(va *storagev1.VolumeAttachment) { va.Status.Attached = true })
	for name, c := range map[string]struct {
		objects []runtime.Object
		want    string
	}{
		"nothing":             {append(disk(), csiNode(registered), attached), ""},
		"no claim":            {[]runtime.Object{csiNode()}, "claim: it does not exist"},
		"no volume":           {append(disk()[:1], csiNode()), "volume: it does not exist"},
		"a claim that waits":  {[]runtime.Object{&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-data"}}}, "claim: it has no volume yet"},
		"no driver":           {append(disk(), csiNode(), attached), "driver: it is not registered on node worker-1"},
		"no answer":           {append(disk(), csiNode(registered), attachment("worker-1", nil)), "attachment: attaching it to node worker-1 has had no answer"},
		"another node has it": {append(disk(), csiNode(registered), attachment("worker-9", nil)), "attachment: it is attached to node worker-9"},
		"a refusal":           {append(disk(), csiNode(registered), attachment("worker-1", func(va *storagev1.VolumeAttachment) { va.Status.AttachError = &storagev1.VolumeError{Message: "x"} })), "attachment: attaching it to node worker-1 fails"},
		"a detach that does not end": {append(disk(), csiNode(registered), attachment("worker-1", func(va *storagev1.VolumeAttachment) {
			va.DeletionTimestamp = ptr(ago(time.Minute))
			va.Finalizers = []string{"x"}
		})), "attachment: it is being detached from node worker-1"},
		"no room, taken by other volumes": {append(disk(), csiNode(registered), attachment("worker-1", func(va *storagev1.VolumeAttachment) {
			va.Name = "other"
			va.Spec.Source.PersistentVolumeName = ptr("pv-2")
			va.Status.Attached = true
		})), "driver: node worker-1 has 1 of its volumes, which is the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			p := user()
			if _, got := follow(t, picture(t, append(c.objects, p)...), p); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatWasNotReadIsNotSaidToBeAbsent(t *testing.T) {
	p := user()
	s := build(t, snapshot.NewBuilder(), append(disk(), p)...)
	l, odd := follow(t, s, p)
	if l.Registered != snapshot.Unknown || l.PluginsKnown || strings.Contains(odd, "not registered") {
		t.Errorf("registered %v, plugins known %t, odd: %s", l.Registered, l.PluginsKnown, odd)
	}
	s = build(t, snapshot.NewBuilder(), p)
	if _, odd = follow(t, s, p); odd != "claim: it could not be read" {
		t.Error(odd)
	}
}

func daemon(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: name, OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "plugin", Controller: ptr(true)}}},
		Spec:       corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "registrar"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	change(p)
	return p
}

func TestNodePluginsAreKnownByWhatTheyRegisterAndMount(t *testing.T) {
	directory := func(path string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "plugin", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}}
		}
	}
	for name, c := range map[string]struct {
		driver string
		change func(*corev1.Pod)
		is     bool
	}{
		"it registers the driver": {driver, func(p *corev1.Pod) {
			p.Spec.Containers[0].Args = []string{"--v=5", "--kubelet-registration-path=/var/lib/kubelet/plugins/disk.example.com/csi.sock"}
		}, true},
		"it registers the driver, by its environment": {driver, func(p *corev1.Pod) {
			p.Spec.Containers[0].Args = []string{"--kubelet-registration-path=$(SOCKET)"}
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "SOCKET", Value: "/var/lib/kubelet/plugins/disk.example.com/csi.sock"}}
		}, true},
		"it mounts the driver's directory":                {driver, directory("/var/lib/kubelet/plugins/disk.example.com/"), true},
		"it mounts it below another root":                 {driver, directory("/var/lib/k0s/kubelet/plugins/disk.example.com"), true},
		"a directory that is not called after its driver": {"nfs.csi.k8s.io", directory("/var/lib/kubelet/plugins/csi-nfsplugin"), true},
		"it is told the driver's name":                    {driver, func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"--drivername=disk.example.com"} }, true},
		"another driver's":                                {driver, directory("/var/lib/kubelet/plugins/disk.example.com.other"), false},
		"all plugins of the kubelet":                      {driver, directory("/var/lib/kubelet/plugins"), false},
		"no DaemonSet": {driver, func(p *corev1.Pod) {
			directory("/var/lib/kubelet/plugins/disk.example.com")(p)
			p.OwnerReferences = nil
		}, false},
		"it has ended": {driver, func(p *corev1.Pod) {
			directory("/var/lib/kubelet/plugins/disk.example.com")(p)
			p.Status.Phase = corev1.PodFailed
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			found, all := volume.NodePlugins(picture(t, daemon("plugin-x", c.change)), c.driver, "worker-1")
			if !all || len(found) == 1 != c.is {
				t.Errorf("%+v, all %t, want found %t", found, all, c.is)
			}
			if c.is && (found[0].Why == "" || !found[0].Ready) {
				t.Errorf("%+v", found[0])
			}
		})
	}
}

func lease(name, holder string, idle time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: ptr(int32(15)), RenewTime: &metav1.MicroTime{Time: now.Add(-idle)}},
	}
}

func replica(name string, ready bool) *corev1.Pod {
	p := daemon(name, func(p *corev1.Pod) {
		p.OwnerReferences[0].Kind, p.OwnerReferences[0].Name = "ReplicaSet", "controller-7d9f"
		p.GenerateName, p.Labels = "controller-7d9f-", map[string]string{"pod-template-hash": "7d9f"}
	})
	if !ready {
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}}
	}
	return p
}

func TestTheControllerOfADriverIsFoundByItsLease(t *testing.T) {
	const attacher = "external-attacher-leader-disk-example-com"
	for name, c := range map[string]struct {
		objects []runtime.Object
		odd     string
		pods    int
		gone    bool
	}{
		"it leads": {[]runtime.Object{lease(attacher, "controller-7d9f-a", time.Second), replica("controller-7d9f-a", true)}, "", 1, false},
		"it stopped, and its successor has no image": {[]runtime.Object{lease(attacher, "controller-7d9f-a", time.Hour), replica("controller-7d9f-b", false)}, "nobody leads its attacher: the lease has not been renewed for 60m, and not ready is storage/controller-7d9f-b (ImagePullBackOff)", 1, true},
		"it stopped, and nothing is known of it":     {[]runtime.Object{lease(attacher, "controller-7d9f-a", time.Hour)}, "nobody leads its attacher: the lease has not been renewed for 60m", 0, true},
		"it leads in the host's network":             {[]runtime.Object{lease(attacher, "worker-1", time.Second), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-1"}}}, "", 0, false},
		"another driver's":                           {[]runtime.Object{lease("external-attacher-leader-other", "x", time.Hour)}, "none", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			found := volume.Controllers(picture(t, c.objects...), driver, snapshot.RoleAttacher)
			if c.odd == "none" {
				if len(found) != 0 {
					t.Errorf("%+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Odd() != c.odd || len(found[0].Pods) != c.pods || found[0].Gone != c.gone {
				t.Fatalf("%+v\nodd %q", found, found[0].Odd())
			}
		})
	}
}

func TestADriverStandsInForAPluginOnlyWhereTheNodeSaysSo(t *testing.T) {
	pv := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}}}}
	c := volume.Chain{Source: &corev1.Volume{}, PV: pv}
	n := csiNode()
	if d := c.DriverOn(n); d != "" {
		t.Errorf("not migrated, and yet %s", d)
	}
	n.Annotations = map[string]string{corev1.MigratedPluginsAnnotationKey: "kubernetes.io/gce-pd,kubernetes.io/aws-ebs"}
	if d := c.DriverOn(n); d != "ebs.csi.aws.com" {
		t.Errorf("migrated, and yet %q", d)
	}
}

func TestAVolumeIsKnownByItsNames(t *testing.T) {
	p := user()
	c := volume.Of(picture(t, append(disk(), p)...), p)[0]
	for text, want := range map[string]bool{
		`MountVolume.SetUp failed for volume "pv-1" : x`:             true,
		`an operation with the given Volume ID vol-1 already exists`: true,
		`MountVolume.SetUp failed for volume "data" : x`:             true,
		`MountVolume.SetUp failed for volume "conf" : x`:             false,
		``: false,
	} {
		if c.Named(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
	if !c.Exclusive() || !c.CanHang() || c.Kind() != "CSI" || c.Describe() != "data (CSI disk.example.com)" || !slices.Equal(c.AccessModes(), []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}) {
		t.Errorf("%+v", c)
	}
}

func TestOddPodsDoNoHarm(t *testing.T) {
	s := picture(t, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "disk-example-com"}})
	if volume.Of(s, nil) != nil {
		t.Error("no pod has no volumes")
	}
	p := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{}, {Name: "x", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: driver}}}}}}
	for _, l := range volume.NewFollower(s).Fill(p) {
		l.Odd(s, "")
		l.Describe()
	}
}
