package live

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// maxObject bounds what one object may take on the wire, in bytes. etcd refuses requests above 1.5 MiB by
// default (--max-request-bytes), so anything near this is not an object.
const maxObject = 64 << 20

var errNoProtobuf = errors.New("the object cannot be decoded from protobuf")

// decodeList reads a list in protobuf or JSON and calls each for every object as it arrives. It returns the
// token with which the list goes on; "" at its end.
func decodeList(in io.Reader, newItem func() runtime.Object, each func(runtime.Object) error) (next string, err error) {
	r := bufio.NewReaderSize(in, 64<<10)
	raw, isProto, err := openEnvelope(r)
	if err != nil {
		return "", err
	}
	if isProto {
		return protoList(raw, newItem, each)
	}
	return jsonList(r, newItem, each)
}

// decodeOne reads one object in protobuf or JSON.
func decodeOne(in io.Reader, into runtime.Object) error {
	r := bufio.NewReaderSize(in, 16<<10)
	raw, isProto, err := openEnvelope(r)
	if err != nil {
		return err
	}
	if !isProto {
		return json.NewDecoder(r).Decode(into)
	}
	data, err := io.ReadAll(io.LimitReader(raw, maxObject))
	if err != nil {
		return err
	}
	if raw.left != 0 {
		return io.ErrUnexpectedEOF
	}
	return unmarshal(into, dropManagedFields(data))
}

func unmarshal(into runtime.Object, data []byte) error {
	u, ok := into.(interface{ Unmarshal([]byte) error })
	if !ok {
		return fmt.Errorf("%T: %w", into, errNoProtobuf)
	}
	return u.Unmarshal(data)
}

// section reads the next left bytes of r and no more, and can tell when they are used up.
type section struct {
	r    *bufio.Reader
	left int64
}

func (s *section) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	if s.left -= int64(n); s.left > 0 && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (s *section) ReadByte() (byte, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	b, err := s.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	s.left--
	return b, nil
}

// skip passes over n bytes.
func (s *section) skip(n int64) error {
	if n < 0 || n > s.left {
		return io.ErrUnexpectedEOF
	}
	for n > 0 {
		d, err := s.r.Discard(int(min(n, 1<<20)))
		s.left -= int64(d)
		n -= int64(d)
		if err != nil {
			return cut(err)
		}
	}
	return nil
}

// field reads one field's number and, for a length-delimited one, its length. Fields of other wire types are
// passed over and come back with number 0.
func (s *section) field() (number int, length int64, err error) {
	tag, err := binary.ReadUvarint(s)
	if err != nil {
		return 0, 0, err
	}
	switch tag & 7 { // wire types of the protobuf encoding
	case 0:
		_, err = binary.ReadUvarint(s)
	case 1:
		err = s.skip(8)
	case 2:
		n, err := binary.ReadUvarint(s)
		if err != nil || n > uint64(s.left) {
			return 0, 0, cut(err)
		}
		return int(tag >> 3), int64(n), nil
	case 5:
		err = s.skip(4)
	default:
		err = fmt.Errorf("malformed protobuf: wire type %d", tag&7)
	}
	return 0, 0, cut(err)
}

