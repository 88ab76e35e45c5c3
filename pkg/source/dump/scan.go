package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// docHandler is told what a scanner finds, in the order in which it stands in the file.
type docHandler interface {
	// object gets one object's bytes, valid during the call, and where they begin: the byte offset in JSON, the line
	// in YAML.
	object(data []byte, at int64) error
	// listStart begins a List. kind and apiVersion are the list's where they stand before its items, else empty.
	listStart(kind, apiVersion string) error
	// listEnd ends it; kind and apiVersion are known now if the list has them.
	listEnd(kind, apiVersion string) error
}

var (
	errEndsEarly = errors.New("the file ends in the middle of an object; it was cut off")
)

// jsonScanner finds the objects in a stream of JSON documents: single objects, Lists whose items are handed out one
// by one, arrays of either, and the log sections that "kubectl cluster-info dump" prints between them. It looks at
// brackets and strings only; the cursor checks what is inside an object.
type jsonScanner struct {
	in       io.Reader
	buf      []byte
	r, w     int   // buf[r:w] is not consumed yet
	base     int64 // offset in the stream of buf[0]
	keep     int   // buf[keep:] must stay; -1 none
	max      int   // longest object
	maxDepth int
	marked   bool // something that looks like Kubernetes was seen
}

const scanWindow = 256 << 10

func newJSONScanner(in io.Reader, l Limits) *jsonScanner {
	return &jsonScanner{in: in, buf: make([]byte, scanWindow), keep: -1, max: l.ObjectBytes, maxDepth: l.Depth}
}

// offset is where the next byte stands in the stream.
func (s *jsonScanner) offset() int64 { return s.base + int64(s.r) }

