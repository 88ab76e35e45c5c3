package snapshot_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func build(t *testing.T, b *snapshot.Builder) *snapshot.Snapshot {
	t.Helper()
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPresenceTellsAbsentFromNotLookedFor(t *testing.T) {
	b := snapshot.NewBuilder()
	b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "here"}})
	b.SetComplete(snapshot.Node, "")
	b.SetComplete(snapshot.Job, "shop")
	b.SetAbsent(snapshot.Service, "shop", "gone")
	s := build(t, b)
	for _, c := range []struct {
		kind            snapshot.Kind
		namespace, name string
		want            snapshot.Presence
	}{
		{snapshot.Node, "", "here", snapshot.Present},
		{snapshot.Node, "", "other", snapshot.Absent},
		{snapshot.Job, "shop", "any", snapshot.Absent},
		{snapshot.Job, "pay", "any", snapshot.Unknown},
		{snapshot.Service, "shop", "gone", snapshot.Absent},
		{snapshot.Service, "shop", "other", snapshot.Unknown},
	} {
		if got := s.Has(c.kind, c.namespace, c.name); got != c.want {
			t.Errorf("%s %s/%s: %s, want %s", c.kind, c.namespace, c.name, got, c.want)
		}
	}
}

func TestReadsAreRecorded(t *testing.T) {
	b := snapshot.NewBuilder()
	b.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a"}})
	s, reads := build(t, b).Recorded()
	s.PV("x")
	s.Has(snapshot.ConfigMap, "a", "b")
	s.Events(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "a"})
	want := []snapshot.Kind{snapshot.ConfigMap, snapshot.Event, snapshot.PersistentVolume}
	if got := reads.Kinds(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEventsOfAPredecessorOfTheSameNameAreLeftOut(t *testing.T) {
	b := snapshot.NewBuilder()
	about := func(uid types.UID) corev1.ObjectReference {
		return corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "cart-0", UID: uid}
	}
	old, young := about("old"), about("young")
	b.Add(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "1"}, InvolvedObject: old, Reason: "Old"})
	b.Add(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "2"}, InvolvedObject: young, Reason: "Young"})
	s := build(t, b)
	got := s.Events(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "cart-0", UID: "young"})
	if len(got) != 1 || got[0].Reason != "Young" {
		t.Errorf("got %+v", got)
	}
}

func TestBothKindsOfEventsAreReadAlike(t *testing.T) {
	first, last := metav1.NewTime(now.Add(-time.Hour)), metav1.NewTime(now.Add(-time.Minute))
	want := snapshot.EventRecord{
		Namespace: "shop", Regarding: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "a"},
		Type: "Warning", Reason: "FailedMount", Message: "m", Component: "kubelet", Host: "n", Count: 4, First: first.Time, Last: last.Time,
	}
	ref := corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "a"}
	b := snapshot.NewBuilder()
	b.Add(&corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "core"}, InvolvedObject: ref, Type: "Warning", Reason: "FailedMount", Message: "m",
		Source: corev1.EventSource{Component: "kubelet", Host: "n"}, Count: 4, FirstTimestamp: first, LastTimestamp: last,
	})
	b.Add(&eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "events"}, Regarding: ref, Type: "Warning", Reason: "FailedMount", Note: "m",
		DeprecatedSource: corev1.EventSource{Host: "n"}, ReportingController: "kubelet", EventTime: metav1.NewMicroTime(first.Time),
		Series: &eventsv1.EventSeries{Count: 4, LastObservedTime: metav1.NewMicroTime(last.Time)},
	})
	s := build(t, b)
	if n := len(s.AllEvents()); n != 2 {
		t.Fatalf("%d events", n)
	}
	for _, e := range s.AllEvents() {
		e.Name = ""
		if e != want {
			t.Errorf("got  %+v\nwant %+v", e, want)
		}
	}
}

