package remedy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// keptPod is the pod of the journals below, as it was before the run.
const keptPod = `
apiVersion: v1
kind: Pod
metadata:
  name: batch
  namespace: shop
  uid: old
  resourceVersion: "7"
  generation: 3
  generateName: ba
  selfLink: /api/v1/x
  creationTimestamp: "2026-03-01T08:00:00Z"
  deletionTimestamp: "2026-03-01T09:30:00Z"
  deletionGracePeriodSeconds: 30
  labels: {app: batch}
  annotations: {team: a}
  finalizers: [example.com/hold, foregroundDeletion]
  managedFields: [{manager: kubelet, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {}}]
spec:
  nodeName: w1
  priority: 0
  preemptionPolicy: PreemptLowerPriority
  fromTheFuture: {a: [1]}
  containers: [{name: c, image: i}]
  ephemeralContainers: [{name: debugger, image: i}]
status:
  phase: Failed
  containerStatuses: [{name: c, image: i, imageID: "", restartCount: 0, ready: false, state: {terminated: {exitCode: 1, reason: Error}}}]
`

func kept(t testing.TB, edits ...func(map[string]any)) json.RawMessage {
	t.Helper()
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(keptPod), &obj); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e(obj)
	}
	raw, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func meta(field string, value any) func(map[string]any) {
	return func(o map[string]any) { o["metadata"].(map[string]any)[field] = value } //nolint:forcetypeassert // the test's own object
}

func spec(field string, value any) func(map[string]any) {
	return func(o map[string]any) { o["spec"].(map[string]any)[field] = value } //nolint:forcetypeassert // the test's own object
}

func controlledBy(kind, name string) func(map[string]any) {
	return meta("ownerReferences", []any{map[string]any{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "o", "controller": true}})
}

// ran is the history of a run that deleted the pod.
func ran(raw json.RawMessage, edits ...func(*History)) History {
	ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "batch", UID: "old"}
	h := History{
		Record: Record{ID: "20260301-100000-abcdef", Objects: []json.RawMessage{raw}, Plan: Plan{Cluster: Cluster{ID: "c-1", Server: "https://a"}, Acts: []Act{{
			Target: ref, Node: "w1", Remedies: []ID{ForceDelete}, Steps: []Step{{Verb: Delete, Ref: ref, What: "delete", Undo: Undo{Can: true, How: "h"}}},
		}}}},
		Entries: []Entry{{Type: Intent, Act: 0, Step: 0, Attempt: 1}, {Type: Result, Act: 0, Step: 0, Outcome: &Outcome{Status: Done}}},
	}
	for _, e := range edits {
		e(&h)
	}
	return h
}

func ended(s Status) func(*History) {
	return func(h *History) { h.Entries[1].Outcome = &Outcome{Status: s} }
}

// tookOff makes the run one that took finalizers off.
func tookOff(names ...string) func(*History) {
	return func(h *History) {
		h.Plan.Acts[0].Remedies = []ID{RemoveFinalizers}
		h.Plan.Acts[0].Steps[0].Verb, h.Plan.Acts[0].Steps[0].Finalizers = Patch, names
	}
}

func replanned(e Entry) func(*History) {
	return func(h *History) { e.Type = Replan; h.Entries = append(h.Entries, e) }
}

// undoWorld is what is there at the time of the undo.
type undoWorld struct {
	pod     *corev1.Pod
	ns      *corev1.Namespace
	noNS    bool // it is known not to exist
	unread  []snapshot.Kind
	cluster *Cluster
	more    []runtime.Object
}

func shopNS() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "ns"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
}

