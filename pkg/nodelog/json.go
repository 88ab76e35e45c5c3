package nodelog

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// json reads a line that is a JSON object: journald's, kubelet's or containerd's with --log-format=json, or dockerd's copy of a container's output.
// Such a line may be cut; the fields up to there are taken.
func (c clock) json(line []byte) (header, bool) {
	h := header{format: formatJSON}
	fields := map[string][]byte{}
	if !members(line, func(key string, value []byte) {
		if _, seen := fields[key]; !seen {
			fields[key] = value
		}
	}) {
		return h, false
	}
	if _, ok := fields["__REALTIME_TIMESTAMP"]; ok || fields["__CURSOR"] != nil {
		h.format = formatJournald
		h.time = micros(text(fields["__REALTIME_TIMESTAMP"]))
		h.unit = journaldUnit(func(name string) string { return text(fields[name]) })
		if m := fields["MESSAGE"]; len(m) > 0 && m[0] == '[' {
			h.message, h.decoded = byteArray(m), true
		} else if m != nil {
			h.message = []byte(text(m))
		}
		return h, true
	}
	for _, key := range []string{"time", "ts", "timestamp", "@timestamp"} {
		if v := fields[key]; v != nil && h.time.IsZero() {
			h.time = c.jsonTime(v)
		}
	}
	return h, true
}

// jsonTime is a date in quotes or a number: seconds since 1970, or milliseconds as kubelet writes them.
func (c clock) jsonTime(v []byte) time.Time {
	if v[0] == '"' {
		t, _ := c.date([]byte(text(v)))
		return t
	}
	n, err := strconv.ParseFloat(string(v), 64)
	const thousandYears = 32e9 // seconds
	switch {
	case err != nil || n < 1e8 || n > 1e3*thousandYears:
		return time.Time{}
	case n > thousandYears:
		return time.UnixMicro(int64(n * 1e3)).UTC()
	default:
		return time.UnixMicro(int64(n * 1e6)).UTC()
	}
}

// micros is journald's time: microseconds since 1970.
func micros(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<57 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// journaldUnit is who wrote an entry: the unit or, where it is the manager's or none, the identifier or the program.
func journaldUnit(field func(name string) string) string {
	if u := field("_SYSTEMD_UNIT"); u != "" && u != "init.scope" {
		return u
	}
	for _, name := range []string{"SYSLOG_IDENTIFIER", "_COMM"} {
		if u := field(name); u != "" {
			return u
		}
	}
	return ""
}

// text is a JSON string without its quotes, of at most MaxLine bytes; of anything else what stands there.
func text(v []byte) string {
	if len(v) == 0 || v[0] != '"' {
		return string(v)
	}
	var s string
	if err := json.Unmarshal(v, &s); err == nil {
		return s
	}
	return strings.TrimPrefix(string(v), `"`) // cut
}

// byteArray is what journald writes where a message is not UTF-8, or has control characters: [82,117,110].
func byteArray(v []byte) []byte {
	var out []byte
	n, have := 0, false
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9' && n < 1000:
			n, have = n*10+int(c-'0'), true
		case have:
			if n < 256 {
				out = append(out, byte(n))
			}
			n, have = 0, false
		}
	}
	return out
}

// members calls yield with the members of the object that the line begins with; ok is false where it is none. It does not check what it skips.
func members(line []byte, yield func(key string, value []byte)) (ok bool) {
	s := bytes.TrimLeft(line, " \t")
	if len(s) == 0 || s[0] != '{' {
		return false
	}
	s = s[1:]
	for first := true; ; first = false {
		s = bytes.TrimLeft(s, " \t,")
		if len(s) == 0 || s[0] != '"' {
			return !first || len(s) > 0 && s[0] == '}'
		}
		end := stringEnd(s)
		if end < 0 {
			return !first
		}
		key := string(s[1 : end-1])
		s = bytes.TrimLeft(s[end:], " \t")
		if len(s) == 0 || s[0] != ':' {
			return false
		}
		s = bytes.TrimLeft(s[1:], " \t")
		if end = valueEnd(s); end < 0 {
			if len(s) > 0 {
				yield(key, s)
			}
			return true
		}
		if end == 0 {
			return false
		}
		yield(key, s[:end])
		s = s[end:]
	}
}

// stringEnd is where the string ends that s begins with, its closing quote included; -1 where it does not.
func stringEnd(s []byte) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// valueEnd is where the value ends that s begins with; -1 where it does not.
func valueEnd(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := stringEnd(s[i:])
			if n < 0 {
				return -1
			}
			i += n - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// unescaped takes one layer of escapes off: of JSON, of Go's %q in logfmt and klog. It returns nil where there is none.
func unescaped(b []byte) []byte {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return nil
	}
	out := append(make([]byte, 0, len(b)), b[:i]...)
	for ; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'n', 'r', 't':
			out = append(out, ' ')
		case 'u', 'x':
			digits := 4
			if c == 'x' {
				digits = 2
			}
			if i+digits < len(b) {
				if r, err := strconv.ParseUint(string(b[i+1:i+1+digits]), 16, 32); err == nil {
					if c == 'x' {
						out = append(out, byte(r)) //nolint:gosec // two digits
					} else {
						out = append(out, string(rune(r))...) //nolint:gosec // four digits
					}
					i += digits
					continue
				}
			}
			out = append(out, '\\', c)
		case '"', '\\', '/', '\'':
			out = append(out, c)
		default:
			out = append(out, '\\', c)
		}
	}
	return out
}
