package control

import (
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// diagnosed asks one cause about a picture.
func diagnosed(t *testing.T, c diagnose.Cause, clock string, gaps []snapshot.Gap, objects ...runtime.Object) []diagnose.Finding {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, o := range objects {
		if !b.Add(o) {
			t.Fatalf("a snapshot does not hold %T", o)
		}
	}
	for _, g := range gaps {
		b.AddGap(g)
	}
	b.SetOrigin(snapshot.Origin{Server: "https://example.com", Clock: clock})
	s, err := b.Build(noon())
	if err != nil {
		t.Fatal(err)
	}
	d := diagnose.Run(s, stuck.Find(s, stuck.Options{}), []diagnose.Cause{c})
	for _, skip := range d.Skips {
		t.Log(skip)
	}
	return d.Findings
}

func renewed(namespace, name string, ago time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: noon().Add(-ago)}}}
}

func creating(namespace, name string, change func(*corev1.PodSpec)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u", CreationTimestamp: metav1.Time{Time: noon().Add(-time.Hour)}},
		Spec:       corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "app"}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}},
		}},
	}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func TestNothingIsWritten(t *testing.T) {
	const trusted, guessed = "API server", "newest timestamp in the dump"
	waiting := creating("shop", "cart-1", nil)
	stale := []runtime.Object{waiting, renewed("kube-node-lease", "worker-1", 20*time.Minute), renewed("kube-system", "kube-controller-manager", 21*time.Minute)}
	for name, c := range map[string]struct {
		clock   string
		objects []runtime.Object
		want    bool
	}{
		"no lease is renewed":                        {trusted, stale, true},
		"a clock that was made up proves nothing":    {guessed, stale, false},
		"a node renews its lease":                    {trusted, append([]runtime.Object{renewed("kube-node-lease", "worker-2", 5*time.Second)}, stale...), false},
		"the leases of controllers are hidden":       {trusted, stale[:2], false},
		"every node is lost, and a controller works": {trusted, append([]runtime.Object{renewed("kube-system", "kube-scheduler", time.Second)}, stale...), false},
	} {
		t.Run(name, func(t *testing.T) {
			found := diagnosed(t, controlPlaneDown(), c.clock, nil, c.objects...)
			if got := len(found) == 1 && len(found[0].Explains) == 1; got != c.want {
				t.Errorf("got %+v, want a finding: %v", found, c.want)
			}
		})
	}
}

func TestAKindThatCannotBeDecryptedKeepsPodsThatNeedIt(t *testing.T) {
	gap := func(detail string) []snapshot.Gap {
		return []snapshot.Gap{{Kind: snapshot.Secret, Namespace: "shop", Reason: snapshot.ReasonError, Detail: detail}}
	}
	mounts := creating("shop", "cart-1", func(s *corev1.PodSpec) {
		s.Volumes = []corev1.Volume{{Name: "login", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "login"}}}}
	})
	reads := creating("shop", "till-1", func(s *corev1.PodSpec) {
		s.Containers[0].Env = []corev1.EnvVar{{Name: "P", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "p"}}}}
	})
	without, elsewhere := creating("shop", "other-1", nil), mounts.DeepCopy()
	elsewhere.Namespace = "bank"
	found := diagnosed(t, undecryptableObject(), "", gap(`Internal error occurred: unable to transform key "/registry/secrets/shop/x": no matching prefix found`), mounts, reads, without, elsewhere)
	if len(found) != 1 || len(found[0].Explains) != 2 || found[0].Confidence != diagnose.Likely {
		t.Errorf("got %+v, want one finding about cart-1 and till-1", found)
	}
	if found := diagnosed(t, undecryptableObject(), "", gap("secrets is forbidden"), mounts); len(found) > 0 {
		t.Errorf("a right that is missing was taken for it: %+v", found)
	}
}

func TestHowSureItIsThatAPolicyDenies(t *testing.T) {
	fx := snapshottest.Load(t, "testdata/admission-denies-update.yaml")
	d := diagnose.Run(fx.Snapshot, stuck.Find(fx.Snapshot, stuck.Options{}), []diagnose.Cause{admissionDeniesUpdate()})
	want := map[string]diagnose.Confidence{
		"till-1":  diagnose.Certain,  // the API server said so
		"probe-1": diagnose.Likely,   // its parameters are missing
		"cart-1":  diagnose.Likely,   // the reports of two kubelets are missing
		"cart-2":  diagnose.Likely,   //
		"batch-1": diagnose.Possible, // the job controller has not removed its finalizer
	}
	for _, f := range d.Findings {
		for _, p := range f.Explains {
			if f.Confidence != want[p.Name] {
				t.Errorf("%s: got %s, want %s: %s", p.Name, f.Confidence, want[p.Name], f.Message)
			}
			delete(want, p.Name)
		}
	}
	for p := range want {
		t.Errorf("nothing explains %s", p)
	}
}

func TestAWebhookThatLocksItselfOutIsSaidTo(t *testing.T) {
	fx := snapshottest.Load(t, "testdata/webhook-unavailable-blocks-update.yaml")
	d := diagnose.Run(fx.Snapshot, stuck.Find(fx.Snapshot, stuck.Options{}), []diagnose.Cause{webhookUnavailableBlocksUpdate()})
	for _, f := range d.Findings {
		locks := strings.Contains(f.Message, "locks itself out")
		if own := f.Subject.Name == "defaults"; own != locks {
			t.Errorf("%s: it is said to lock itself out: %v", f.Subject, locks)
		}
	}
	if len(d.Findings) != 3 {
		t.Errorf("got %d findings, want three: two webhooks, and one of which only an event speaks", len(d.Findings))
	}
}

func TestAControllerWhosePodCrashesIsSaidTo(t *testing.T) {
	fx := snapshottest.Load(t, "testdata/control-plane-down.yaml")
	d := diagnose.Run(fx.Snapshot, stuck.Find(fx.Snapshot, stuck.Options{}), []diagnose.Cause{controlPlaneDown()})
	if len(d.Findings) != 2 {
		t.Fatalf("got %d findings, want one for each controller", len(d.Findings))
	}
	for _, f := range d.Findings {
		crashes := strings.Contains(f.Message, "kube-scheduler-cp-1") && strings.Contains(f.Message, "CrashLoopBackOff")
		if own := f.Subject.Name == scheduler; own != crashes {
			t.Errorf("%s: its pod is said to crash: %v: %s", f.Subject.Name, crashes, f.Message)
		}
	}
}