func (w undoWorld) picture(t testing.TB) *Picture {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, i := range snapshot.Kinds() {
		if !slices.Contains(w.unread, i.Kind) {
			b.SetComplete(i.Kind, "")
		}
	}
	for _, o := range w.more {
		b.Add(o)
	}
	if w.pod != nil {
		b.Add(w.pod.DeepCopy())
	}
	if !w.noNS && !slices.Contains(w.unread, snapshot.Namespace) {
		ns := w.ns
		if ns == nil {
			ns = shopNS()
		}
		b.Add(ns)
	}
	s, err := b.Build(guardTime())
	if err != nil {
		t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	return NewPicture(s, found, diagnose.Diagnosis{})
}

func (w undoWorld) here() Cluster {
	if w.cluster != nil {
		return *w.cluster
	}
	return Cluster{ID: "c-1", Server: "https://a"}
}

func livePod(finalizers ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "batch", UID: "old", ResourceVersion: "9", Finalizers: finalizers, CreationTimestamp: metav1.NewTime(guardTime().Add(-time.Hour))},
		Spec:       corev1.PodSpec{NodeName: "w1", Containers: []corev1.Container{{Name: "c"}}},
	}
}

func otherPod() *corev1.Pod {
	p := livePod()
	p.UID = "other"
	return p
}

func goingPod(p *corev1.Pod) *corev1.Pod {
	p.DeletionTimestamp = &metav1.Time{Time: guardTime()}
	return p
}

