package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// Format is how the report is written.
type Format string

// The formats.
const (
	Table             Format = "" // for people: the verdict, the reason, the pods, what to run next
	Wide              Format = "wide"
	JSON              Format = "json"
	YAML              Format = "yaml"
	Name              Format = "name"
	HTML              Format = "html"
	JSONPath          Format = "jsonpath"
	JSONPathFile      Format = "jsonpath-file"
	GoTemplate        Format = "go-template"
	GoTemplateFile    Format = "go-template-file"
	CustomColumns     Format = "custom-columns"
	CustomColumnsFile Format = "custom-columns-file"
)

// Formats lists the values that --output takes, in the order in which help shows them.
func Formats() []Format {
	return []Format{
		Wide, JSON, YAML, Name, HTML, JSONPath, JSONPathFile, GoTemplate, GoTemplateFile, CustomColumns, CustomColumnsFile,
	}
}

// templates are the formats that need an argument after "=", and whether it is the name of a file.
func (f Format) takesTemplate() (takes, file bool) {
	switch f {
	case JSONPath, GoTemplate, CustomColumns:
		return true, false
	case JSONPathFile, GoTemplateFile, CustomColumnsFile:
		return true, true
	default:
		return false, false
	}
}

// Data tells whether the format is meant for programs: the document as it is, rather than text about it.
func (f Format) Data() bool { return f != Table && f != Wide && f != HTML }

// Output is a value of --output, taken apart.
type Output struct {
	Format Format
	// Template is the part after "=".
	Template string
	// File tells that Template names a file, whose content has to take its place before anything is printed.
	File bool
}

// ParseOutput takes a value of --output apart: "", "wide", "json", "jsonpath={.summary}", "jsonpath-file=PATH".
func ParseOutput(s string) (Output, error) {
	name, template, has := strings.Cut(s, "=")
	f := Format(name)
	if f != Table && !slices.Contains(Formats(), f) {
		return Output{}, fmt.Errorf("unknown output format %q: use one of %s", name, formatList())
	}
	takes, file := f.takesTemplate()
	switch {
	case takes && template == "":
		return Output{}, fmt.Errorf("output format %s needs a template: %s=…", f, f)
	case has && !takes:
		return Output{}, fmt.Errorf("output format %q takes no template", f)
	}
	return Output{Format: f, Template: template, File: file}, nil
}

func formatList() string {
	var l []string
	for _, f := range Formats() {
		l = append(l, string(f))
	}
	return strings.Join(l, ", ")
}

// View is what of the report is shown to people. Data formats show all of it.
type View string

// The views.
const (
	Pods         View = "pods"          // the stuck pods, in groups
	NodeOverview View = "node-overview" // a line per node
	NodeDetail   View = "node"          // the whole story of each node that was asked for
	Explain      View = "explain"       // the whole story of each pod, or node, that was asked for
)

// Options say how to print.
type Options struct {
	Format Format
	// Template is the text of a template for the formats that need one; never the name of a file.
	Template string
	View     View // Pods where it is empty
	// Width is how many cells a line may take; 80 where it is 0.
	Width int
	// Color allows colours.
	Color bool
	// Terminal tells that somebody looks at the output. Templates then get clean text to print; programs get the
	// text as the cluster has it. Every other format is safe to look at in any case.
	Terminal bool
	// MaxPods is how many pods of one group the table shows; 0 is 10, less is all.
	MaxPods int
	// MaxGroups is how many groups the table shows; 0 is 10, less is all.
	MaxGroups int
	// NoHeaders leaves the line of headers out of custom columns.
	NoHeaders bool
	// AllowMissingTemplateKeys prints nothing for what a template asks for in vain, rather than failing.
	AllowMissingTemplateKeys bool
}

// limits are MaxPods and MaxGroups with the defaults filled in; 0 means all.
func (o Options) limits() (pods, groups int) {
	of := func(n int) int {
		switch {
		case n < 0 || n == 0 && o.Format == Wide:
			return 0
		case n == 0:
			return 10
		}
		return n
	}
	return of(o.MaxPods), of(o.MaxGroups)
}

func (o Options) wide() bool { return o.Format == Wide }

// Report writes the report.
func Report(w io.Writer, r *report.Report, o Options) error {
	switch o.Format {
	case Table, Wide:
		p := newPage(o, r.TakenAt)
		if err := p.view(r, o); err != nil {
			return err
		}
		return p.writeTo(w)
	case Name:
		return names(w, r, o)
	case HTML:
		return html(w, r)
	case CustomColumns, CustomColumnsFile:
		return customColumns(w, objects(r, o), o)
	default:
		return Data(w, r, o)
	}
}

func (p *page) view(r *report.Report, o Options) error {
	switch o.View {
	case Pods, "":
		return p.pods(r, o)
	case NodeOverview:
		return p.overview(r, o)
	case NodeDetail:
		return p.stories(r, o)
	case Explain:
		return p.explain(r, o)
	default:
		return fmt.Errorf("unknown view %q", o.View)
	}
}
