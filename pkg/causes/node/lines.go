package node

import "github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"

// The parts of log matches hold no quotation marks, slashes at their rare places or line feeds, which formats escape, and are looked for in whatever
// klog, logfmt, CRI-O, dockerd and the kernel put around them.

// certainLines makes one LogMatch of each text: lines that nothing else writes.
func certainLines(texts ...diagnose.Text) []diagnose.LogMatch {
	return logLines(diagnose.Certain, nil, "", texts...)
}

// likelyLines makes one LogMatch of each text: lines that by themselves make the cause likely.
func likelyLines(texts ...diagnose.Text) []diagnose.LogMatch {
	return logLines(diagnose.Likely, nil, "", texts...)
}

// fittingLines makes one LogMatch of each text: lines that fit the cause and its alternatives alike.
func fittingLines(alternatives []string, decide string, texts ...diagnose.Text) []diagnose.LogMatch {
	return logLines(diagnose.Possible, alternatives, decide, texts...)
}

func logLines(c diagnose.Confidence, alternatives []string, decide string, texts ...diagnose.Text) []diagnose.LogMatch {
	var out []diagnose.LogMatch
	for _, t := range texts {
		out = append(out, diagnose.LogMatch{Text: t, Confidence: c, Alternatives: alternatives, Decide: decide})
	}
	return out
}

// saying is the text that has all of the parts.
func saying(parts ...string) diagnose.Text { return diagnose.Text{All: parts} }
