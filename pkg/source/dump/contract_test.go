package dump_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
)

// items returns the objects as kubectl prints them, with their kind, by resource.
func items(t testing.TB, objects []runtime.Object) (all []string, byResource map[string][]string) {
	t.Helper()
	byResource = map[string][]string{}
	for _, info := range snapshot.Kinds() {
		byResource[info.GVR.Resource] = nil
	}
	for _, o := range objects {
		o = o.DeepCopyObject()
		gvk, resource := gvkOf(o)
		o.GetObjectKind().SetGroupVersionKind(gvk)
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
		byResource[resource] = append(byResource[resource], string(b))
	}
	return all, byResource
}

func gvkOf(o runtime.Object) (schema.GroupVersionKind, string) {
	switch o := o.(type) {
	case *corev1.ConfigMap:
		return corev1.SchemeGroupVersion.WithKind("ConfigMap"), "configmaps"
	case *corev1.Secret:
		return corev1.SchemeGroupVersion.WithKind("Secret"), "secrets"
	case *unstructured.Unstructured:
		info, _ := snapshot.InfoOf(snapshot.Kind(o.GetKind()))
		return info.GVK(), info.GVR.Resource
	}
	for _, i := range snapshot.Kinds() {
		if fmt.Sprintf("%T", snapshot.New(i.Kind)) == fmt.Sprintf("%T", o) && !i.MetadataOnly {
			return i.GVK(), i.GVR.Resource
		}
	}
	return schema.GroupVersionKind{}, ""
}

func list(kind string, items ...string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","items":[%s],"kind":%q,"metadata":{"resourceVersion":""}}`, strings.Join(items, ",\n"), kind)
}

func indented(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "    "); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

// shapes are the forms in which people save the same objects: each writes them below dir and returns the paths to open.
func shapes() map[string]func(t *testing.T, dir string, objects []runtime.Object) []string {
	perKind := func(t *testing.T, objects []runtime.Object, form func(resource string, items []string) (name, text string)) map[string]string {
		t.Helper()
		_, byResource := items(t, objects)
		files := map[string]string{}
		for r, i := range byResource {
			name, text := form(r, i)
			files[name] = text
		}
		return files
	}
	asList := func(t *testing.T) func(string, []string) (string, string) {
		t.Helper()
		return func(r string, i []string) (string, string) { return r + ".json", indented(t, list("List", i...)) }
	}
	return map[string]func(*testing.T, string, []runtime.Object) []string{
		"one List of everything and the empty ones": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			all, _ := items(t, objects)
			return write(t, dir, map[string]string{"all.json": indented(t, list("List", all...))})
		},
		"a List for each kind in a directory": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			write(t, dir, perKind(t, objects, asList(t)))
			return []string{dir}
		},
		"Lists one after the other in one file": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			var b strings.Builder
			for _, text := range perKind(t, objects, asList(t)) {
				b.WriteString(text)
			}
			return write(t, dir, map[string]string{"all.txt": b.String()})
		},
		"raw lists, whose items have no kind": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			files := perKind(t, objects, func(r string, i []string) (string, string) {
				for _, info := range snapshot.Kinds() {
					if info.GVR.Resource != r {
						continue
					}
					for n := range i {
						var m map[string]any
						if err := json.Unmarshal([]byte(i[n]), &m); err != nil {
							t.Fatal(err)
						}
						delete(m, "kind")
						delete(m, "apiVersion")
						b, err := json.Marshal(m)
						if err != nil {
							t.Fatal(err)
						}
						i[n] = string(b)
					}
					text := fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"9"},"items":[%s]}`, info.Kind+"List", info.GVR.GroupVersion(), strings.Join(i, ","))
					if len(r)%2 == 0 { // the kind after the items
						text = fmt.Sprintf(`{"apiVersion":%q,"items":[%s],"kind":%q}`, info.GVR.GroupVersion(), strings.Join(i, ","), info.Kind+"List")
					}
					return "x-" + r + ".json", text
				}
				return "", ""
			})
			write(t, dir, files)
			return []string{dir}
		},
		"YAML of a List for each kind": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			write(t, dir, perKind(t, objects, func(r string, i []string) (string, string) {
				return r + ".yaml", string(toYAML(t, list("List", i...)))
			}))
			return []string{dir}
		},
		"YAML documents": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			_, byResource := items(t, objects)
			var b strings.Builder
			for _, info := range snapshot.Kinds() {
				b.WriteString("---\n# " + info.GVR.Resource + "\n")
				b.Write(toYAML(t, fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"items":[%s]}`, info.GVR.GroupVersion(), info.Kind+"List", strings.Join(byResource[info.GVR.Resource], ","))))
			}
			return write(t, dir, map[string]string{"all.yaml": b.String()})
		},
		"a .tar.gz": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			path := filepath.Join(dir, "dump.tar.gz")
			if err := os.WriteFile(path, tarGz(t, perKind(t, objects, asList(t))), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{path}
		},
		"a .gz": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			all, _ := items(t, objects)
			path := filepath.Join(dir, "dump.json.gz")
			if err := os.WriteFile(path, gz(t, list("List", all...)), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{path}
		},
		"UTF-16, as PowerShell writes": func(t *testing.T, dir string, objects []runtime.Object) []string {
			t.Helper()
			all, _ := items(t, objects)
			return write(t, dir, map[string]string{"all.json": string(utf16le(list("List", all...)))})
		},
	}
}

