package dump_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	kruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
)

func openText(text string, l dump.Limits) (*dump.Backend, error) {
	return dump.Open(context.Background(), []string{"-"}, dump.Options{Stdin: strings.NewReader(text), Limits: l, AsOf: sourcetest.Taken()})
}

func TestBrokenInputIsAnErrorThatNamesFileAndPlace(t *testing.T) {
	prefix := `{"apiVersion":"v1","kind":"List","items":[`
	good := pod("a", "x")
	yamlList := "apiVersion: v1\nitems:\n" + "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: x\n    namespace: a\n"
	for name, c := range map[string]struct {
		text  string
		place string // as the message has it
		says  string
	}{
		"cut after an item":          {prefix + good + ",", "byte " + fmt.Sprint(len(prefix+good)+1), "cut off"},
		"cut in an item":             {prefix + good[:40], "byte " + fmt.Sprint(len(prefix)+40), "cut off"},
		"cut in the first key":       {`{"apiVer`, "byte 8", "cut off"},
		"a comma too few":            {prefix + good + " " + good + "]}", "byte " + fmt.Sprint(len(prefix+good)+1), "comma"},
		"a missing colon inside":     {prefix + `{"apiVersion":"v1","kind":"Pod","metadata":{"name" "x"}}]}`, "byte " + fmt.Sprint(len(prefix)+51), "colon"},
		"a number that is none":      {prefix + `{"apiVersion":"v1","kind":"Pod","spec":{"priority":01}}]}`, "byte " + fmt.Sprint(len(prefix)+51), "not a JSON value"},
		"a bad escape":               {prefix + `{"apiVersion":"v1","kind":"Pod","spec":{"nodeName":"\x"}}]}`, "byte " + fmt.Sprint(len(prefix)+52), "escape"},
		"a NUL in a string":          {prefix + "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"nodeName\":\"\x00\"}}]}", "byte " + fmt.Sprint(len(prefix)+52), "control character"},
		"a NUL between values":       {prefix + "\x00" + good + "]}", "byte " + fmt.Sprint(len(prefix)), "unexpected character"},
		"brackets that do not match": {prefix + `{"apiVersion":"v1","kind":"Pod","spec":{"a":[1}]}}]}`, "byte", "unexpected character"},
		"text after a document":      {good + "\nsurprise", "byte " + fmt.Sprint(len(good)+1), "unexpected character 's'"},
		"an item that is no object":  {prefix + `7]}`, "byte " + fmt.Sprint(len(prefix)), "unexpected character '7'"},
		"too deep":                   {prefix + `{"apiVersion":"v1","kind":"Pod","spec":` + strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300) + "}]}", "byte", "Depth"},
		"far too deep":               {prefix + `{"a":` + strings.Repeat(`[`, 1<<20), "byte", "Depth"},
		"brackets without end":       {`{"a":` + strings.Repeat(`[`, 1<<20), "byte", "Depth"},
		"yaml: a List without end":   {yamlList, "line 7", "cut off"},
		"yaml: a wrong item":         {yamlList + "- apiVersion: v1\n  kind: Pod\n  metadata: {name: y\n" + "kind: List\n", "line 9", ""},
		"yaml: an alias":             {"apiVersion: v1\nkind: Pod\nmetadata: &m\n  name: x\nspec: *m\n", "line 5", "aliases are not accepted"},
		"yaml: items at odd indents": {"apiVersion: v1\nitems:\n    - apiVersion: v1\n      kind: Pod\n  - apiVersion: v1\nkind: List\n", "line 5", "indented"},
		"yaml: too deep":             {"apiVersion: v1\nkind: Pod\nspec: " + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "\n", "line 3", "Depth"},
		"yaml: far too deep":         {"apiVersion: v1\nkind: Pod\nspec: " + strings.Repeat("[", 500_000) + "\n", "line", ""},
		"yaml: too many values":      {"apiVersion: v1\nkind: Pod\nspec: [" + strings.Repeat(",", 3_000_000) + "]\n", "line", "values"},
		"a gzip that was cut":        {string(gz(t, prefix+good+strings.Repeat(" ", 100_000)+"]}"))[:60], "standard input", "cut off"},
		"half a UTF-16 character":    {string(utf16le(good))[:101], "byte", "UTF-16"},
		"html":                       {"<html></html>", "standard input", "not Kubernetes"},
		"nothing":                    {"", "standard input", "empty"},
		"a zip":                      {"PK\x03\x04xxxx", "standard input", "unpack it first"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openText(c.text, dump.Limits{})
			var at *dump.InputError
			if !errors.As(err, &at) {
				t.Fatalf("%v is no InputError", err)
			}
			if text := err.Error(); !strings.HasPrefix(text, "standard input: ") || !strings.Contains(text, c.place) || !strings.Contains(text, c.says) || len(text) > 400 {
				t.Errorf("%q does not hold %q and %q", text, c.place, c.says)
			}
		})
	}
}

