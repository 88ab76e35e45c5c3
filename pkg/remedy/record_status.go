package remedy

import (
	"slices"
)

// StepStory is what the journal tells of one step.
type StepStory struct {
	Act, Step int
	// Plan is the step as it was last planned; nil where the plan does not have it.
	Plan *Step
	// Intents are the calls that were about to be sent, the first first, and Outcome the last answer to them; nil where none was written down.
	Intents []Entry
	Outcome *Entry
	Status  Status
}

// Steps tells what became of every step, in the order of the plan. A step whose last call has no outcome is Open: it may have been sent.
func (h History) Steps() []StepStory {
	acts := slices.Clone(h.Plan.Acts)
	for _, e := range h.Entries {
		if e.Type == Replan && e.Now != nil && e.Act >= 0 && e.Act < len(acts) {
			acts[e.Act] = *e.Now
		}
	}
	var out []StepStory
	at := map[[2]int]int{}
	find := func(act, step int) *StepStory {
		i, ok := at[[2]int{act, step}]
		if !ok {
			i = len(out)
			at[[2]int{act, step}] = i
			out = append(out, StepStory{Act: act, Step: step, Status: Skipped})
		}
		return &out[i]
	}
	for i := range acts {
		for j := range acts[i].Steps {
			find(i, j).Plan = &acts[i].Steps[j]
		}
	}
	for i := range h.Entries {
		e := &h.Entries[i]
		switch e.Type {
		case Intent:
			s := find(e.Act, e.Step)
			s.Intents, s.Outcome, s.Status = append(s.Intents, *e), nil, Open
		case Result:
			if e.Outcome == nil {
				continue
			}
			s := find(e.Act, e.Step)
			s.Outcome, s.Status = e, e.Outcome.Status
			if severity(s.Status) < 0 {
				s.Status = Open // a word that nobody knows
			}
		}
	}
	slices.SortStableFunc(out, func(a, b StepStory) int {
		if a.Act != b.Act {
			return a.Act - b.Act
		}
		return a.Step - b.Step
	})
	return out
}

// Ended tells whether the run came to its end. One that did not was interrupted, or is still going on.
func (h History) Ended() bool {
	return slices.ContainsFunc(h.Entries, func(e Entry) bool { return e.Type == End })
}

// Status is how the run ended, by what its journal holds: the worst of what its steps and its end say. Open goes before all else: a run with a step
// of which nobody knows is never called done. Of a run that was interrupted between two steps it is Stopped, and Skipped where nothing was sent.
func (h History) Status() Status {
	worst, done, left := Status(""), 0, 0
	consider := func(s Status) {
		if worst == "" || severity(s) > severity(worst) {
			worst = s
		}
	}
	for _, s := range h.Steps() {
		switch s.Status {
		case Done, Already:
			done++
		case Skipped:
			left++
			continue
		}
		consider(s.Status)
	}
	switch {
	case done > 0 && left > 0:
		consider(Stopped)
	case left > 0:
		consider(Skipped)
	}
	for _, e := range h.Entries {
		if e.Type == End && severity(e.Status) >= 0 {
			consider(e.Status)
		}
	}
	if worst == "" {
		return Skipped
	}
	return worst
}

// Undoable tells whether a step was done, or may have been, that can be undone. Whether it still can is for undo to see.
func (h History) Undoable() bool {
	return slices.ContainsFunc(h.Steps(), func(s StepStory) bool {
		return (s.Status == Done || s.Status == Open) && s.Plan != nil && s.Plan.Undo.Can
	})
}

// severity orders statuses, the best first; -1 is for what is none.
func severity(s Status) int {
	return slices.Index([]Status{Skipped, Already, Done, Stopped, Rejected, Error, Open}, s)
}
