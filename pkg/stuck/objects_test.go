package stuck_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid", Generation: 1, CreationTimestamp: ago(time.Hour)}
}

func deployment(updated int32, conditions ...appsv1.DeploymentCondition) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Replicas: new(int32(3))},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1, UpdatedReplicas: updated, Conditions: conditions},
	}
}

func failure(since time.Duration, reason string) appsv1.DeploymentCondition {
	return appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: reason, Message: "no", LastTransitionTime: ago(since)}
}

func deadline(since time.Duration) appsv1.DeploymentCondition {
	return appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", LastTransitionTime: ago(since)}
}

// replicas is a ReplicaSet, of the Deployment where it says so.
func replicas(of string, want, have int32) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{
		ObjectMeta: meta("web-1"), Spec: appsv1.ReplicaSetSpec{Replicas: &want}, Status: appsv1.ReplicaSetStatus{ObservedGeneration: 1, Replicas: have},
	}
	if of != "" {
		yes := true
		rs.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: of, UID: "uid", Controller: &yes}}
	}
	return rs
}

func said(kind, name, reason string, first, last time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: name + reason + last.String()},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "shop", Name: name, UID: "uid"},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: "Error creating: no", Count: 5, FirstTimestamp: ago(first), LastTimestamp: ago(last),
	}
}

func job(change func(*batchv1.Job)) *batchv1.Job {
	start := ago(time.Hour)
	j := &batchv1.Job{
		ObjectMeta: meta("web"), Spec: batchv1.JobSpec{Parallelism: new(int32(2)), Completions: new(int32(4))},
		Status: batchv1.JobStatus{StartTime: &start},
	}
	if change != nil {
		change(j)
	}
	return j
}

func set(ready, have int32) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: meta("web"), Spec: appsv1.StatefulSetSpec{Replicas: new(int32(3))},
		Status: appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: have, ReadyReplicas: ready},
	}
}

func daemons(want, have int32) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: meta("web"), Status: appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: want, CurrentNumberScheduled: have}}
}

func namespace(deleted time.Duration) *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if deleted != 0 {
		t := ago(deleted)
		n.DeletionTimestamp = &t
	}
	return n
}

func paused(d *appsv1.Deployment) *appsv1.Deployment {
	d.Spec.Paused = true
	return d
}

// indexed is a Job of ten indexes, two of which have succeeded and those have failed for good, with that many pods.
func indexed(failed string, active int32) *batchv1.Job {
	return job(func(j *batchv1.Job) {
		j.Spec.Completions, j.Spec.Parallelism, j.Spec.BackoffLimitPerIndex = new(int32(10)), new(int32(10)), new(int32(1))
		j.Status.Succeeded, j.Status.Active, j.Status.FailedIndexes = 2, active, &failed
	})
}

// failing is a namespace that was deleted an hour ago, and says so of what is in the way.
func failing(c corev1.NamespaceConditionType, message string) *corev1.Namespace {
	n := namespace(time.Hour)
	n.Status.Conditions = []corev1.NamespaceCondition{{Type: c, Status: corev1.ConditionTrue, Message: message}}
	return n
}

