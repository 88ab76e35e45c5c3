package remedy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// applied is the Node after the patch, by the library that the API server applies patches with.
func applied(t *testing.T, patch json.RawMessage, n *corev1.Node) (*corev1.Node, error) {
	t.Helper()
	doc, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatalf("%s: %v", patch, err)
	}
	doc, err = decoded.Apply(doc)
	if err != nil {
		return nil, err
	}
	out := &corev1.Node{}
	return out, json.Unmarshal(doc, out)
}

func TestANodePatchMakesWhatIsLeftOfTheChangeAndNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	keys := []string{"a.example/x", "plain", "node-role.kubernetes.io/worker", "odd~1/0", "a~b"}
	values := []string{"", "1", "a ~ / b"}
	some := func() map[string]string {
		m := map[string]string{}
		for _, k := range keys {
			if r.IntN(2) == 0 {
				m[k] = values[r.IntN(len(values))]
			}
		}
		return m
	}
	taints := func() []corev1.Taint {
		var out []corev1.Taint
		for _, k := range keys[:3] {
			for _, e := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
				if r.IntN(2) == 0 {
					out = append(out, corev1.Taint{Key: k, Value: values[r.IntN(2)], Effect: e})
				}
			}
		}
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out
	}
	nothing := 0
	for i := range 3000 {
		n := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "u", ResourceVersion: "7", Labels: some(), Annotations: some()},
			Spec:       corev1.NodeSpec{Unschedulable: r.IntN(2) == 0, Taints: taints(), ProviderID: "p"},
		}
		c := NodeChange{AddLabels: some(), RemoveLabels: some(), AddAnnotations: some(), RemoveAnnotations: some(), AddTaints: taints(), RemoveTaints: taints()}
		if i%5 == 0 {
			c = NodeChange{}
		}
		if b := r.IntN(2) == 0; r.IntN(2) == 0 {
			c.Unschedulable = &b
		}
		patch, left, err := NodePatch(n, c)
		if errors.Is(err, ErrNothingLeft) {
			nothing++
			if !left.Empty() {
				t.Fatalf("nothing, and %+v", left)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := applied(t, patch, n)
		if err != nil {
			t.Fatalf("%s: %v", patch, err)
		}
		want := n.DeepCopy()
		if c.Unschedulable != nil {
			want.Spec.Unschedulable = *c.Unschedulable
		}
		expect := func(have, add, remove map[string]string) {
			for k, v := range remove {
				if x, ok := have[k]; ok && x == v {
					delete(have, k)
				}
			}
			for k, v := range add {
				if _, ok := have[k]; !ok {
					have[k] = v
				}
			}
		}
		expect(want.Labels, c.AddLabels, c.RemoveLabels)
		expect(want.Annotations, c.AddAnnotations, c.RemoveAnnotations)
		want.Spec.Taints = slices.DeleteFunc(want.Spec.Taints, func(x corev1.Taint) bool {
			return slices.ContainsFunc(c.RemoveTaints, func(o corev1.Taint) bool {
				return o.Key == x.Key && o.Effect == x.Effect && (o.Value == "" || o.Value == x.Value)
			})
		})
		for _, a := range c.AddTaints {
			if !slices.ContainsFunc(want.Spec.Taints, func(o corev1.Taint) bool { return o.Key == a.Key && o.Effect == a.Effect }) {
				want.Spec.Taints = append(want.Spec.Taints, a)
			}
		}
		sorted := func(m map[string]string) string { return fmt.Sprint(m) }
		set := func(ts []corev1.Taint) []string {
			var out []string
			for _, x := range ts {
				out = append(out, x.ToString())
			}
			slices.Sort(out)
			return out
		}
		if sorted(got.Labels) != sorted(want.Labels) || sorted(got.Annotations) != sorted(want.Annotations) || got.Spec.Unschedulable != want.Spec.Unschedulable ||
			!slices.Equal(set(got.Spec.Taints), set(want.Spec.Taints)) || got.Spec.ProviderID != "p" || got.Name != "w" {
			t.Fatalf("%s\nof %+v %+v\nwith %+v\ngot %+v %+v\nwant %+v %+v", patch, n.Labels, n.Spec, c, got.Labels, got.Spec, want.Labels, want.Spec)
		}
		// What was left of it is what it does, and then nothing is left.
		if again, _, err := NodePatch(n, left); err != nil || string(again) != string(patch) {
			t.Fatalf("%v\n%s\n%s", err, patch, again)
		}
		if _, _, err := NodePatch(got, c); !errors.Is(err, ErrNothingLeft) {
			t.Fatalf("something is left of %+v on %+v %+v: %v", c, got.Labels, got.Spec, err)
		}
		// In its other form the Node gets the same.
		raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(n)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{Object: raw}
		u.SetKind("Node")
		if again, other, err := NodePatch(u, c); err != nil || string(again) != string(patch) || !reflect.DeepEqual(left, other) {
			t.Fatalf("%v\n%s\n%s", err, patch, again)
		}
		for what, change := range map[string]func(*corev1.Node){
			"another UID":             func(n *corev1.Node) { n.UID = "other" },
			"another resourceVersion": func(n *corev1.Node) { n.ResourceVersion = "8" },
		} {
			o := n.DeepCopy()
			change(o)
			if _, err := applied(t, patch, o); err == nil {
				t.Fatalf("%s: it was applied to a Node with %s", patch, what)
			}
		}
		// Even with a version that lies, nothing but what was seen is removed.
		if len(left.RemoveTaints) > 0 {
			o := n.DeepCopy()
			o.Spec.Taints = append([]corev1.Taint{{Key: "new", Effect: corev1.TaintEffectNoSchedule}}, o.Spec.Taints...)
			if _, err := applied(t, patch, o); err == nil {
				t.Fatalf("%s: it was applied to taints that had moved", patch)
			}
		}
		for k := range left.RemoveLabels {
			o := n.DeepCopy()
			o.Labels[k] = "somebody else's"
			if _, err := applied(t, patch, o); err == nil {
				t.Fatalf("%s: it removed another value of label %s", patch, k)
			}
		}
	}
	if nothing == 0 {
		t.Error("there was always something to do")
	}
}

func TestANodePatchIsForNodes(t *testing.T) {
	yes := true
	c := NodeChange{Unschedulable: &yes}
	pod := &unstructured.Unstructured{Object: map[string]any{"kind": "Pod"}}
	odd := &unstructured.Unstructured{Object: map[string]any{"kind": "Node", "spec": "x"}}
	for what, obj := range map[string]metav1.Object{"a pod": &corev1.Pod{}, "another pod": pod, "nonsense": odd, "no Node": (*corev1.Node)(nil)} {
		if patch, _, err := NodePatch(obj, c); err == nil || errors.Is(err, ErrNothingLeft) || patch != nil {
			t.Errorf("%s: %s %v", what, patch, err)
		}
	}
}

func TestAnEvictionHasNothingLeftToDoOnAPodThatIsBeingDeleted(t *testing.T) {
	now := metav1.Now()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", ResourceVersion: "7"}}
	s := Step{Verb: Evict, Ref: refOf("Pod", p), ResourceVersion: "6"}
	if got, err := Rebase(s, p); err != nil || got.ResourceVersion != "7" {
		t.Errorf("%+v %v", got, err)
	}
	p.DeletionTimestamp = &now
	if _, err := Rebase(s, p); !errors.Is(err, ErrNothingLeft) {
		t.Error(err)
	}
}
