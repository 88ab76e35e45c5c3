package dump

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// cursor walks over one JSON object that is wholly in memory, checks its syntax, and decodes only what it is asked for.
// The first error sticks: every method does nothing after it.
type cursor struct {
	b     []byte
	i     int
	depth int
	max   int
	err   error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *cursor) peek() byte {
	for c.i < len(c.b) {
		switch x := c.b[c.i]; x {
		case ' ', '\n', '\t', '\r':
			c.i++
		default:
			return x
		}
	}
	c.fail("the object ends early")
	return 0
}

func (c *cursor) enter() bool {
	if c.depth++; c.depth > c.max {
		c.fail("nested deeper than %d levels (Depth): %w", c.max, ErrLimit)
	}
	return c.err == nil
}

// object calls field for each member of an object, with the cursor at the member's value. field must consume the value.
// A value of another type is skipped.
func (c *cursor) object(field func(key []byte)) {
	if c.err != nil {
		return
	}
	if c.peek() != '{' {
		c.skip()
		return
	}
	if !c.enter() {
		return
	}
	c.i++
	for first := true; c.err == nil; first = false {
		x := c.peek()
		if x == '}' {
			c.i++
			break
		}
		if !first {
			if x != ',' {
				c.wrong(x, "a comma or the end of an object")
				return
			}
			c.i++
			x = c.peek()
		}
		if x != '"' {
			c.wrong(x, "a key")
			return
		}
		key := c.str()
		if x := c.peek(); x != ':' {
			c.wrong(x, "a colon")
			return
		}
		c.i++
		if c.err == nil {
			field(key)
		}
	}
	c.depth--
}

// array calls elem for each element of an array; elem must consume it. A value of another type is skipped.
func (c *cursor) array(elem func()) {
	if c.err != nil {
		return
	}
	if c.peek() != '[' {
		c.skip()
		return
	}
	if !c.enter() {
		return
	}
	c.i++
	for first := true; c.err == nil; first = false {
		x := c.peek()
		if x == ']' {
			c.i++
			break
		}
		if !first {
			if x != ',' {
				c.wrong(x, "a comma or the end of an array")
				return
			}
			c.i++
			c.peek()
		}
		if c.err == nil {
			elem()
		}
	}
	c.depth--
}

func (c *cursor) wrong(x byte, want string) {
	if c.err == nil {
		c.err = unexpected(x, want)
	}
}

// text consumes a string and returns it decoded; it may share memory with the object. For a value of another type it
// returns nil.
func (c *cursor) text() []byte {
	if c.err != nil {
		return nil
	}
	if c.peek() != '"' {
		c.skip()
		return nil
	}
	return c.str()
}

