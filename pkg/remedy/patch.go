package remedy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// ErrReplaced says that another object has the name now: its UID is not that of the plan. Nothing lifts it.
var ErrReplaced = errors.New("another object has this name now")

// ErrNothingLeft says that the step has nothing to do any more.
var ErrNothingLeft = errors.New("nothing is left to do")

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// takeOff is the JSON Patch that removes single finalizers from an object, by value and by place, and only from the very object and version given.
// The last positions come first, so that the earlier ones stay true.
func takeOff(obj metav1.Object, names []string) (json.RawMessage, []string, error) {
	ops := identity(obj)
	have := obj.GetFinalizers()
	var off []string
	for i, name := range slices.Backward(have) {
		if slices.Contains(names, name) {
			path := fmt.Sprintf("/metadata/finalizers/%d", i)
			ops = append(ops, operation{"test", path, name}, operation{Op: "remove", Path: path})
			off = append(off, name)
		}
	}
	if len(off) == 0 {
		return nil, nil, ErrNothingLeft
	}
	slices.Reverse(off)
	patch, err := json.Marshal(ops)
	return patch, off, err
}

// putOn is the JSON Patch that adds finalizers that the object does not have.
func putOn(obj metav1.Object, names []string) (json.RawMessage, []string, error) {
	ops := identity(obj)
	have := obj.GetFinalizers()
	var on []string
	for _, name := range names {
		if !slices.Contains(have, name) && !slices.Contains(on, name) {
			on = append(on, name)
		}
	}
	if len(on) == 0 {
		return nil, nil, ErrNothingLeft
	}
	if len(have) == 0 {
		ops = append(ops, operation{"add", "/metadata/finalizers", on})
	} else {
		for _, name := range on {
			ops = append(ops, operation{"add", "/metadata/finalizers/-", name})
		}
	}
	patch, err := json.Marshal(ops)
	return patch, on, err
}

func identity(obj metav1.Object) []operation {
	return []operation{
		{"test", "/metadata/uid", string(obj.GetUID())},
		{"test", "/metadata/resourceVersion", obj.GetResourceVersion()},
	}
}

// Rebase makes the step anew for the object as it is now. It fails with ErrReplaced where it is another object, and with ErrNothingLeft where what the
// step was to do is done already. It judges nothing: who rebases a step onto an object that somebody else changed asks the guards again first.
func Rebase(step Step, obj metav1.Object) (Step, error) {
	if step.Verb == Create {
		return step, nil
	}
	if obj.GetUID() != step.Ref.UID {
		return step, fmt.Errorf("%s has UID %s, and the plan is for %s: %w", step.Ref, obj.GetUID(), step.Ref.UID, ErrReplaced)
	}
	switch {
	case step.Verb == Evict && obj.GetDeletionTimestamp() != nil:
		return step, ErrNothingLeft
	case step.Verb == Patch && step.Change != nil:
		patch, left, err := NodePatch(obj, *step.Change)
		if err != nil {
			return step, err
		}
		step.Patch, step.Change = patch, &left
	case step.Verb == Patch:
		build := takeOff
		if step.PutsBack {
			build = putOn
		}
		patch, names, err := build(obj, step.Finalizers)
		if err != nil {
			return step, err
		}
		step.Patch, step.Finalizers = patch, names
	}
	step.ResourceVersion = obj.GetResourceVersion()
	return step, nil
}

// refOf names the object with its UID.
func refOf(k snapshot.Kind, obj metav1.Object) snapshot.Ref {
	return snapshot.Ref{Kind: k, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID()}
}