func TestUndoPlanTakesBackWhatCanBeTakenBackAndSaysWhyTheRestCannot(t *testing.T) {
	gone := metav1.NewTime(guardTime())
	for name, tc := range map[string]struct {
		h       History
		w       undoWorld
		refused string   // in the error; empty where there is a plan
		rung    ID       // of the one act
		warns   []string // "guard: part of the reason", of the plan or the act
		blocks  []string
	}{
		"a bare pod that is gone is created again":               {h: ran(kept(t)), rung: CreateAgain},
		"a pod with a controller is not, for that makes another": {h: ran(kept(t, controlledBy("ReplicaSet", "web-1"))), refused: "its controller (ReplicaSet web-1) makes another pod"},
		"an owner that controls nothing does not hinder":         {h: ran(kept(t, meta("ownerReferences", []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "o"}}))), rung: CreateAgain},
		"a mirror of a static pod is shown anew by its kubelet":  {h: ran(kept(t, meta("annotations", map[string]any{corev1.MirrorPodAnnotationKey: "x"}))), refused: "mirror of a static pod"},
		"the name is taken":                                               {h: ran(kept(t)), w: undoWorld{pod: otherPod()}, refused: "the name is taken by another pod (UID other"},
		"whether the name is free could not be seen":                      {h: ran(kept(t)), w: undoWorld{unread: []snapshot.Kind{snapshot.Pod}}, rung: CreateAgain, blocks: []string{"name-free: could not be seen"}},
		"the namespace is being deleted":                                  {h: ran(kept(t)), w: undoWorld{ns: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", DeletionTimestamp: &gone}}}, refused: "namespace shop is being deleted"},
		"the namespace is in phase Terminating":                           {h: ran(kept(t)), w: undoWorld{ns: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}}}, refused: "namespace shop is being deleted"},
		"the namespace is gone":                                           {h: ran(kept(t)), w: undoWorld{noNS: true}, refused: "namespace shop does not exist any more"},
		"the namespace could not be read":                                 {h: ran(kept(t)), w: undoWorld{unread: []snapshot.Kind{snapshot.Namespace}}, rung: CreateAgain, warns: []string{"namespace-live: could not be seen"}},
		"another cluster, by its ID":                                      {h: ran(kept(t)), w: undoWorld{cluster: &Cluster{ID: "c-2", Server: "https://a"}}, rung: CreateAgain, blocks: []string{"same-cluster: another cluster"}},
		"another cluster, by its address":                                 {h: ran(kept(t)), w: undoWorld{cluster: &Cluster{Server: "https://b"}}, rung: CreateAgain, blocks: []string{"same-cluster: https://a and is https://b"}},
		"the same address, and the ID unread":                             {h: ran(kept(t)), w: undoWorld{cluster: &Cluster{Server: "https://a"}}, rung: CreateAgain, warns: []string{"same-cluster: could not be compared"}},
		"the same cluster at another address":                             {h: ran(kept(t)), w: undoWorld{cluster: &Cluster{ID: "c-1", Server: "https://b"}}, rung: CreateAgain},
		"nothing is known of either cluster":                              {h: ran(kept(t), func(h *History) { h.Plan.Cluster = Cluster{} }), w: undoWorld{cluster: &Cluster{}}, rung: CreateAgain, blocks: []string{"same-cluster: could not be seen"}},
		"it took back another run itself":                                 {h: ran(kept(t), func(h *History) { h.Plan.Undoes = "r-1" }), refused: "it took back run r-1 itself"},
		"its finalizers are back":                                         {h: ran(kept(t), tookOff("example.com/hold")), w: undoWorld{pod: livePod("example.com/hold")}, refused: "its finalizers are back already"},
		"the step was refused":                                            {h: ran(kept(t), ended(Rejected)), refused: "nothing of it was done"},
		"the step was never tried":                                        {h: ran(kept(t), func(h *History) { h.Entries = nil }), refused: "nothing of it was done"},
		"somebody else did it":                                            {h: ran(kept(t), ended(Already)), refused: "somebody else had done it before"},
		"a word that nobody knows is an unknown outcome":                  {h: ran(kept(t), ended("perhaps")), rung: CreateAgain, warns: []string{"unknown-outcome: never seen"}},
		"an unknown outcome, and the pod is gone":                         {h: ran(kept(t), func(h *History) { h.Entries = h.Entries[:1] }), rung: CreateAgain, warns: []string{"unknown-outcome: never seen"}},
		"an unknown outcome, and the pod is there":                        {h: ran(kept(t), ended(Open), tookOff("a.b/c")), w: undoWorld{pod: livePod()}, refused: "whether it was done is not known"},
		"finalizers of a pod that is being deleted stay off":              {h: ran(kept(t), tookOff("example.com/hold")), w: undoWorld{pod: goingPod(livePod("a.b/c"))}, refused: "the API server puts no finalizer on such an object"},
		"finalizers of a pod that is not are put back":                    {h: ran(kept(t), tookOff("example.com/hold")), w: undoWorld{pod: livePod("a.b/c")}, rung: PutBack},
		"a pod that lives and lost no finalizer has nothing to get back":  {h: ran(kept(t)), w: undoWorld{pod: livePod()}, refused: "no finalizer was taken off it"},
		"finalizers are put back where the namespace is unread":           {h: ran(kept(t), tookOff("example.com/hold")), w: undoWorld{pod: livePod(), unread: []snapshot.Kind{snapshot.Namespace}}, rung: PutBack, warns: []string{"namespace-live: could not be seen"}},
		"containers that may still run are warned of":                     {h: ran(kept(t, func(o map[string]any) { o["status"] = map[string]any{"phase": "Running"} })), w: undoWorld{more: []runtime.Object{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1"}}}}, rung: CreateAgain, warns: []string{"runs-twice: may still run on node w1"}},
		"a replan that kept a later object is what counts":                {h: ran(json.RawMessage("null"), replanned(Entry{Object: kept(t)})), rung: CreateAgain},
		"a replan of an act that the plan does not have is not looked at": {h: ran(kept(t), replanned(Entry{Act: 7, Object: json.RawMessage(`{}`), Now: &Act{}}), replanned(Entry{Act: -1, Now: &Act{}})), rung: CreateAgain},
		"outcomes of acts and steps that the plan does not have change little": {h: ran(kept(t), func(h *History) {
			h.Entries = append(h.Entries, Entry{Type: Result, Act: 9, Step: 9, Outcome: &Outcome{Status: Done}}, Entry{Type: Result, Act: -3, Step: -3, Outcome: &Outcome{Status: Done}}, Entry{Type: Result})
		}), rung: CreateAgain},
		"no objects were kept":                      {h: ran(nil, func(h *History) { h.Objects = nil }), refused: "does not hold the pod as it was"},
		"the object is null":                        {h: ran(json.RawMessage(" null\n")), refused: "does not hold the pod as it was"},
		"the object is no JSON":                     {h: ran(json.RawMessage("{")), refused: "cannot be read"},
		"the object is a list":                      {h: ran(json.RawMessage("[]")), refused: "cannot be read"},
		"the object is a Secret":                    {h: ran(kept(t, func(o map[string]any) { o["kind"] = "Secret"; o["data"] = map[string]any{"a": "b"} })), refused: "is not that pod"},
		"the object is a Pod of another API":        {h: ran(kept(t, func(o map[string]any) { o["apiVersion"] = "example.com/v1" })), refused: "is not that pod"},
		"the object has another name":               {h: ran(kept(t, meta("name", "x"))), refused: "is not that pod"},
		"the object has another namespace":          {h: ran(kept(t, meta("namespace", "kube-system"))), refused: "is not that pod"},
		"the object has another UID":                {h: ran(kept(t, meta("uid", "x"))), refused: "is not that pod"},
		"the object has no containers":              {h: ran(kept(t, spec("containers", nil))), refused: "is not that pod"},
		"a replan smuggles another object in":       {h: ran(kept(t), replanned(Entry{Object: kept(t, meta("name", "x"))})), refused: "is not that pod"},
		"the target is a Secret":                    {h: ran(kept(t), func(h *History) { h.Plan.Acts[0].Target.Kind = "Secret" }), refused: "does not name a pod with its UID"},
		"the target has no UID":                     {h: ran(kept(t), func(h *History) { h.Plan.Acts[0].Target.UID = "" }), refused: "does not name a pod with its UID"},
		"the target has no name":                    {h: ran(kept(t), func(h *History) { h.Plan.Acts[0].Target.Name = "" }), refused: "does not name a pod with its UID"},
		"the journal is empty":                      {h: History{}, refused: "holds no act"},
		"the act has no steps, and nothing is told": {h: History{Record: Record{Plan: Plan{Acts: []Act{{}}}}}, refused: "does not name a pod"},
		"the pod is named twice": {h: ran(kept(t), func(h *History) {
			h.Plan.Acts, h.Objects = append(h.Plan.Acts, h.Plan.Acts[0]), append(h.Objects, h.Objects[0])
			h.Entries = append(h.Entries, Entry{Type: Result, Act: 1, Outcome: &Outcome{Status: Done}})
		}), rung: CreateAgain, warns: []string{"not-undoable: names it twice"}},
		"of two acts one can be taken back": {h: ran(kept(t), func(h *History) {
			a := h.Plan.Acts[0]
			a.Target.Name = "web"
			h.Plan.Acts = append(h.Plan.Acts, a) // there are fewer objects than acts
			h.Entries = append(h.Entries, Entry{Type: Result, Act: 1, Outcome: &Outcome{Status: Done}})
		}), rung: CreateAgain, warns: []string{"not-undoable: Pod shop/web: its journal does not hold the pod as it was; it stays as it is."}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := UndoPlan(tc.h, tc.w.picture(t), tc.w.here())
			if tc.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refused) || len(plan.Acts) > 0 {
					t.Fatalf("want it refused because %q, got %v and %+v", tc.refused, err, plan)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			undoIsWellMade(t, plan, tc.h, tc.w.picture(t))
			if got := plan.Acts[0].Remedies; !slices.Equal(got, []ID{tc.rung}) {
				t.Errorf("the rung is %v", got)
			}
			var warns, blocks []string
			for _, v := range slices.Concat(plan.Verdicts, plan.Acts[0].Verdicts) {
				if v.Blocks() {
					blocks = append(blocks, v.Guard+": "+v.Reason)
				} else if v.Guard != guardOwnerGone {
					warns = append(warns, v.Guard+": "+v.Reason)
				}
			}
			for _, x := range []struct{ got, want []string }{{warns, tc.warns}, {blocks, tc.blocks}} {
				if len(x.got) != len(x.want) {
					t.Errorf("want %q, got %q", x.want, x.got)
					continue
				}
				for i, w := range x.want {
					guard, says, _ := strings.Cut(w, ": ")
					if !strings.HasPrefix(x.got[i], guard+": ") || !strings.Contains(x.got[i], says) {
						t.Errorf("want %q, got %q", w, x.got[i])
					}
				}
			}
		})
	}
}

