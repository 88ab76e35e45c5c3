package diagnose

import "time"

// LogMatch recognises a cause in one line of a node's log: a kubelet's, a runtime's, the kernel's. Substrings only, because every program
// wraps and cuts what it quotes.
type LogMatch struct {
	// Text must match the line, whatever prefix of time, host and program stands before it. All, or else each of Any, is what lines are searched
	// for, so at least one part must be rare: no single common word.
	Text
	// Pattern, where a substring does not decide (a number must be large), is a regular expression (RE2) that must match as well.
	Pattern string
	// Confidence is what such a line says of the cause by itself: Certain where nothing else says it, Possible where it fits several causes;
	// empty means Likely.
	Confidence Confidence
	// Alternatives are slugs of causes that leave the same line, and Decide says what tells them apart.
	Alternatives []string
	Decide       string
}

// Lines makes one LogMatch of each substring, for lines that by themselves make the cause likely.
func Lines(parts ...string) []LogMatch {
	out := make([]LogMatch, len(parts))
	for i, p := range parts {
		out[i] = LogMatch{Text: Text{All: []string{p}}}
	}
	return out
}

// The parts of these hold no quotation marks, slashes at their rare places or line feeds, which formats escape, and are looked for in whatever klog, logfmt,
// CRI-O, dockerd and the kernel put around them.

// CertainLines makes one LogMatch of each text: lines that nothing else writes.
func CertainLines(texts ...Text) []LogMatch { return LinesOf(Certain, nil, "", texts...) }

// LikelyLines makes one LogMatch of each text: lines that by themselves make the cause likely.
func LikelyLines(texts ...Text) []LogMatch { return LinesOf(Likely, nil, "", texts...) }

// FittingLines makes one LogMatch of each text: lines that fit the cause and its alternatives alike.
func FittingLines(alternatives []string, decide string, texts ...Text) []LogMatch {
	return LinesOf(Possible, alternatives, decide, texts...)
}

// LinesOf makes one LogMatch of each text.
func LinesOf(c Confidence, alternatives []string, decide string, texts ...Text) []LogMatch {
	var out []LogMatch
	for _, t := range texts {
		out = append(out, LogMatch{Text: t, Confidence: c, Alternatives: alternatives, Decide: decide})
	}
	return out
}

// Saying is the text that has all of the parts.
func Saying(parts ...string) Text { return Text{All: parts} }

// Match tells whether the line has the parts. Pattern is not looked at: see package nodelog, which compiles it.
func (m LogMatch) Match(line string) bool { return m.Text.Match(line) }

// LogFact is what the logs of a node say of one cause.
type LogFact struct {
	Code  Code
	Count int64     // lines
	First time.Time // zero where the lines carry no time
	Last  time.Time
	// Source is where the lines are from: "log of kubelet", "file messages".
	Source string
	// Line is the number of the sample in its source, from 1, and Sample the line itself.
	Line   int64
	Sample string
	// Confidence is the best of the matches that fired.
	Confidence   Confidence
	Alternatives []string
	Decide       string
	// Pods are the pods that the lines name: "namespace/name", or a UID.
	Pods []string
}
