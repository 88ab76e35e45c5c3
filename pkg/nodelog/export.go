package nodelog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// isExport tells what journalctl -o export writes by how it begins.
func isExport(b *bufio.Reader) bool {
	head, _ := b.Peek(len("__REALTIME_TIMESTAMP=")) // an error comes again when it is read
	return bytes.HasPrefix(head, []byte("__CURSOR=")) || bytes.HasPrefix(head, []byte("__REALTIME_TIMESTAMP="))
}

// journal reads the fields of journald's export format (https://systemd.io/JOURNAL_EXPORT_FORMATS): NAME=value on a line or, where the value is no
// plain text, NAME on a line, its length as eight bytes, the least first, and the value; an empty line ends an entry.
type journal struct {
	r *bufio.Reader
	// lines is how many line breaks were read, and bytes how many bytes.
	lines, bytes int64
	cut          int64
	value        []byte // reused
}

// export looks at the messages of a journal. Line numbers are those of the file.
func (c *scan) export(b io.Reader) error {
	j := &journal{r: bufio.NewReaderSize(b, 64<<10)}
	fields := map[string]string{}
	var message []byte
	var at int64 // the line on which the message begins
	finish := func() {
		if len(fields) == 0 && message == nil {
			return
		}
		h := header{
			format: formatExport, time: micros(fields["__REALTIME_TIMESTAMP"]), message: message,
			unit: journaldUnit(func(name string) string { return fields[name] }),
		}
		c.log.see(h.time)
		if message != nil && c.index.find(message, 0) >= 0 {
			c.line(message, at, &h)
		}
		clear(fields)
		message = nil
	}
	var err error
	for err == nil {
		var name string
		var begins int64
		name, begins, err = j.field()
		switch name {
		case "":
			if err == nil {
				finish()
			}
		case "MESSAGE":
			message, at = append([]byte{}, j.value...), begins
		case "__REALTIME_TIMESTAMP", "_SYSTEMD_UNIT", "_COMM", "SYSLOG_IDENTIFIER":
			fields[name] = string(j.value)
		}
	}
	finish()
	c.number, c.log.Bytes, c.log.CutLines = j.lines, j.bytes, j.cut
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// field reads one field into value, of which it keeps MaxLine bytes, and returns its name and the line on which the value begins; no name for an
// empty line. What stands before an error is returned with it.
func (j *journal) field() (name string, begins int64, err error) {
	begins = j.lines + 1
	line, err := j.line()
	if len(line) == 0 {
		return "", begins, err
	}
	if n, v, ok := bytes.Cut(line, []byte("=")); ok {
		name, j.value = string(n), append(j.value[:0], v...)
		return name, begins, err
	}
	name = string(line)
	if err != nil {
		return "", begins, err
	}
	begins = j.lines + 1
	var size [8]byte
	n, err := io.ReadFull(j.r, size[:])
	j.bytes += int64(n)
	if err != nil {
		return "", begins, early(err)
	}
	left := binary.LittleEndian.Uint64(size[:])
	if left > 1<<40 {
		return "", begins, fmt.Errorf("line %d of the journal export: a field of %d bytes: this is no journal export, or it is broken", begins, left)
	}
	j.lines += int64(bytes.Count(size[:], []byte("\n"))) // so that numbers are those that other programs count
	j.value = j.value[:0]
	if left > MaxLine {
		j.cut++
	}
	for left++; left > 0; { // and the line break behind it
		piece, err := j.r.Peek(int(min(left, 32<<10))) //nolint:gosec // no more than that
		keep := min(len(piece), MaxLine-len(j.value))
		if uint64(len(piece)) == left && keep == len(piece) && keep > 0 { //nolint:gosec // a length
			keep-- // the line break
		}
		j.value = append(j.value, piece[:keep]...)
		j.lines += int64(bytes.Count(piece, []byte("\n")))
		j.bytes += int64(len(piece))
		left -= uint64(len(piece))
		_, _ = j.r.Discard(len(piece)) // it is in the buffer
		if err != nil {
			return name, begins, early(err)
		}
	}
	return name, begins, nil
}

// line reads a line, of which it returns MaxLine bytes without its end.
func (j *journal) line() ([]byte, error) {
	line, err := j.r.ReadSlice('\n')
	j.bytes += int64(len(line))
	if errors.Is(err, bufio.ErrBufferFull) {
		line = append([]byte{}, line[:min(len(line), MaxLine)]...)
		j.cut++
		for errors.Is(err, bufio.ErrBufferFull) {
			var rest []byte
			rest, err = j.r.ReadSlice('\n')
			j.bytes += int64(len(rest))
		}
		if err == nil || len(line) > 0 {
			j.lines++
		}
		return line, err
	}
	if len(line) > 0 {
		j.lines++ // the last may have no end
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err
}

// early says that the end came in the middle.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the journal export ends in the middle of a field: %w", io.ErrUnexpectedEOF)
	}
	return err
}