// undoIsWellMade holds what every plan of an undo is: one step for each act, on the pod of the journal, and safe to carry out.
func undoIsWellMade(t *testing.T, plan Plan, h History, p *Picture) {
	t.Helper()
	if len(plan.Acts) != 1 || plan.Undoes != h.ID || plan.Kind != KindPlan || !plan.Expires.After(plan.Made) {
		t.Fatalf("got %+v", plan)
	}
	act := plan.Acts[0]
	old := h.Plan.Acts[0].Target
	if len(act.Steps) != 1 || act.Target.Name != old.Name || act.Target.Namespace != old.Namespace || act.Help == "" || act.Why == "" || act.Risk == "" {
		t.Fatalf("got %+v", act)
	}
	s := act.Steps[0]
	if s.Ref != act.Target || s.What == "" || len(s.Kubectl) == 0 || s.Undo.How == "" {
		t.Errorf("got %+v", s)
	}
	switch s.Verb {
	case Create:
		if s.Ref.UID != "" || len(s.Patch) > 0 {
			t.Errorf("got %+v", s)
		}
		isCreatable(t, s.Manifest)
	case Patch:
		if s.Ref.UID != old.UID || !s.PutsBack || len(s.Manifest) > 0 || !slices.Equal(s.Finalizers, []string{"example.com/hold"}) || s.ResourceVersion != "9" {
			t.Errorf("got %+v", s)
		}
		var ops []operation
		if err := json.Unmarshal(s.Patch, &ops); err != nil || len(ops) != 3 || ops[0] != (operation{"test", "/metadata/uid", "old"}) || ops[1] != (operation{"test", "/metadata/resourceVersion", "9"}) || ops[2].Op != "add" {
			t.Errorf("the patch is %s (%v)", s.Patch, err)
		}
	default:
		t.Errorf("an undo does no %s", s.Verb)
	}
	for _, v := range slices.Concat(plan.Verdicts, act.Verdicts) {
		if v.Guard == "" || !strings.HasSuffix(v.Reason, ".") || strings.HasSuffix(v.Reason, "..") || strings.Contains(v.Reason, "%!") || v.Reason[0] >= 'a' && v.Reason[0] <= 'z' {
			t.Errorf("it is badly worded: %+v", v)
		}
	}
	b := BeforeAct(p, act)
	if !b.Target.Is(act.Target) || !slices.Equal(b.Remedies, act.Remedies) {
		t.Errorf("before it: %+v", b)
	}
}

