package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// small are limits that a fuzzer reaches.
func small() Limits {
	return Limits{ObjectBytes: 1 << 16, YAMLObjectBytes: 1 << 16, Depth: 50, Objects: 1000, Files: 100, TotalBytes: 8 << 20, HeldBytes: 1 << 20, Nesting: 3}
}

// openAny opens what may be anything, and reads every object of it.
func openAny(t *testing.T, data []byte) {
	t.Helper()
	ctx := context.Background()
	b, err := Open(ctx, []string{"-"}, Options{Stdin: bytes.NewReader(data), AsOf: time.Unix(1, 0), Limits: small()})
	if err != nil {
		var at *InputError
		if !errors.As(err, &at) && !errors.Is(err, ErrNothing) {
			t.Errorf("%v names no place", err)
		}
		return
	}
	for _, info := range snapshot.Kinds() {
		err := b.List(ctx, source.ListRequest{Kind: info.Kind}, func(o runtime.Object) {
			if o == nil {
				t.Error("nil object")
			}
		})
		var at *InputError
		if err != nil && !errors.As(err, &at) && !errors.Is(err, source.ErrNotInDump) && !errors.Is(err, errPartial) {
			t.Errorf("%s: %v", info.Kind, err)
		}
	}
	if _, err := b.Load(ctx, source.Query{}); err != nil && b.x.meta == nil {
		t.Log(err)
	}
}

func seeds() []string {
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"a","labels":{"k":"v"},"resourceVersion":"5"},"spec":{"nodeName":"n","containers":[{}],"initContainers":[{"name":"i","restartPolicy":"Always"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}],"containerStatuses":[{"name":"c","ready":true,"restartCount":2,"state":{"terminated":{"exitCode":1,"signal":9,"reason":"Error"}}}]}}`
	return []string{
		pod,
		`{"apiVersion":"v1","items":[` + pod + `,` + pod + `],"kind":"List"}`,
		`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"x"}}]}{"kind":"EventList","apiVersion":"v1","items":[]}`,
		`[` + pod + `]`,
		pod + "\n==== START logs for x ====\nfoo\n==== END logs for x ====\n---\n" + pod,
		`{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e","namespace":"a"},"regarding":{"kind":"Pod","name":"x"},"series":{"lastObservedTime":"2026-01-01T00:00:00.000001Z"}}`,
		`{"apiVersion":"kubectl-stuck.dev/v1alpha1","kind":"Dump","formatVersion":1,"takenAt":"2026-01-01T00:00:00Z","origin":{},"census":{"nodes":{"n":null,"m":{"pods":3,"status":{"Running":3}}}},"coverage":{"complete":{"Pod":[""]}}}`,
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  namespace: a\n",
		"apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: x\n- apiVersion: v1\n  kind: Node\n  metadata: {name: n}\nkind: List\nmetadata:\n  resourceVersion: \"\"\n---\napiVersion: v1\nitems: []\nkind: PodList\n",
		"items:\n  - {apiVersion: v1, kind: Pod, metadata: {name: \"\\u0000\"}}\napiVersion: v1\nkind: List\n",
		"a: &a [*a]\napiVersion: v1\nkind: Pod\n",
		"- apiVersion: v1\n  kind: Pod\n  spec: 0x1f\n  status: .inf\n",
		"\xef\xbb\xbf{}", "\xff\xfe{\x00}\x00", `{"a":"\ud800\udc00\ud800"}`, "{\"\x00\":1}", "\x1f\x8b", "null", "{}{}{", `{"items":[[[`, `{"items":{}}`,
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { openAny(t, data) })
}

func FuzzYAML(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		openAny(t, append([]byte("apiVersion: v1\n"), data...))
		if j, _, err := yamlToJSON(data, small().withDefaults()); err == nil && !json.Valid(j) {
			t.Errorf("%q became %q", data, j)
		}
	})
}

func FuzzTar(f *testing.F) {
	for _, s := range seeds() {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []*tar.Header{{Name: "d/", Typeflag: tar.TypeDir}, {Name: "../x.json", Typeflag: tar.TypeReg, Size: int64(len(s))}, {Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/"}} {
			if err := w.WriteHeader(h); err != nil {
				f.Fatal(err)
			}
			if h.Size > 0 {
				if _, err := w.Write([]byte(s)); err != nil {
					f.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), false)
		f.Add(b.Bytes(), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, zip bool) {
		if zip {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			if _, err := z.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			data = b.Bytes()
		}
		openAny(t, data)
	})
}

// FuzzCursor holds the cursor against encoding/json: both accept the same texts.
func FuzzCursor(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := cursor{b: data, max: 1000}
		c.skip()
		rest := bytes.TrimLeft(data[min(c.i, len(data)):], " \t\r\n")
		if errors.Is(c.err, ErrLimit) {
			return
		}
		if ours, theirs := c.err == nil && len(rest) == 0, json.Valid(data); ours != theirs {
			t.Errorf("%q: cursor says %v (%v), encoding/json says %v", data, ours, c.err, theirs)
		}
		if !json.Valid(data) {
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, data); err != nil {
			t.Fatal(err)
		}
		if got := compact(nil, data); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%q: compact gave %q, encoding/json %q", data, got, want.Bytes())
		}
		var s string
		if json.Unmarshal(data, &s) == nil && bytes.HasPrefix(bytes.TrimSpace(data), []byte{'"'}) {
			c := cursor{b: data, max: 10}
			if got := string(bytes.ToValidUTF8(c.text(), []byte("\uFFFD"))); got != s && !bytes.Contains(data, []byte{0xff}) {
				if json.Valid(data) && string(bytes.ToValidUTF8([]byte(s), nil)) == s && bytes.Equal(bytes.ToValidUTF8(data, nil), data) {
					t.Errorf("%q: text gave %q, encoding/json %q", data, got, s)
				}
			}
		}
	})
}