// A dump that was cut anywhere is refused, never read as a smaller cluster. Only the white space at its end may be missing.
func TestADumpThatWasCutAnywhereIsRefused(t *testing.T) {
	text := indented(t, list("List", pod("a", "x"), obj("v1", "Pod", "b", "y", `"status":{"phase":"Running"}`)))
	for _, form := range []struct{ name, text string }{
		{"json", text}, {"yaml", string(toYAML(t, text))}, {"gz", string(gz(t, text))}, {"utf-16", string(utf16le(text))},
	} {
		for n := range len(form.text) {
			if _, err := openText(form.text[:n], dump.Limits{}); err == nil && !(strings.Trim(form.text[n:], "\n\x00") == "") && !wholeYAML(form.name, form.text[:n]) {
				t.Errorf("%s: the first %d of %d bytes were accepted", form.name, n, len(form.text))
			}
		}
	}
}

// wholeYAML tells whether a cut YAML List still has all its items and its kind: the rest tells nothing.
func wholeYAML(form, text string) bool {
	return form == "yaml" && strings.Contains(text, "\nkind: L")
}

func TestLimits(t *testing.T) {
	many := func(n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = pod("a", fmt.Sprint("x", i))
		}
		return list("List", items...)
	}
	big := list("List", obj("v1", "Pod", "a", "x", `"spec":{"nodeName":"`+strings.Repeat("n", 1<<20)+`"}`))
	bomb := string(gz(t, `{"apiVersion":"v1","kind":"List","items":[`+strings.Repeat(" ", 200<<20)))
	nested := pod("a", "x")
	for range 6 {
		nested = string(gz(t, nested))
	}
	for name, c := range map[string]struct {
		text   string
		limits dump.Limits
		says   string
	}{
		"a long object":           {big, dump.Limits{ObjectBytes: 100_000}, "ObjectBytes"},
		"a long YAML object":      {string(toYAML(t, big)), dump.Limits{YAMLObjectBytes: 100_000}, "YAMLObjectBytes"},
		"many objects":            {many(50), dump.Limits{Objects: 49}, "Objects"},
		"many without a kind":     {strings.ReplaceAll(strings.Replace(many(50), `"kind":"List"`, `"kind":"PodList"`, 1), `"kind":"Pod",`, ""), dump.Limits{Objects: 49}, "Objects"},
		"much in all":             {many(50), dump.Limits{TotalBytes: 1000}, "TotalBytes"},
		"a decompression bomb":    {bomb, dump.Limits{}, "Ratio"},
		"much to keep":            {string(gz(t, many(5000))), dump.Limits{HeldBytes: 1000}, "HeldBytes"},
		"archives in archives":    {nested, dump.Limits{}, "Nesting"},
		"many members":            {string(tarGz(t, map[string]string{"1": "x", "2": "x", "3": "x"})), dump.Limits{Files: 2}, "Files"},
		"a string without end":    {`{"apiVersion":"v1","kind":"Pod","x":"` + strings.Repeat("y", 40<<20), dump.Limits{}, "ObjectBytes"},
		"a YAML line without end": {"apiVersion: v1\nkind: Pod\nx: " + strings.Repeat("y", 20<<20), dump.Limits{}, "YAMLObjectBytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := openText(c.text, c.limits)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, dump.ErrLimit) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "standard input") {
				t.Errorf("got %v, want the limit %s", err, c.says)
			}
			if used := after.Sys - before.Sys; after.Sys > before.Sys && used > 300<<20 {
				t.Errorf("it took %d MB", used>>20)
			}
		})
	}
	t.Run("a folder of many files", func(t *testing.T) {
		dir := t.TempDir()
		for i := range 30 {
			write(t, dir, map[string]string{fmt.Sprint(i): ""})
		}
		_, err := dump.Open(context.Background(), []string{dir}, dump.Options{Limits: dump.Limits{Files: 29}})
		if !errors.Is(err, dump.ErrLimit) || !strings.Contains(err.Error(), dir) {
			t.Error(err)
		}
	})
}

