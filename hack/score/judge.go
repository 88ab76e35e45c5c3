package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// answer is one cause that was named.
type answer struct {
	slug         string
	confidence   diagnose.Confidence
	alternatives []string
}

func (a answer) String() string {
	s := fmt.Sprintf("%s (%s)", a.slug, a.confidence)
	if len(a.alternatives) > 0 {
		s += " or " + strings.Join(a.alternatives, ", ")
	}
	return s
}

// verdict is what an answer is worth.
type verdict string

const (
	hit     verdict = "hit"                // the first answer is the cause
	named   verdict = "named"              // the first answer names the cause among those that it cannot tell apart
	listed  verdict = "listed"             // the cause is there, below another answer
	miss    verdict = "miss"               // nothing was answered
	wrong   verdict = "wrong"              // only other causes were named
	certain verdict = "WRONG AND CERTAIN!" // another cause was said to be certain
)

// judge compares answers, the surest first, with the truth.
func judge(answers []answer, truth string) verdict {
	if len(answers) == 0 {
		return miss
	}
	best := answers[0].confidence.Rank()
	for n, a := range answers {
		if a.confidence.Rank() < best {
			break
		}
		switch {
		case a.slug == truth && n == 0:
			return hit
		case a.slug == truth || slices.Contains(a.alternatives, truth):
			return named
		}
	}
	if answers[0].confidence == diagnose.Certain {
		return certain
	}
	if slices.ContainsFunc(answers, func(a answer) bool { return a.slug == truth || slices.Contains(a.alternatives, truth) }) {
		return listed
	}
	return wrong
}

// fromEvents asks the engine.
func fromEvents(i incident, all []diagnose.Cause) ([]answer, error) {
	s, err := picture(i)
	if err != nil {
		return nil, err
	}
	found := stuck.Find(s, stuck.Options{})
	d := diagnose.Run(s, found, all)
	var out []answer
	for _, f := range d.Findings {
		about := func(r snapshot.Ref) bool { return r.Namespace == namespace }
		if slices.ContainsFunc(f.Explains, about) || about(f.Subject) {
			out = append(out, answer{f.Slug, f.Confidence, f.Alternatives})
		}
	}
	return out, nil
}

// fromLines asks the log scanner.
func fromLines(i incident, scanner *nodelog.Scanner) ([]answer, error) {
	l, err := scanner.Scan(strings.NewReader(strings.Join(i.Evidence.Lines, "\n")+"\n"), nodelog.Input{Name: i.ID, Now: taken})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.ID, err)
	}
	var out []answer
	for _, m := range l.Matches {
		out = append(out, answer{m.Slug, m.Confidence, m.Alternatives})
	}
	slices.SortStableFunc(out, func(a, b answer) int { return b.confidence.Rank() - a.confidence.Rank() })
	return out, nil
}
