package stuck_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

type change func(*corev1.Pod)

// pod is one that has been well on worker-1 for an hour, and then changed.
func pod(changes ...change) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "1", CreationTimestamp: ago(time.Hour)},
		Spec:       corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "app"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)},
			},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}}}},
		},
	}
	for _, c := range changes {
		c(p)
	}
	return p
}

func deleted(past time.Duration, grace int64) change {
	return func(p *corev1.Pod) {
		t := ago(past)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &t, &grace
	}
}

func finalizers(f ...string) change { return func(p *corev1.Pod) { p.Finalizers = f } }

func ended(p *corev1.Pod) {
	p.Status.Phase = corev1.PodSucceeded
	p.Status.ContainerStatuses[0].Ready = false
	p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
}

func waiting(reason string, since time.Duration) change {
	return func(p *corev1.Pod) {
		p.CreationTimestamp = ago(since)
		p.Status.Phase = corev1.PodPending
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: ago(since)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
}

func unscheduled(reason string, since time.Duration) change {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = ""
		p.CreationTimestamp = ago(since)
		p.Status = corev1.PodStatus{Phase: corev1.PodPending}
		if reason != "" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: ago(since)}}
		}
	}
}

func tolerates(key string, seconds *int64) change {
	return func(p *corev1.Pod) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds})
	}
}

func node(ready corev1.ConditionStatus, since time.Duration, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "worker-1"},
		Spec:       corev1.NodeSpec{Taints: taints},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, LastTransitionTime: ago(since)}}},
	}
}

