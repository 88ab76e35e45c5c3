package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// memory is a Backend that holds its objects. It selects, cuts and refuses as an API server does.
type memory struct {
	now     time.Time
	openErr error
	// refuse, where set, may answer a read with an error. name is "" for a list.
	refuse func(k snapshot.Kind, namespace, name string, r ListRequest) error

	mu      sync.Mutex
	objects map[snapshot.Kind]map[types.NamespacedName]runtime.Object
	asked   []string
	busy    int
	busiest int
}

func newMemory(objects ...runtime.Object) *memory {
	m := &memory{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), objects: map[snapshot.Kind]map[types.NamespacedName]runtime.Object{}}
	for _, o := range objects {
		k := snapshot.Kind("")
		for _, info := range snapshot.Kinds() {
			if fmt.Sprintf("%T", snapshot.New(info.Kind)) == fmt.Sprintf("%T", o) && !info.MetadataOnly {
				k = info.Kind
			}
		}
		if p, ok := o.(*metav1.PartialObjectMetadata); ok {
			k = snapshot.Kind(p.Kind)
		}
		if m.objects[k] == nil {
			m.objects[k] = map[types.NamespacedName]runtime.Object{}
		}
		m.objects[k][nameOf(o)] = o
	}
	return m
}

func (m *memory) enter(format string, args ...any) (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, fmt.Sprintf(format, args...))
	m.busy++
	m.busiest = max(m.busiest, m.busy)
	return func() {
		m.mu.Lock()
		m.busy--
		m.mu.Unlock()
	}
}

// requests lists the reads that begin with the prefix.
func (m *memory) requests(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, a := range m.asked {
		if strings.HasPrefix(a, prefix) {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return out
}

func (m *memory) Open(context.Context) (snapshot.Origin, time.Time, error) {
	defer m.enter("open")()
	return snapshot.Origin{Server: "memory"}, m.now, m.openErr
}

func (m *memory) Census(ctx context.Context, namespace, labelSelector, fieldSelector string, row func(*Row)) error {
	r := ListRequest{Kind: snapshot.Pod, Namespace: namespace, LabelSelector: labelSelector, FieldSelector: fieldSelector}
	defer m.enter("census %s", describe(r))()
	return m.each(ctx, r, func(o runtime.Object) {
		if w, ok := RowOf(o); ok {
			row(&w)
		}
	})
}

func (m *memory) Counts(ctx context.Context, r ListRequest, row func(*Tally)) error {
	defer m.enter("counts %s", describe(r))()
	return m.each(ctx, r, func(o runtime.Object) {
		if t, ok := TallyOf(o); ok {
			row(&t)
		}
	})
}

func (m *memory) List(ctx context.Context, r ListRequest, each func(runtime.Object)) error {
	defer m.enter("list %s", describe(r))()
	return m.each(ctx, r, func(o runtime.Object) {
		if r.MetadataOnly {
			a, _ := meta.Accessor(o)
			p := &metav1.PartialObjectMetadata{}
			p.Name, p.Namespace, p.DeletionTimestamp = a.GetName(), a.GetNamespace(), a.GetDeletionTimestamp()
			o = p
		}
		each(o)
	})
}

func describe(r ListRequest) string {
	s := string(r.Kind) + " in " + r.Namespace
	if r.FieldSelector != "" {
		s += " where " + r.FieldSelector
	}
	if r.LabelSelector != "" {
		s += " with " + r.LabelSelector
	}
	return s
}

func (m *memory) each(ctx context.Context, r ListRequest, each func(runtime.Object)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.refuse != nil {
		if err := m.refuse(r.Kind, r.Namespace, "", r); err != nil {
			return err
		}
	}
	byLabel, err := labels.Parse(r.LabelSelector)
	if err != nil {
		return err
	}
	byField, err := fields.ParseSelector(r.FieldSelector)
	if err != nil {
		return err
	}
	n := 0
	for _, name := range slices.SortedFunc(maps.Keys(m.objects[r.Kind]), compareNames) {
		o := m.objects[r.Kind][name].DeepCopyObject()
		a, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		if (r.Namespace != "" && name.Namespace != r.Namespace) || !byLabel.Matches(labels.Set(a.GetLabels())) || !byField.Matches(fieldsOf(o, a)) {
			continue
		}
		if r.Limit > 0 && n == r.Limit {
			return ErrTruncated
		}
		n++
		each(o)
	}
	return nil
}

func fieldsOf(o runtime.Object, a metav1.Object) fields.Set {
	s := fields.Set{"metadata.name": a.GetName(), "metadata.namespace": a.GetNamespace()}
	switch o := o.(type) {
	case *corev1.Pod:
		s["spec.nodeName"], s["status.phase"] = o.Spec.NodeName, string(o.Status.Phase)
	case *batchv1.Job:
		s["status.successful"] = fmt.Sprint(o.Status.Succeeded)
	case *corev1.Namespace:
		s["status.phase"] = string(o.Status.Phase)
	case *corev1.Event:
		s["involvedObject.kind"], s["involvedObject.name"] = o.InvolvedObject.Kind, o.InvolvedObject.Name
	}
	return s
}

func (m *memory) Get(ctx context.Context, k snapshot.Kind, namespace, name string) (runtime.Object, error) {
	defer m.enter("get %s %s/%s", k, namespace, name)()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.refuse != nil {
		if err := m.refuse(k, namespace, name, ListRequest{}); err != nil {
			return nil, err
		}
	}
	if o := m.objects[k][types.NamespacedName{Namespace: namespace, Name: name}]; o != nil {
		return o.DeepCopyObject(), nil
	}
	info, _ := snapshot.InfoOf(k)
	return nil, apierrors.NewNotFound(info.GVR.GroupResource(), name)
}

func forbidden(k snapshot.Kind, name string) error {
	info, _ := snapshot.InfoOf(k)
	return apierrors.NewForbidden(info.GVR.GroupResource(), name, errors.New("no such right"))
}

func notServed(k snapshot.Kind) error {
	return fmt.Errorf("list %s: %w (%w)", k, ErrNotServed, apierrors.NewGenericServerResponse(404, "GET", schema.GroupResource{}, "", "404 page not found", 0, true))
}

// Objects of the tests.

type podOption func(*corev1.Pod)

func newPod(namespace, name, node string, options ...podOption) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name, p.Spec.NodeName = namespace, name, node
	p.Labels = map[string]string{"app": strings.Split(name, "-")[0]}
	p.CreationTimestamp = metav1.NewTime(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))
	p.Spec.Containers = []corev1.Container{{Name: "main"}}
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	for _, o := range options {
		o(p)
	}
	return p
}

