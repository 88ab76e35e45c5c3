package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// CauseList is the document that causes are written as for other programs.
type CauseList struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"` // CauseList
	Causes     []Cause `json:"causes"`
}

// Cause is one entry of the catalogue, without its rules.
type Cause struct {
	Code  diagnose.Code `json:"code"`
	Slug  string        `json:"slug"`
	Title string        `json:"title"`
	Area  diagnose.Area `json:"area"`
	Reach scope.Reach   `json:"reach"`
	// ShownBy is where it shows: api, log, or neither, where other causes' evidence fits it as well.
	ShownBy   []diagnose.Shown `json:"shownBy"`
	Needs     []snapshot.Kind  `json:"needs"`
	Optional  []snapshot.Kind  `json:"optional"`
	Since     string           `json:"since,omitempty"`
	Until     string           `json:"until,omitempty"`
	Lines     []LogLine        `json:"lines"`
	Symptom   string           `json:"symptom"`
	Mechanism string           `json:"mechanism"`
	Confirm   []string         `json:"confirm"`
	Remedies  []report.Remedy  `json:"remedies"`
	Refs      []string         `json:"refs"`
}

// LogLine is how a line of a node's log betrays a cause.
type LogLine struct {
	All          []string            `json:"all,omitempty"`
	Any          []string            `json:"any,omitempty"`
	None         []string            `json:"none,omitempty"`
	Pattern      string              `json:"pattern,omitempty"`
	Confidence   diagnose.Confidence `json:"confidence"`
	Alternatives []string            `json:"alternatives,omitempty"`
}

func logLines(c diagnose.Cause) []LogLine {
	out := []LogLine{}
	for _, m := range c.Log {
		l := LogLine{All: m.All, Any: m.Any, None: m.None, Pattern: m.Pattern, Confidence: m.Confidence, Alternatives: m.Alternatives}
		if l.Confidence == "" {
			l.Confidence = diagnose.Likely
		}
		out = append(out, l)
	}
	return out
}

// words are the line in words.
func (l LogLine) words() string {
	quoted := func(list []string) []string {
		var out []string
		for _, s := range list {
			out = append(out, "“"+s+"”")
		}
		return out
	}
	var parts []string
	if len(l.All) > 0 {
		parts = append(parts, strings.Join(quoted(l.All), " and "))
	}
	if len(l.Any) > 0 {
		parts = append(parts, strings.Join(quoted(l.Any), " or "))
	}
	s := strings.Join(parts, ", with ")
	if len(l.None) > 0 {
		s += ", without " + strings.Join(quoted(l.None), " or ")
	}
	if l.Pattern != "" {
		s += " (as `" + l.Pattern + "`)"
	}
	return s + ": " + string(l.Confidence)
}

// versions words in which versions the cause exists; empty where in all.
func versions(d diagnose.Doc) string {
	switch {
	case d.Since != "" && d.Until != "":
		return "from " + d.Since + " to " + d.Until
	case d.Since != "":
		return "since " + d.Since
	case d.Until != "":
		return "until " + d.Until
	default:
		return ""
	}
}

func causeList(causes []diagnose.Cause) CauseList {
	out := CauseList{APIVersion: report.APIVersion, Kind: "CauseList", Causes: []Cause{}}
	for _, c := range causes {
		d := Cause{
			Code: c.Code, Slug: c.Slug, Title: c.Doc.Title, Area: c.Area(), Reach: c.Reach, ShownBy: c.Shown(),
			Needs: append([]snapshot.Kind{}, c.Needs...), Optional: append([]snapshot.Kind{}, c.Optional...),
			Since: c.Doc.Since, Until: c.Doc.Until, Lines: logLines(c),
			Symptom: c.Doc.Symptom, Mechanism: c.Doc.Mechanism, Confirm: append([]string{}, c.Doc.Confirm...),
			Remedies: []report.Remedy{}, Refs: append([]string{}, c.Doc.Refs...),
		}
		for _, r := range c.Doc.Remedies {
			d.Remedies = append(d.Remedies, report.Remedy(r))
		}
		out.Causes = append(out.Causes, d)
	}
	return out
}