// fill reads more; io.EOF where there is no more.
func (s *jsonScanner) fill() error {
	from := s.r
	if s.keep >= 0 {
		from = s.keep
	}
	if from > 0 {
		copy(s.buf, s.buf[from:s.w])
		s.base += int64(from)
		s.r -= from
		s.w -= from
		if s.keep >= 0 {
			s.keep = 0
		}
	}
	if s.w == len(s.buf) {
		if s.w >= s.max {
			return fmt.Errorf("an object is longer than %d bytes (ObjectBytes): %w", s.max, ErrLimit)
		}
		grown := make([]byte, min(2*len(s.buf), s.max))
		copy(grown, s.buf[:s.w])
		s.buf = grown
	}
	for range 100 {
		n, err := s.in.Read(s.buf[s.w:])
		s.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// space goes to the next byte that is not white space and returns it without consuming it.
func (s *jsonScanner) space() (byte, error) {
	for {
		for s.r < s.w {
			switch c := s.buf[s.r]; c {
			case ' ', '\n', '\t', '\r':
				s.r++
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// inside is space within a document, where the end of the file is an error.
func (s *jsonScanner) inside() (byte, error) {
	c, err := s.space()
	if errors.Is(err, io.EOF) {
		err = errEndsEarly
	}
	return c, err
}

// scan hands every object of the stream to h. Errors do not name the place: see offset.
func (s *jsonScanner) scan(h docHandler) error {
	if _, err := s.space(); err == nil && bytes.HasPrefix(s.buf[s.r:s.w], []byte("\xef\xbb\xbf")) {
		s.r += 3
	}
	for {
		c, err := s.space()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch c {
		case '{':
			err = s.document(h)
		case '[':
			err = s.elements(func() error {
				if c, err := s.inside(); err != nil {
					return err
				} else if c != '{' {
					return s.skip()
				}
				return s.document(h)
			})
		case '-', '=':
			err = s.separator()
		default:
			err = unexpected(c, "a JSON object")
		}
		if err != nil {
			return err
		}
	}
}

func unexpected(c byte, want string) error {
	return fmt.Errorf("unexpected character %q where %s should begin", c, want)
}

// document reads one top-level object.
func (s *jsonScanner) document(h docHandler) error {
	s.keep = s.r
	defer func() { s.keep = -1 }()
	at := s.offset()
	s.r++
	var kind, apiVersion string
	list, null := false, false
	for first := true; ; first = false {
		key, end, err := s.member(first)
		if err != nil {
			return err
		}
		if end {
			break
		}
		c, err := s.inside()
		if err != nil {
			return err
		}
		switch {
		case key == "items" && c == '[':
			s.keep = -1
			if !list {
				list = true
				if err := h.listStart(kind, apiVersion); err != nil {
					return err
				}
			}
			if err := s.elements(func() error { return s.item(h) }); err != nil {
				return err
			}
		case c == '"' && (key == "kind" || key == "apiVersion"):
			v, err := s.shortString()
			if err != nil {
				return err
			}
			s.marked = true
			if key == "kind" {
				kind = v
			} else {
				apiVersion = v
			}
		default:
			null = null || key == "items" && c == 'n'
			if err := s.skip(); err != nil {
				return err
			}
		}
	}
	if null && !list && strings.HasSuffix(kind, "List") { // "items": null, as Go prints an empty list
		list = true
		if err := h.listStart(kind, apiVersion); err != nil {
			return err
		}
	}
	if list {
		return h.listEnd(kind, apiVersion)
	}
	return h.object(s.buf[s.keep:s.r], at)
}

// item hands out one element of a List.
func (s *jsonScanner) item(h docHandler) error {
	c, err := s.inside()
	if err != nil {
		return err
	}
	if c != '{' {
		if s.marked {
			return unexpected(c, "an item of a List")
		}
		return s.skip()
	}
	s.keep = s.r
	defer func() { s.keep = -1 }()
	at := s.offset()
	if err := s.skip(); err != nil {
		return err
	}
	return h.object(s.buf[s.keep:s.r], at)
}

// member reads `"key":` of an object, or its end.
func (s *jsonScanner) member(first bool) (key string, end bool, err error) {
	c, err := s.inside()
	if err != nil {
		return "", false, err
	}
	if c == '}' {
		s.r++
		return "", true, nil
	}
	if !first {
		if c != ',' {
			return "", false, unexpected(c, "a comma or the end of an object")
		}
		s.r++
		if c, err = s.inside(); err != nil {
			return "", false, err
		}
	}
	if c != '"' {
		return "", false, unexpected(c, "a key")
	}
	if key, err = s.shortString(); err != nil {
		return "", false, err
	}
	if c, err = s.inside(); err != nil {
		return "", false, err
	}
	if c != ':' {
		return "", false, unexpected(c, "a colon")
	}
	s.r++
	return key, false, nil
}

// elements calls each for every element of an array; each must consume it.
func (s *jsonScanner) elements(each func() error) error {
	s.r++
	for first := true; ; first = false {
		c, err := s.inside()
		if err != nil {
			return err
		}
		if c == ']' {
			s.r++
			return nil
		}
		if !first {
			if c != ',' {
				return unexpected(c, "a comma or the end of an array")
			}
			s.r++
			if _, err := s.inside(); err != nil {
				return err
			}
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// shortString consumes a string and returns it raw, without its quotes; keys and kinds have no escapes. What is longer
// than a thousand bytes comes back empty.
func (s *jsonScanner) shortString() (string, error) {
	s.r++
	var out []byte
	for {
		chunk := s.buf[s.r:s.w]
		if i := bytes.IndexAny(chunk, `"\`); i >= 0 && chunk[i] == '"' {
			out = append(out, chunk[:i]...)
			s.r += i + 1
			if len(out) > 1000 {
				return "", nil
			}
			return string(out), nil
		} else if i >= 0 {
			s.r += i
			return "", s.stringRest()
		}
		if len(out) <= 1000 {
			out = append(out, chunk...)
		}
		s.r = s.w
		if err := s.fill(); err != nil {
			return "", early(err)
		}
	}
}

// stringRest consumes the rest of a string, from inside it to its closing quote.
func (s *jsonScanner) stringRest() error {
	for {
		for s.r < s.w {
			chunk := s.buf[s.r:s.w]
			i := bytes.IndexByte(chunk, '"')
			part := chunk
			if i >= 0 {
				part = chunk[:i]
			}
			j := bytes.IndexByte(part, '\\')
			if j < 0 {
				s.r += len(part)
				if i >= 0 {
					s.r++
					return nil
				}
				break
			}
			s.r += j + 1 // at the escaped byte
			if s.r == s.w {
				if err := s.fill(); err != nil {
					return early(err)
				}
			}
			s.r++
		}
		if s.r >= s.w {
			if err := s.fill(); err != nil {
				return early(err)
			}
		}
	}
}

func early(err error) error {
	if errors.Is(err, io.EOF) {
		return errEndsEarly
	}
	return err
}

// plain marks the bytes that skip may pass without a thought when it is inside an object or array.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = !strings.ContainsRune(`"{}[]`, rune(i)) || i >= 0x80
	}
	return t
}()

// skip consumes one value, from its first byte.
func (s *jsonScanner) skip() error {
	switch s.buf[s.r] {
	case '"':
		s.r++
		return s.stringRest()
	case '{', '[':
	default:
		return s.scalar()
	}
	depth := 0
	for {
		buf := s.buf[:s.w]
		r := s.r
		for r < len(buf) && plain[buf[r]] {
			r++
		}
		s.r = r
		if r == len(buf) {
			if err := s.fill(); err != nil {
				return early(err)
			}
			continue
		}
		s.r++
		switch buf[r] {
		case '"':
			if err := s.stringRest(); err != nil {
				return err
			}
		case '{', '[':
			if depth++; depth > s.maxDepth {
				return fmt.Errorf("nested deeper than %d levels (Depth): %w", s.maxDepth, ErrLimit)
			}
		default:
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}

// scalar consumes a number, true, false or null.
func (s *jsonScanner) scalar() error {
	n := 0
	for {
		for s.r < s.w {
			c := s.buf[s.r]
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'E' {
				s.r++
				n++
				continue
			}
			if n == 0 {
				return unexpected(c, "a value")
			}
			return nil
		}
		if err := s.fill(); err != nil {
			return early(err)
		}
	}
}

// separator consumes a line that stands between documents: "---", or a section of log lines in the output of
// kubectl cluster-info dump.
func (s *jsonScanner) separator() error {
	line, err := s.line()
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) == "---" {
		return nil
	}
	if !strings.HasPrefix(line, "==== START logs for ") {
		return unexpected(line[0], "a JSON object")
	}
	for {
		line, err = s.line()
		if errors.Is(err, io.EOF) && !strings.HasPrefix(line, "==== END logs for ") {
			return errEndsEarly
		}
		if strings.HasPrefix(line, "==== END logs for ") {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// line consumes a line and returns its first 200 bytes.
func (s *jsonScanner) line() (string, error) {
	var out []byte
	for {
		chunk := s.buf[s.r:s.w]
		i := bytes.IndexByte(chunk, '\n')
		if i >= 0 {
			chunk = chunk[:i]
		}
		out = append(out, chunk[:min(len(chunk), 200-min(200, len(out)))]...)
		s.r += len(chunk)
		if i >= 0 {
			s.r++
			return string(out), nil
		}
		if err := s.fill(); err != nil {
			if errors.Is(err, io.EOF) && len(out) > 0 {
				return string(out), nil
			}
			return string(out), err
		}
	}
}