// isCreatable holds what the API server takes of a manifest.
func isCreatable(t *testing.T, raw json.RawMessage) {
	t.Helper()
	var m struct {
		APIVersion, Kind string
		Metadata, Spec   map[string]json.RawMessage
		Status           json.RawMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.APIVersion != "v1" || m.Kind != "Pod" || m.Status != nil {
		t.Fatalf("%s (%v)", raw, err)
	}
	for _, k := range slices.Sorted(maps.Keys(m.Metadata)) {
		if !slices.Contains([]string{"name", "namespace", "labels", "annotations", "finalizers"}, k) {
			t.Errorf("metadata.%s is in it", k)
		}
	}
	for _, k := range []string{"nodeName", "ephemeralContainers", "priority", "preemptionPolicy"} {
		if m.Spec[k] != nil {
			t.Errorf("spec.%s is in it", k)
		}
	}
	if m.Spec["containers"] == nil || strings.Contains(string(m.Metadata["finalizers"]), metav1.FinalizerDeleteDependents) {
		t.Errorf("%s", raw)
	}
}

func TestAManifestKeepsWhatThePersonWroteAndNothingElse(t *testing.T) {
	want := `{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"team":"a"},"finalizers":["example.com/hold"],"labels":{"app":"batch"},"name":"batch","namespace":"shop"},` +
		`"spec":{"containers":[{"image":"i","name":"c"}],"fromTheFuture":{"a":[1]}}}`
	for name, raw := range map[string]json.RawMessage{
		"of a bare pod":              kept(t),
		"of a pod with a controller": kept(t, controlledBy("StatefulSet", "db")),
	} {
		got, err := Manifest(raw)
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
		isCreatable(t, got)
		again, err := Manifest(got)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: a second time it is %s (%v)", name, again, err)
		}
	}
	overhead := func(o map[string]any) { spec("overhead", map[string]any{"cpu": "1"})(o) }
	for _, tc := range []struct {
		raw  json.RawMessage
		keep bool
	}{{kept(t, overhead), true}, {kept(t, overhead, spec("runtimeClassName", "kata")), false}} {
		got, err := Manifest(tc.raw)
		if err != nil || strings.Contains(string(got), "overhead") != tc.keep {
			t.Errorf("want overhead kept: %v, got %s (%v)", tc.keep, got, err)
		}
	}
	for _, bad := range []string{"", "null", "{}", "[]", "7", "{", `{"kind":"Secret","metadata":{"name":"a"},"data":{}}`, `{"kind":"Pod","metadata":{"name":"a"},"spec":{}}`, `{"metadata":{"name":"a"},"spec":7}`} {
		if got, err := Manifest(json.RawMessage(bad)); err == nil {
			t.Errorf("%q makes %s", bad, got)
		}
	}
}

