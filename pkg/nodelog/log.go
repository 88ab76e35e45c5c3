package nodelog

import (
	"slices"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// Input says what is known of a stream beside what it says.
type Input struct {
	// Name is what people know it by: a file, "stdin", "log of kubelet on node worker-3".
	Name string
	// Now completes times that have no year (klog, RFC 3164), which are taken to be no later, and its location those that have no zone. Where it
	// is zero such times stay unknown.
	Now time.Time
	// Since, where it is set, leaves out lines that carry an earlier time. Lines without a time count.
	Since time.Time
}

// Log is what a stream says.
type Log struct {
	Name string
	// Format is that of its first lines: plain, klog, logfmt, syslog, rfc5424, iso, cri, kernel, json, journald-json or journald-export, with
	// ", utf-16" or ", gzip" where it came so. Lines of other formats in the same stream are read as what they are.
	Format string
	Lines  int64
	Bytes  int64 // after decompression
	// CutLines is how many lines were longer than MaxLine; what stands behind that in them was not looked at.
	CutLines int64
	// First and Last are the earliest and the latest time among its first and last lines and those that matched; zero where these carry none.
	First, Last time.Time
	// Hosts are the machines that wrote the lines that were looked at, as the lines say; at most maxHosts of them.
	Hosts []string
	// Matches are the causes that it speaks of, the surest first, then the most frequent.
	Matches []Match
}

// Match is one cause that a stream speaks of.
type Match struct {
	Code  diagnose.Code
	Slug  string
	Title string
	// Count is how many lines match.
	Count int64
	// First and Last are the earliest and latest time of these lines; zero where they carry none.
	First, Last time.Time
	// Units are the systemd units, syslog identifiers or programs that wrote them, at most MaxNames, in the order in which they came.
	Units []string
	// Sample is the first of the surest lines, at most MaxSample bytes of it: as it stands, or of journald's formats the message. SampleLine is its
	// number, from 1.
	Sample     string
	SampleLine int64
	// Lines are the numbers of the lines that match, from 1; the first MaxLineNumbers of them. LinesCut says that there are more.
	Lines    []int64
	LinesCut bool
	// Confidence is the best of what fired. Alternatives and Decide belong to that.
	Confidence   diagnose.Confidence
	Alternatives []string
	Decide       string
	// Pods are the pods that the lines name, "namespace/name" or a UID, at most MaxNames.
	Pods []string
	// Explained is how many of the lines another, surer cause claims as well, and ExplainedBy the slugs of those. Only lines that make this cause no
	// more than possible count: a surer line stands for itself.
	Explained   int64
	ExplainedBy []string
}

// The bounds that keep memory from growing with the stream.
const (
	MaxLine        = 64 << 10 // bytes of a line that are looked at
	MaxLineNumbers = 10_000   // line numbers that are kept of each cause
	MaxNames       = 200      // pods and units that are kept of each cause
	MaxSample      = 2 << 10  // bytes of a sample
	maxHosts       = 8
)

// from notes which machine wrote a line.
func (l *Log) from(h header) {
	if h.host != "" && len(l.Hosts) < maxHosts && !slices.Contains(l.Hosts, h.host) {
		l.Hosts = append(l.Hosts, h.host)
	}
}

// Facts returns what the log says, to be weighed against what the API says. A cause whose lines are all explained by surer ones is not among it.
func (l Log) Facts() []diagnose.LogFact {
	var out []diagnose.LogFact
	for _, m := range l.Matches {
		if m.Explained == m.Count {
			continue
		}
		out = append(out, diagnose.LogFact{
			Code: m.Code, Count: m.Count, First: m.First, Last: m.Last, Source: l.Name, Line: m.SampleLine, Sample: m.Sample,
			Confidence: m.Confidence, Alternatives: m.Alternatives, Decide: m.Decide, Pods: m.Pods,
		})
	}
	return out
}
