package remedy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// TestTakingOffRemovesExactlyTheNamedFinalizersAndOnlyFromThatVersion applies patches with the library that the API server applies them with.
func TestTakingOffRemovesExactlyTheNamedFinalizersAndOnlyFromThatVersion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"a.example/x", "b", "kubernetes.io/pvc-protection", "it's/odd \"q\"~1/0", "ü\u202e", "a.example/x~0", "{}", "0"}
	apply := func(patch json.RawMessage, p *corev1.Pod) (*corev1.Pod, error) {
		doc, err := json.Marshal(p)
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
		out := &corev1.Pod{}
		return out, json.Unmarshal(doc, out)
	}
	partial := 0
	for i := range 2000 {
		have := slices.Clone(names[:1+r.IntN(len(names))])
		r.Shuffle(len(have), func(i, j int) { have[i], have[j] = have[j], have[i] })
		off := slices.DeleteFunc(slices.Clone(have), func(string) bool { return r.IntN(2) == 0 })
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: types.UID(fmt.Sprint("u", i)), ResourceVersion: "7", Finalizers: have, Labels: map[string]string{"k": "v"}}, Spec: corev1.PodSpec{NodeName: "w"}}
		patch, took, err := takeOff(p, append(slices.Clone(off), "not/there"))
		if len(off) == 0 {
			if err == nil {
				t.Fatal("a patch that removes nothing")
			}
			continue
		}
		if err != nil || !slices.Equal(took, off) {
			t.Fatalf("took %q of %q, want %q: %v", took, have, off, err)
		}
		got, err := apply(patch, p)
		if err != nil {
			t.Fatalf("%s: %v", patch, err)
		}
		want := p.DeepCopy()
		want.Finalizers = slices.DeleteFunc(slices.Clone(have), func(n string) bool { return slices.Contains(off, n) })
		if len(want.Finalizers) > 0 {
			partial++
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Fatalf("got %s, want %s", a, b)
		}
		for what, change := range map[string]func(*corev1.Pod){
			"another UID":             func(p *corev1.Pod) { p.UID = "other" },
			"another resourceVersion": func(p *corev1.Pod) { p.ResourceVersion = "8" },
			"a finalizer before":      func(p *corev1.Pod) { p.Finalizers = append([]string{"new"}, p.Finalizers...) },
			"without its finalizers":  func(p *corev1.Pod) { p.Finalizers = nil },
			"another value": func(p *corev1.Pod) {
				p.Finalizers[slices.Index(p.Finalizers, off[len(off)-1])] = "other"
			},
			"another order": func(p *corev1.Pod) {
				if slices.Reverse(p.Finalizers); slices.Equal(p.Finalizers, have) || len(have) == len(off)+0 && len(have) == 1 {
					p.UID = "other"
				} else if i := slices.Index(have, off[0]); p.Finalizers[i] == off[0] {
					p.Finalizers[i] = "moved" // it stands in the middle, where a reversal leaves it
				}
			},
		} {
			q := p.DeepCopy()
			change(q)
			if _, err := apply(patch, q); err == nil {
				t.Fatalf("the patch %s for %q applies to a pod with %s", patch, have, what)
			}
		}
		back, on, err := putOn(got, off)
		if err != nil || !slices.Equal(on, off) {
			t.Fatalf("put back %q: %v", on, err)
		}
		again, err := apply(back, got)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(again.Finalizers)
		sorted := slices.Sorted(slices.Values(have))
		if !slices.Equal(again.Finalizers, sorted) {
			t.Fatalf("after putting back: %q, want %q", again.Finalizers, sorted)
		}
	}
	if partial == 0 {
		t.Fatal("no round left a finalizer: the property was not tried")
	}
}