func TestTheOwnerIsTheDeploymentWhereverItCanBeTold(t *testing.T) {
	yes := true
	controlled := func(kind, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: "p", OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: name, Controller: &yes}}}
	}
	hashed := controlled("ReplicaSet", "cart-7d9f")
	hashed.Labels = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: "7d9f"}
	b := snapshot.NewBuilder()
	rs := controlled("Deployment", "web")
	rs.Name = "web-1"
	b.Add(&appsv1.ReplicaSet{ObjectMeta: rs})
	job := controlled("CronJob", "report")
	job.Name = "report-1"
	b.Add(&batchv1.Job{ObjectMeta: job})
	s := build(t, b)
	for name, c := range map[string]struct {
		meta metav1.ObjectMeta
		want string
	}{
		"the ReplicaSet was read":            {controlled("ReplicaSet", "web-1"), "deployment shop/web"},
		"its name and the pod's label agree": {hashed, "deployment shop/cart"},
		"a ReplicaSet of its own":            {controlled("ReplicaSet", "alone"), "replicaset shop/alone"},
		"a Job that was read":                {controlled("Job", "report-1"), "cronjob shop/report"},
		"a CronJob's Job that was not":       {controlled("Job", "backup-29561760"), "cronjob shop/backup"},
		"a Job of its own":                   {controlled("Job", "migrate-2"), "job shop/migrate-2"},
		"a StatefulSet":                      {controlled("StatefulSet", "db"), "statefulset shop/db"},
		"a static pod's node":                {controlled("Node", "n1"), "node n1"},
	} {
		if got, ok := s.Owner(&corev1.Pod{ObjectMeta: c.meta}); !ok || got.String() != c.want {
			t.Errorf("%s: %q, %t; want %q", name, got, ok, c.want)
		}
	}
	if _, ok := s.Owner(&corev1.Pod{}); ok {
		t.Error("a bare pod has an owner")
	}
}

func TestWhatIsBulkyAndDecidesNothingIsDropped(t *testing.T) {
	meta := func(name string, finalizers ...string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: "shop", Name: name, Finalizers: finalizers, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "keep": "me"},
		}
	}
	b := snapshot.NewBuilder()
	b.Add(&corev1.Pod{ObjectMeta: meta("plain")})
	b.Add(&corev1.Pod{ObjectMeta: meta("held", "example.com/hold")})
	s := build(t, b)
	plain, held := s.Pod("shop", "plain"), s.Pod("shop", "held")
	if len(plain.ManagedFields) != 0 || len(plain.Annotations) != 1 {
		t.Errorf("plain: %+v", plain.ObjectMeta)
	}
	if len(held.ManagedFields) != 1 {
		t.Error("who wrote the finalizer was dropped")
	}
}

func TestGapsAreErrorsThatNameWhatIsMissing(t *testing.T) {
	b := snapshot.NewBuilder()
	b.AddGap(snapshot.Gap{Kind: snapshot.Lease, Namespace: "kube-system", Name: "x", Reason: "Forbidden", Detail: "no"})
	s := build(t, b)
	var g snapshot.Gap
	if err := s.Gap(snapshot.Lease); !errors.As(err, &g) || err.Error() != "Lease x in namespace kube-system: Forbidden: no" {
		t.Errorf("got %v", err)
	}
	if s.Gap(snapshot.Pod) != nil {
		t.Error("pods are not missing")
	}
}

func TestAPictureNeedsATime(t *testing.T) {
	if _, err := snapshot.NewBuilder().Build(time.Time{}); err == nil {
		t.Error("a picture without a time was built")
	}
}

func TestEveryKindCanBeMadeAndIsRecognised(t *testing.T) {
	for _, i := range snapshot.Kinds() {
		o := snapshot.New(i.Kind)
		if o == nil {
			t.Errorf("%s: cannot be made", i.Kind)
			continue
		}
		if i.Kind != snapshot.Event && !snapshot.NewBuilder().Add(o) {
			t.Errorf("%s: is not taken", i.Kind)
		}
	}
	if snapshot.NewBuilder().Add(&appsv1.ControllerRevision{}) {
		t.Error("a kind that a snapshot does not hold was taken")
	}
}
