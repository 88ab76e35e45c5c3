package nodelog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// Scanner looks for the lines of a set of causes. It can be used for any number of streams, at the same time too.
type Scanner struct {
	causes []diagnose.Cause
	rules  []rule
	index  *index
}

// triggers make a line be looked at although no literal is in it: journald writes a message as an array of bytes where it is not plain text.
func triggers() []string { return []string{`"message":[`, `"message" : [`} }

// New compiles what the causes look for. It fails for a bad pattern, and for a match that no rare literal announces: every line would have to be
// taken apart for it.
func New(causes []diagnose.Cause) (*Scanner, error) {
	s := &Scanner{causes: causes}
	common := commonness()
	of := map[string][]int{}
	var texts []string
	for i, c := range causes {
		for j, m := range c.Log {
			r, err := newRule(i, m)
			if err != nil {
				return nil, fmt.Errorf("cause %s: log match %d: %w", c.Slug, j+1, err)
			}
			literals, err := r.literals(common)
			if err != nil {
				return nil, fmt.Errorf("cause %s: log match %d: %w", c.Slug, j+1, err)
			}
			for _, l := range literals {
				if of[l] == nil {
					texts = append(texts, l)
				}
				of[l] = append(of[l], len(s.rules))
			}
			s.rules = append(s.rules, r)
		}
	}
	var needles []needle
	for _, t := range texts {
		needles = append(needles, needle{t, of[t]})
	}
	for _, t := range triggers() {
		needles = append(needles, needle{text: t})
	}
	if len(needles) > math.MaxUint16 || slices.ContainsFunc(needles, func(n needle) bool { return len(n.text) > math.MaxUint16 }) {
		return nil, errors.New("too much to look for")
	}
	s.index = newIndex(needles, common)
	return s, nil
}

// Literals are what streams are searched for, in lower case: where none of them is, no cause has a line.
func (s *Scanner) Literals() []string {
	var out []string
	for _, n := range s.index.needles {
		if len(n.of) > 0 {
			out = append(out, n.text)
		}
	}
	return out
}

// scan is the reading of one stream.
type scan struct {
	*Scanner
	in    Input
	clock clock
	log   Log
	found []*tally // by number of the cause
	// number is how many lines there were before the text that is being looked at.
	number int64
	// skipping tells that the stream is in the part of a long line that is not looked at.
	skipping bool
	seen     []bool // rulesOf: by number of the rule
	lower    []byte // line: reused
}

// block is how much is read at once: several of the longest lines, and no more than the second cache holds.
const block = 4 * MaxLine

// Scan reads the stream to its end. On an error the Log holds what was read until then.
func (s *Scanner) Scan(r io.Reader, in Input) (Log, error) {
	c := &scan{
		Scanner: s, in: in, clock: clock{now: in.Now}, log: Log{Name: in.Name, Format: formatPlain},
		found: make([]*tally, len(s.causes)), seen: make([]bool, len(s.rules)),
	}
	b, was, err := plainText(r)
	if err == nil {
		if isExport(b) {
			c.log.Format = formatExport
			err = c.export(b)
		} else {
			err = c.stream(b)
		}
	}
	c.log.Format += was
	c.log.Lines = c.number
	c.log.Matches = c.matches()
	if err != nil && in.Name != "" {
		err = fmt.Errorf("%s: %w", in.Name, err)
	}
	return c.log, err
}

// stream reads text line by line or, rather, block by block.
func (c *scan) stream(r io.Reader) error {
	buf, have := make([]byte, block), 0
	for idle := 0; ; {
		n, err := r.Read(buf[have:])
		have += n
		c.log.Bytes += int64(n)
		switch {
		case err != nil:
		case have < len(buf):
			if idle++; n > 0 {
				idle = 0
			}
			if idle > 100 {
				err = io.ErrNoProgress
				break
			}
			continue
		}
		done := c.take(buf[:have], err != nil)
		have = copy(buf, buf[done:have])
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// take looks at the lines in b, and returns how much of it that is: the rest is the beginning of a line, unless it is the last.
func (c *scan) take(b []byte, last bool) int {
	at := 0
	for at < len(b) {
		if c.skipping {
			i := bytes.IndexByte(b[at:], '\n')
			if i < 0 {
				at = len(b)
				break
			}
			at += i + 1
			c.number++
			c.skipping = false
			continue
		}
		end := at
		for {
			i := bytes.LastIndexByte(b[end:min(end+MaxLine+1, len(b))], '\n')
			if i < 0 {
				break
			}
			end += i + 1
		}
		c.lines(b[at:end])
		at = end
		switch rest := len(b) - at; {
		case rest > MaxLine:
			c.log.CutLines++
			c.lines(b[at : at+MaxLine])
			at += MaxLine
			c.skipping = true
		case last && rest > 0:
			c.lines(b[at:])
			c.number++
			return len(b)
		default:
			return at
		}
	}
	if last && c.skipping {
		c.number++
	}
	return at
}

// lines looks at whole lines of at most MaxLine bytes.
func (c *scan) lines(b []byte) {
	if len(b) == 0 {
		return
	}
	c.times(b)
	counted := 0
	for at := 0; ; {
		hit := c.index.find(b, at)
		if hit < 0 {
			break
		}
		start := bytes.LastIndexByte(b[:hit], '\n') + 1
		end := len(b)
		if i := bytes.IndexByte(b[hit:], '\n'); i >= 0 {
			end = hit + i
		}
		c.number += int64(bytes.Count(b[counted:start], []byte("\n")))
		counted = start
		c.line(b[start:end], c.number+1, nil)
		at = end
	}
	c.number += int64(bytes.Count(b[counted:], []byte("\n")))
}

// rulesOf returns the rules that the literals in a line announce, in order.
func (c *scan) rulesOf(body []byte) []int {
	var out []int
	c.index.all(body, func(n int) {
		for _, r := range c.index.needles[n].of {
			if !c.seen[r] {
				c.seen[r] = true
				out = append(out, r)
			}
		}
	})
	for _, r := range out {
		c.seen[r] = false
	}
	slices.Sort(out)
	return out
}

// probed is how many lines are looked at for the first time of a stream, and for the last.
const probed = 20

// times looks at the first lines of the stream for its format and its first time, and at the last ones of each block for its last time.
func (c *scan) times(b []byte) {
	if c.number < probed {
		for line := range bytes.Lines(b[:min(len(b), MaxLine)]) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			h := c.clock.header(line)
			c.clock.learn(h)
			c.log.from(h)
			if c.log.Format == formatPlain {
				c.log.Format = h.format
			}
			if !h.time.IsZero() {
				c.log.see(h.time)
				break
			}
		}
	}
	for n, rest := 0, b; n < probed && len(rest) > 0; n++ {
		rest = bytes.TrimSuffix(rest, []byte("\n"))
		i := bytes.LastIndexByte(rest, '\n') + 1
		if h := c.clock.header(bytes.TrimSpace(rest[i:])); !h.time.IsZero() {
			c.log.see(h.time)
			break
		}
		rest = rest[:i]
	}
}