// stops marks the bytes that end a run of ordinary string bytes.
var stops = func() (t [256]bool) {
	for i := range 0x20 {
		t[i] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// raw consumes a string from its opening quote and returns it without quotes, not decoded.
func (c *cursor) raw() (s []byte, escaped bool) {
	b, i := c.b, c.i+1
	start := i
	for {
		for i < len(b) && !stops[b[i]] {
			i++
		}
		if i >= len(b) {
			c.i = len(b)
			c.fail("a string does not end")
			return nil, false
		}
		switch b[i] {
		case '"':
			c.i = i + 1
			return b[start:i], escaped
		case '\\':
			escaped = true
			if i+1 >= len(b) {
				c.i = len(b)
				c.fail("a string does not end")
				return nil, false
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if i+6 > len(b) || !isHex(b[i+2:i+6]) {
					c.i = i
					c.fail("bad \\u escape in a string")
					return nil, false
				}
				i += 6
			default:
				c.i = i
				c.fail("bad escape \\%c in a string", b[i+1])
				return nil, false
			}
		default:
			c.i = i
			c.fail("control character %#02x in a string", b[i])
			return nil, false
		}
	}
}

func isHex(b []byte) bool {
	for _, x := range b {
		if !(x >= '0' && x <= '9' || x >= 'a' && x <= 'f' || x >= 'A' && x <= 'F') {
			return false
		}
	}
	return true
}

func (c *cursor) str() []byte {
	s, escaped := c.raw()
	if !escaped {
		return s
	}
	return unescape(s)
}

// unescape decodes a string that raw accepted.
func unescape(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		switch s[i+1] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(s[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
					if d := utf16.DecodeRune(r, hex4(s[i+2:])); d != utf8.RuneError {
						r = d
						i += 6
					} else {
						r = utf8.RuneError
					}
				} else {
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
			continue
		default:
			out = append(out, s[i+1])
		}
		i += 2
	}
	return out
}

func hex4(s []byte) rune {
	var r rune
	for _, x := range s[:4] {
		switch {
		case x <= '9':
			x -= '0'
		case x >= 'a':
			x -= 'a' - 10
		default:
			x -= 'A' - 10
		}
		r = r<<4 | rune(x)
	}
	return r
}

// integer consumes a number and returns it; 0 for what is not a whole number.
func (c *cursor) integer() int {
	if c.err != nil {
		return 0
	}
	x := c.peek()
	if x != '-' && (x < '0' || x > '9') {
		c.skip()
		return 0
	}
	start := c.i
	c.literal()
	n, neg := 0, false
	for i, x := range c.b[start:c.i] {
		switch {
		case i == 0 && x == '-':
			neg = true
		case x >= '0' && x <= '9' && n < 1<<40:
			n = n*10 + int(x-'0')
		default:
			return 0
		}
	}
	if neg {
		n = -n
	}
	return n
}

// boolean consumes a value and tells whether it is true.
func (c *cursor) boolean() bool {
	if c.err != nil {
		return false
	}
	c.peek()
	start := c.i
	c.skip()
	return c.err == nil && string(c.b[start:c.i]) == "true"
}

// literal consumes a number, true, false or null.
func (c *cursor) literal() {
	start := c.i
	for c.i < len(c.b) {
		x := c.b[c.i]
		if x >= 'a' && x <= 'z' || x >= '0' && x <= '9' || x == '-' || x == '+' || x == '.' || x == 'E' {
			c.i++
			continue
		}
		break
	}
	word := c.b[start:c.i]
	switch {
	case len(word) == 0:
		if start < len(c.b) {
			c.wrong(c.b[start], "a value")
		} else {
			c.fail("the object ends early")
		}
	case word[0] == 't' && string(word) == "true", word[0] == 'f' && string(word) == "false", word[0] == 'n' && string(word) == "null":
	case isNumber(word):
	default:
		c.i = start
		c.fail("%.20q is not a JSON value", word)
	}
}

func isNumber(b []byte) bool {
	digits := func() bool {
		n := 0
		for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
			b = b[1:]
			n++
		}
		return n > 0
	}
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 1 && b[0] == '0' && b[1] >= '0' && b[1] <= '9' || !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		b = b[1:]
		if !digits() {
			return false
		}
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(b) == 0
}

// skip consumes one value and checks its syntax.
func (c *cursor) skip() { c.walk(nil) }

// walk consumes one value and checks its syntax. at, where set, is called for every member of an object inside the value,
// with the cursor at the member's value; it returns false if it did not consume it.
func (c *cursor) walk(at func(key []byte) bool) {
	if c.err != nil {
		return
	}
	switch c.peek() {
	case '{':
		if !c.enter() {
			return
		}
		c.i++
		for first := true; c.err == nil; first = false {
			x := c.peek()
			if x == '}' {
				c.i++
				break
			}
			if !first {
				if x != ',' {
					c.wrong(x, "a comma or the end of an object")
					return
				}
				c.i++
				x = c.peek()
			}
			if x != '"' {
				c.wrong(x, "a key")
				return
			}
			key, _ := c.raw()
			if x := c.peek(); x != ':' {
				c.wrong(x, "a colon")
				return
			}
			c.i++
			if at == nil || !at(key) {
				c.walk(at)
			}
		}
		c.depth--
	case '[':
		if !c.enter() {
			return
		}
		c.i++
		for first := true; c.err == nil; first = false {
			x := c.peek()
			if x == ']' {
				c.i++
				break
			}
			if !first {
				if x != ',' {
					c.wrong(x, "a comma or the end of an array")
					return
				}
				c.i++
				c.peek()
			}
			c.walk(at)
		}
		c.depth--
	case '"':
		c.raw()
	default:
		c.literal()
	}
}

// compact appends the JSON value src to dst without the white space between its tokens.
func compact(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		switch src[i] {
		case ' ', '\n', '\t', '\r':
			i++
		case '"':
			start := i
			for i++; i < len(src) && src[i] != '"'; i++ {
				if src[i] == '\\' {
					i++
				}
			}
			i = min(i+1, len(src))
			dst = append(dst, src[start:i]...)
		default:
			dst = append(dst, src[i])
			i++
		}
	}
	return dst
}
