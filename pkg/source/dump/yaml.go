package dump

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
)

// yamlScanner cuts YAML into pieces of one object each, so that memory is bounded and a parser only ever sees one object. It
// cuts between documents, and between the items of a List in block style; what stands at the start of a line cannot be inside of
// a string there (YAML 1.2, 6.1 and 9.1.1).
type yamlScanner struct {
	l     *loader
	in    *bufio.Reader
	line  int64 // of the line just read, from 1
	max   int
	piece []byte
	start int64 // line of piece's first line
	over  bool  // the piece is longer than max and was dropped

	kind, apiVersion string
	list             bool
	inItems          bool
	indent           int // of the items' dashes; -1 until the first
}

// yaml reads a text of YAML documents.
func (l *loader) yaml(r *bufio.Reader, f *file, explicit bool) error {
	f.lines = true
	f.path = "" // objects are kept as JSON
	l.begin(f, explicit)
	s := &yamlScanner{l: l, in: r, max: l.limits.YAMLObjectBytes, indent: -1}
	err := s.scan()
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	if ferr := l.flush(); ferr != nil || err == nil {
		return ferr
	}
	return f.errorAt(s.line, truncated(err))
}

func (s *yamlScanner) scan() error {
	for {
		line, err := s.readLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) > 0 {
			if err := s.next(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return s.endDocument()
		}
	}
}

// readLine returns a line with its end, valid until the next call.
func (s *yamlScanner) readLine() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(long) > s.max {
				s.line++
				return nil, fmt.Errorf("a line is longer than %d bytes (YAMLObjectBytes): %w", s.max, ErrLimit)
			}
			line, err = s.in.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if len(line) > 0 {
		s.line++
		if s.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
	}
	return line, err
}

func (s *yamlScanner) next(line []byte) error {
	text := bytes.TrimRight(line, " \t\r\n")
	if rest, ok := bytes.CutPrefix(text, []byte("---")); ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t') {
		if err := s.endDocument(); err != nil {
			return err
		}
		if rest = bytes.TrimSpace(rest); len(rest) == 0 || rest[0] == '#' {
			return nil
		}
		line = slices.Concat(rest, []byte{'\n'})
	} else if string(text) == "..." {
		return s.endDocument()
	}
	if s.inItems {
		taken, err := s.item(line, text)
		if taken || err != nil {
			return err
		}
	}
	if bytes.HasPrefix(text, []byte("items:")) && bare(text[len("items:"):]) && !s.list {
		s.inItems, s.indent = true, -1
		return nil
	}
	if v, ok := bytes.CutPrefix(text, []byte("kind:")); ok {
		s.kind = scalar(v)
	}
	if v, ok := bytes.CutPrefix(text, []byte("apiVersion:")); ok {
		s.apiVersion = scalar(v)
	}
	s.add(line)
	return nil
}

// item takes a line that belongs to the items of a List.
func (s *yamlScanner) item(line, text []byte) (taken bool, err error) {
	trimmed := bytes.TrimLeft(text, " ")
	indent := len(text) - len(trimmed)
	if len(trimmed) == 0 || trimmed[0] == '#' {
		if s.list {
			s.add(line)
		}
		return true, nil
	}
	dash := trimmed[0] == '-' && (len(trimmed) == 1 || trimmed[1] == ' ')
	switch {
	case s.indent < 0 && dash:
		s.indent = indent
		s.list = true
		s.piece, s.over = s.piece[:0], false // the List's own fields
		if err := s.l.listStart(s.kind, s.apiVersion); err != nil {
			return true, err
		}
	case s.indent < 0 && indent > 0: // items in flow style on lines of their own
		s.inItems = false
		s.add([]byte("items:\n"))
		return false, nil
	case s.indent < 0: // items: null
		s.inItems = false
		return false, nil
	case dash && indent == s.indent:
		if err := s.endPiece(); err != nil {
			return true, err
		}
	case indent > s.indent:
		s.add(line)
		return true, nil
	case indent == 0:
		s.inItems = false
		return false, s.endPiece()
	default:
		return true, errors.New("this line is indented less than the items of the List before it")
	}
	line = bytes.Clone(line)
	line[indent] = ' '
	s.add(line)
	return true, nil
}

func (s *yamlScanner) add(line []byte) {
	if len(s.piece) == 0 {
		s.start = s.line
	}
	if len(s.piece)+len(line) > s.max {
		s.over = true
		return
	}
	s.piece = append(s.piece, line...)
}

// endPiece hands out an item.
func (s *yamlScanner) endPiece() error {
	piece, over := s.piece, s.over
	s.piece, s.over = s.piece[:0], false
	if over {
		return fmt.Errorf("an object is longer than %d bytes (YAMLObjectBytes): %w", s.max, ErrLimit)
	}
	if len(bytes.TrimSpace(piece)) == 0 {
		return nil
	}
	return s.l.put(markChunk, piece, s.start)
}

