package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// mostMatches is how many causes of a node's logs are listed.
const mostMatches = 8

// logs writes what a node's own logs say, what of them was read, and what could not be.
func (p *page) logs(l *report.NodeLogs, o Options) error {
	if l == nil {
		return nil
	}
	p.title("What the node's own log says")
	since := ""
	if l.Since != nil {
		since = ", from " + p.when(*l.Since) + " on"
	}
	var lines, bytes int64
	var from, other []string
	for _, s := range l.Sources {
		reason := s.What
		if s.Status != 0 {
			reason += fmt.Sprintf(" (HTTP %d)", s.Status)
		}
		reason += ": " + boundMiddle(s.Reason, evidenceBoundFull)
		switch {
		case s.Read:
			from = append(from, s.What)
			lines, bytes = lines+s.Lines, bytes+s.Bytes
			if s.Reason != "" {
				other = append(other, reason)
			}
		case s.Reason != "":
			other = append(other, "not read: "+reason)
		}
	}
	if len(from) > 0 {
		p.para(2, 4, text(fmt.Sprintf("%s (%s) of %s%s", count(int(lines), "line"), size(bytes), strings.Join(from, ", "), since)))
	} else {
		p.para(2, 4, styled(yellow, "no log could be read"), text(since))
	}
	if len(l.Matches)+len(l.TooOld) == 0 && len(from) > 0 {
		p.para(2, 4, text("no line speaks of a cause that this tool knows"))
	}
	if err := p.logMatches(l, o); err != nil {
		return err
	}
	for _, s := range other {
		p.para(2, 4, styled(dim, s))
	}
	return nil
}

// logMatches writes a table of the causes that lines speak of, and under it a line of each.
func (p *page) logMatches(l *report.NodeLogs, o Options) error {
	matches := slices.Concat(l.Matches, l.TooOld)
	if len(matches) > mostMatches && !o.wide() {
		matches = matches[:mostMatches]
	}
	if len(matches) == 0 {
		return nil
	}
	cols := []column{
		{head: causeHead, weight: 9, min: 16}, {head: "SAYS", weight: 8}, {head: "LINES", weight: 9}, {head: "FIRST", weight: 5}, {head: "LAST", weight: 8}, {head: "WRITTEN BY", weight: 4, min: 10},
	}
	for i, m := range matches {
		says, first, last := string(m.Confidence), none, none
		if i >= len(l.Matches) {
			says = "too old"
		}
		if m.First != nil {
			first = p.clock(*m.First)
		}
		if m.Last != nil {
			last = p.clock(*m.Last)
		}
		for i, s := range []string{string(m.Code) + " " + m.Title, says, fmt.Sprint(m.Count), first, last, orNone(strings.Join(m.Units, ","))} {
			cols[i].cells = append(cols[i].cells, s)
		}
	}
	if err := p.table(2, cols, false); err != nil {
		return err
	}
	for _, m := range matches {
		p.para(2, 4, styled(dim, string(m.Code)+" "), text("> "+boundMiddle(strings.TrimSpace(m.Sample), evidenceBound)),
			styled(dim, fmt.Sprintf(" (line %d, %s)", m.SampleLine, m.File)))
	}
	if n := len(l.Matches) + len(l.TooOld) - len(matches); n > 0 {
		p.para(2, 4, styled(dim, fmt.Sprintf("%d more: -o wide", n)))
	}
	if len(l.TooOld) > 0 {
		p.para(2, 4, styled(dim, "too old: the last such line is from before anything that is stuck there now got stuck, so it counts for nothing; --logs-since makes it count (times without a zone are taken for UTC)"))
	}
	return nil
}

// size words a number of bytes.
func size(n int64) string {
	const kib = 1 << 10
	switch {
	case n < kib:
		return count(int(n), "byte")
	case n < kib*kib:
		return fmt.Sprintf("%d KiB", n/kib)
	default:
		return fmt.Sprintf("%d MiB", n/kib/kib)
	}
}
