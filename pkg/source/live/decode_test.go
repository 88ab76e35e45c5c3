package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

type message interface{ Marshal() ([]byte, error) }

// envelope encodes as an API server does.
func envelope(t testing.TB, kind string, o message) []byte {
	t.Helper()
	raw, err := o.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	u := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: kind}, Raw: raw}
	data, err := u.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("k8s\x00"), data...)
}

func somePods(n int) *corev1.PodList {
	l := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "more"}}
	for i := range n {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", i), Namespace: "shop"}}
		p.Spec.NodeName = strings.Repeat("n", i%300)
		l.Items = append(l.Items, p)
	}
	return l
}

func newPod() runtime.Object { return snapshot.New(snapshot.Pod) }

func TestDecodeListReadsProtobufAndJSON(t *testing.T) {
	list := somePods(500)
	asJSON, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"protobuf": envelope(t, "PodList", list), "JSON": asJSON} {
		t.Run(name, func(t *testing.T) {
			i := 0
			next, err := decodeList(iotest.HalfReader(bytes.NewReader(data)), newPod, func(o runtime.Object) error {
				got, want := o.(*corev1.Pod), &list.Items[i]
				if got.Name != want.Name || got.Spec.NodeName != want.Spec.NodeName {
					t.Fatalf("pod %d is %s on %s", i, got.Name, got.Spec.NodeName)
				}
				i++
				return nil
			})
			if err != nil || next != "more" || i != 500 {
				t.Errorf("%d pods, continue %q, %v", i, next, err)
			}
		})
	}
}

func TestDecodeListSaysWhereAnAnswerBreaksOff(t *testing.T) {
	list := somePods(5)
	asJSON, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"protobuf": envelope(t, "PodList", list), "JSON": asJSON} {
		for n := range len(data) - 4 { // two empty fields of the envelope follow the list
			_, err := decodeList(bytes.NewReader(data[:n]), newPod, func(runtime.Object) error { return nil })
			if err == nil {
				t.Fatalf("%s: the first %d of %d bytes decode without an error", name, n, len(data))
			}
		}
	}
}

func TestDecodeListStopsWhereTheCallerDoes(t *testing.T) {
	enough, n := errors.New("enough"), 0
	_, err := decodeList(bytes.NewReader(envelope(t, "PodList", somePods(9))), newPod, func(runtime.Object) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%v after %d pods", err, n)
	}
}

func TestDecodeListRefusesNonsense(t *testing.T) {
	for name, in := range map[string]string{
		"an empty answer":        "",
		"a page of a proxy":      "<html>login</html>",
		"items that are no list": `{"items":{"a":1}}`,
		"a huge object":          "k8s\x00\x12\xff\xff\xff\xff\x7f\x12\xff\xff\xff\xff\x0f",
		"only the magic":         "k8s\x00",
	} {
		if _, err := decodeList(strings.NewReader(in), newPod, func(runtime.Object) error { return nil }); err == nil {
			t.Errorf("%s decodes without an error", name)
		}
	}
	if _, err := decodeList(strings.NewReader(`{"kind":"PodList","items":null}`), newPod, nil); err != nil {
		t.Errorf("a list without items: %v", err)
	}
}

