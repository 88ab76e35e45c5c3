package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// column is one column of a table.
type column struct {
	head string
	// min is the least width that it may be cut to; 0 means that it is never cut.
	min int
	// weight decides which columns suffer first where the table is too wide: the lightest. Columns of weight 0 are
	// never left out.
	weight int
	cells  []string
}

// gutter is what stands between two columns.
const gutter = "  "

// table writes columns of equal length; the first holds names, which are never cut. Where the columns do not fit the
// page, the lightest are cut; a few names that are much longer than the others get a line of their own; then columns
// are left out; and where even that is not enough, each row becomes two lines. Full writes everything at any width.
func (p *page) table(indent int, cols []column, full bool) error {
	if len(cols) == 0 || len(cols[0].cells) == 0 {
		return nil
	}
	cols = clean(cols)
	var spilled map[int]string
	if !full {
		fitted, long, ok := fit(cols, p.width-indent)
		if !ok {
			p.stack(indent, cols)
			return nil
		}
		cols, spilled = fitted, long
	}
	lines, err := draw(cols)
	if err != nil {
		return err
	}
	pad := strings.Repeat(" ", indent)
	for i, l := range lines {
		if name, ok := spilled[i-1]; ok {
			p.b.WriteString(pad + name + "\n")
		}
		p.b.WriteString(pad)
		if i == 0 {
			p.paint(dim, l)
		} else {
			p.b.WriteString(l)
		}
		p.b.WriteByte('\n')
	}
	return nil
}

// clean copies the columns with clean text in them.
func clean(cols []column) []column {
	out := make([]column, len(cols))
	for i, c := range cols {
		out[i] = c
		out[i].head = Clean(c.head)
		out[i].cells = make([]string, len(c.cells))
		for j, s := range c.cells {
			out[i].cells[j] = Clean(s)
		}
	}
	return out
}

func (c column) width() int {
	w := width(c.head)
	for _, s := range c.cells {
		w = max(w, width(s))
	}
	return w
}

// keep is the weight from which on a column is not left out: the rows are stacked instead.
const keep = 5

// fit makes the table no wider than space. Names that stand on a line of their own come back by row; ok is false
// where nothing helps.
func fit(cols []column, space int) (fitted []column, spilled map[int]string, ok bool) {
	for _, part := range []float64{1.0 / 6, 1.0 / 2} {
		kept := slices.Clone(cols)
		for {
			if out, ok := squeeze(kept, space); ok {
				return out, nil, true
			}
			if short, long := spill(kept, space, part); long != nil {
				if out, ok := squeeze(short, space); ok {
					return out, long, true
				}
			}
			i := -1
			for j, c := range kept {
				if c.weight < keep && (i < 0 || c.weight < kept[i].weight) {
					i = j
				}
			}
			if i < 0 {
				break
			}
			kept = slices.Delete(kept, i, i+1)
		}
	}
	return nil, nil, false
}

// squeeze cuts columns down to their least widths, lightest first, until they fit.
func squeeze(cols []column, space int) (out []column, ok bool) {
	over := len(gutter)*(len(cols)-1) - space
	for _, c := range cols {
		over += c.width()
	}
	out = slices.Clone(cols)
	for over > 0 {
		i := -1
		for j, c := range out {
			if c.min > 0 && c.width() > max(c.min, width(c.head)) && (i < 0 || c.weight < out[i].weight) {
				i = j
			}
		}
		if i < 0 {
			return nil, false
		}
		was := out[i].width()
		to := max(out[i].min, width(out[i].head), was-over)
		cells := make([]string, len(out[i].cells))
		for j, s := range out[i].cells {
			cells[j] = Bound(s, to)
		}
		out[i].cells = cells
		over -= was - out[i].width()
	}
	return out, true
}

// spill takes the names that are too long out of the first column, where they are no more than a part of all.
func spill(cols []column, space int, part float64) (short []column, long map[int]string) {
	room := space - len(gutter)*(len(cols)-1)
	for _, c := range cols[1:] {
		w := c.width()
		if c.min > 0 {
			w = min(w, max(c.min, width(c.head)))
		}
		room -= w
	}
	if room < width(cols[0].head) {
		return nil, nil
	}
	long = map[int]string{}
	cells := slices.Clone(cols[0].cells)
	for i, s := range cells {
		if width(s) > room {
			long[i], cells[i] = s, ""
		}
	}
	if len(long) == 0 || float64(len(long)) > part*float64(len(cells)) {
		return nil, nil
	}
	short = slices.Clone(cols)
	short[0].cells = cells
	return short, long
}

// stack writes each row on two lines.
func (p *page) stack(indent int, cols []column) {
	for row := range cols[0].cells {
		p.para(indent, indent+2, span{text: cols[0].cells[row], whole: true})
		var rest []string
		for _, c := range cols[1:] {
			if s := c.cells[row]; s != "" && s != none {
				rest = append(rest, strings.ToLower(c.head)+" "+s)
			}
		}
		if len(rest) > 0 {
			p.para(indent+4, indent+4, text(strings.Join(rest, " · ")))
		}
	}
}

// draw lays out columns as lines without rules, the way kubectl does.
func draw(cols []column) ([]string, error) {
	var b strings.Builder
	// A width of columns that depends on the language of whoever runs the tool would make output that cannot be
	// compared; terminals show the characters of doubtful width that are used here in one cell.
	narrow := tablewriter.WithEastAsian(tw.Off)
	t := tablewriter.NewTable(&b, narrow,
		tablewriter.WithRenderer(renderer.NewBlueprint()),
		tablewriter.WithRendition(tw.Rendition{
			Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
			Symbols: tw.NewSymbols(tw.StyleNone),
			Settings: tw.Settings{
				Lines:      tw.LinesNone,
				Separators: tw.SeparatorsNone,
			},
		}),
		tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoFormat(tw.Off), tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignment(tw.AlignLeft), tablewriter.WithRowAlignment(tw.AlignLeft),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: gutter, Overwrite: true}),
		tablewriter.WithTrimSpace(tw.Off),
	)
	head := make([]string, len(cols))
	for i, c := range cols {
		head[i] = c.head
	}
	t.Header(head)
	for row := range cols[0].cells {
		line := make([]string, len(cols))
		for i, c := range cols {
			line[i] = c.cells[row]
		}
		if err := t.Append(line); err != nil {
			return nil, fmt.Errorf("lay out a table: %w", err)
		}
	}
	if err := t.Render(); err != nil {
		return nil, fmt.Errorf("lay out a table: %w", err)
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return lines, nil
}
