package live

import (
	"bufio"
	"bytes"
	"io"
	"strconv"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// tallyColumns says at which position a Table has the cells of a source.Tally; -1 where it has none.
type tallyColumns struct {
	name             int
	ready            int // "1/2" of Deployments and StatefulSets
	desired, current int // numbers of ReplicaSets and DaemonSets
	upToDate         int // of Deployments, and of DaemonSets, where current is meant
	status           int // of Jobs, which older servers leave out
	completions      int // "1/2" or "0/1 of 4" of Jobs
}

func (c tallyColumns) usable() bool {
	return c.name >= 0 && (c.ready >= 0 || c.completions >= 0 || c.desired >= 0 && c.current >= 0)
}

// decodeTallies reads a Table of workloads as it arrives and calls row for each. Columns are found by the names that
// printers/internalversion gives them.
func decodeTallies(in io.Reader, row func(*source.Tally)) error {
	s := &scanner{r: bufio.NewReaderSize(in, 64<<10)}
	cols := tallyColumns{-1, -1, -1, -1, -1, -1, -1}
	sawRows := false
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "columnDefinitions":
			return cols.read(s)
		case "rows":
			if !cols.usable() {
				return errNoTable
			}
			sawRows = true
			return s.array(func() error {
				t, err := cols.row(s)
				if err != nil {
					return err
				}
				row(&t)
				return nil
			})
		default:
			return s.skip()
		}
	})
	if err == nil && !sawRows {
		return errNoTable
	}
	return err
}

func (c *tallyColumns) read(s *scanner) error {
	i := 0
	return s.array(func() error {
		defer func() { i++ }()
		return s.object(func(key []byte) error {
			if string(key) != "name" {
				return s.skip()
			}
			name, _, err := s.scalar()
			if err != nil {
				return err
			}
			switch string(name) {
			case "Name":
				c.name = i
			case "Ready":
				c.ready = i
			case "Desired":
				c.desired = i
			case "Current":
				c.current = i
			case "Up-to-date":
				c.upToDate = i
			case "Status":
				c.status = i
			case "Completions":
				c.completions = i
			}
			return nil
		})
	})
}

// row reads one row.
func (c *tallyColumns) row(s *scanner) (source.Tally, error) {
	var t source.Tally
	counted := c.desired >= 0 && c.current >= 0
	i := 0
	cell := func() error {
		defer func() { i++ }()
		switch i {
		case c.name, c.ready, c.desired, c.current, c.upToDate, c.status, c.completions:
		default:
			return s.skip()
		}
		v, err := s.plain()
		if err != nil {
			return err
		}
		switch i {
		case c.name:
			t.Name = string(v)
		case c.desired:
			t.Wanted = number(v)
		case c.current:
			t.Have = number(v)
		case c.completions:
			t.Have, t.Wanted = fraction(beforeSpace(v))
		case c.status:
			t.Over = len(v) > 0 && string(v) != "Running"
		case c.ready:
			if ready, of := fraction(v); !counted {
				t.Wanted = of
				if c.upToDate < 0 {
					t.Have = ready
				}
			}
		case c.upToDate:
			if !counted {
				t.Have = number(v)
			}
		}
		return nil
	}
	err := s.object(func(key []byte) error {
		if string(key) != "cells" {
			return s.skip()
		}
		i = 0
		return s.array(cell)
	})
	return t, err
}

// beforeSpace is the "0/1" of "0/1 of 4".
func beforeSpace(b []byte) []byte {
	head, _, _ := bytes.Cut(b, []byte(" "))
	return head
}

// number reads a count; anything else is 0.
func number(b []byte) int {
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return 0
	}
	return n
}

// plain reads a string, or the digits of a number. The bytes are only valid until the next read.
func (s *scanner) plain() ([]byte, error) {
	c, err := s.peek()
	if err != nil {
		return nil, err
	}
	switch c {
	case '"':
		if _, err := s.next(); err != nil {
			return nil, err
		}
		return s.str()
	case '{', '[':
		return nil, malformed(c, "a string or a number")
	}
	var out []byte
	for len(out) < 32 { // no number that is a count is longer
		b, err := s.r.ReadByte()
		if err != nil {
			return nil, cut(err)
		}
		switch b {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			return out, s.r.UnreadByte()
		}
		out = append(out, b)
	}
	return out, s.literal()
}
