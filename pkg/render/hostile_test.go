package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// evil is text as somebody might put it into an annotation, an event or a label to deceive who reads it.
func evil(n int) string {
	return fmt.Sprintf("v%d\x1b[2J\x1b]0;owned\x07\u009b31m\u202eevil\u202c\u2066x\u2069\r\nnext: rm -rf\u2028/\u200b\u00ad\ufeff\x00\x7f\U000e0041<script>alert(1)</script>\"'&{{.}}", n)
}

// poison fills everything below v: each string is hostile, each pointer points somewhere, and each list has an entry,
// the outermost ones two.
func poison(v reflect.Value, n *int, depth int) {
	*n++
	if depth > 14 { // some types hold themselves
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(evil(*n))
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		poison(v.Elem(), n, depth+1)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			raw, _ := json.Marshal(evil(*n))
			v.SetBytes(raw)
			return
		}
		entries := 1
		if depth == 1 {
			entries = 2
		}
		v.Set(reflect.MakeSlice(v.Type(), entries, entries))
		for i := range entries {
			poison(v.Index(i), n, depth+1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(taken().Add(time.Duration(*n) * time.Second)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i), n, depth+1)
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if depth < 12 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			poison(key, n, depth+1)
			poison(value, n, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.Func:
		// A cause's rules are not shown.
	default:
		panic("cannot fill a " + v.Type().String())
	}
}

func poisoned() *report.Report {
	r := &report.Report{}
	n := 0
	poison(reflect.ValueOf(r).Elem(), &n, 0)
	r.TakenAt = taken()
	r.Groups[0].Node, r.Groups[1].Node = r.Nodes[0].Name, "" // so that the node's story finds its group
	return r
}

func mustBeHarmless(t *testing.T, what, got string) {
	t.Helper()
	for i, r := range got {
		if (r < ' ' || r > '~') && r != '\n' && (hidden(r) || r == '\ufffd') {
			t.Fatalf("%s: %U at %d: %q", what, r, i, got[max(0, i-40):min(len(got), i+40)])
		}
	}
	if strings.Contains(got, "\nnext: rm") {
		t.Fatalf("%s: a line break of the cluster's breaks a line of ours", what)
	}
}

func TestNothingHostileReachesATerminal(t *testing.T) {
	templates := map[render.Format]string{
		render.JSONPath: "{range .groups[*].pods[*]}{.namespace} {.name} {.findings[*].message}{\"\\n\"}{end}", render.GoTemplate: "{{range .groups}}{{range .pods}}{{.name}} {{.findings}}{{end}}{{end}}",
		render.CustomColumns: "NAME:.name,WHY:.findings[*].message,ALL:.findings", render.JSONPathFile: "{.groups}", render.GoTemplateFile: "{{.groups}}",
		render.CustomColumnsFile: "NAME WHY\n.name .why",
	}
	for _, f := range append(render.Formats(), render.Table) {
		for _, v := range views() {
			for _, r := range []*report.Report{poisoned(), withoutNodes(poisoned())} {
				got := draw(t, r, render.Options{Format: f, View: v, Template: templates[f], Width: 80, Terminal: true})
				if got == "" && len(r.Nodes) > 0 {
					t.Errorf("%q, %s: nothing was written", f, v)
				}
				mustBeHarmless(t, fmt.Sprintf("format %q, view %s", f, v), got)
				if f == render.HTML && (strings.Contains(got, "<script") || strings.Contains(got, "onerror=")) {
					t.Errorf("%s: markup of the cluster's in the page", v)
				}
			}
		}
	}
}

func TestNothingHostileReachesATerminalThroughTheCatalogue(t *testing.T) {
	list := make([]diagnose.Cause, 2)
	n := 0
	poison(reflect.ValueOf(&list[0]).Elem(), &n, 0)
	poison(reflect.ValueOf(&list[1]).Elem(), &n, 0)
	for _, f := range []render.Format{render.Table, render.Wide, render.JSON, render.YAML, render.Name} {
		for _, whole := range []bool{false, true} {
			var b bytes.Buffer
			if err := render.Causes(&b, list, render.Options{Format: f, Width: 80, Terminal: true}, whole); err != nil {
				t.Fatal(err)
			}
			mustBeHarmless(t, fmt.Sprintf("causes, format %q, whole %v", f, whole), b.String())
		}
	}
	var b bytes.Buffer
	if err := render.CausesMarkdown(&b, list); err != nil {
		t.Fatal(err)
	}
	mustBeHarmless(t, "markdown", b.String())
}

// TestDataIsTheClustersOwn reads what was written and compares it with what went in: escapes change nothing.
func TestDataIsTheClustersOwn(t *testing.T) {
	want := poisoned()
	j := draw(t, want, render.Options{Format: render.JSON, Terminal: true})
	y := draw(t, want, render.Options{Format: render.YAML, Terminal: true})
	for what, decode := range map[string]func(any) error{
		"json": func(v any) error { return json.Unmarshal([]byte(j), v) },
		"yaml": func(v any) error { return yaml.UnmarshalStrict([]byte(y), v) },
	} {
		got := &report.Report{}
		if err := decode(got); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s does not come back as it was", what)
		}
	}
}

func TestProgramsGetTextFromTemplatesAsItIs(t *testing.T) {
	r := poisoned()
	raw := draw(t, r, render.Options{Format: render.JSONPath, Template: "{.groups[0].pods[0].name}"})
	if raw != r.Groups[0].Pods[0].Name {
		t.Errorf("got %q, want %q", raw, r.Groups[0].Pods[0].Name)
	}
}
