package live

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// errNoTable is returned before the first row where the answer is no Table with the columns that are needed.
var errNoTable = errors.New("the answer is not a Table of pods")

// maxInterned bounds the number of different STATUS words and nodes that are remembered, so that a cluster
// that makes words up does not fill the memory.
const maxInterned = 1 << 17

// columns says at which position a Table has the cells of a census row; -1 where it has none.
type columns struct{ name, ready, status, node int }

// decodeTable reads a Table of pods as it arrives and calls row for each. Its memory does not grow with the
// number of rows. Columns are found by the names in columnDefinitions (name, type, format: see
// metav1.TableColumnDefinition); the names are those of printers/internalversion for pods.
func decodeTable(in io.Reader, row func(*source.Row)) error {
	s := &scanner{r: bufio.NewReaderSize(in, 64<<10)}
	t := &tableDecoder{s: s, row: row, cols: columns{-1, -1, -1, -1}, words: map[string]string{}}
	sawRows := false
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "columnDefinitions":
			return t.definitions()
		case "rows":
			if t.cols.name < 0 || t.cols.ready < 0 || t.cols.status < 0 || t.cols.node < 0 {
				return errNoTable
			}
			sawRows = true
			return t.rows()
		default:
			return s.skip()
		}
	})
	if err == nil && !sawRows {
		return errNoTable
	}
	return err
}

type tableDecoder struct {
	s     *scanner
	row   func(*source.Row)
	cols  columns
	words map[string]string
}

func (t *tableDecoder) definitions() error {
	i := 0
	return t.s.array(func() error {
		defer func() { i++ }()
		return t.s.object(func(key []byte) error {
			if string(key) != "name" {
				return t.s.skip()
			}
			name, _, err := t.s.scalar()
			if err != nil {
				return err
			}
			switch string(name) {
			case "Name":
				t.cols.name = i
			case "Ready":
				t.cols.ready = i
			case "Status":
				t.cols.status = i
			case "Node":
				t.cols.node = i
			}
			return nil
		})
	})
}

func (t *tableDecoder) rows() error {
	var r source.Row
	var i int
	cell := func() error {
		defer func() { i++ }()
		switch i {
		case t.cols.name, t.cols.ready, t.cols.status, t.cols.node:
		default:
			return t.s.skip()
		}
		v, isString, err := t.s.scalar()
		if err != nil {
			return err
		}
		if !isString {
			return nil // null, or a number where a word is due
		}
		switch i {
		case t.cols.name:
			r.Name = string(v)
		case t.cols.ready:
			r.Ready, r.Containers = fraction(v)
		case t.cols.status:
			r.Status = t.word(v)
		case t.cols.node:
			if string(v) != "<none>" { // how the API server prints an empty cell
				r.Node = t.word(v)
			}
		}
		return nil
	}
	field := func(key []byte) error {
		if string(key) != "cells" {
			return t.s.skip()
		}
		i = 0
		return t.s.array(cell)
	}
	return t.s.array(func() error {
		r = source.Row{}
		if err := t.s.object(field); err != nil {
			return err
		}
		t.row(&r)
		return nil
	})
}

// word returns the bytes as a string, the same string for the same bytes.
func (t *tableDecoder) word(b []byte) string {
	if w, ok := t.words[string(b)]; ok {
		return w
	}
	w := string(b)
	if len(t.words) < maxInterned {
		t.words[w] = w
	}
	return w
}

// fraction reads "1/2"; anything else is 0 of 0.
func fraction(b []byte) (ready, of int) {
	before, after, ok := bytes.Cut(b, []byte("/"))
	if !ok {
		return 0, 0
	}
	ready, err := strconv.Atoi(string(before))
	if err != nil {
		return 0, 0
	}
	of, err = strconv.Atoi(string(after))
	if err != nil {
		return 0, 0
	}
	return ready, of
}

// scanner reads JSON without building values. encoding/json allocates for every token, which for 100,000
// rows takes longer than the server needs to make them.
type scanner struct {
	r     *bufio.Reader
	key   []byte // the last name
	depth int
}

// unquote resolves the escapes of a JSON string, given with its quotes.
func unquote(quoted []byte) ([]byte, error) {
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil, err
	}
	return []byte(s), nil
}

// maxDepth bounds nesting. A Table without objects nests four deep.
const maxDepth = 64

func malformed(got byte, want string) error {
	return fmt.Errorf("malformed JSON: %q where %s is due", got, want)
}

