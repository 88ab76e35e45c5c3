package remedy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// NodePatch is the JSON Patch that makes the change on the Node as it is, and left what of the change that is: what the node has already, and what somebody
// else gave another value, is not in it. The error is ErrNothingLeft where that is all of it. obj is a *corev1.Node or its unstructured form.
//
// The patch tests uid and resourceVersion, and every value and list position that it removes or replaces. It puts nothing where something is.
func NodePatch(obj metav1.Object, change NodeChange) (patch json.RawMessage, left NodeChange, err error) {
	node, err := asNode(obj)
	if err != nil {
		return nil, left, err
	}
	ops := identity(node)
	n := len(ops)
	if want := change.Unschedulable; want != nil && *want != node.Spec.Unschedulable {
		left.Unschedulable = want
		if *want {
			ops = append(ops, operation{"add", "/spec/unschedulable", true}) // omitted where it is false: there is nothing to test
		} else {
			ops = append(ops, operation{"test", "/spec/unschedulable", true}, operation{Op: "remove", Path: "/spec/unschedulable"})
		}
	}
	ops = changeKeys(ops, "/metadata/labels", node.Labels, change.AddLabels, change.RemoveLabels, &left.AddLabels, &left.RemoveLabels)
	ops = changeKeys(ops, "/metadata/annotations", node.Annotations, change.AddAnnotations, change.RemoveAnnotations, &left.AddAnnotations, &left.RemoveAnnotations)
	ops = changeTaints(ops, node.Spec.Taints, change, &left)
	if len(ops) == n {
		return nil, NodeChange{}, ErrNothingLeft
	}
	patch, err = json.Marshal(ops)
	return patch, left, err
}

// changeKeys removes keys that have the given value, and adds those that are absent. A key that is removed and added gets another value.
func changeKeys(ops []operation, at string, have, add, remove map[string]string, added, removed *map[string]string) []operation {
	for _, key := range slices.Sorted(maps.Keys(remove)) {
		value, there := have[key]
		again, adds := add[key]
		if !there || value != remove[key] || adds && again == value {
			continue
		}
		path := at + "/" + escape(key)
		ops = append(ops, operation{"test", path, value}, operation{Op: "remove", Path: path})
		put(removed, key, value)
	}
	none := len(have) == 0 // and so no map to add to
	for _, key := range slices.Sorted(maps.Keys(add)) {
		_, there := have[key]
		if _, goes := (*removed)[key]; there && !goes {
			continue
		}
		if none {
			ops, none = append(ops, operation{"add", at, map[string]string{}}), false
		}
		ops = append(ops, operation{"add", at + "/" + escape(key), add[key]})
		put(added, key, add[key])
	}
	return ops
}

func put(into *map[string]string, key, value string) {
	if *into == nil {
		*into = map[string]string{}
	}
	(*into)[key] = value
}

// changeTaints takes taints off by key and effect, with their value where one was given, the last position first, so that the earlier ones stay true; and adds
// those of whose key and effect there is none. A taint that is removed and added gets another value.
func changeTaints(ops []operation, have []corev1.Taint, change NodeChange, left *NodeChange) []operation {
	for i, t := range slices.Backward(have) {
		if !slices.ContainsFunc(change.RemoveTaints, func(r corev1.Taint) bool { return r.MatchTaint(&t) && (r.Value == "" || r.Value == t.Value) }) ||
			slices.ContainsFunc(change.AddTaints, func(a corev1.Taint) bool { return a.MatchTaint(&t) && a.Value == t.Value }) {
			continue
		}
		at := fmt.Sprintf("/spec/taints/%d", i)
		// Field by field: a taint may have more of them than this tool knows.
		ops = append(ops, operation{"test", at + "/key", t.Key}, operation{"test", at + "/effect", string(t.Effect)})
		if t.Value != "" {
			ops = append(ops, operation{"test", at + "/value", t.Value})
		}
		ops = append(ops, operation{Op: "remove", Path: at})
		left.RemoveTaints = append(left.RemoveTaints, t)
	}
	slices.Reverse(left.RemoveTaints)
	none := len(have) == 0
	for _, a := range change.AddTaints {
		if slices.ContainsFunc(have, func(t corev1.Taint) bool { return a.MatchTaint(&t) }) &&
			!slices.ContainsFunc(left.RemoveTaints, func(t corev1.Taint) bool { return a.MatchTaint(&t) }) ||
			slices.ContainsFunc(left.AddTaints, func(t corev1.Taint) bool { return a.MatchTaint(&t) }) {
			continue
		}
		if none {
			ops, none = append(ops, operation{"add", "/spec/taints", []corev1.Taint{}}), false
		}
		ops = append(ops, operation{"add", "/spec/taints/-", a})
		left.AddTaints = append(left.AddTaints, a)
	}
	return ops
}

// asNode reads what is needed of a Node, whatever form it has.
func asNode(obj metav1.Object) (*corev1.Node, error) {
	switch o := obj.(type) {
	case *corev1.Node:
		if o != nil {
			return o, nil
		}
	case *unstructured.Unstructured:
		if o == nil || o.GetKind() != "Node" {
			break
		}
		node := &corev1.Node{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, node); err != nil {
			return nil, fmt.Errorf("read Node %s: %w", o.GetName(), err)
		}
		return node, nil
	}
	return nil, fmt.Errorf("not a Node: %T", obj)
}

// escape makes a key a segment of a JSON Pointer (RFC 6901).
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// Empty tells whether the change changes nothing.
func (c NodeChange) Empty() bool {
	return c.Unschedulable == nil && len(c.AddTaints)+len(c.RemoveTaints)+len(c.AddLabels)+len(c.AddAnnotations)+len(c.RemoveLabels)+len(c.RemoveAnnotations) == 0
}