func TestWorkloadsWithoutPods(t *testing.T) {
	refusedNow := said("ReplicaSet", "web-1", stuck.FailedCreate, 20*time.Minute, time.Minute)
	for name, c := range map[string]struct {
		objects []runtime.Object
		since   time.Duration // 0: not stuck
		wanted  int
		created int
	}{
		"a Deployment whose ReplicaSet says so":                       {[]runtime.Object{deployment(1, failure(9*time.Minute, "FailedCreate"))}, 9 * time.Minute, 3, 1},
		"a Deployment that failed to delete is not":                   {[]runtime.Object{deployment(1, failure(9*time.Minute, "FailedDelete"))}, 0, 0, 0},
		"a Deployment that has failed for half a minute is not yet":   {[]runtime.Object{deployment(0, failure(30*time.Second, "FailedCreate"))}, 0, 0, 0},
		"a Deployment that healed and was not told is not":            {[]runtime.Object{deployment(3, failure(9*time.Minute, "FailedCreate"))}, 0, 0, 0},
		"a Deployment whose ReplicaSet is short and says nothing":     {[]runtime.Object{deployment(1, failure(9*time.Minute, "FailedCreate")), replicas("web", 3, 1)}, 9 * time.Minute, 3, 1},
		"a paused Deployment does not renew what it says":             {[]runtime.Object{paused(deployment(0, failure(9*time.Minute, "FailedCreate")))}, 0, 0, 0},
		"a paused Deployment whose ReplicaSet is refused pods now":    {[]runtime.Object{paused(deployment(0, failure(time.Hour, "FailedCreate"))), replicas("web", 3, 0), refusedNow}, 20 * time.Minute, 3, 0},
		"a Job whose other indexes failed for good is not":            {[]runtime.Object{indexed("1,3-5", 4), said("Job", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 0, 0, 0},
		"a Job of which one index failed for good":                    {[]runtime.Object{indexed("1", 4), said("Job", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 5 * time.Minute, 7, 4},
		"a rollout in progress is not":                                {[]runtime.Object{deployment(1), replicas("web", 3, 1)}, 0, 0, 0},
		"a rollout whose pods crash is not":                           {[]runtime.Object{deployment(1, deadline(9*time.Minute)), replicas("web", 1, 1)}, 0, 0, 0},
		"a rollout past its deadline whose ReplicaSet lacks pods is":  {[]runtime.Object{deployment(1, deadline(9*time.Minute)), replicas("web", 3, 1)}, 9 * time.Minute, 3, 1},
		"an event about the ReplicaSet alone is enough":               {[]runtime.Object{deployment(0), replicas("web", 3, 0), refusedNow}, 20 * time.Minute, 3, 0},
		"a Deployment in a namespace that goes is not":                {[]runtime.Object{namespace(time.Minute), deployment(1, failure(9*time.Minute, "FailedCreate"))}, 0, 0, 0},
		"a ReplicaSet of nobody":                                      {[]runtime.Object{replicas("", 3, 1), refusedNow}, 20 * time.Minute, 3, 1},
		"what was said before a pod could be created is over":         {[]runtime.Object{replicas("", 3, 1), said("ReplicaSet", "web-1", stuck.FailedCreate, 20*time.Minute, 8*time.Minute), said("ReplicaSet", "web-1", "SuccessfulCreate", 20*time.Minute, time.Minute)}, 0, 0, 0},
		"what was said after a pod could be created counts from then": {[]runtime.Object{replicas("", 3, 1), refusedNow, said("ReplicaSet", "web-1", "SuccessfulCreate", 20*time.Minute, 8*time.Minute)}, 8 * time.Minute, 3, 1},
		"an event that is older than controllers wait is over":        {[]runtime.Object{replicas("", 3, 1), said("ReplicaSet", "web-1", stuck.FailedCreate, 50*time.Minute, 30*time.Minute)}, 0, 0, 0},
		"a StatefulSet that waits for its first pod is not":           {[]runtime.Object{set(0, 1)}, 0, 0, 0},
		"a StatefulSet that was refused its second pod is":            {[]runtime.Object{set(1, 1), said("StatefulSet", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 5 * time.Minute, 3, 1},
		"a DaemonSet without a fitting node is not":                   {[]runtime.Object{daemons(0, 0)}, 0, 0, 0},
		"a DaemonSet that lacks pods on two nodes is":                 {[]runtime.Object{daemons(5, 3), said("DaemonSet", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 5 * time.Minute, 5, 3},
		"a Job that was refused a pod":                                {[]runtime.Object{job(nil), said("Job", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 5 * time.Minute, 2, 0},
		"a Job that only needs one more, and has it, is not":          {[]runtime.Object{job(func(j *batchv1.Job) { j.Status.Succeeded, j.Status.Active = 3, 1 }), said("Job", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 0, 0, 0},
		"a suspended Job is not":                                      {[]runtime.Object{job(func(j *batchv1.Job) { j.Spec.Suspend = new(true) }), said("Job", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 0, 0, 0},
		"a failed Job is not": {[]runtime.Object{job(func(j *batchv1.Job) {
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
		}), said("Job", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 0, 0, 0},
		"a Deployment that no controller looked at":                {[]runtime.Object{func() *appsv1.Deployment { d := deployment(0); d.Status.ObservedGeneration = 0; return d }()}, time.Hour, 3, 0},
		"a Job that another controller manages is nothing of ours": {[]runtime.Object{job(func(j *batchv1.Job) { j.Status.StartTime, j.Spec.ManagedBy = nil, new("example.com/queue") })}, 0, 0, 0},
		"a Deployment whose ReplicaSet cannot be created":          {[]runtime.Object{deployment(0, appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ReplicaSetCreateError", LastTransitionTime: ago(7 * time.Minute)})}, 7 * time.Minute, 3, 0},
		"a Deployment that is being deleted is not": {[]runtime.Object{func() *appsv1.Deployment {
			d := deployment(0, failure(time.Hour, "FailedCreate"))
			at := ago(0)
			d.DeletionTimestamp = &at
			return d
		}()}, 0, 0, 0},
		"an event about a predecessor of the same name does not speak for a new": {[]runtime.Object{func() *appsv1.StatefulSet { s := set(0, 0); s.UID = "other"; return s }(), said("StatefulSet", "web", stuck.FailedCreate, 5*time.Minute, time.Minute)}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := stuck.Find(picture(t, c.objects...), stuck.Options{})
			if c.since == 0 {
				if len(r.Objects) != 0 {
					t.Fatalf("want nothing, got %+v", r.Objects)
				}
				return
			}
			if len(r.Objects) != 1 {
				t.Fatalf("want one object, got %+v", r.Objects)
			}
			o := r.Objects[0]
			if o.State != stuck.NoPods || o.For != c.since || o.Wanted != c.wanted || o.Created != c.created {
				t.Errorf("got %s for %s, %d of %d; want %s, %d of %d", o.State, o.For, o.Created, o.Wanted, c.since, c.created, c.wanted)
			}
		})
	}
}

func TestAFailureThatNoReplicaSetBearsOutIsNotBelieved(t *testing.T) {
	for _, c := range []struct {
		name     string
		have     int32
		complete bool
		want     int
	}{
		{"all were read, and none is short", 3, true, 0},
		{"all were read, and one is short", 1, true, 1},
		{"not all were read", 3, false, 1},
	} {
		b := snapshot.NewBuilder()
		b.Add(deployment(0, failure(9*time.Minute, "FailedCreate")))
		b.Add(replicas("web", 3, c.have))
		if c.complete {
			b.SetComplete(snapshot.ReplicaSet, "")
		}
		s, err := b.Build(now)
		if err != nil {
			t.Fatal(err)
		}
		if got := stuck.Find(s, stuck.Options{}).Objects; len(got) != c.want {
			t.Errorf("%s: %d objects, want %d: %+v", c.name, len(got), c.want, got)
		}
	}
}

func TestNamespacesThatDoNotGo(t *testing.T) {
	for name, c := range map[string]struct {
		objects []runtime.Object
		since   time.Duration // 0: not stuck
	}{
		"deleted an hour ago":                        {[]runtime.Object{namespace(time.Hour)}, time.Hour},
		"deleted a minute ago":                       {[]runtime.Object{namespace(time.Minute)}, 0},
		"not deleted":                                {[]runtime.Object{namespace(0)}, 0},
		"a pod of it is still in its grace period":   {[]runtime.Object{namespace(time.Hour), pod(deleted(-time.Minute, 7200))}, 0},
		"a pod of it is past its grace period":       {[]runtime.Object{namespace(time.Hour), pod(deleted(10*time.Minute, 1800))}, 10 * time.Minute},
		"a pod in grace, and discovery fails":        {[]runtime.Object{failing(corev1.NamespaceDeletionDiscoveryFailure, "metrics.k8s.io/v1beta1"), pod(deleted(-time.Minute, 7200))}, time.Hour},
		"a pod in grace, and a group is unreadable":  {[]runtime.Object{failing(corev1.NamespaceDeletionGVParsingFailure, "no"), pod(deleted(-time.Minute, 7200))}, time.Hour},
		"a pod past grace, and content fails":        {[]runtime.Object{failing(corev1.NamespaceDeletionContentFailure, "Failed to delete all resource types, 1 remaining: no (Resource=secrets)"), pod(deleted(10*time.Minute, 1800))}, time.Hour},
		"a pod in grace, and pods alone remain":      {[]runtime.Object{failing(corev1.NamespaceDeletionContentFailure, "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: shop for gvr: /v1, Resource=pods"), pod(deleted(-time.Minute, 7200))}, 0},
		"a pod in grace, and some content remains":   {[]runtime.Object{failing(corev1.NamespaceContentRemaining, "pods. has 1 resource instances"), pod(deleted(-time.Minute, 7200))}, 0},
		"a pod of another one does not speak for it": {[]runtime.Object{namespace(time.Hour), pod(deleted(-time.Minute, 7200), func(p *corev1.Pod) { p.Namespace = "other" })}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := stuck.Find(picture(t, c.objects...), stuck.Options{})
			switch {
			case c.since == 0 && len(r.Objects) != 0:
				t.Errorf("want nothing, got %+v", r.Objects)
			case c.since != 0 && (len(r.Objects) != 1 || r.Objects[0].For != c.since || r.Objects[0].State != stuck.Going || r.Objects[0].Ref != snapshot.Ref{Kind: snapshot.Namespace, Name: "shop"}):
				t.Errorf("want it stuck for %s, got %+v", c.since, r.Objects)
			}
		})
	}
}

func TestOlderThanReplacesTheThresholdOfObjects(t *testing.T) {
	s := picture(t, namespace(90*time.Second), func() *appsv1.Deployment {
		d := deployment(0, failure(90*time.Second, "FailedCreate"))
		d.Namespace = "blog"
		return d
	}())
	for _, c := range []struct {
		older time.Duration
		want  int
	}{{10 * time.Second, 2}, {time.Hour, 0}} {
		if r := stuck.Find(s, stuck.Options{OlderThan: &c.older}); len(r.Objects) != c.want {
			t.Errorf("with %s: %d objects, want %d", c.older, len(r.Objects), c.want)
		}
	}
	if r := stuck.Find(s, stuck.Options{}); len(r.Objects) != 1 {
		t.Errorf("by their own thresholds: %d objects, want the Deployment alone", len(r.Objects))
	}
}