// next returns the next byte that is not white space.
func (s *scanner) next() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c, nil
		}
	}
}

// peek returns the next byte that is not white space, and leaves it there.
func (s *scanner) peek() (byte, error) {
	c, err := s.next()
	if err != nil {
		return 0, err
	}
	return c, s.r.UnreadByte()
}

// object reads an object, or null, and calls field for each of its keys; field must read the value. The key is
// only valid until then.
func (s *scanner) object(field func(key []byte) error) error {
	return s.list('{', '}', func() error {
		c, err := s.next()
		if err != nil {
			return err
		}
		if c != '"' {
			return malformed(c, "a name")
		}
		key, err := s.str()
		if err != nil {
			return err
		}
		// Reading on may move the reader's buffer: the key has to be safe from that.
		s.key = append(s.key[:0], key...)
		if c, err = s.next(); err != nil {
			return err
		}
		if c != ':' {
			return malformed(c, "a colon")
		}
		return field(s.key)
	})
}

// array reads an array, or null, and calls item for each of its values; item must read the value.
func (s *scanner) array(item func() error) error { return s.list('[', ']', item) }

func (s *scanner) list(open, end byte, item func() error) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	if c == 'n' {
		return s.literal()
	}
	if c != open {
		return malformed(c, string(open))
	}
	if s.depth++; s.depth > maxDepth {
		return errors.New("malformed JSON: nested too deep")
	}
	defer func() { s.depth-- }()
	if c, err = s.peek(); err != nil {
		return err
	}
	if c == end {
		_, err = s.next()
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		c, err := s.next()
		if err != nil {
			return err
		}
		switch c {
		case ',':
		case end:
			return nil
		default:
			return malformed(c, "a comma or "+string(end))
		}
	}
}

// scalar reads a string, a number or a literal. The bytes are only valid until the next read.
func (s *scanner) scalar() (value []byte, isString bool, err error) {
	c, err := s.next()
	if err != nil {
		return nil, false, err
	}
	switch c {
	case '"':
		value, err = s.str()
		return value, true, err
	case '{', '[':
		return nil, false, malformed(c, "a string or a number")
	default:
		return nil, false, s.literal()
	}
}

// literal passes over the rest of a number, true, false or null.
func (s *scanner) literal() error {
	for {
		c, err := s.r.ReadByte()
		if err == io.EOF {
			return nil // the caller misses what must follow
		}
		if err != nil {
			return err
		}
		switch c {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			return s.r.UnreadByte()
		}
	}
}

// str reads a string whose opening quote was read. The bytes are only valid until the next read.
func (s *scanner) str() ([]byte, error) {
	b, err := s.r.ReadSlice('"')
	if err == nil && bytes.IndexByte(b, '\\') < 0 {
		return b[:len(b)-1], nil
	}
	// An escape, or a string longer than the buffer.
	quoted := append(make([]byte, 0, 2*len(b)+2), '"')
	quoted = append(quoted, b...)
	for errors.Is(err, bufio.ErrBufferFull) || (err == nil && escaped(quoted)) {
		if len(quoted) > maxObject {
			return nil, errors.New("malformed JSON: a string without end")
		}
		b, err = s.r.ReadSlice('"')
		quoted = append(quoted, b...)
	}
	if err != nil {
		return nil, cut(err)
	}
	return unquote(quoted)
}

// skipString passes over a string. Most cells are strings that nobody reads, with escapes in them: the API server
// writes "<none>" as "\u003cnone\u003e".
func (s *scanner) skipString() error {
	if _, err := s.next(); err != nil {
		return err
	}
	backslashes := 0 // at the end of what was read
	for {
		b, err := s.r.ReadSlice('"')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return cut(err)
		}
		body := b
		if err == nil {
			body = b[:len(b)-1]
		}
		n := len(body)
		for n > 0 && body[n-1] == '\\' {
			n--
		}
		if n > 0 {
			backslashes = 0
		}
		backslashes += len(body) - n
		if err == nil {
			if backslashes%2 == 0 {
				return nil
			}
			backslashes = 0 // the quote was escaped
		}
	}
}

// escaped tells whether the quote at the end is part of the string, because a backslash is before it.
func escaped(b []byte) bool {
	n := 0
	for i := len(b) - 2; i > 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// skip passes over any value.
func (s *scanner) skip() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.array(s.skip)
	case '"':
		return s.skipString()
	default:
		_, _, err := s.scalar()
		return err
	}
}