func TestDropManagedFieldsDropsNothingElse(t *testing.T) {
	full := func(finalizers ...string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: "cart-1", Namespace: "shop", GenerateName: "cart-", UID: "u", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
			Finalizers: finalizers, Generation: 3, OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
		}}
		for i := range 3 {
			p.ManagedFields = append(p.ManagedFields, metav1.ManagedFieldsEntry{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 70*i*i))})
		}
		p.Spec.NodeName, p.Status.Phase = "worker-1", corev1.PodRunning
		return p
	}
	bare := full()
	bare.ManagedFields = nil
	unmanaged, _ := bare.Marshal()
	held := full("example.com/hold")
	for name, c := range map[string]struct{ in, want *corev1.Pod }{
		"an object without finalizers loses them": {full(), bare},
		"an object with finalizers keeps them":    {held, held},
		"an object without them stays as it is":   {bare, bare},
		"an empty object":                         {&corev1.Pod{}, &corev1.Pod{}},
	} {
		data, err := c.in.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var got corev1.Pod
		if err := got.Unmarshal(dropManagedFields(data)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !equality.Semantic.DeepEqual(&got, c.want) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for n := range unmanaged { // broken input must come through, for Unmarshal to complain about
		_ = dropManagedFields(slices.Clone(unmanaged[:n]))
	}
}

func TestDecodeOne(t *testing.T) {
	want := &somePods(1).Items[0]
	asJSON, _ := json.Marshal(want)
	for name, data := range map[string][]byte{"protobuf": envelope(t, "Pod", want), "JSON": asJSON} {
		var got corev1.Pod
		if err := decodeOne(bytes.NewReader(data), &got); err != nil || got.Name != want.Name {
			t.Errorf("%s: %q, %v", name, got.Name, err)
		}
	}
	var got corev1.Pod
	data := envelope(t, "Pod", want)
	if err := decodeOne(bytes.NewReader(data[:len(data)/2]), &got); err == nil {
		t.Error("half an object decodes without an error")
	}
}

const tableHead = `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},"columnDefinitions":[` +
	`{"name":"Name","type":"string","format":"name","description":"a \"name\"","priority":0},{"name":"Ready","type":"string"},{"name":"Status","type":"string"},` +
	`{"name":"Restarts","type":"string"},{"name":"Age","type":"string"},{"name":"IP","type":"string"},{"name":"Node","type":"string"}],"rows":[`

func rowsOf(in io.Reader) ([]source.Row, error) {
	var rows []source.Row
	err := decodeTable(in, func(r *source.Row) { rows = append(rows, *r) })
	return rows, err
}

func TestDecodeTable(t *testing.T) {
	in := tableHead + `
		{"cells":["cart-1","1/2","Running","3 (5m ago)","5d","10.0.0.1","worker-1"],"object":null},
		{"object":{"kind":"PartialObjectMetadata","metadata":{"labels":{"a":"]}\\\""}}},"cells":["cart-2","0/1","Init:0/1",0,"5d","<none>","<none>"]},
		{"cells":["cart-\u00e9\"3","x","Terminating",0,"5d",null,"worker-1"]}
	]}`
	want := []source.Row{
		{Name: "cart-1", Status: "Running", Ready: 1, Containers: 2, Node: "worker-1"},
		{Name: "cart-2", Status: "Init:0/1", Containers: 1},
		{Name: "cart-é\"3", Status: "Terminating", Node: "worker-1"},
	}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(in), "a byte at a time": iotest.OneByteReader(strings.NewReader(in))} {
		got, err := rowsOf(r)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDecodeTableReadsCellsLongerThanItsBuffer(t *testing.T) {
	long := strings.Repeat(`x\"y`, 50_000)
	got, err := rowsOf(strings.NewReader(tableHead + `{"cells":["` + long + `","1/1","Running",0,"5d","","n"]}]}`))
	if err != nil || len(got) != 1 || got[0].Name != strings.Repeat(`x"y`, 50_000) || got[0].Node != "n" {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

func TestDecodeTableWithoutRows(t *testing.T) {
	for _, in := range []string{tableHead + "]}", strings.TrimSuffix(tableHead, "[") + "null}"} {
		if got, err := rowsOf(strings.NewReader(in)); err != nil || len(got) != 0 {
			t.Errorf("%d rows, %v", len(got), err)
		}
	}
}

func TestDecodeTableSaysThatItIsNone(t *testing.T) {
	for name, in := range map[string]string{
		"a list of pods":           `{"kind":"PodList","items":[{"metadata":{"name":"a"}}]}`,
		"a table of something":     `{"kind":"Table","columnDefinitions":[{"name":"Name"}],"rows":[{"cells":["a"]}]}`,
		"rows before their header": `{"kind":"Table","rows":[{"cells":["a","1/1","Running"]}]}`,
	} {
		if got, err := rowsOf(strings.NewReader(in)); !errors.Is(err, errNoTable) || len(got) != 0 {
			t.Errorf("%s: %d rows, %v", name, len(got), err)
		}
	}
}

func TestDecodeTableSaysWhereAnAnswerBreaksOff(t *testing.T) {
	in := tableHead + `{"cells":["cart-1","1/1","Running",0,"5d","10.0.0.1","worker-1"],"object":null}]}`
	for n := range len(in) {
		if _, err := rowsOf(strings.NewReader(in[:n])); err == nil {
			t.Fatalf("the first %d bytes decode without an error: %s", n, in[:n])
		}
	}
	for _, in := range []string{tableHead + strings.Repeat("[", 100), tableHead + `{"cells":"x"}]}`, "x", `{"a" 1}`} {
		if _, err := rowsOf(strings.NewReader(in)); err == nil {
			t.Errorf("%q decodes without an error", in)
		}
	}
}

func FuzzDecodeTable(f *testing.F) {
	f.Add(tableHead + `{"cells":["cart-1","1/1","Running",0,"5d","10.0.0.1","worker-1"],"object":null}]}`)
	f.Add(`{"kind":"Table","rows":[]}`)
	f.Fuzz(func(t *testing.T, in string) {
		_, _ = rowsOf(strings.NewReader(in)) // must end, and must not panic
	})
}

func FuzzDecodeList(f *testing.F) {
	f.Add(envelope(f, "PodList", somePods(2)))
	f.Add([]byte(`{"items":[{"metadata":{"name":"a"}}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, _ = decodeList(bytes.NewReader(in), newPod, func(runtime.Object) error { return nil })
	})
}

func BenchmarkDecodeTable(b *testing.B) {
	row := `{"cells":["service-0001-0123456789-0a1b2","2/2","Running","0","26h","10.129.3.7","worker-0001","\u003cnone\u003e","\u003cnone\u003e"],"object":null}`
	in := tableHead + strings.Repeat(row+",", 9_999) + row + "]}"
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		n := 0
		if err := decodeTable(strings.NewReader(in), func(*source.Row) { n++ }); err != nil || n != 10_000 {
			b.Fatal(n, err)
		}
	}
}