// Members of an archive are read in place, whatever they are called, and what is no ordinary file is passed over.
func TestArchivesCannotReachOutside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside.json")
	if err := os.WriteFile(outside, []byte(pod("a", "outside")), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range []*tar.Header{
		{Name: "../../../../../../tmp/evil.json", Typeflag: tar.TypeReg}, {Name: "/etc/evil.json", Typeflag: tar.TypeReg},
		{Name: "link.json", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "hard.json", Typeflag: tar.TypeLink, Linkname: outside},
		{Name: "null", Typeflag: tar.TypeChar}, {Name: "disk", Typeflag: tar.TypeBlock}, {Name: "pipe", Typeflag: tar.TypeFifo}, {Name: "dir/", Typeflag: tar.TypeDir},
	} {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = pod("a", strings.Trim(strings.ReplaceAll(h.Name, "/", "-"), "-."))
			h.Size = int64(len(text))
		}
		h.Mode = 0o777
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	d, err := openText(b.String(), dump.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := names(t, d, snapshot.Pod, "a"); len(n) != 2 || strings.Contains(strings.Join(n, " "), "outside") {
		t.Errorf("%v", n)
	}
	if s := d.Skipped(); s.Files != 5 {
		t.Errorf("passed over %d: %v", s.Files, s.Names)
	}
	for _, p := range []string{"/tmp/evil.json", "/etc/evil.json"} {
		if _, err := os.Lstat(p); err == nil {
			t.Errorf("%s was written", p)
		}
	}
}

func TestLinksInAFolderAreNotFollowed(t *testing.T) {
	outside := write(t, t.TempDir(), map[string]string{"outside.json": pod("a", "outside")})[0]
	dir := t.TempDir()
	write(t, dir, map[string]string{"pods.json": pod("a", "x")})
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link.json")), os.Symlink(dir, filepath.Join(dir, "loop"))); err != nil {
		t.Fatal(err)
	}
	b, err := dump.Open(context.Background(), []string{dir}, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := names(t, b, snapshot.Pod, "a"); len(n) != 1 || b.Skipped().Files != 2 {
		t.Errorf("%v %v", n, b.Skipped())
	}
	if _, err := dump.Open(context.Background(), []string{filepath.Join(dir, "link.json")}, dump.Options{}); err != nil {
		t.Errorf("a link that the user named is followed: %v", err)
	}
}

func TestUnreadableFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, map[string]string{"pods.json": pod("a", "x")})[0]
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	_, err := dump.Open(context.Background(), []string{dir}, dump.Options{})
	if os.Geteuid() == 0 { // who may read everything
		if err != nil {
			t.Error(err)
		}
	} else if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if _, err := dump.Open(context.Background(), []string{filepath.Join(path, "below")}, dump.Options{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	broken := errors.New("the disk is gone")
	half := io.MultiReader(strings.NewReader(list("List", pod("a", "x"))[:100]), iotest.ErrReader(broken))
	if _, err := dump.Open(context.Background(), []string{"-"}, dump.Options{Stdin: half}); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "standard input: byte ") {
		t.Error(err)
	}
}

func TestNothingToLookAtIsAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.log": "x", "b.json": `{"a":1}`})
	if _, err := dump.Open(context.Background(), []string{dir}, dump.Options{}); !errors.Is(err, dump.ErrNothing) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if _, err := dump.Open(context.Background(), []string{filepath.Join(dir, "none")}, dump.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := dump.Open(context.Background(), nil, dump.Options{}); err == nil {
		t.Error("no path at all")
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &endless{cancel: cancel, after: 3}
	if _, err := dump.Open(ctx, []string{"-"}, dump.Options{Stdin: r}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// endless is a List that never ends, whose reader loses patience.
type endless struct {
	cancel func()
	after  int
	begun  bool
}

func (e *endless) Read(p []byte) (int, error) {
	if !e.begun {
		e.begun = true
		return copy(p, `{"apiVersion":"v1","kind":"List","items":[`), nil
	}
	if e.after--; e.after == 0 {
		e.cancel()
	}
	return copy(p, pod("a", fmt.Sprint("x", e.after))+","), nil
}

// An object that is sound JSON but not what its kind says is left out and named; the others are read.
func TestAnObjectOfTheWrongFormIsNamedAndTheOthersAreRead(t *testing.T) {
	d := open(t, map[string]string{"pods.json": list("List", pod("a", "good"), obj("v1", "Pod", "a", "odd", `"spec":{"containers":"none"}`), pod("b", "good"))})
	n := 0
	err := d.List(context.Background(), source.ListRequest{Kind: snapshot.Pod}, func(kruntime.Object) { n++ })
	if err == nil || !strings.Contains(err.Error(), "pods.json: byte ") || !strings.Contains(err.Error(), "pod a/odd") || n != 2 {
		t.Errorf("%d pods, %v", n, err)
	}
}

func TestInvalidUTF8DoesNoHarm(t *testing.T) {
	d, err := openText("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\",\"namespace\":\"a\",\"labels\":{\"l\":\"\xff\xfe\"}}}", dump.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := names(t, d, snapshot.Pod, "a"); len(n) != 1 {
		t.Error(n)
	}
}
