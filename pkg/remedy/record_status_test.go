package remedy_test

import (
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

func TestTheStatusOfARunIsTheWorstThatItsJournalHolds(t *testing.T) {
	intent := func(act, step int) remedy.Entry { return remedy.Entry{Type: remedy.Intent, Act: act, Step: step} }
	outcome := func(act, step int, s remedy.Status) remedy.Entry {
		return remedy.Entry{Type: remedy.Result, Act: act, Step: step, Outcome: &remedy.Outcome{Act: act, Step: step, Status: s}}
	}
	end := func(s remedy.Status) remedy.Entry { return remedy.Entry{Type: remedy.End, Status: s} }
	for name, c := range map[string]struct {
		entries  []remedy.Entry
		want     remedy.Status
		ended    bool
		undoable bool
	}{
		"nothing was sent":                          {nil, remedy.Skipped, false, false},
		"nothing was sent, and it ended":            {[]remedy.Entry{end(remedy.Stopped)}, remedy.Stopped, true, false},
		"killed after the first intent":             {[]remedy.Entry{intent(0, 0)}, remedy.Open, false, false},
		"killed between two steps":                  {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Done)}, remedy.Stopped, false, false},
		"killed after all was done":                 {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Done), intent(0, 1), outcome(0, 1, remedy.Done)}, remedy.Done, false, true},
		"done":                                      {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Done), intent(0, 1), outcome(0, 1, remedy.Done), end(remedy.Done)}, remedy.Done, true, true},
		"somebody else did it":                      {[]remedy.Entry{outcome(0, 0, remedy.Already), outcome(0, 1, remedy.Already), end(remedy.Already)}, remedy.Already, true, false},
		"done and already":                          {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Done), outcome(0, 1, remedy.Already)}, remedy.Done, false, false},
		"refused":                                   {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Rejected), end(remedy.Rejected)}, remedy.Rejected, true, false},
		"sent twice, the second without an outcome": {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Error), intent(0, 0)}, remedy.Open, false, false},
		"sent twice, the second done":               {[]remedy.Entry{intent(0, 0), outcome(0, 0, remedy.Open), intent(0, 0), outcome(0, 0, remedy.Done), outcome(0, 1, remedy.Already)}, remedy.Done, false, false},
		"an end that says more than is known":       {[]remedy.Entry{intent(0, 1), end(remedy.Done)}, remedy.Open, true, true},
		"a status that nobody knows":                {[]remedy.Entry{intent(0, 0), outcome(0, 0, "great"), end("great")}, remedy.Open, true, false},
		"an outcome without one":                    {[]remedy.Entry{intent(0, 0), {Type: remedy.Result}}, remedy.Open, false, false},
		"steps that the plan does not have":         {[]remedy.Entry{intent(7, 9), outcome(7, 9, remedy.Done)}, remedy.Stopped, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := remedy.History{Entries: c.entries}
			h.Plan.Acts = []remedy.Act{{Steps: []remedy.Step{{Verb: remedy.Delete}, {Verb: remedy.Patch, Undo: remedy.Undo{Can: true}}}}}
			if got := h.Status(); got != c.want || h.Ended() != c.ended || h.Undoable() != c.undoable {
				t.Errorf("%s, ended %v, undoable %v; want %s, %v, %v", got, h.Ended(), h.Undoable(), c.want, c.ended, c.undoable)
			}
		})
	}
}

func TestAReplanChangesTheStepsOfItsActAndNotThePlan(t *testing.T) {
	h := remedy.History{Entries: []remedy.Entry{{Type: remedy.Replan, Now: &remedy.Act{Steps: []remedy.Step{{What: "new"}}}}}}
	h.Plan.Acts = []remedy.Act{{Steps: []remedy.Step{{What: "old"}, {What: "older"}}}}
	if s := h.Steps(); len(s) != 1 || s[0].Plan.What != "new" || h.Plan.Acts[0].Steps[0].What != "old" {
		t.Errorf("%+v", s)
	}
}
