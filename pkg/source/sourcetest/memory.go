package sourcetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// Memory is the reference: a source.Backend over typed objects, as plain as it can be. It holds everything there is, so that
// what is not in it does not exist.
type Memory struct {
	Objects []runtime.Object
	Now     time.Time
}

var _ source.Backend = (*Memory)(nil)

// Open tells the time.
func (m *Memory) Open(context.Context) (snapshot.Origin, time.Time, error) {
	return snapshot.Origin{Path: "memory"}, m.Now, nil
}

// Census calls row for each pod.
func (m *Memory) Census(ctx context.Context, namespace, label, field string, row func(*source.Row)) error {
	return m.List(ctx, source.ListRequest{Kind: snapshot.Pod, Namespace: namespace, LabelSelector: label, FieldSelector: field}, func(o runtime.Object) {
		if r, ok := source.RowOf(o); ok {
			row(&r)
		}
	})
}

// Counts calls row for each workload of the kind.
func (m *Memory) Counts(ctx context.Context, r source.ListRequest, row func(*source.Tally)) error {
	return m.List(ctx, r, func(o runtime.Object) {
		if t, ok := source.TallyOf(o); ok {
			row(&t)
		}
	})
}

// List calls each for every object that matches.
func (m *Memory) List(_ context.Context, r source.ListRequest, each func(runtime.Object)) error {
	l, err := labels.Parse(r.LabelSelector)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	f, err := fields.ParseSelector(r.FieldSelector)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	n := 0
	for _, o := range m.of(r.Kind) {
		a := accessor(o)
		if r.Namespace != "" && a.GetNamespace() != r.Namespace || !l.Matches(labels.Set(a.GetLabels())) || !f.Matches(fieldsOf(o)) {
			continue
		}
		if n++; r.Limit > 0 && n > r.Limit {
			return source.ErrTruncated
		}
		each(m.copy(o, r.Kind, r.MetadataOnly))
	}
	return nil
}

// Get returns one object.
func (m *Memory) Get(_ context.Context, k snapshot.Kind, namespace, name string) (runtime.Object, error) {
	info, ok := snapshot.InfoOf(k)
	if !ok {
		return nil, fmt.Errorf("%s: %w", k, source.ErrNotServed)
	}
	for _, o := range m.of(k) {
		if a := accessor(o); a.GetName() == name && (!info.Namespaced || a.GetNamespace() == namespace) {
			return m.copy(o, k, false), nil
		}
	}
	return nil, apierrors.NewNotFound(info.GVR.GroupResource(), name)
}

func (m *Memory) of(k snapshot.Kind) []runtime.Object {
	var out []runtime.Object
	for _, o := range m.Objects {
		if kindOf(o) == k {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b runtime.Object) int {
		x, y := accessor(a), accessor(b)
		return slices.Compare([]string{x.GetNamespace(), x.GetName()}, []string{y.GetNamespace(), y.GetName()})
	})
	return out
}

func (m *Memory) copy(o runtime.Object, k snapshot.Kind, metadataOnly bool) runtime.Object {
	info, _ := snapshot.InfoOf(k)
	o = o.DeepCopyObject()
	if !metadataOnly && !info.MetadataOnly {
		return o
	}
	a := accessor(o)
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: info.GVR.GroupVersion().String(), Kind: string(k)},
		ObjectMeta: metav1.ObjectMeta{
			Name: a.GetName(), GenerateName: a.GetGenerateName(), Namespace: a.GetNamespace(), UID: a.GetUID(), ResourceVersion: a.GetResourceVersion(),
			Generation: a.GetGeneration(), CreationTimestamp: a.GetCreationTimestamp(), DeletionTimestamp: a.GetDeletionTimestamp(),
			DeletionGracePeriodSeconds: a.GetDeletionGracePeriodSeconds(), Labels: a.GetLabels(), Annotations: a.GetAnnotations(),
			OwnerReferences: a.GetOwnerReferences(), Finalizers: a.GetFinalizers(), ManagedFields: a.GetManagedFields(),
		},
	}
}

// accessor returns an object's metadata. Every object here has some.
func accessor(o runtime.Object) metav1.Object {
	m, err := meta.Accessor(o)
	if err != nil {
		return &metav1.ObjectMeta{}
	}
	return m
}

// kindOf names an object's kind. Of kinds that are held as metadata only an object may be given in full here, as users save it.
func kindOf(o runtime.Object) snapshot.Kind {
	switch o := o.(type) {
	case *corev1.ConfigMap:
		return snapshot.ConfigMap
	case *corev1.Secret:
		return snapshot.Secret
	case *metav1.PartialObjectMetadata:
		return snapshot.Kind(o.Kind)
	case *unstructured.Unstructured:
		return snapshot.Kind(o.GetKind())
	}
	for _, i := range snapshot.Kinds() {
		if n := snapshot.New(i.Kind); !i.MetadataOnly && fmt.Sprintf("%T", n) == fmt.Sprintf("%T", o) {
			return i.Kind
		}
	}
	return ""
}

func fieldsOf(o runtime.Object) fields.Set {
	a := accessor(o)
	s := fields.Set{"metadata.name": a.GetName(), "metadata.namespace": a.GetNamespace()}
	switch o := o.(type) {
	case *corev1.Pod:
		s["spec.nodeName"], s["status.phase"] = o.Spec.NodeName, string(o.Status.Phase)
		s["spec.restartPolicy"], s["spec.schedulerName"] = string(o.Spec.RestartPolicy), o.Spec.SchedulerName
		s["spec.serviceAccountName"], s["spec.hostNetwork"] = o.Spec.ServiceAccountName, strconv.FormatBool(o.Spec.HostNetwork)
	case *corev1.Event:
		s["involvedObject.kind"], s["involvedObject.name"] = o.InvolvedObject.Kind, o.InvolvedObject.Name
		s["involvedObject.namespace"], s["involvedObject.uid"] = o.InvolvedObject.Namespace, string(o.InvolvedObject.UID)
		s["reason"], s["type"] = o.Reason, o.Type
	}
	return s
}