// Causes writes entries of the catalogue: a line each or, where whole is set, everything about each.
func Causes(w io.Writer, causes []diagnose.Cause, o Options, whole bool) error {
	p := newPage(o, time.Time{})
	switch o.Format {
	case Table, Wide:
		if whole {
			for i, c := range causes {
				if i > 0 {
					p.blank()
				}
				p.cause(c)
			}
			return p.writeTo(w)
		}
		if err := p.causeTable(causes, o); err != nil {
			return err
		}
		return p.writeTo(w)
	case Name:
		var b strings.Builder
		for _, c := range causes {
			b.WriteString(Clean(string(c.Code)) + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	case CustomColumns, CustomColumnsFile:
		list := causeList(causes)
		rows := make([]any, len(list.Causes))
		for i := range list.Causes {
			rows[i] = list.Causes[i]
		}
		return customColumns(w, rows, o)
	case HTML:
		return fmt.Errorf("output format %s is for what is stuck; docs/causes.md has the catalogue to read", HTML)
	default:
		return Data(w, causeList(causes), o)
	}
}

// ExplainCause writes everything about one cause.
func ExplainCause(w io.Writer, c diagnose.Cause, o Options) error {
	return Causes(w, []diagnose.Cause{c}, o, true)
}

func (p *page) causeTable(causes []diagnose.Cause, o Options) error {
	cols := []column{{head: "CODE", weight: 9}, {head: "NAME", weight: 2}, {head: "REACH", weight: 3}, {head: "TITLE", weight: 6, min: 40}}
	if o.wide() {
		cols = append(cols, column{head: "LOOKS AT", weight: 1})
	}
	for _, c := range causes {
		row := []string{string(c.Code), c.Slug, string(c.Reach), c.Doc.Title}
		if o.wide() {
			var needs []string
			for _, k := range c.Reads() {
				needs = append(needs, string(k))
			}
			row = append(row, orNone(strings.Join(needs, ",")))
		}
		for i := range cols {
			cols[i].cells = append(cols[i].cells, row[i])
		}
	}
	if len(causes) == 0 {
		p.para(0, 0, text("No cause of the catalogue fits."))
		return nil
	}
	return p.table(0, cols, o.wide())
}

func (p *page) cause(c diagnose.Cause) {
	p.para(0, 2, styled(bold, string(c.Code)+" "+c.Doc.Title), styled(dim, " ("+c.Slug+", reach "+string(c.Reach)+")"))
	for _, part := range [][2]string{{"What one sees", c.Doc.Symptom}, {"How it comes about", c.Doc.Mechanism}} {
		if part[1] != "" {
			p.title(part[0])
			p.para(2, 2, text(part[1]))
		}
	}
	if len(c.Doc.Confirm) > 0 {
		p.title("How to see it by hand")
		for _, s := range c.Doc.Confirm {
			p.command(2, "", s)
		}
	}
	if len(c.Doc.Remedies) > 0 {
		p.title("What to do, least dangerous first")
		rs := make([]report.Remedy, len(c.Doc.Remedies))
		for i, r := range c.Doc.Remedies {
			rs[i] = report.Remedy(r)
		}
		p.ladder(2, rs)
	}
	if v := versions(c.Doc); v != "" {
		p.title("Versions")
		p.para(2, 2, text(v))
	}
	if !c.Recognisable() {
		p.title("Where it shows")
		p.para(2, 2, text(whereElse(c)))
	}
	if lines := logLines(c); len(lines) > 0 {
		p.title("In the logs of a node, lines with")
		for _, l := range lines {
			p.para(2, 4, text(l.words()))
		}
	}
	if len(c.Reads()) > 0 {
		var needs []string
		for _, k := range c.Reads() {
			needs = append(needs, string(k))
		}
		p.title("Looks at")
		p.para(2, 4, text("the pod, "+strings.Join(needs, ", ")))
	}
	if len(c.Doc.Refs) > 0 {
		p.title("References")
		for _, s := range c.Doc.Refs {
			p.para(2, 4, span{text: s, whole: true})
		}
	}
}

// whereElse says of a cause without a rule why it is in the catalogue.
func whereElse(c diagnose.Cause) string {
	if len(c.Log) > 0 {
		return onlyInLogs
	}
	return onlyOnTheNode
}

const onlyInLogs = "Only in logs: nothing in the API tells it from its neighbours. `kubectl stuck node NAME --logs` and `kubectl stuck scan-logs` find it."

const onlyOnTheNode = "Only on the node itself: nothing in the API tells it from its neighbours, so that no pod is ever said to hang through it. It is named where other causes' evidence fits it as well."

// CausesMarkdown writes the catalogue as a document with a table of contents.
func CausesMarkdown(w io.Writer, causes []diagnose.Cause) error {
	var b strings.Builder
	b.WriteString("<!-- Generated from the catalogue. DO NOT EDIT. -->\n\n# Causes\n\n")
	b.WriteString("What `kubectl stuck` knows, by code. `kubectl stuck explain CODE` shows the same. Codes are never reused.\n")
	b.WriteString("In the commands, `{namespace}`, `{pod}`, `{node}` and `{subject}` stand for the names of the case at hand.\n\n")
	b.WriteString("| code | name | reach | what is wrong |\n|---|---|---|---|\n")
	for _, c := range causes {
		code := markdown(string(c.Code))
		fmt.Fprintf(&b, "| [%s](#%s) | `%s` | %s | %s |\n", code, strings.ToLower(code), cell(c.Slug), cell(string(c.Reach)), cell(c.Doc.Title))
	}
	for _, c := range causes {
		code := markdown(string(c.Code))
		fmt.Fprintf(&b, "\n<a id=\"%s\"></a>\n\n## %s %s\n\n`%s` · reach: %s", strings.ToLower(code), code, markdown(c.Doc.Title), markdown(c.Slug), markdown(string(c.Reach)))
		if len(c.Reads()) > 0 {
			b.WriteString(" · looks at:")
			for i, k := range c.Reads() {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(" " + markdown(string(k)))
			}
		}
		if v := versions(c.Doc); v != "" {
			b.WriteString(" · " + markdown(v))
		}
		b.WriteString("\n")
		if !c.Recognisable() {
			b.WriteString("\n**Where it shows.** " + whereElse(c) + "\n")
		}
		for _, part := range [][2]string{{"What one sees", c.Doc.Symptom}, {"How it comes about", c.Doc.Mechanism}} {
			if part[1] != "" {
				fmt.Fprintf(&b, "\n**%s.** %s\n", part[0], markdown(part[1]))
			}
		}
		if len(c.Doc.Confirm) > 0 {
			b.WriteString("\n**How to see it by hand.**\n\n```sh\n")
			for _, s := range c.Doc.Confirm {
				b.WriteString(Clean(s) + "\n")
			}
			b.WriteString("```\n")
		}
		if len(c.Doc.Remedies) > 0 {
			b.WriteString("\n**What to do, least dangerous first.**\n\n")
			for i, r := range c.Doc.Remedies {
				fmt.Fprintf(&b, "%d. Risk %s: %s\n", i+1, markdown(string(r.Risk)), markdown(r.Text))
				if r.Command != "" {
					fmt.Fprintf(&b, "\n   ```sh\n   %s\n   ```\n", Clean(r.Command))
				}
			}
		}
		if lines := logLines(c); len(lines) > 0 {
			b.WriteString("\n**In the logs of a node,** lines with\n\n")
			for _, l := range lines {
				b.WriteString("- " + markdown(l.words()) + "\n")
			}
		}
		if len(c.Doc.Refs) > 0 {
			b.WriteString("\n**References.**\n\n")
			for _, s := range c.Doc.Refs {
				b.WriteString("- " + markdown(s) + "\n")
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown escapes what would turn plain text into markup. What stands between backticks is code, and left as it is.
func markdown(s string) string {
	parts := strings.Split(Clean(s), "`")
	escape := strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`)
	for i := range parts {
		if i%2 == 0 || i == len(parts)-1 { // outside, or after a backtick that has no second
			parts[i] = escape.Replace(parts[i])
		}
	}
	return strings.Join(parts, "`")
}

// cell is markdown for a cell of a table, which ends at a bar even within code.
func cell(s string) string { return strings.ReplaceAll(markdown(s), "|", `\|`) }
