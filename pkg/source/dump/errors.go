package dump

import (
	"errors"
	"fmt"
)

var (
	// ErrLimit is in the chain of every error that one of the Limits caused.
	ErrLimit = errors.New("limit exceeded")
	// ErrNothing is returned by Open where no file holds an object that a snapshot can hold.
	ErrNothing = errors.New("no Kubernetes objects found")
	// ErrExists is returned by Write where it would replace something.
	ErrExists = errors.New("exists already")
)

// InputError says which file is broken, and where.
type InputError struct {
	Path   string // of the file; for a member of an archive "archive.tar.gz:member"
	Offset int64  // of the byte, from 0, in the unpacked text; -1 where it is not known or Line is given
	Line   int64  // from 1; 0 where it is not known or Offset is given
	Err    error
}

func (e *InputError) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s: line %d: %v", e.Path, e.Line, e.Err)
	case e.Offset >= 0:
		return fmt.Sprintf("%s: byte %d: %v", e.Path, e.Offset, e.Err)
	default:
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
}

func (e *InputError) Unwrap() error { return e.Err }
