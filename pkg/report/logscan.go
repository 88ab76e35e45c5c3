package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// KindLogScan is the kind of the document about logs of nodes.
const KindLogScan = "LogScan"

// LogScan is what logs of nodes say: which causes have lines in them. Times are UTC.
type LogScan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"` // LogScan
	// Files are the streams that were read, also those that could not be, or not to their end.
	Files []LogFile `json:"files"`
	// Matches are the causes, the surest first, one for each cause and file.
	Matches []LogMatch `json:"matches"`
	// Skipped are files in folders that were named, and why they were not read.
	Skipped []SkippedFile `json:"skipped,omitempty"`
}

// LogFile is one stream that was read.
type LogFile struct {
	Name     string     `json:"name"`
	Format   string     `json:"format"`
	Lines    int64      `json:"lines"`
	Bytes    int64      `json:"bytes"`
	CutLines int64      `json:"cutLines,omitempty"`
	First    *time.Time `json:"first,omitempty"`
	Last     *time.Time `json:"last,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// LogMatch is one cause that one file has lines of.
type LogMatch struct {
	Code  diagnose.Code `json:"code"`
	Slug  string        `json:"slug"`
	Title string        `json:"title"`
	File  string        `json:"file"`
	// Count is how many lines there are.
	Count int64      `json:"count"`
	First *time.Time `json:"first,omitempty"`
	Last  *time.Time `json:"last,omitempty"`
	// Unit is the one that wrote the lines, where there is one only.
	Unit  string   `json:"unit,omitempty"`
	Units []string `json:"units"`
	// Sample is one of the surest lines, and SampleLine its number, from 1.
	Sample     string `json:"sample"`
	SampleLine int64  `json:"sampleLine"`
	// Lines are the numbers of the lines, from 1; LinesCut says that there are more than are listed.
	Lines      []int64          `json:"lines"`
	LinesCut   bool             `json:"linesCut,omitempty"`
	Confidence scope.Confidence `json:"confidence"`
	// Explained is how many of the lines a surer cause claims as well, and ExplainedBy the slugs of those.
	Explained    int64    `json:"explained,omitempty"`
	ExplainedBy  []string `json:"explainedBy,omitempty"`
	Alternatives []string `json:"alternatives,omitempty"`
	Decide       string   `json:"decide,omitempty"`
	// Pods are the pods that the lines name, as namespace/name or by UID.
	Pods []string `json:"pods,omitempty"`
	// Confirm are commands that show the cause, and Remedies what to do, least dangerous first, both with the placeholders of the catalogue.
	Confirm  []string `json:"confirm"`
	Remedies []Remedy `json:"remedies"`
}

// SkippedFile is a file that was not read.
type SkippedFile struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// ReadLog is a stream as package nodelog read it, and what ended that before its end.
type ReadLog struct {
	Log nodelog.Log
	Err error
}

// NewLogScan makes the document. Causes are those that the streams were read for.
func NewLogScan(logs []ReadLog, skipped []SkippedFile, causes []diagnose.Cause) *LogScan {
	out := &LogScan{APIVersion: APIVersion, Kind: KindLogScan, Files: []LogFile{}, Matches: []LogMatch{}, Skipped: skipped}
	for _, r := range logs {
		l := r.Log
		f := LogFile{Name: l.Name, Format: l.Format, Lines: l.Lines, Bytes: l.Bytes, CutLines: l.CutLines, First: known(l.First), Last: known(l.Last)}
		if r.Err != nil {
			f.Error = r.Err.Error()
		}
		out.Files = append(out.Files, f)
		for _, m := range l.Matches {
			out.Matches = append(out.Matches, logMatch(l.Name, m, causes))
		}
	}
	out.sort()
	return out
}

func logMatch(file string, m nodelog.Match, causes []diagnose.Cause) LogMatch {
	out := LogMatch{
		Code: m.Code, Slug: m.Slug, Title: m.Title, File: file, Count: m.Count, First: known(m.First), Last: known(m.Last),
		Units: append([]string{}, m.Units...), Sample: m.Sample, SampleLine: m.SampleLine, Lines: append([]int64{}, m.Lines...), LinesCut: m.LinesCut,
		Confidence: m.Confidence, Explained: m.Explained, ExplainedBy: m.ExplainedBy, Alternatives: m.Alternatives, Decide: m.Decide, Pods: m.Pods,
		Confirm: []string{}, Remedies: []Remedy{},
	}
	if len(m.Units) == 1 {
		out.Unit = m.Units[0]
	}
	if i := slices.IndexFunc(causes, func(c diagnose.Cause) bool { return c.Code == m.Code }); i >= 0 {
		out.Confirm = append(out.Confirm, causes[i].Doc.Confirm...)
		for _, r := range causes[i].Doc.Remedies {
			out.Remedies = append(out.Remedies, Remedy(r))
		}
	}
	return out
}

// sort brings what belongs together to one place: the surest cause first, then the one with the most lines, and of each cause its files in their
// order; causes whose lines are all explained by surer ones stand last.
func (s *LogScan) sort() {
	type weight struct {
		own  int64 // lines that nothing surer explains
		rank int
	}
	of := map[diagnose.Code]weight{}
	for _, m := range s.Matches {
		w := of[m.Code]
		w.own += m.Count - m.Explained
		w.rank = max(w.rank, m.Confidence.Rank())
		of[m.Code] = w
	}
	slices.SortStableFunc(s.Matches, func(a, b LogMatch) int {
		x, y := of[a.Code], of[b.Code]
		if (x.own == 0) != (y.own == 0) {
			if x.own == 0 {
				return 1
			}
			return -1
		}
		return cmp.Or(y.rank-x.rank, cmp.Compare(y.own, x.own), cmp.Compare(a.Code, b.Code))
	})
}

// known is a time, or nil for one that nobody knows.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
