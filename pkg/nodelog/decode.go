package nodelog

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// plainText makes a stream of text from one that may be compressed or in UTF-16, going by its first bytes, and says what it was: ", gzip".
func plainText(r io.Reader) (text *bufio.Reader, was string, err error) {
	b := bufio.NewReaderSize(&sticky{r: r}, 4<<10) // what is read in greater pieces passes it by
	head, _ := b.Peek(8)                           // an error comes again when it is read
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, "", ended(err, "gzip")
		}
		b, was = bufio.NewReaderSize(&sticky{r: z, kind: "gzip"}, 64<<10), ", gzip"
	case bytes.HasPrefix(head, []byte("BZh")):
		b, was = bufio.NewReaderSize(&sticky{r: bzip2.NewReader(b), kind: "bzip2"}, 64<<10), ", bzip2"
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return nil, "", errors.New("it is compressed with xz, which this cannot read: xz -dc FILE | kubectl stuck scan-logs -")
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, "", errors.New("it is compressed with zstd, which this cannot read: zstd -dc FILE | kubectl stuck scan-logs -")
	case bytes.HasPrefix(head, []byte("LPKSHHRH")):
		return nil, "", errors.New("it is a journal as journald keeps it: journalctl --file FILE -o export | kubectl stuck scan-logs -")
	}
	head, _ = b.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		_, err = b.Discard(3)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		_, err = b.Discard(2)
		b, was = bufio.NewReaderSize(&utf16Reader{r: b, big: head[0] == 0xfe}, 64<<10), ", utf-16"+was
	}
	return b, was, err
}

// sticky fails again once it failed, so that an error that is met while peeking is not lost; and says which compression it is about.
type sticky struct {
	r    io.Reader
	kind string // "" is none
	err  error
}

func (s *sticky) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && s.kind != "" {
		err = ended(err, s.kind)
	}
	s.err = err
	return n, err
}

func ended(err error, kind string) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the %s data ends too early: it was cut off, or is still being written: %w", kind, io.ErrUnexpectedEOF)
	case errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("something that is not %s follows the %s data: %w", kind, kind, err)
	default:
		return fmt.Errorf("the %s data is broken: %w", kind, err)
	}
}

// utf16Reader makes UTF-8 of UTF-16, as PowerShell's > writes it.
type utf16Reader struct {
	r   io.Reader
	big bool
	// raw is what was read and not yet decoded, and out what was decoded and not yet given away.
	raw  []byte
	out  []byte
	high rune // the first half of a pair, or 0
	err  error
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 && u.err == nil {
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, u.err
	}
	return n, nil
}

func (u *utf16Reader) fill() {
	block := make([]byte, 16<<10)
	n, err := u.r.Read(block)
	u.raw = append(u.raw, block[:n]...)
	out := make([]byte, 0, len(u.raw))
	for len(u.raw) >= 2 {
		c := rune(u.raw[0]) | rune(u.raw[1])<<8
		if u.big {
			c = rune(u.raw[0])<<8 | rune(u.raw[1])
		}
		u.raw = u.raw[2:]
		switch {
		case u.high != 0 && c >= 0xdc00 && c < 0xe000:
			out = utf8.AppendRune(out, (u.high-0xd800)<<10|(c-0xdc00)+0x10000)
			u.high = 0
			continue
		case u.high != 0:
			out = utf8.AppendRune(out, utf8.RuneError)
			u.high = 0
		}
		switch {
		case c >= 0xd800 && c < 0xdc00:
			u.high = c
		case c == 0xfeff: // the mark again, where files were joined
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	if err != nil && (u.high != 0 || len(u.raw) > 0) {
		out = utf8.AppendRune(out, utf8.RuneError)
		u.high, u.raw = 0, nil
	}
	u.out, u.err = out, err
}