func picture(t *testing.T, objects ...runtime.Object) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, o := range objects {
		if !b.Add(o) {
			t.Fatalf("a snapshot does not hold %T", o)
		}
	}
	b.SetComplete(snapshot.Node, "")
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFindTellsStateAndStage(t *testing.T) {
	ready := node(corev1.ConditionTrue, time.Hour)
	minute := int64(60)
	lostTaint := corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: now.Add(-2 * time.Minute)}}
	pulling := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "e"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "cart", UID: "1"},
		Reason:         "Pulling", Source: corev1.EventSource{Component: "kubelet"}, LastTimestamp: ago(4 * time.Minute),
	}
	warning := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "w"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "cart", UID: "1"},
		Type:           corev1.EventTypeWarning, Reason: "FailedMount", LastTimestamp: ago(30 * time.Second),
	}
	for name, c := range map[string]struct {
		objects   []runtime.Object
		state     stuck.State
		stage     stuck.Stage
		waits     bool // found, but not stuck yet
		nothing   bool
		clearsIn  time.Duration
		stuckFor  time.Duration
		threshold time.Duration
	}{
		"a running pod is well":                                                             {objects: []runtime.Object{ready, pod()}, nothing: true},
		"a completed pod that nobody deletes is well":                                       {objects: []runtime.Object{ready, pod(ended)}, nothing: true},
		"a pod in its grace period waits until it is over":                                  {objects: []runtime.Object{ready, pod(deleted(-10*time.Minute, 900))}, state: stuck.Terminating, stage: stuck.InGrace, waits: true, clearsIn: 10 * time.Minute},
		"a pod just past its grace period waits":                                            {objects: []runtime.Object{ready, pod(deleted(10*time.Second, 30))}, state: stuck.Terminating, stage: stuck.KillUnconfirmed, waits: true, stuckFor: 10 * time.Second},
		"containers that still run are an unconfirmed kill":                                 {objects: []runtime.Object{ready, pod(deleted(5*time.Minute, 30))}, state: stuck.Terminating, stage: stuck.KillUnconfirmed, stuckFor: 5 * time.Minute},
		"dead containers with the object there are cleanup, although STATUS says Completed": {objects: []runtime.Object{ready, pod(deleted(5*time.Minute, 30), ended)}, state: stuck.Terminating, stage: stuck.Cleanup},
		"grace 0 with finalizers is finalizers only":                                        {objects: []runtime.Object{ready, pod(deleted(5*time.Minute, 0), ended, finalizers("example.com/hold"))}, state: stuck.Terminating, stage: stuck.FinalizersOnly},
		"finalizers while containers run are not yet what holds it":                         {objects: []runtime.Object{ready, pod(deleted(5*time.Minute, 30), finalizers("example.com/hold"))}, state: stuck.Terminating, stage: stuck.KillUnconfirmed},
		"a pod without a node is for PodGC":                                                 {objects: []runtime.Object{ready, pod(unscheduled("Unschedulable", time.Hour), deleted(5*time.Minute, 30))}, state: stuck.Terminating, stage: stuck.NeverScheduled},
		"a pod whose node is missing is for PodGC, soon":                                    {objects: []runtime.Object{pod(deleted(20*time.Second, 30))}, state: stuck.Terminating, stage: stuck.NodeGone, waits: true, clearsIn: 40 * time.Second},
		"a pod whose node is missing for long is stuck":                                     {objects: []runtime.Object{pod(deleted(5*time.Minute, 30))}, state: stuck.Terminating, stage: stuck.NodeGone},
		"starting for a minute is not stuck":                                                {objects: []runtime.Object{ready, pod(waiting("ContainerCreating", time.Minute))}, state: stuck.ContainerCreating, waits: true},
		"starting for a minute after a warning is":                                          {objects: []runtime.Object{ready, warning, pod(waiting("ContainerCreating", 70*time.Second))}, state: stuck.ContainerCreating, stuckFor: 70 * time.Second, threshold: time.Minute},
		"starting for four minutes is":                                                      {objects: []runtime.Object{ready, pod(waiting("ContainerCreating", 4*time.Minute))}, state: stuck.ContainerCreating, stuckFor: 4 * time.Minute},
		"starting for four minutes while an image is pulled is not":                         {objects: []runtime.Object{ready, pulling, pod(waiting("ContainerCreating", 5*time.Minute))}, state: stuck.ContainerCreating, waits: true, threshold: 10 * time.Minute},
		"a pull that fails":                                                                 {objects: []runtime.Object{ready, pod(waiting("ImagePullBackOff", 2*time.Minute))}, state: stuck.ImagePullBackOff, clearsIn: 3 * time.Minute},
		"a name that is no image name":                                                      {objects: []runtime.Object{ready, pod(waiting("InvalidImageName", 2*time.Minute))}, state: stuck.ImagePullBackOff},
		"a config error":                                                                    {objects: []runtime.Object{ready, pod(waiting("CreateContainerConfigError", 2*time.Minute))}, state: stuck.CreateContainerConfigError},
		"a create error":                                                                    {objects: []runtime.Object{ready, pod(waiting("CreateContainerError", 2*time.Minute))}, state: stuck.CreateContainerError},
		"a start error":                                                                     {objects: []runtime.Object{ready, pod(waiting("RunContainerError", 2*time.Minute))}, state: stuck.RunContainerError},
		"caught between two crashes": {objects: []runtime.Object{ready, pod(waiting("", 6*time.Minute), func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.ContainerStatuses[0].RestartCount = 5
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1}}
		})}, state: stuck.CrashLoopBackOff},
		"crashing for a while":      {objects: []runtime.Object{ready, pod(waiting("CrashLoopBackOff", 6*time.Minute))}, state: stuck.CrashLoopBackOff},
		"no node fits":              {objects: []runtime.Object{pod(unscheduled("Unschedulable", 5*time.Minute))}, state: stuck.Unschedulable},
		"gated":                     {objects: []runtime.Object{pod(unscheduled(corev1.PodReasonSchedulingGated, 15*time.Minute))}, state: stuck.SchedulingGated},
		"no scheduler looked at it": {objects: []runtime.Object{pod(unscheduled("", 5*time.Minute))}, state: stuck.Pending},
		"no kubelet looked at it":   {objects: []runtime.Object{ready, pod(waiting("", 5*time.Minute), func(p *corev1.Pod) { p.Status.ContainerStatuses = nil })}, state: stuck.Pending},
		"on a lost node, tolerated for another three minutes": {
			objects: []runtime.Object{node(corev1.ConditionUnknown, 2*time.Minute, lostTaint), pod(tolerates(corev1.TaintNodeUnreachable, new(int64(300))))},
			state:   stuck.NodeLost, waits: true, clearsIn: 3 * time.Minute,
		},
		"on a lost node, tolerated no longer, and nothing happened": {
			objects: []runtime.Object{node(corev1.ConditionUnknown, 10*time.Minute), pod(tolerates(corev1.TaintNodeUnreachable, &minute))},
			state:   stuck.NodeLost,
		},
		"on a lost node, tolerated for good, as DaemonSets do": {
			objects: []runtime.Object{node(corev1.ConditionUnknown, 10*time.Minute), pod(tolerates(corev1.TaintNodeUnreachable, nil))},
			nothing: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := stuck.Find(picture(t, c.objects...), stuck.Options{})
			got := r.Stuck
			if c.waits {
				got = r.Waiting
			}
			if c.nothing {
				if len(r.Stuck)+len(r.Waiting) != 0 {
					t.Fatalf("want nothing, got %+v", r)
				}
				return
			}
			if len(got) != 1 || len(r.Stuck)+len(r.Waiting) != 1 {
				t.Fatalf("want one pod (waiting: %t), got stuck %d, waiting %d", c.waits, len(r.Stuck), len(r.Waiting))
			}
			p := got[0]
			if p.State != c.state || p.Stage != c.stage {
				t.Errorf("got %s, stage %q; want %s, stage %q", p.State, p.Stage, c.state, c.stage)
			}
			if c.stuckFor != 0 && p.For != c.stuckFor {
				t.Errorf("stuck for %s, want %s", p.For, c.stuckFor)
			}
			if c.threshold != 0 && p.Threshold != c.threshold {
				t.Errorf("threshold %s, want %s", p.Threshold, c.threshold)
			}
			if c.clearsIn == 0 && !p.ClearsBy.IsZero() {
				t.Errorf("said to clear by %s (%s), want no promise", p.ClearsBy, p.ClearsWhy)
			}
			if c.clearsIn != 0 && (!p.ClearsBy.Equal(now.Add(c.clearsIn)) || p.ClearsWhy == "") {
				t.Errorf("clears by %s (%q), want in %s", p.ClearsBy, p.ClearsWhy, c.clearsIn)
			}
		})
	}
}