func deleting(p *corev1.Pod) {
	t := metav1.NewTime(time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC))
	grace := int64(30)
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &t, &grace
}

func creating(p *corev1.Pod) {
	p.Status.Phase = corev1.PodPending
	p.Status.Conditions = nil
	p.Status.ContainerStatuses[0] = corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}
}

func over(phase corev1.PodPhase, reason string) podOption {
	return func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Conditions = phase, nil
		p.Status.ContainerStatuses[0] = corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason}}}
	}
}

func age(d time.Duration) podOption {
	return func(p *corev1.Pod) {
		p.CreationTimestamp = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(-d))
	}
}

func newNode(name string, ready corev1.ConditionStatus) *corev1.Node {
	n := &corev1.Node{}
	n.Name = name
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	n.Status.Images = []corev1.ContainerImage{{Names: []string{"registry.example/server:1"}}}
	return n
}

// crowd makes healthy pods on a node.
func crowd(namespace, node string, n int) []runtime.Object {
	var out []runtime.Object
	for i := range n {
		out = append(out, newPod(namespace, fmt.Sprintf("%s-%03d", node, i), node, age(time.Duration(n-i)*time.Hour)))
	}
	return out
}

// mustLoad loads with small limits, so that few objects reach them.
func mustLoad(t *testing.T, m *memory, q Query) *snapshot.Snapshot {
	t.Helper()
	s, err := Load(t.Context(), m, q)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return s
}

func podNames(s *snapshot.Snapshot) []string {
	var out []string
	for _, p := range s.Pods() {
		out = append(out, p.Namespace+"/"+p.Name)
	}
	return out
}

func gapWith(s *snapshot.Snapshot, k snapshot.Kind, reason string) (snapshot.Gap, bool) {
	for _, g := range s.Gaps() {
		if g.Kind == k && g.Reason == reason {
			return g, true
		}
	}
	return snapshot.Gap{}, false
}
