package report_test

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

var update = flag.Bool("update", false, "write testdata/fields.txt instead of comparing with it")

const (
	fieldsFile = "testdata/fields.txt"
	docsFile   = "../../docs/OUTPUT.md"
)

// fields lists every field of the documents as a path with its type: groups[].pods[].stuckForSeconds integer. Those of the other documents begin with
// their kind.
func fields(t *testing.T) []string {
	t.Helper()
	var out []string
	var within []reflect.Type
	var walk func(path string, ty reflect.Type)
	walk = func(path string, ty reflect.Type) {
		if ty.Kind() == reflect.Pointer {
			ty = ty.Elem()
		}
		switch {
		case ty == reflect.TypeFor[time.Time](), ty == reflect.TypeFor[metav1.Time]():
			out = append(out, path+" time")
		case ty == reflect.TypeFor[json.RawMessage]():
			out = append(out, path+" any")
		case ty.Kind() == reflect.Map && ty.Key().Kind() == reflect.String && ty.Elem().Kind() == reflect.String:
			out = append(out, path+" map of strings")
		case ty.Kind() == reflect.Struct && slices.Contains(within, ty):
			out = append(out, path+" "+ty.Name()) // it holds itself
		case ty.Kind() == reflect.Struct:
			within = append(within, ty)
			defer func() { within = within[:len(within)-1] }()
			for i := range ty.NumField() {
				f := ty.Field(i)
				if f.Anonymous {
					t.Fatalf("%s: an embedded field: give it a name of its own in the document", f.Name)
				}
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if name == "-" {
					continue
				}
				if name == "" {
					t.Fatalf("%s.%s has no json tag", ty, f.Name)
				}
				if name == "-" {
					continue
				}
				walk(strings.TrimPrefix(path+"."+name, "."), f.Type)
			}
		case ty.Kind() == reflect.Slice:
			walk(path+"[]", ty.Elem())
		case ty.Kind() == reflect.String:
			out = append(out, path+" string")
		case ty.Kind() == reflect.Bool:
			out = append(out, path+" boolean")
		case ty.Kind() == reflect.Int, ty.Kind() == reflect.Int32, ty.Kind() == reflect.Int64:
			out = append(out, path+" integer")
		default:
			t.Fatalf("%s: a %s is no part of the document's vocabulary", path, ty)
		}
	}
	walk("", reflect.TypeFor[report.Report]())
	walk("LogScan", reflect.TypeFor[report.LogScan]())
	walk("StuckHistory", reflect.TypeFor[report.History]())
	walk("StuckFix", reflect.TypeFor[report.Fix]())
	if len(out) == 0 {
		t.Fatal("the document has no fields")
	}
	return out
}

// TestTheFieldsOfTheDocumentArePinned fails for every change of the contract, so that none is made by accident:
// adding a field is fine and is recorded with -update; renaming or removing one breaks whoever reads the document.
func TestTheFieldsOfTheDocumentArePinned(t *testing.T) {
	got := fields(t)
	if *update {
		if err := os.WriteFile(fieldsFile, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	file, err := os.ReadFile(fieldsFile)
	if err != nil {
		t.Fatalf("%v (run go test ./pkg/report -update)", err)
	}
	want := strings.Split(strings.TrimSpace(string(file)), "\n")
	for _, f := range want {
		if !slices.Contains(got, f) {
			t.Errorf("gone from the document: %s", f)
		}
	}
	for _, f := range got {
		if !slices.Contains(want, f) {
			t.Errorf("new in the document: %s (document it in docs/OUTPUT.md, then run go test ./pkg/report -update)", f)
		}
	}
	if !t.Failed() && !slices.Equal(got, want) {
		t.Error("the fields are the same in another order (run go test ./pkg/report -update)")
	}
}

// TestEveryFieldIsDocumented looks for each field's own name in the table of the object that it belongs to.
func TestEveryFieldIsDocumented(t *testing.T) {
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	documented, optional := map[string]bool{}, map[string]bool{}
	section := ""
	for _, l := range strings.Split(string(docs), "\n") {
		if name, ok := strings.CutPrefix(l, "### `"); ok {
			section, _, _ = strings.Cut(name, "`")
		}
		if cell, ok := strings.CutPrefix(l, "| `"); ok && section != "" {
			name, _, _ := strings.Cut(cell, "`")
			documented[section+"."+name] = true
			optional[section+"."+name] = strings.Contains(l, "*optional*")
		}
	}
	if len(documented) == 0 {
		t.Fatalf("%s documents no field", docsFile)
	}
	needed, named := map[string]bool{}, map[string]reflect.Type{}
	var walk func(ty reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || ty == reflect.TypeFor[time.Time]() || ty == reflect.TypeFor[metav1.Time]() {
			return
		}
		object := ty.Name()
		if ty == reflect.TypeFor[remedy.Asked]() {
			object = "Wanted" // the report has another object of that name
		}
		if other := named[object]; other != nil && other != ty {
			t.Fatalf("%s and %s are documented under one name: give one another here", other, ty)
		}
		if needed[object] {
			return
		}
		needed[object], named[object] = true, ty
		for i := range ty.NumField() {
			name, flags, _ := strings.Cut(ty.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			full := object + "." + name
			needed[full] = true
			switch leftOut := strings.Contains(flags, "omit"); {
			case !documented[full]:
				t.Errorf("docs/OUTPUT.md: field `%s` is missing under ### `%s`", name, object)
			case leftOut != optional[full]:
				t.Errorf("docs/OUTPUT.md: %s is marked *optional*: %v, and is left out where it is empty: %v", full, optional[full], leftOut)
			}
			walk(ty.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[report.Report]())
	walk(reflect.TypeFor[report.LogScan]())
	walk(reflect.TypeFor[report.History]())
	walk(reflect.TypeFor[report.Fix]())
	for d := range documented {
		if !needed[d] {
			t.Errorf("docs/OUTPUT.md documents %s, which the report does not have", d)
		}
	}
}