func TestFilesKeepTheContractOfASource(t *testing.T) {
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T, objects []runtime.Object) (source.Backend, []runtime.Object) {
				t.Helper()
				paths := shape(t, t.TempDir(), objects)
				b, err := dump.Open(context.Background(), paths, dump.Options{AsOf: sourcetest.Taken()})
				if err != nil {
					t.Fatal(err)
				}
				return b, nil
			})
		})
	}
}

// What Write made reads back as the same snapshot, however it was asked for.
func TestAWrittenDumpReadsBackEqual(t *testing.T) {
	ctx := context.Background()
	for name, q := range sourcetest.Queries() {
		want, err := source.Load(ctx, &sourcetest.Memory{Objects: sourcetest.Cluster(), Now: sourcetest.Taken()}, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, base := range []string{"dump", "dump.tar.gz", "dump.tgz", "-"} {
			t.Run(name+" "+base, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), base)
				var stream bytes.Buffer
				if base == "-" {
					path = base
				}
				if err := dump.Write(ctx, path, want, dump.WriteOptions{Stdout: &stream}); err != nil {
					t.Fatal(err)
				}
				b, err := dump.Open(ctx, []string{path}, dump.Options{Stdin: &stream, AsOf: sourcetest.Taken().AddDate(1, 0, 0)})
				if err != nil {
					t.Fatal(err)
				}
				got, err := b.Load(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range sourcetest.Diff(want, got) {
					t.Error(d)
				}
				if c := got.Origin().Clock; c != "recorded in the dump" {
					t.Errorf("clock %q", c)
				}
			})
		}
	}
}

// A dump of ours answers what it was made for. Where it is asked for more, it says what it lacks.
func TestAWrittenDumpSaysWhatItWasNotMadeFor(t *testing.T) {
	ctx := context.Background()
	s, err := source.Load(ctx, &sourcetest.Memory{Objects: sourcetest.Cluster(), Now: sourcetest.Taken()}, source.Query{Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "d")
	if err := dump.Write(ctx, path, s, dump.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := dump.Open(ctx, []string{path}, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query source.Query
		gaps  string
	}{
		{source.Query{Namespace: "shop"}, "[]"},
		{source.Query{}, "made for namespace shop"},
		{source.Query{Namespace: "ops"}, "made for namespace shop"},
		{source.Query{Namespace: "shop", Nodes: []string{"node-z"}}, "node-z"},
	} {
		got, err := b.Load(ctx, c.query)
		if err != nil {
			t.Fatal(err)
		}
		if gaps := fmt.Sprint(got.Gaps()); !strings.Contains(gaps, c.gaps) {
			t.Errorf("%+v: gaps %s, want %s", c.query, gaps, c.gaps)
		}
	}
}

func TestARecordThatCannotBeTrueIsRefused(t *testing.T) {
	record := func(more string) string {
		return `{"apiVersion":"kubectl-stuck.dev/v1alpha1","kind":"Dump","formatVersion":1,"takenAt":"2026-01-01T00:00:00Z"` + more + `}`
	}
	for name, c := range map[string]struct{ text, says string }{
		"another version":   {strings.Replace(record(""), `"formatVersion":1`, `"formatVersion":2`, 1), "format version 2"},
		"without a time":    {strings.Replace(record(""), `"takenAt":"2026-01-01T00:00:00Z"`, `"x":1`, 1), "when it was taken"},
		"of the wrong form": {record(`,"census":[]`), "the record of a dump"},
		"too many pods":     {record(`,"census":{"nodes":{"n":{"pods":1,"status":{"Running":9000000000}}}}`), "9000000000 pods"},
		"negative":          {record(`,"census":{"nodes":{"n":{"pods":1,"status":{"Running":-1}}}}`), "-1 pods"},
		"twice":             {record("") + record(""), "two dumps"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dump.Open(context.Background(), []string{"-"}, dump.Options{Stdin: strings.NewReader(c.text)})
			if err == nil || !strings.HasPrefix(err.Error(), "standard input: byte ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func write(t testing.TB, dir string, files map[string]string) (paths []string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func gz(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarGz(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "dump/" + name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gz(t, b.String())
}

func utf16le(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}