func (s *yamlScanner) endDocument() error {
	defer func() {
		s.kind, s.apiVersion, s.list, s.inItems, s.indent = "", "", false, false, -1
		s.piece, s.over = s.piece[:0], false
	}()
	if s.list {
		if s.inItems {
			if err := s.endPiece(); err != nil {
				return err
			}
		}
		if s.kind == "" { // kubectl prints it after the items
			return errEndsEarly
		}
		return s.l.listEnd(s.kind, s.apiVersion)
	}
	if s.kind == "" && !bytes.HasPrefix(s.piece, []byte("- ")) && !bytes.HasPrefix(s.piece, []byte("{")) || s.kind != "" && s.apiVersion == "" {
		return nil // not an object of Kubernetes
	}
	return s.endPiece()
}

// bare tells whether nothing but a comment stands there.
func bare(text []byte) bool {
	text = bytes.TrimSpace(text)
	return len(text) == 0 || text[0] == '#'
}

// scalar reads a plain or quoted value of one line.
func scalar(text []byte) string {
	s := strings.TrimSpace(string(text))
	if i := strings.Index(s, " #"); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	return strings.Trim(s, `"'`)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// yamlToJSON converts one YAML document to JSON. Aliases are refused: no tool writes them into a dump, and they can make a short text
// arbitrarily long. line is where an error is, from 0.
func yamlToJSON(data []byte, l Limits) (out []byte, line int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, line, err = nil, 0, fmt.Errorf("the YAML parser failed: %v", r)
		}
	}()
	if err := yamlBudget(data); err != nil {
		return nil, 0, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		text := err.Error()
		m := yamlLine.FindStringSubmatch(text)
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n > 0 {
			line = n - 1
		}
		return nil, line, errors.New(strings.TrimPrefix(text, m[0]))
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return []byte("{}"), 0, nil
	}
	w := yamlWriter{out: make([]byte, 0, len(data)), maxDepth: l.Depth}
	if err := w.write(doc.Content[0], 1); err != nil {
		return nil, int64(w.line - 1), err
	}
	return w.out, 0, nil
}

// yamlValues is how many values one YAML object may have: each takes about 200 bytes while it is parsed.
const yamlValues = 500_000

// yamlBudget refuses a text that would parse into too many values: each needs one of these characters.
func yamlBudget(data []byte) error {
	n := 0
	for _, b := range data {
		switch b {
		case '\n', ',', '[', '{', '-', '?', ':':
			n++
		}
	}
	if n > 4*yamlValues {
		return fmt.Errorf("more than %d values in one object: %w", yamlValues, ErrLimit)
	}
	return nil
}

type yamlWriter struct {
	out      []byte
	line     int // of the node an error is about
	maxDepth int
}

func (w *yamlWriter) fail(n *yaml.Node, format string, args ...any) error {
	w.line = max(1, n.Line)
	return fmt.Errorf(format, args...)
}

func (w *yamlWriter) write(n *yaml.Node, depth int) error {
	if depth > w.maxDepth {
		return w.fail(n, "nested deeper than %d levels (Depth): %w", w.maxDepth, ErrLimit)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.fail(n, "alias *%.50s: aliases are not accepted", n.Value)
	case yaml.MappingNode:
		w.out = append(w.out, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				return w.fail(k, "a key that is not a plain value")
			}
			w.out = appendString(w.out, k.Value)
			w.out = append(w.out, ':')
			if err := w.write(n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, '}')
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, e := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.write(e, depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, ']')
	case yaml.ScalarNode:
		return w.scalar(n)
	default:
		return w.fail(n, "a YAML node of unknown kind %d", n.Kind)
	}
	return nil
}

func (w *yamlWriter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		w.out = append(w.out, "null"...)
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			return w.fail(n, "%.50q is not a boolean", n.Value)
		}
		w.out = strconv.AppendBool(w.out, v)
	case "!!int", "!!float":
		if isNumber([]byte(n.Value)) {
			w.out = append(w.out, n.Value...)
			return nil
		}
		var v float64
		var i int64
		switch {
		case n.Decode(&i) == nil:
			w.out = strconv.AppendInt(w.out, i, 10)
		case n.Decode(&v) == nil && !math.IsInf(v, 0) && !math.IsNaN(v):
			w.out = strconv.AppendFloat(w.out, v, 'g', -1, 64)
		default:
			return w.fail(n, "%.50q is not a number", n.Value)
		}
	default:
		w.out = appendString(w.out, n.Value)
	}
	return nil
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		switch b := s[i]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
			i++
		case b < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			i++
		case b < utf8.RuneSelf:
			dst = append(dst, b)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}