func TestOlderThanReplacesEveryThreshold(t *testing.T) {
	s := picture(t, node(corev1.ConditionTrue, time.Hour), pod(waiting("ContainerCreating", time.Minute)))
	short, long := 10*time.Second, time.Hour
	if r := stuck.Find(s, stuck.Options{OlderThan: &short}); len(r.Stuck) != 1 {
		t.Errorf("a minute is more than %s, yet nothing is stuck", short)
	}
	if r := stuck.Find(s, stuck.Options{OlderThan: &long}); len(r.Stuck) != 0 || len(r.Waiting) != 1 {
		t.Errorf("a minute is less than %s, yet %d are stuck", long, len(r.Stuck))
	}
	if r := stuck.Find(s, stuck.Options{Thresholds: map[stuck.State]time.Duration{stuck.ContainerCreating: short}}); len(r.Stuck) != 1 {
		t.Error("the threshold of one state was not replaced")
	}
}

func TestAPodInItsGracePeriodIsNeverStuck(t *testing.T) {
	zero := time.Duration(0)
	r := stuck.Find(picture(t, node(corev1.ConditionTrue, time.Hour), pod(deleted(-time.Minute, 900))), stuck.Options{OlderThan: &zero})
	if len(r.Stuck) != 0 {
		t.Errorf("got %v", r.Stuck)
	}
}
