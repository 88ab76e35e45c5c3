package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// writable tells which kinds this tool changes. A plan may come from a file, and says what it likes.
func writable(k snapshot.Kind) bool { return k == snapshot.Pod || k == snapshot.Node }

// checkAt says what is wrong with a step as a plan has it, at its place in its act.
func checkAt(act remedy.Act, at int) error {
	s := act.Steps[at]
	if !s.OfBefore {
		return check(act, s)
	}
	switch before := at - 1; {
	case s.Verb != remedy.Delete:
		return &BadPlan{Why: fmt.Sprintf("%s: a %s is no deletion of what the step before it creates", s.Ref, s.Verb)}
	case s.Ref.UID != "" || s.ResourceVersion != "":
		return &BadPlan{Why: fmt.Sprintf("%s: what is created only in this run has a UID or resourceVersion already", s.Ref)}
	case before < 0 || act.Steps[before].Verb != remedy.Create || act.Steps[before].Ref != s.Ref:
		return &BadPlan{Why: fmt.Sprintf("%s: the step before does not create it", s.Ref)}
	}
	s.Ref.UID, s.ResourceVersion = "to be known", "to be known"
	return check(act, s)
}

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
	node := s.Ref.Kind == snapshot.Node
	switch s.Verb {
	case remedy.Delete:
		if s.Grace != nil && *s.Grace < 0 {
			return bad("%s: a grace period of %d s", s.Ref, *s.Grace)
		}
		if s.Grace != nil && node {
			return bad("%s: a Node has no grace period", s.Ref)
		}
	case remedy.Patch:
		switch {
		case node && (s.Change == nil || s.Change.Empty() || len(s.Finalizers) > 0):
			return bad("%s: a patch that does not name what it changes, or that is about finalizers", s.Ref)
		case !node && s.Change != nil:
			return bad("%s: the change of a Node", s.Ref)
		case !node && len(s.Finalizers) == 0:
			return bad("%s: a patch that names no finalizer", s.Ref)
		}
	case remedy.Evict:
		if s.Ref.Kind != snapshot.Pod {
			return bad("%s: only pods are evicted", s.Ref)
		}
		if s.Grace != nil {
			return bad("%s: an eviction with a grace period other than the pod's own", s.Ref)
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
	case remedy.Evict:
		// The UID is the only precondition. With a resourceVersion too, each change of the pod's status between the look and the call would be a conflict, and
		// the API server would not try again where the pod became Ready meanwhile, as it does without (eviction.go: "don't retry"). Which pod is meant the
		// UID says, and whether it may go the budget does, then and there.
		uid := s.Ref.UID
		o := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
		query = ""
		if dryRun {
			// What is deleted the body decides, and the parameter where the body is silent (eviction.go propagateDryRun). Whether webhooks are told that it is
			// a dry run the parameter decides alone (apiserver/pkg/endpoints/handlers/create.go). They may not differ.
			o.DryRun, query = []string{metav1.DryRunAll}, "dryRun="+metav1.DryRunAll
		}
		body, err := json.Marshal(&policyv1.Eviction{
			TypeMeta:      metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"},
			ObjectMeta:    metav1.ObjectMeta{Namespace: s.Ref.Namespace, Name: s.Ref.Name},
			DeleteOptions: &o,
		})
		return call{http.MethodPost, path + "/" + subEviction, query, contentJSON, body}, err
	case remedy.Delete:
		uid, version := s.Ref.UID, s.ResourceVersion
		o := metav1.DeleteOptions{
			TypeMeta:           metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
			GracePeriodSeconds: s.Grace,
			Preconditions:      &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		}
		if s.OfBefore {
			o.Preconditions.ResourceVersion = nil // it is to go in whatever state it is
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
	case remedy.Evict:
		return obj.GetDeletionTimestamp() != nil
	case remedy.Patch:
		if s.Change != nil {
			_, _, err := remedy.NodePatch(obj, *s.Change)
			return errors.Is(err, remedy.ErrNothingLeft)
		}
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

// sameButBeat tells whether two versions of a Node differ in nothing but the times of its kubelet's heartbeat, by which nobody judges: its lease has those too.
func sameButBeat(a, b *unstructured.Unstructured) bool {
	without := func(o *unstructured.Unstructured) map[string]any {
		o = o.DeepCopy()
		o.SetResourceVersion("")
		o.SetManagedFields(nil)
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok {
				delete(m, "lastHeartbeatTime")
			}
		}
		_ = unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions")
		return o.Object
	}
	return equality.Semantic.DeepEqual(without(a), without(b))
}

// stateOf is how the object is now, as a clause, of what the step is about.
func stateOf(s remedy.Step, obj *unstructured.Unstructured) string {
	if s.Change == nil {
		return state(obj)
	}
	if !shows(s, obj) {
		return "not as the step makes it"
	}
	var is []string
	c := s.Change
	switch {
	case c.Unschedulable != nil && *c.Unschedulable:
		is = append(is, "cordoned")
	case c.Unschedulable != nil:
		is = append(is, "not cordoned")
	}
	for _, t := range c.AddTaints {
		is = append(is, "with a taint "+t.Key+":"+string(t.Effect)) // somebody else's may have another value
	}
	for _, t := range c.RemoveTaints {
		is = append(is, "without taint "+t.ToString())
	}
	keys := func(word, what string, m map[string]string) {
		if n := len(m); n == 1 {
			for k := range m {
				is = append(is, fmt.Sprintf("%s %s %s", word, what, k))
			}
		} else if n > 1 {
			is = append(is, fmt.Sprintf("%s %d %ss", word, n, what))
		}
	}
	keys("with", "label", c.AddLabels)
	keys("with", "annotation", c.AddAnnotations)
	keys("without", "label", c.RemoveLabels)
	keys("without", "annotation", c.RemoveAnnotations)
	if c.Unschedulable == nil {
		return "as planned: " + strings.Join(is, ", ")
	}
	return strings.Join(is, ", ")
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
