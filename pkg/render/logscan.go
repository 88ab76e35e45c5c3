package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// LogScan writes what logs of nodes say: for people a paragraph for each cause, with a line that shows it, how to check it and what to do.
func LogScan(w io.Writer, s *report.LogScan, o Options) error {
	switch o.Format {
	case Table, Wide:
		p := newPage(o, time.Time{})
		p.logScan(s, o)
		return p.writeTo(w)
	case Name:
		var b strings.Builder
		for _, c := range byCause(s.Matches) {
			b.WriteString(Clean(string(c[0].Code)) + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	case CustomColumns, CustomColumnsFile:
		rows := make([]any, len(s.Matches))
		for i := range s.Matches {
			rows[i] = s.Matches[i]
		}
		return customColumns(w, rows, o)
	case HTML:
		return fmt.Errorf("output format %s is for what is stuck; -o json has all that the logs say", HTML)
	default:
		return Data(w, s, o)
	}
}

// byCause takes the matches, which stand in order of cause, apart into one list for each.
func byCause(matches []report.LogMatch) [][]report.LogMatch {
	var out [][]report.LogMatch
	for _, m := range matches {
		if n := len(out); n > 0 && out[n-1][0].Code == m.Code {
			out[n-1] = append(out[n-1], m)
			continue
		}
		out = append(out, []report.LogMatch{m})
	}
	return out
}

func (p *page) logScan(s *report.LogScan, o Options) {
	var own, explained [][]report.LogMatch
	for _, c := range byCause(s.Matches) {
		if slices.ContainsFunc(c, func(m report.LogMatch) bool { return m.Explained < m.Count }) {
			own = append(own, c)
		} else {
			explained = append(explained, c)
		}
	}
	p.logFiles(s, len(own), o)
	for _, c := range own {
		p.blank()
		p.logCause(c, s.Files, o)
	}
	if len(explained) > 0 {
		p.title("The same lines fit these causes too, less surely")
		for _, c := range explained {
			total, by := int64(0), []string{}
			for _, m := range c {
				total, by = total+m.Count, union(by, m.ExplainedBy)
			}
			p.para(2, 4, text(fmt.Sprintf("%s %s (%s): %s, explained by %s", c[0].Code, c[0].Title, c[0].Slug, lineCount(total), strings.Join(by, ", "))))
		}
	}
	p.logRest(s, o)
}

// logFiles is the headline: how much was read, and what came of it.
func (p *page) logFiles(s *report.LogScan, found int, o Options) {
	var lines int64
	var first, last *time.Time
	for _, f := range s.Files {
		lines += f.Lines
		if f.First != nil && (first == nil || f.First.Before(*first)) {
			first = f.First
		}
		if f.Last != nil && (last == nil || f.Last.After(*last)) {
			last = f.Last
		}
	}
	where := lineCount(lines)
	if len(s.Files) == 1 {
		where += " of " + s.Files[0].Name
	} else {
		where += " of " + count(len(s.Files), "file")
	}
	if first != nil && last != nil {
		where += ", " + period(first, last) + " UTC"
	}
	if found == 0 {
		p.para(0, 2, styled(bold, "No known cause"), text(" in "+where+"."))
		if lines > 0 {
			p.para(2, 2, text("None of these lines is one that a cause of the catalogue leaves. That does not clear the node: a runtime that hangs writes nothing, and the time in question may not be in there."))
		}
	} else {
		p.para(0, 2, styled(bold, count(found, "cause")), text(" in "+where))
	}
	if o.wide() {
		for _, f := range s.Files {
			said := fmt.Sprintf("%s: %s, %s", f.Name, f.Format, lineCount(f.Lines))
			if f.First != nil && f.Last != nil {
				said += ", " + period(f.First, f.Last)
			}
			p.para(2, 4, styled(dim, said))
		}
	}
}

// shownFiles is how many files with lines of one cause are named beside the one whose line is shown.
const shownFiles = 5

// shownRemedies is how many rungs of the ladder stand below each cause; -o wide and explain show all.
const shownRemedies = 3

// worthSaying is for how long a log goes on without lines of a cause before that is said: it may be over.
const worthSaying = 10 * time.Minute

// since is how long the files with lines of a cause go on after the last of them.
func since(c []report.LogMatch, files []report.LogFile, last time.Time) time.Duration {
	var end time.Time
	for _, f := range files {
		if f.Last != nil && f.Last.After(end) && slices.ContainsFunc(c, func(m report.LogMatch) bool { return m.File == f.Name }) {
			end = *f.Last
		}
	}
	return end.Sub(last)
}

// logCause writes one cause, with all files that have lines of it.
func (p *page) logCause(c []report.LogMatch, files []report.LogFile, o Options) {
	best := c[0]
	var total, explained int64
	var first, last *time.Time
	var units, pods, by, alternatives []string
	for _, m := range c {
		total, explained = total+m.Count, explained+m.Explained
		if m.Confidence.Rank() > best.Confidence.Rank() {
			best = m
		}
		if m.First != nil && (first == nil || m.First.Before(*first)) {
			first = m.First
		}
		if m.Last != nil && (last == nil || m.Last.After(*last)) {
			last = m.Last
		}
		units, pods, by, alternatives = union(units, m.Units), union(pods, m.Pods), union(by, m.ExplainedBy), union(alternatives, m.Alternatives)
	}
	p.para(0, 2, styled(bold, string(best.Code)+" "+best.Title), styled(dim, " ("+best.Slug+", "+string(best.Confidence)+")"))
	facts := []string{lineCount(total)}
	if first != nil && last != nil {
		facts = append(facts, period(first, last))
		if quiet := since(c, files, *last); quiet >= worthSaying {
			facts = append(facts, "none in the last "+age(quiet)+" of the log")
		}
	}
	if len(units) > 0 {
		facts = append(facts, "from "+some(units, 6))
	}
	p.para(2, 4, text(strings.Join(facts, " · ")))
	if explained > 0 {
		p.para(2, 4, text(fmt.Sprintf("of these, %d are already explained by %s", explained, strings.Join(by, ", "))))
	}
	bound := evidenceBound
	if o.wide() {
		bound = evidenceBoundFull
	}
	for i, m := range c {
		number := strconv.FormatInt(m.SampleLine, 10)
		if i > 0 && !o.wide() {
			if i > shownFiles {
				p.para(2, 4, styled(dim, fmt.Sprintf("and lines of %s: -o wide", count(len(c)-i, "more file"))))
				break
			}
			p.para(2, 4, styled(dim, fmt.Sprintf("also %s of %s, such as line %s", lineCount(m.Count), m.File, number)))
			continue
		}
		at := m.File + ":" + number
		p.para(2, 4, text("> "+boundMiddle(m.Sample, bound)))
		p.para(4, 4, styled(dim, at))
		if o.wide() {
			p.para(4, 6, styled(dim, lineNumbers(m)))
		}
	}
	if len(pods) > 0 {
		most := 8
		if o.wide() {
			most = 0
		}
		p.para(2, 4, text("pods that they name: "+some(pods, most)))
	}
	if len(alternatives) > 0 {
		p.para(2, 4, text("the lines fit these as well: "+strings.Join(alternatives, ", ")))
	}
	if best.Decide != "" {
		p.para(2, 4, styled(yellow, "to decide: "), text(best.Decide))
	}
	if len(best.Confirm) > 0 {
		p.para(2, 2, styled(dim, "How to check:"))
		for _, s := range best.Confirm {
			p.command(4, "", s)
		}
	}
	rs := best.Remedies
	if !o.wide() && len(rs) > shownRemedies {
		rs = rs[:shownRemedies]
	}
	if len(rs) > 0 {
		p.para(2, 2, styled(dim, "What to do, least dangerous first:"))
		p.ladder(4, rs)
	}
	p.command(2, "all about it: ", "kubectl stuck explain "+string(best.Code))
}

// logRest says what was not read.
func (p *page) logRest(s *report.LogScan, o Options) {
	var notes [][2]string
	for _, f := range s.Files {
		if f.Error != "" {
			notes = append(notes, [2]string{"not read to the end: ", f.Error})
		}
		if f.CutLines > 0 {
			notes = append(notes, [2]string{"only the beginning was looked at: ", fmt.Sprintf("%s longer than 64 KiB, in %s", lineCount(f.CutLines), f.Name)})
		}
	}
	if len(s.Skipped) > 0 {
		var names []string
		for _, f := range s.Skipped {
			names = append(names, f.Name+" ("+f.Reason+")")
		}
		most := 8
		if o.wide() {
			most = 0
		}
		notes = append(notes, [2]string{"skipped: ", some(names, most)})
	}
	if len(notes) > 0 {
		p.title("Not looked at")
		for _, n := range notes {
			p.para(2, 4, styled(yellow, n[0]), text(n[1]))
		}
	}
}

// union is a with what of b is not in it.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// lineNumbers lists the first of a match's lines.
func lineNumbers(m report.LogMatch) string {
	var out []string
	for _, n := range m.Lines[:min(len(m.Lines), 20)] {
		out = append(out, strconv.FormatInt(n, 10))
	}
	s := "lines " + strings.Join(out, ", ")
	if m.Count == 1 {
		s = "line " + strings.Join(out, ", ")
	}
	if more := m.Count - int64(len(out)); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func lineCount(n int64) string {
	if n == 1 {
		return "1 line"
	}
	return strconv.FormatInt(n, 10) + " lines"
}

// period is from when to when, with the date once where it is the same.
func period(first, last *time.Time) string {
	from, to := first.UTC().Format(time.DateTime), last.UTC().Format(time.DateTime)
	switch {
	case from == to:
		return from
	case from[:len(time.DateOnly)] == to[:len(time.DateOnly)]:
		return from + " to " + to[len(time.DateOnly)+1:]
	default:
		return from + " to " + to
	}
}
