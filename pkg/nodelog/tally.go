package nodelog

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// tally is what was found of one cause so far.
type tally struct {
	Match
	rank  int // of the surest rule that fired
	fired []int
	named map[string]bool // units and pods, with a mark for which
}

// claim is what one line says of one cause: the surest rule that it matches.
type claim struct {
	cause, rule, rank int
}

// claims returns what a line says of the causes, one claim for each of them. Forms are the line, in lower case, and what it is without escapes; raw is
// what stands there.
func (s *Scanner) claims(raw []byte, forms [][]byte, hits []int) []claim {
	var out []claim
	for _, n := range hits {
		r := &s.rules[n]
		rank := r.confidence.Rank()
		i := slices.IndexFunc(out, func(c claim) bool { return c.cause == r.cause })
		if i >= 0 && out[i].rank >= rank || !r.match(raw, forms) {
			continue
		}
		if i < 0 {
			out = append(out, claim{})
			i = len(out) - 1
		}
		out[i] = claim{r.cause, n, rank}
	}
	return out
}

// match tells whether a line matches, in any of its forms.
func (r *rule) match(raw []byte, forms [][]byte) bool {
	has := func(part string) bool {
		return slices.ContainsFunc(forms, func(f []byte) bool { return bytes.Contains(f, []byte(part)) })
	}
	for _, p := range r.all {
		if !has(p) {
			return false
		}
	}
	if len(r.any) > 0 && !slices.ContainsFunc(r.any, has) || slices.ContainsFunc(r.none, has) {
		return false
	}
	return r.pattern == nil || r.pattern.Match(raw) || slices.ContainsFunc(forms[1:], r.pattern.Match)
}

// line looks at one line in which a literal was found, or may be: it has the number that it is given, and is text of it where that differs.
func (c *scan) line(line []byte, number int64, known *header) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	var body []byte
	var h header
	if known != nil {
		h, body = *known, known.message
	} else if line = bytes.TrimLeft(line, "\x00"); len(line) > 0 && line[0] == '{' {
		body, h = line, c.clock.header(line)
		if h.decoded {
			body = append(append(slices.Clone(line), ' '), h.message...)
		}
		known = &h
	} else {
		body = line
	}
	hits := c.rulesOf(body)
	if len(hits) == 0 {
		return
	}
	const layers = 3 // of escapes: a quoted error in a quoted message in JSON
	forms := [][]byte{lowered(c.lower, body)}
	c.lower = forms[0]
	for range layers {
		next := unescaped(forms[len(forms)-1])
		if next == nil {
			break
		}
		forms = append(forms, lowered(next, next))
	}
	claims := c.claims(body, forms, hits)
	if len(claims) == 0 {
		return
	}
	if known == nil {
		h = c.clock.header(line)
		c.clock.learn(h)
	}
	c.log.from(h)
	if !c.in.Since.IsZero() && !h.time.IsZero() && h.time.Before(c.in.Since) {
		return
	}
	c.log.see(h.time)
	sample := line
	if h.message != nil {
		sample = h.message
	}
	pods := podsIn(forms[len(forms)-1])
	for _, l := range claims {
		c.count(l, claims, number, sample, h, pods)
	}
}

// count adds one line to what was found of a cause.
func (c *scan) count(l claim, all []claim, number int64, sample []byte, h header, pods []string) {
	t := c.found[l.cause]
	if t == nil {
		cause := c.causes[l.cause]
		t = &tally{Match: Match{Code: cause.Code, Slug: cause.Slug, Title: cause.Doc.Title}, named: map[string]bool{}}
		c.found[l.cause] = t
	}
	t.Count++
	if len(t.Lines) < MaxLineNumbers {
		t.Lines = append(t.Lines, number)
	} else {
		t.LinesCut = true
	}
	t.First, t.Last = earlier(t.First, h.time), later(t.Last, h.time)
	if l.rank > t.rank {
		t.rank, t.Confidence = l.rank, c.rules[l.rule].confidence
		t.Sample, t.SampleLine = shown(sample), number
	}
	if !slices.Contains(t.fired, l.rule) {
		t.fired = append(t.fired, l.rule)
	}
	add := func(to *[]string, mark, name string) {
		if name != "" && len(*to) < MaxNames && !t.named[mark+name] {
			t.named[mark+name] = true
			*to = append(*to, strings.ToValidUTF8(name, "\ufffd"))
		}
	}
	add(&t.Units, "u", h.unit)
	for _, p := range pods {
		add(&t.Pods, "p", p)
	}
	if l.rank > diagnose.Possible.Rank() {
		return
	}
	explained := false
	for _, o := range all {
		if o.rank > l.rank {
			explained = true
			if slug := c.causes[o.cause].Slug; !slices.Contains(t.ExplainedBy, slug) {
				t.ExplainedBy = append(t.ExplainedBy, slug)
			}
		}
	}
	if explained {
		t.Explained++
	}
}

// matches makes what was found ready to be read: the surest first, then the most frequent; last, those whose lines others explain.
func (c *scan) matches() []Match {
	var out []Match
	for _, t := range c.found {
		if t == nil {
			continue
		}
		for _, n := range t.fired {
			r := c.rules[n]
			if r.confidence.Rank() < t.rank {
				continue
			}
			for _, a := range r.alternatives {
				if !slices.Contains(t.Alternatives, a) {
					t.Alternatives = append(t.Alternatives, a)
				}
			}
			if t.Decide == "" {
				t.Decide = r.decide
			}
		}
		out = append(out, t.Match)
	}
	slices.SortStableFunc(out, func(a, b Match) int {
		if a, b := a.Explained == a.Count, b.Explained == b.Count; a != b {
			if a {
				return 1
			}
			return -1
		}
		return cmp.Or(b.Confidence.Rank()-a.Confidence.Rank(), cmp.Compare(b.Count-b.Explained, a.Count-a.Explained), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// shown is a line as it is shown: no more than MaxSample bytes, in UTF-8.
func shown(line []byte) string {
	line = bytes.TrimSpace(line)
	return strings.ToValidUTF8(string(line[:min(len(line), MaxSample)]), "\ufffd")
}

// see widens the span of time that the log is known to cover.
func (l *Log) see(t time.Time) { l.First, l.Last = earlier(l.First, t), later(l.Last, t) }

// earlier and later leave out times that are not known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