func TestAnUndoSaysThatOwnersAreNotSetAgain(t *testing.T) {
	raw := kept(t, meta("ownerReferences", []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "o"}}))
	plan, err := UndoPlan(ran(raw), undoWorld{}.picture(t), undoWorld{}.here())
	if err != nil || !strings.Contains(strings.Join(plan.Acts[0].Loses, "\n"), "ConfigMap x") {
		t.Errorf("%v %+v", err, plan.Acts)
	}
}

func TestAnUndoOnNothingIsRefused(t *testing.T) {
	for _, p := range []*Picture{nil, {}} {
		if _, err := UndoPlan(ran(kept(t)), p, Cluster{}); err == nil {
			t.Error("want an error")
		}
	}
	// A picture that was not made by NewPicture still follows volumes.
	p := undoWorld{}.picture(t)
	if _, err := UndoPlan(ran(kept(t)), &Picture{S: p.S}, Cluster{ID: "c-1"}); err != nil {
		t.Error(err)
	}
}

// TestNoMutilatedJournalMakesAnUndoPanicOrCreateAnotherObject takes each value out of a journal, and puts others in its place.
func TestNoMutilatedJournalMakesAnUndoPanicOrCreateAnotherObject(t *testing.T) {
	pictures := []*Picture{undoWorld{}.picture(t), undoWorld{pod: livePod("a.b/c")}.picture(t), {S: undoWorld{unread: []snapshot.Kind{snapshot.Pod, snapshot.Namespace, snapshot.Node}}.picture(t).S}}
	n := 0
	for _, h := range []History{ran(kept(t)), ran(kept(t), tookOff("example.com/hold")), ran(kept(t), replanned(Entry{Now: &Act{Steps: []Step{{Verb: Delete}}}, Object: kept(t)}))} {
		raw, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		mutilations(t, raw, func(what string, cut []byte) {
			var m History
			if json.Unmarshal(cut, &m) != nil {
				return // the journal would not be read
			}
			for i, p := range pictures {
				n++
				plan, err := UndoPlan(m, p, Cluster{ID: "c-1"})
				if err != nil {
					continue
				}
				for _, a := range plan.Acts {
					for _, s := range a.Steps {
						if s.Verb == Create {
							isCreatable(t, s.Manifest)
						}
						if a.Target.Namespace != "shop" || a.Target.Name != "batch" || s.Verb == Delete {
							t.Errorf("%s, picture %d: %+v", what, i, s)
						}
					}
				}
			}
		})
	}
	if n < 300 {
		t.Errorf("only %d journals were tried", n)
	}
}

// mutilations calls do with a document once for each value in it: without it, with null, and with each of a few other values in its place.
func mutilations(t *testing.T, raw []byte, do func(what string, cut []byte)) {
	t.Helper()
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	emit := func(what string) {
		cut, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		do(what, cut)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				was, at := v[k], path+"."+k
				walk(at, was)
				delete(v, k)
				emit("without " + at)
				for _, other := range []any{nil, "", "x", map[string]any{}, []any{}, -1, true} {
					v[k] = other
					emit(fmt.Sprintf("%s = %v", at, other))
				}
				v[k] = was
			}
		case []any:
			for i := range v {
				was, at := v[i], fmt.Sprintf("%s[%d]", path, i)
				walk(at, was)
				for _, other := range []any{nil, map[string]any{}, "x"} {
					v[i] = other
					emit(fmt.Sprintf("%s = %v", at, other))
				}
				v[i] = was
			}
		}
	}
	walk("", doc)
}
