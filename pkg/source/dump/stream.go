package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// sniffBytes is how much of a file is looked at to tell what it is.
const sniffBytes = 64 << 10

type format int

const (
	formatOther format = iota
	formatEmpty
	formatJSON
	formatYAML
	formatGzip
	formatTar
	formatUTF16LE
	formatUTF16BE
	formatPacked // an archive or a compression that is not read
)

// sniff tells a file's format by its first bytes.
func sniff(head []byte) format {
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return formatEmpty
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return formatGzip
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return formatTar
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return formatUTF16LE
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return formatUTF16BE
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("BZh")),
		bytes.HasPrefix(head, []byte("\xfd7zXZ")), bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return formatPacked
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case len(text) > 0 && (text[0] == '{' || text[0] == '['):
		return formatJSON
	case hasLine(text, "apiVersion:"):
		return formatYAML
	default:
		return formatOther
	}
}

// hasLine tells whether a line of text begins with prefix, also as the first key of a list element.
func hasLine(text []byte, prefix string) bool {
	for len(text) > 0 {
		line := bytes.TrimPrefix(text, []byte("- "))
		if bytes.HasPrefix(line, []byte(prefix)) {
			return true
		}
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return false
		}
		text = text[i+1:]
	}
	return false
}

// meter counts what is read, ends it when the context ends, and keeps the limits on size and compression ratio.
type meter struct {
	l    *loader
	in   io.Reader
	n    int64  // bytes read here
	from *meter // what they were unpacked from; nil: they are not unpacked
}

func (m *meter) Read(p []byte) (int, error) {
	if err := context.Cause(m.l.ctx); err != nil {
		return 0, err
	}
	n, err := m.in.Read(p)
	m.n += int64(n)
	m.l.total += int64(n)
	if m.l.total > m.l.limits.TotalBytes {
		return 0, fmt.Errorf("more than %d bytes in all (TotalBytes): %w", m.l.limits.TotalBytes, ErrLimit)
	}
	if m.from != nil && m.n > ratioFloor && m.n/m.l.limits.Ratio > m.from.n {
		return 0, fmt.Errorf("unpacks to more than %d times its size (Ratio): %w", m.l.limits.Ratio, ErrLimit)
	}
	return n, err
}

// stream reads one text or archive. explicit files were named by the user: they must hold something.
func (l *loader) stream(in io.Reader, f *file, explicit bool, nesting int) error {
	raw := &meter{l: l, in: in}
	return l.sniffed(raw, raw, f, explicit, nesting)
}

func (l *loader) sniffed(in io.Reader, counted *meter, f *file, explicit bool, nesting int) error {
	r := bufio.NewReaderSize(in, sniffBytes)
	head, err := r.Peek(sniffBytes)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return f.errorAt(0, truncated(err))
	}
	kind := sniff(head)
	if kind == formatOther && (strings.HasSuffix(f.base, ".yaml") || strings.HasSuffix(f.base, ".yml")) && bytes.IndexByte(head, 0) < 0 {
		kind = formatYAML
	}
	if kind == formatGzip || kind == formatTar {
		if nesting++; nesting > l.limits.Nesting {
			return f.errorAt(-1, fmt.Errorf("more than %d archives in one another (Nesting): %w", l.limits.Nesting, ErrLimit))
		}
	}
	switch kind {
	case formatGzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return f.errorAt(-1, fmt.Errorf("gzip: %w", truncated(err)))
		}
		inner := *f
		inner.path = ""
		inner.base = strings.TrimSuffix(strings.TrimSuffix(f.base, ".gz"), ".tgz")
		unpacked := &meter{l: l, in: z, from: counted}
		return l.sniffed(unpacked, unpacked, &inner, explicit, nesting)
	case formatTar:
		return l.archive(r, f, nesting)
	case formatUTF16LE, formatUTF16BE:
		inner := *f
		inner.path = ""
		var order binary.ByteOrder = binary.LittleEndian
		if kind == formatUTF16BE {
			order = binary.BigEndian
		}
		return l.sniffed(&utf16Reader{in: r, order: order}, counted, &inner, explicit, nesting)
	case formatJSON:
		return l.json(r, f, explicit)
	case formatYAML:
		return l.yaml(r, f, explicit)
	}
	why := "not Kubernetes JSON or YAML"
	switch kind {
	case formatEmpty:
		why = "empty"
	case formatPacked:
		why = "an archive of another kind than tar or gzip; unpack it first"
	}
	if explicit {
		return f.errorAt(-1, errors.New(why))
	}
	l.skip(f.name, why)
	return nil
}

// truncated words what the readers of archives say of a file that was cut.
func truncated(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the archive ends early; it was cut off")
	}
	return err
}

// archive reads the members of a tar file. Names in it are only names: nothing is written, and links are not followed.
func (l *loader) archive(in io.Reader, f *file, nesting int) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return f.errorAt(-1, fmt.Errorf("tar: %w", truncated(err)))
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := l.countFile(f.name); err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		member := &file{name: f.name + ":" + name, dir: path.Join(f.name+":", path.Dir(name)), base: path.Base(name)}
		if h.Typeflag != tar.TypeReg {
			l.skip(member.name, "not an ordinary file")
			continue
		}
		if err := l.stream(t, member, false, nesting); err != nil {
			return err
		}
	}
}

// json reads a text that begins like JSON.
func (l *loader) json(r io.Reader, f *file, explicit bool) error {
	l.begin(f, explicit)
	s := newJSONScanner(r, l.limits)
	err := s.scan(l)
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	if err != nil && f.stray && !s.marked && !errors.Is(err, ErrLimit) {
		l.drop()
		return nil
	}
	if ferr := l.flush(); ferr != nil || err == nil {
		return ferr
	}
	return f.errorAt(s.offset(), truncated(err))
}

// utf16Reader turns UTF-16, which PowerShell writes, into UTF-8.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	out   []byte
	begun bool
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		r, err := u.unit()
		if err != nil {
			return 0, err
		}
		if !u.begun {
			u.begun = true
			continue // the byte order mark
		}
		if utf16.IsSurrogate(r) {
			low, err := u.unit()
			if err != nil {
				return 0, err
			}
			r = utf16.DecodeRune(r, low)
		}
		u.out = utf8.AppendRune(u.out[:0], r)
		for len(u.out) < len(p) && u.in.Buffered() >= 4 {
			r, err := u.unit()
			if err != nil {
				break
			}
			if utf16.IsSurrogate(r) {
				low, err := u.unit()
				if err != nil {
					break
				}
				r = utf16.DecodeRune(r, low)
			}
			u.out = utf8.AppendRune(u.out, r)
		}
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf16Reader) unit() (rune, error) {
	var b [2]byte
	if _, err := io.ReadFull(u.in, b[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, errors.New("half a UTF-16 character at the end")
		}
		return 0, err
	}
	return rune(u.order.Uint16(b[:])), nil
}
