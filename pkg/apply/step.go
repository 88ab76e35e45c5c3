package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// writable tells which kinds this tool changes. A plan may come from a file, and says what it likes.
func writable(k snapshot.Kind) bool { return k == snapshot.Pod }

// check says what is wrong with a step as a plan has it.
func check(act remedy.Act, s remedy.Step) error {
	bad := func(format string, args ...any) error {
		return &BadPlan{Why: fmt.Sprintf(format, args...)}
	}
	if _, err := pathOf(s.Ref, false); err != nil {
		return bad("%v", err)
	}
	if !writable(s.Ref.Kind) {
		return bad("%s: this tool changes no object of that kind", s.Ref)
	}
	if !s.Ref.Is(act.Target) {
		return bad("a step for %s does not belong to %s", s.Ref, act.Target)
	}
	switch s.Verb {
	case remedy.Delete:
		if s.Grace != nil && *s.Grace < 0 {
			return bad("%s: a grace period of %d s", s.Ref, *s.Grace)
		}
	case remedy.Patch:
		if len(s.Finalizers) == 0 {
			return bad("%s: a patch that names no finalizer", s.Ref)
		}
	case remedy.Create:
		if s.Ref.UID != "" {
			return bad("%s: what is to be created has a UID already", s.Ref)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(s.Manifest); err != nil {
			return bad("%s: its manifest: %v", s.Ref, err)
		}
		info, _ := snapshot.InfoOf(s.Ref.Kind)
		if o.GroupVersionKind() != info.GVK() || o.GetNamespace() != s.Ref.Namespace || o.GetName() != s.Ref.Name || o.GetUID() != "" {
			return bad("%s: its manifest is that of another object", s.Ref)
		}
		return nil
	default:
		return bad("%s: %q is nothing that this tool does", s.Ref, s.Verb)
	}
	if s.Ref.UID == "" || s.ResourceVersion == "" {
		return bad("%s: the step does not say which object it means, by UID and resourceVersion", s.Ref)
	}
	return nil
}

// callOf is the request of a step. A step that is not a Create was made for the object as it is now, by remedy.Rebase.
func callOf(s remedy.Step, dryRun bool) (call, error) {
	path, err := pathOf(s.Ref, s.Verb == remedy.Create)
	if err != nil {
		return call{}, err
	}
	query := "fieldManager=" + manager
	if dryRun {
		query = "dryRun=" + metav1.DryRunAll + "&" + query
	}
	switch s.Verb {
	case remedy.Delete:
		uid, version := s.Ref.UID, s.ResourceVersion
		o := metav1.DeleteOptions{
			TypeMeta:           metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
			GracePeriodSeconds: s.Grace,
			Preconditions:      &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		}
		query = ""
		if dryRun {
			// The body decides; the parameter is for who reads the audit log, and for whatever stands between.
			o.DryRun, query = []string{metav1.DryRunAll}, "dryRun="+metav1.DryRunAll
		}
		body, err := json.Marshal(&o)
		return call{http.MethodDelete, path, query, contentJSON, body}, err
	case remedy.Patch:
		return call{http.MethodPatch, path, query, string(types.JSONPatchType), s.Patch}, nil
	case remedy.Create:
		return call{http.MethodPost, path, query, contentJSON, s.Manifest}, nil
	default:
		return call{}, fmt.Errorf("%s: %q is nothing that this tool does", s.Ref, s.Verb)
	}
}

// rebase makes the step anew for the object. The patch of the plan is never sent as it stands there: the same names give the same patch.
func rebase(s remedy.Step, obj *unstructured.Unstructured) (remedy.Step, error) {
	now, err := remedy.Rebase(s, obj)
	switch {
	case errors.Is(err, remedy.ErrReplaced):
		return s, &Swapped{Ref: s.Ref, Now: obj.GetUID()}
	case err != nil:
		return s, fmt.Errorf("%s: %w", s.Ref, err)
	}
	return now, nil
}

// shows tells whether the object, which has the step's UID, is as the step would make it. Of a Create the object's being there is for the caller to judge.
func shows(s remedy.Step, obj *unstructured.Unstructured) bool {
	switch s.Verb {
	case remedy.Delete:
		if obj.GetDeletionTimestamp() == nil {
			return false
		}
		if s.Grace == nil {
			return true
		}
		grace := obj.GetDeletionGracePeriodSeconds()
		return grace != nil && *grace <= *s.Grace
	case remedy.Patch:
		have := obj.GetFinalizers()
		for _, f := range s.Finalizers {
			if slices.Contains(have, f) != s.PutsBack {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// state is how the object is now, as a clause: "held by finalizers a, b".
func state(obj *unstructured.Unstructured) string {
	finalizers := obj.GetFinalizers()
	held := ""
	switch len(finalizers) {
	case 0:
	case 1:
		held = "held by finalizer " + finalizers[0]
	default:
		held = "held by finalizers " + strings.Join(finalizers, ", ")
	}
	if obj.GetDeletionTimestamp() == nil {
		switch {
		case held == "":
			return "there, and not being deleted"
		default:
			return "there, not being deleted, with finalizers " + strings.Join(finalizers, ", ")
		}
	}
	if grace := obj.GetDeletionGracePeriodSeconds(); grace != nil && *grace > 0 {
		being := fmt.Sprintf("being deleted, with a grace period of %d s", *grace)
		if held != "" {
			return being + ", and " + held
		}
		return being
	}
	if held == "" {
		return "gone"
	}
	return held
}
