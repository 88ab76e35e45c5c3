package render_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
)

func TestTemplatesSeeTheReportAsItsJSONDoes(t *testing.T) {
	for name, tc := range map[string]struct {
		o    render.Options
		want string
	}{
		"jsonpath":               {render.Options{Format: render.JSONPath, Template: `{range .groups[*]}{.node}:{.stuck}{"\n"}{end}`}, "worker-7:12\nworker-2:1\n"},
		"jsonpath with a filter": {render.Options{Format: render.JSONPath, Template: `{.groups[?(@.reach=="pod")].pods[*].name}`}, "export-27d4-8tmzn"},
		"jsonpath-file":          {render.Options{Format: render.JSONPathFile, Template: `{.summary.stuckPods}`}, "13"},
		"go-template":            {render.Options{Format: render.GoTemplate, Template: `{{range .groups}}{{.node}} {{end}}`}, "worker-7 worker-2 "},
		"missing keys are nothing where that is allowed": {render.Options{Format: render.JSONPath, Template: `[{.nothing}]`, AllowMissingTemplateKeys: true}, "[]"},
		"custom columns with a list and a field that is not there": {
			render.Options{Format: render.CustomColumns, View: render.NodeOverview, Template: "N:name,WHY:.findings[*].code,GONE:nothing", NoHeaders: true},
			"worker-7   ST201    <none>\nworker-2   ST601    <none>\nworker-3   <none>   <none>\n",
		},
		"custom columns of nodes": {
			render.Options{Format: render.CustomColumns, View: render.NodeOverview, Template: "N:name,STUCK:{.stuck},READY:{facts.ready}"},
			"N          STUCK   READY\nworker-7   12      True\nworker-2   1       True\nworker-3   0       True\n",
		},
		"custom columns without headers": {
			render.Options{Format: render.CustomColumns, View: render.NodeOverview, Template: "N:name", NoHeaders: true}, "worker-7\nworker-2\nworker-3\n",
		},
		"custom columns from a file": {
			render.Options{Format: render.CustomColumnsFile, View: render.NodeOverview, Template: "N    TOTAL\nname .total\n"}, "N          TOTAL\nworker-7   31\nworker-2   28\nworker-3   22\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := draw(t, outOfProcesses(), tc.o)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWrongTemplatesAreErrorsThatDoNotQuoteTheReport(t *testing.T) {
	for name, o := range map[string]render.Options{
		"jsonpath":              {Format: render.JSONPath, Template: "{.groups["},
		"jsonpath, missing key": {Format: render.JSONPath, Template: "{.nothing}"},
		"go-template":           {Format: render.GoTemplate, Template: "{{.groups"},
		"go-template, missing":  {Format: render.GoTemplate, Template: "{{.nothing.at.all}}"},
		"column":                {Format: render.CustomColumns, Template: "NAME"},
		"column path":           {Format: render.CustomColumns, Template: "NAME:{.a}{.b}"},
		"columns file":          {Format: render.CustomColumnsFile, Template: "ONE LINE"},
		"columns that differ":   {Format: render.CustomColumnsFile, Template: "A B\n.a"},
		"format":                {Format: "png"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			err := render.Report(&b, outOfProcesses(), o)
			if err == nil {
				t.Fatalf("no error; wrote %q", b.String())
			}
			if b.Len() > 0 || strings.Contains(err.Error(), "worker-7") || strings.Contains(err.Error(), "\n") {
				t.Errorf("wrote %q, and said %q", b.String(), err)
			}
		})
	}
}

func TestOutputValuesAreTakenApart(t *testing.T) {
	for in, want := range map[string]render.Output{
		"":                           {},
		"wide":                       {Format: render.Wide},
		"json":                       {Format: render.JSON},
		"jsonpath={.a}={.b}":         {Format: render.JSONPath, Template: "{.a}={.b}"},
		"jsonpath-file=/tmp/x":       {Format: render.JSONPathFile, Template: "/tmp/x", File: true},
		"custom-columns=A:.a,B:.b":   {Format: render.CustomColumns, Template: "A:.a,B:.b"},
		"custom-columns-file=./cols": {Format: render.CustomColumnsFile, Template: "./cols", File: true},
	} {
		got, err := render.ParseOutput(in)
		if err != nil || got != want {
			t.Errorf("ParseOutput(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"yml", "jsonpath", "jsonpath=", "json=x", "table "} {
		if got, err := render.ParseOutput(in); err == nil {
			t.Errorf("ParseOutput(%q) = %+v, and no error", in, got)
		}
	}
}

func TestEveryFormatIsDrawn(t *testing.T) {
	for _, f := range render.Formats() {
		tpl := map[render.Format]string{
			render.JSONPath: "{.kind}", render.JSONPathFile: "{.kind}", render.GoTemplate: "{{.kind}}", render.GoTemplateFile: "{{.kind}}",
			render.CustomColumns: "A:.name", render.CustomColumnsFile: "A\n.name",
		}[f]
		if draw(t, outOfProcesses(), render.Options{Format: f, Template: tpl}) == "" {
			t.Errorf("%s writes nothing", f)
		}
	}
}
