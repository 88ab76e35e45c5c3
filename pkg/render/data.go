package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// Data writes any document in one of the formats that are made for programs: JSON, YAML, or a template over it.
//
// The data is what the cluster has, unmodified. JSON and YAML are nevertheless safe to look at on a terminal: what
// Clean would make visible is written with the escapes that the formats have for it ("\u202e"), which mean the same.
func Data(w io.Writer, doc any, o Options) error {
	switch o.Format {
	case JSON:
		return writeJSON(w, doc)
	case YAML:
		return writeYAML(w, doc)
	case JSONPath, JSONPathFile, GoTemplate, GoTemplateFile:
		return writeTemplate(w, doc, o)
	default:
		return fmt.Errorf("output format %q cannot show this", o.Format)
	}
}

func writeJSON(w io.Writer, doc any) error {
	out, err := marshal(doc, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// marshal is JSON in which everything that Clean would not let pass is escaped.
func marshal(doc any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return escapeInvisible(b.Bytes(), func(out []byte, r rune) []byte {
		if r > 0xffff {
			hi, lo := utf16.EncodeRune(r)
			return fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
		return fmt.Appendf(out, `\u%04x`, r)
	}), nil
}

// escapeInvisible rewrites what a terminal must not get. In JSON, and in YAML where such text is quoted, it can only
// stand inside of strings. Line breaks are those of the format itself.
func escapeInvisible(in []byte, escape func([]byte, rune) []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(in); {
		r, size := utf8.DecodeRune(in[i:])
		if r != '\n' && r != ' ' && (r < ' ' || r > '~') && !visible(r) {
			out = escape(append(out, in[from:i]...), r)
			from = i + size
		}
		i += size
	}
	if from == 0 {
		return in
	}
	return append(out, in[from:]...)
}

func writeYAML(w io.Writer, doc any) error {
	j, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(j))
	d.UseNumber()
	node, err := yamlNode(d)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := errors.Join(e.Encode(node), e.Close()); err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	_, err = w.Write(escapeInvisible(b.Bytes(), func(out []byte, r rune) []byte {
		if r > 0xffff {
			return fmt.Appendf(out, `\U%08x`, r)
		}
		return fmt.Appendf(out, `\u%04x`, r)
	}))
	return err
}

// yamlNode reads one JSON value, keeping the order of its fields. Text that has to be escaped is put in quotes.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if v == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for d.More() {
			c, err := yamlNode(d) // a key is a string token, and so a node like any other
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		_, err := d.Token() // the closing one
		return n, err
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		if strings.ContainsFunc(v, func(r rune) bool { return !visible(r) }) {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n, nil
	case json.Number:
		tag := "!!int"
		if _, err := strconv.ParseInt(v.String(), 10, 64); err != nil {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}, nil
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	}
}

// tree is the document as templates see it: maps and lists with the names of the JSON fields.
func tree(doc any, terminal bool) (map[string]any, error) {
	j, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(j, &out); err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	if terminal {
		cleanTree(out)
	}
	return out, nil
}

// cleanTree makes all text below v clean, in place, and returns what v becomes.
func cleanTree(v any) any {
	switch v := v.(type) {
	case string:
		return Clean(v)
	case []any:
		for i := range v {
			v[i] = cleanTree(v[i])
		}
	case map[string]any:
		for k, inner := range v {
			delete(v, k)
			v[Clean(k)] = cleanTree(inner)
		}
	}
	return v
}

func writeTemplate(w io.Writer, doc any, o Options) error {
	t, err := tree(doc, o.Terminal)
	if err != nil {
		return err
	}
	var p printers.ResourcePrinter
	switch o.Format {
	case JSONPath, JSONPathFile:
		jp, err := printers.NewJSONPathPrinter(o.Template)
		if err != nil {
			return fmt.Errorf("read the jsonpath template %q: %w", o.Template, err)
		}
		jp.AllowMissingKeys(o.AllowMissingTemplateKeys)
		p = jp
	default:
		gp, err := printers.NewGoTemplatePrinter([]byte(o.Template))
		if err != nil {
			return fmt.Errorf("read the go-template %q: %w", o.Template, err)
		}
		gp.AllowMissingKeys(o.AllowMissingTemplateKeys)
		p = gp
	}
	// What a failing template printed is of no use to anybody.
	var b bytes.Buffer
	if err := p.PrintObj(&unstructured.Unstructured{Object: t}, &b); err != nil {
		return firstLine(err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// firstLine keeps what is wrong with a template and drops the document that kubectl's printers append to it.
func firstLine(err error) error {
	line, _, _ := strings.Cut(err.Error(), ". Printing more information")
	return errors.New(strings.TrimSpace(line))
}

// names writes what kubectl would: one pod/NAME per stuck pod, or one node/NAME per node.
func names(w io.Writer, r *report.Report, o Options) error {
	var b strings.Builder
	for _, object := range objects(r, o) {
		switch v := object.(type) {
		case report.NodeStory:
			b.WriteString("node/" + Clean(v.Name) + "\n")
		case report.Pod:
			b.WriteString("pod/" + Clean(v.Name) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// customColumns writes a row per stuck pod, or per node, as kubectl's printer does: a header and a JSONPath for each
// column. kubectl's own is not used because it brings a client for the cluster along.
func customColumns(w io.Writer, objects []any, o Options) error {
	heads, paths, err := columnSpec(o)
	if err != nil {
		return err
	}
	parsers := make([]*jsonpath.JSONPath, len(paths))
	for i, p := range paths {
		parsers[i] = jsonpath.New("column").AllowMissingKeys(true)
		if err := parsers[i].Parse(p); err != nil {
			return fmt.Errorf("read the custom column %q: %w", heads[i], err)
		}
	}
	tab := printers.GetNewTabWriter(w)
	if !o.NoHeaders {
		fmt.Fprintln(tab, strings.Join(heads, "\t"))
	}
	for _, object := range objects {
		row, err := tree(object, false)
		if err != nil {
			return err
		}
		cells := make([]string, len(parsers))
		for i, p := range parsers {
			found, err := p.FindResults(row)
			if err != nil {
				return fmt.Errorf("custom column %q: %w", heads[i], err)
			}
			var values []string
			for _, l := range found {
				for _, v := range l {
					// Always clean: a column is made to be looked at, and a tab or line break would break it.
					values = append(values, Clean(fmt.Sprint(v.Interface())))
				}
			}
			if len(values) == 0 {
				values = []string{"<none>"}
			}
			cells[i] = strings.Join(values, ",")
		}
		fmt.Fprintln(tab, strings.Join(cells, "\t"))
	}
	return tab.Flush()
}

// objects are what names and custom columns have a line for: the stuck pods, or the nodes where those were asked for.
func objects(r *report.Report, o Options) []any {
	var out []any
	if aboutNodes(r, o) {
		for _, n := range r.Nodes {
			out = append(out, n)
		}
		return out
	}
	for _, g := range r.Groups {
		for _, p := range g.Pods {
			out = append(out, p)
		}
	}
	return out
}

func aboutNodes(r *report.Report, o Options) bool {
	return o.View == NodeOverview || o.View == NodeDetail || o.View == Explain && len(r.Nodes) > 0
}

// columnSpec reads "HEADER:path,HEADER:path", or, from a file, a line of headers and a line of paths.
func columnSpec(o Options) (heads, paths []string, err error) {
	if o.Format == CustomColumnsFile {
		lines := strings.Split(strings.TrimSpace(o.Template), "\n")
		if len(lines) < 2 {
			return nil, nil, errors.New("a custom-columns file has a line of headers and a line of paths, divided by spaces")
		}
		heads, paths = strings.Fields(lines[0]), strings.Fields(lines[1])
		if len(heads) != len(paths) {
			return nil, nil, fmt.Errorf("the custom-columns file has %d headers and %d paths", len(heads), len(paths))
		}
	} else {
		for _, part := range strings.Split(o.Template, ",") {
			h, path, ok := strings.Cut(part, ":")
			if !ok {
				return nil, nil, fmt.Errorf("custom column %q is not of the form HEADER:path", part)
			}
			heads, paths = append(heads, h), append(paths, path)
		}
	}
	for i := range paths {
		if paths[i], err = relaxed(paths[i]); err != nil {
			return nil, nil, err
		}
	}
	return heads, paths, nil
}

// relaxed adds the braces and the dot that people leave out of a JSONPath, as kubectl does.
func relaxed(path string) (string, error) {
	m := regexp.MustCompile(`^(?:\{\.?([^{}]+)\}|\.?([^{}]+))$`).FindStringSubmatch(path)
	if m == nil {
		return "", fmt.Errorf("custom-columns path %q is not of the form .a.b or {.a.b}", path)
	}
	return "{." + m[1] + m[2] + "}", nil
}
