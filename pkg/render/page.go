package render

import (
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// defaultWidth is taken where nobody knows how wide the output is.
const defaultWidth = 80

// minWidth is the least that text is wrapped at: below it, words stand one to a line and nothing can be read.
const minWidth = 40

// style is how text is set off. It never carries meaning that the words do not.
type style int

const (
	plain style = iota
	bold
	dim
	red
	yellow
	green
)

// on is the sequence that begins a style.
func (s style) on() string {
	return [...]string{plain: "", bold: "\x1b[1m", dim: "\x1b[2m", red: "\x1b[1;31m", yellow: "\x1b[33m", green: "\x1b[32m"}[s]
}

const styleOff = "\x1b[0m"

// span is a stretch of text in one style.
type span struct {
	text  string
	style style
	// whole text is not wrapped inside: a command, or a name with spaces in it.
	whole bool
}

func text(s string) span             { return span{text: s} }
func styled(st style, s string) span { return span{text: s, style: st} }

// page is text that is being laid out: lines of at most a width, in which all text is clean.
type page struct {
	b     strings.Builder
	width int
	color bool
	now   time.Time
	// quoted is the evidence that has been quoted, so that a storm does not quote it again and again.
	quoted map[string]bool
}

func newPage(o Options, now time.Time) *page {
	w := o.Width
	if w <= 0 {
		w = defaultWidth
	}
	return &page{width: max(w, minWidth), color: o.Color, now: now, quoted: map[string]bool{}}
}

func (p *page) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, p.b.String())
	return err
}

// blank ends a paragraph; there is never more than one empty line in a row, and none at the top.
func (p *page) blank() {
	if s := p.b.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		p.b.WriteByte('\n')
	}
}

// para writes spans, one after the other without adding spaces, wrapped between words. The first line begins with
// indent spaces and the others with hang. A word that is longer than a line is left whole, so that it can be copied.
func (p *page) para(indent, hang int, spans ...span) {
	col := indent
	p.b.WriteString(strings.Repeat(" ", indent))
	fresh := true // nothing but the indent on this line yet
	gap := false  // a space is due before the next word
	open := plain // the style that is on
	write := func(st style, s string) {
		if p.color && st != open {
			if open != plain {
				p.b.WriteString(styleOff)
			}
			p.b.WriteString(st.on())
			open = st
		}
		p.b.WriteString(s)
	}
	for _, w := range words(spans) {
		if w.space {
			gap = !fresh
			continue
		}
		n := 0
		for _, part := range w.parts {
			n += width(part.text)
		}
		if gap && col+1+n > p.width {
			write(plain, "\n"+strings.Repeat(" ", hang))
			col, gap = hang, false
		}
		if gap {
			if w.parts[0].style != open {
				write(plain, "")
			}
			write(open, " ")
			col++
		}
		for _, part := range w.parts {
			write(part.style, part.text)
		}
		col += n
		fresh, gap = false, false
	}
	write(plain, "\n")
}

// word is what stands between two spaces; it can change its style in the middle.
type word struct {
	space bool
	parts []span
}

func words(spans []span) []word {
	var out []word
	add := func(part span) {
		if n := len(out); n > 0 && !out[n-1].space {
			out[n-1].parts = append(out[n-1].parts, part)
			return
		}
		out = append(out, word{parts: []span{part}})
	}
	for _, s := range spans {
		clean := Clean(s.text)
		if s.whole {
			add(span{text: clean, style: s.style})
			continue
		}
		for len(clean) > 0 {
			i := strings.IndexByte(clean, ' ')
			switch {
			case i == 0:
				out = append(out, word{space: true})
				clean = strings.TrimLeft(clean, " ")
			case i < 0:
				add(span{text: clean, style: s.style})
				clean = ""
			default:
				add(span{text: clean[:i], style: s.style})
				clean = clean[i:]
			}
		}
	}
	return out
}

func (p *page) paint(st style, s string) {
	if !p.color || st == plain || s == "" {
		p.b.WriteString(s)
		return
	}
	p.b.WriteString(st.on() + s + styleOff)
}

// command writes a label and a command that is never wrapped, so that it can be copied in one go.
func (p *page) command(indent int, label, command string) {
	if command == "" {
		return
	}
	p.b.WriteString(strings.Repeat(" ", indent))
	p.paint(dim, label)
	p.paint(bold, Clean(command))
	p.b.WriteByte('\n')
}

// title writes a heading on a line of its own.
func (p *page) title(s string) {
	p.blank()
	p.para(0, 2, styled(bold, s))
}

// clock is the time of day, with the date where it is not today's. Today is when the picture was taken.
func (p *page) clock(t time.Time) string {
	t = t.UTC()
	if y, m, d := t.Date(); !p.now.IsZero() {
		if ny, nm, nd := p.now.UTC().Date(); y == ny && m == nm && d == nd {
			return t.Format("15:04:05")
		}
	}
	return t.Format("2006-01-02 15:04:05")
}

// when gives a time both ways: "14m ago (09:14:22)", "in 6m (10:20:00)".
func (p *page) when(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	if d := t.Sub(p.now); d > 0 {
		return "in " + age(d) + " (" + p.clock(t) + ")"
	}
	return age(p.now.Sub(t)) + " ago (" + p.clock(t) + ")"
}

// age is a duration as kubectl writes ages.
func age(d time.Duration) string { return duration.HumanDuration(d) }

func seconds(n int64) string { return age(time.Duration(n) * time.Second) }