func cut(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// openEnvelope looks at the first bytes of an answer. For protobuf it returns the encoded object inside the
// envelope: four magic bytes, then a runtime.Unknown whose field 2 is the object
// (k8s.io/apimachinery/pkg/runtime/serializer/protobuf).
func openEnvelope(r *bufio.Reader) (raw *section, isProto bool, err error) {
	magic := []byte("k8s\x00")
	head, err := r.Peek(len(magic))
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	if !bytes.Equal(head, magic) {
		return nil, false, nil
	}
	if _, err := r.Discard(len(magic)); err != nil {
		return nil, true, err
	}
	envelope := &section{r: r, left: 1 << 62}
	for {
		number, length, err := envelope.field()
		if err != nil {
			return nil, true, cut(err)
		}
		if number == 2 {
			return &section{r: r, left: length}, true, nil
		}
		if err := envelope.skip(length); err != nil {
			return nil, true, err
		}
	}
}

// protoList reads a list message. Every Kubernetes list has its ListMeta in field 1 and its items in field 2
// (the API server's own streaming encoder relies on that).
func protoList(raw *section, newItem func() runtime.Object, each func(runtime.Object) error) (next string, err error) {
	var buf []byte
	for {
		number, length, err := raw.field()
		if errors.Is(err, io.EOF) {
			return next, nil
		}
		if err != nil {
			return next, err
		}
		if number != 1 && number != 2 {
			if err := raw.skip(length); err != nil {
				return next, err
			}
			continue
		}
		if length > maxObject {
			return next, fmt.Errorf("an object of %d bytes", length)
		}
		if int64(cap(buf)) < length {
			buf = make([]byte, length, max(length, int64(2*cap(buf)), 16<<10))
		}
		buf = buf[:length]
		if _, err := io.ReadFull(raw, buf); err != nil {
			return next, cut(err)
		}
		if number == 1 {
			var m metav1.ListMeta
			if err := m.Unmarshal(buf); err != nil {
				return next, err
			}
			next = m.Continue
			continue
		}
		item := newItem()
		if err := unmarshal(item, dropManagedFields(buf)); err != nil { // copies what it keeps, so buf can serve again
			return next, err
		}
		if err := each(item); err != nil {
			return next, err
		}
	}
}

// Field numbers of the messages that dropManagedFields looks into (k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto).
// Every object has its ObjectMeta in field 1.
const (
	fieldMetadata      = 1
	fieldFinalizers    = 14
	fieldManagedFields = 17
)

// dropManagedFields cuts metadata.managedFields out of an encoded object, in place, and returns what is left. They are
// up to half of a pod, and a snapshot drops them anyway: only those of objects with finalizers stay. Anything that does
// not look like an object is returned as it is.
func dropManagedFields(b []byte) []byte {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag != fieldMetadata<<3|2 {
		return b
	}
	length, m := binary.Uvarint(b[n:])
	start := n + m
	if m <= 0 || length > uint64(len(b)-start) {
		return b
	}
	metadata := b[start : start+int(length)]
	kept, drops := 0, false
	for pass := range 2 { // first look, then cut
		kept = 0
		for rest := metadata; len(rest) > 0; {
			field, size := nextField(rest)
			switch {
			case size == 0 || field == fieldFinalizers:
				return b
			case field == fieldManagedFields:
				drops = true
			case pass == 1:
				kept += copy(metadata[kept:], rest[:size])
			}
			rest = rest[size:]
		}
		if !drops {
			return b
		}
	}
	// The kept metadata goes to the end of its room, with a new length before it.
	tail := start + int(length) - kept
	copy(b[tail:], metadata[:kept])
	header := binary.AppendUvarint([]byte{fieldMetadata<<3 | 2}, uint64(kept))
	return b[tail-copy(b[tail-len(header):tail], header):]
}

// nextField returns the number of the first field in b and its size with everything; size 0 where b is malformed.
func nextField(b []byte) (field int, size int) {
	tag, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0
	}
	switch tag & 7 { // wire types of the protobuf encoding
	case 0:
		_, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return 0, 0
		}
		n += m
	case 1:
		n += 8
	case 2:
		length, m := binary.Uvarint(b[n:])
		if m <= 0 || length > uint64(len(b)) {
			return 0, 0
		}
		n += m + int(length)
	case 5:
		n += 4
	default:
		return 0, 0
	}
	if n > len(b) {
		return 0, 0
	}
	return int(tag >> 3), n
}

// jsonList reads a list in JSON, for servers that do not speak protobuf.
func jsonList(r io.Reader, newItem func() runtime.Object, each func(runtime.Object) error) (next string, err error) {
	d := json.NewDecoder(r)
	if err := delim(d, '{'); err != nil {
		return "", err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return next, err
		}
		switch name {
		case "metadata":
			var m metav1.ListMeta
			if err := d.Decode(&m); err != nil {
				return next, err
			}
			next = m.Continue
		case "items":
			t, err := d.Token()
			if err != nil {
				return next, err
			}
			if t == nil { // "items": null
				continue
			}
			if t != json.Delim('[') {
				return next, fmt.Errorf("malformed list: items is %v", t)
			}
			for d.More() {
				item := newItem()
				if err := d.Decode(item); err != nil {
					return next, err
				}
				if err := each(item); err != nil {
					return next, err
				}
			}
			if err := delim(d, ']'); err != nil {
				return next, err
			}
		default:
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return next, err
			}
		}
	}
	return next, delim(d, '}')
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return cut(err)
	}
	if t != want {
		return fmt.Errorf("malformed list: %v where %v is due", t, want)
	}
	return nil
}
