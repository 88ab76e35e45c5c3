package dump

import (
	"fmt"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// selector decides whether an object matches, as far as possible by what the index knows.
type selector struct {
	labels labels.Selector
	early  []fields.Requirement // on fields that the index has
	late   []fields.Requirement // on fields that only a decoded object has
	exact  map[string]string    // the fields that must equal a value
}

// newSelector reads both selectors. A field by which an API server does not select that kind is a BadRequest, as there.
func newSelector(k snapshot.Kind, label, field string) (*selector, error) {
	s := &selector{exact: map[string]string{}}
	var err error
	if s.labels, err = labels.Parse(label); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("label selector %q: %v", label, err))
	}
	f, err := fields.ParseSelector(field)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("field selector %q: %v", field, err))
	}
	for _, r := range f.Requirements() {
		if k == snapshot.Event {
			r.Field = eventField(r.Field)
		}
		switch {
		case indexed(k, r.Field):
			s.early = append(s.early, r)
		case selectable(k, r.Field):
			s.late = append(s.late, r)
		default:
			return nil, apierrors.NewBadRequest(fmt.Sprintf("%s objects are not selected by field %q", k, r.Field))
		}
		if r.Operator != selection.NotEquals {
			s.exact[r.Field] = r.Value
		}
	}
	return s, nil
}

// eventField gives the events.k8s.io names of fields their core names.
func eventField(f string) string {
	if rest, ok := strings.CutPrefix(f, "regarding."); ok {
		return "involvedObject." + rest
	}
	return f
}

func indexed(k snapshot.Kind, f string) bool {
	switch f {
	case "metadata.name", "metadata.namespace":
		return true
	case "spec.nodeName", "status.phase":
		return k == snapshot.Pod
	case "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "reason", "type":
		return k == snapshot.Event
	}
	return false
}

// selectable tells whether an API server selects that kind by a field that is not in the index
// (GetAttrs and ToSelectableFields in pkg/registry, Kubernetes 1.37).
func selectable(k snapshot.Kind, f string) bool {
	switch k {
	case snapshot.Pod:
		switch f {
		case "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.podIP", "status.nominatedNodeName":
			return true
		}
	case snapshot.Node:
		return f == "spec.unschedulable"
	case snapshot.Namespace:
		return f == "status.phase"
	case snapshot.Job:
		return f == "status.successful"
	}
	return false
}

func (s *selector) empty() bool { return s.labels.Empty() && len(s.early) == 0 && len(s.late) == 0 }

func (s *selector) matches(e *entry) bool {
	for _, r := range s.early {
		if (e.field(r.Field) == r.Value) == (r.Operator == selection.NotEquals) {
			return false
		}
	}
	return s.labels.Empty() || s.labels.Matches(labelSet(e.labels))
}

func (e *entry) field(f string) string {
	switch f {
	case "metadata.name":
		return e.name
	case "metadata.namespace":
		return e.namespace
	case "spec.nodeName":
		return e.pod.node
	case "status.phase":
		return e.pod.phase
	}
	if e.event == nil {
		return ""
	}
	switch f {
	case "involvedObject.kind":
		return e.event.kind
	case "involvedObject.namespace":
		return e.event.namespace
	case "involvedObject.name":
		return e.event.name
	case "involvedObject.uid":
		return e.event.uid
	case "reason":
		return e.event.reason
	case "type":
		return e.event.typ
	}
	return ""
}

func (s *selector) matchesObject(o runtime.Object) bool {
	for _, r := range s.late {
		if (objectField(o, r.Field) == r.Value) == (r.Operator == selection.NotEquals) {
			return false
		}
	}
	return true
}

func objectField(o runtime.Object, f string) string {
	switch o := o.(type) {
	case *corev1.Pod:
		switch f {
		case "spec.restartPolicy":
			return string(o.Spec.RestartPolicy)
		case "spec.schedulerName":
			return o.Spec.SchedulerName
		case "spec.serviceAccountName":
			return o.Spec.ServiceAccountName
		case "spec.hostNetwork":
			return strconv.FormatBool(o.Spec.HostNetwork)
		case "status.podIP":
			return o.Status.PodIP
		case "status.nominatedNodeName":
			return o.Status.NominatedNodeName
		}
	case *corev1.Node:
		return strconv.FormatBool(o.Spec.Unschedulable)
	case *corev1.Namespace:
		return string(o.Status.Phase)
	case *batchv1.Job:
		return strconv.Itoa(int(o.Status.Succeeded))
	}
	return ""
}

// labelSet is a labels.Labels over the index's labels.
type labelSet []label

// Has tells whether there is a label with that key.
func (l labelSet) Has(key string) bool { _, ok := l.Lookup(key); return ok }

// Get returns the value of a label.
func (l labelSet) Get(key string) string { v, _ := l.Lookup(key); return v }

// Lookup returns the value of a label, and whether it is there.
func (l labelSet) Lookup(key string) (string, bool) {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].key == key {
			return l[i].value, true
		}
	}
	return "", false
}
