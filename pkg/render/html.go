package render

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

//go:embed report.html.tmpl
var templates embed.FS

// html writes the whole report as one file that needs nothing else: no scripts, no fonts, no images. html/template
// escapes what the cluster says, and Clean shows what a reader could be deceived by.
func html(w io.Writer, r *report.Report) error {
	r, err := cleaned(r)
	if err != nil {
		return err
	}
	p := newPage(Options{}, r.TakenAt)
	t, err := template.New("report.html.tmpl").Funcs(template.FuncMap{
		"taken": taken,
		"asked": asked,
		"when":  p.when,
		"whenp": func(t *time.Time) string {
			if t == nil {
				return ""
			}
			return p.when(*t)
		},
		"ago":     seconds,
		"count":   count,
		"objects": objectsWords,
		"created": created,
		"owner":   owner,
		"stage":   stage,
		"reach":   reachWords,
		"sure":    sure,
		"own":     own,
		"join":    strings.Join,
		"refs": func(refs []snapshot.Ref) string {
			var l []string
			for _, r := range refs {
				l = append(l, podName(&report.Report{}, r.Namespace, r.Name))
			}
			return strings.Join(l, ", ")
		},
		"gap": func(g report.Gap) string { return g.Error() },
		// Facts are a pointer in groups and none in nodes; a template passes them as they are.
		"ready": func(f any) string { return ready(facts(f)) },
		"lease": func(f any) string { return lease(facts(f)) },
		"title": causeTitle,
	}).ParseFS(templates, "report.html.tmpl")
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	if err := t.Execute(w, r); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// own are the findings of single pods that the group does not have, each once.
func own(g report.Group) []report.Finding {
	seen := map[string]bool{}
	for _, f := range g.Findings {
		seen[key(f)] = true
	}
	var out []report.Finding
	for _, p := range g.Pods {
		for _, f := range p.Findings {
			if !seen[key(f)] {
				seen[key(f)] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// cleaned is a copy of the report in which all text is clean.
func cleaned(r *report.Report) (*report.Report, error) {
	t, err := tree(r, true)
	if err != nil {
		return nil, err
	}
	j, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	out := &report.Report{}
	if err := json.Unmarshal(j, out); err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return out, nil
}

func facts(f any) report.NodeFacts {
	switch f := f.(type) {
	case *report.NodeFacts:
		return *f
	case report.NodeFacts:
		return f
	default:
		return report.NodeFacts{}
	}
}
