package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const (
	// maxTries is how often one step is sent because of trouble: an answer that was lost, a server that was busy. Each but the first follows a look at the
	// object that found it unchanged.
	maxTries = 3
	// maxReplans is how often the guards are run again because somebody else changed the object.
	maxReplans = 3
	// maxWait is how long a step waits in all because a server asked for it.
	maxWait = 30 * time.Second
	// maxConflicts is how often one step is sent although the object changes under it in what nobody judges by: the time of a node's heartbeat.
	maxConflicts = 5
	// lastLook is for telling the truth about a call that was sent, after the person ended the run.
	lastLook = 5 * time.Second
	// cleaning is for deleting what a step created, after the person ended the run.
	cleaning = 10 * time.Second
)

// Carry carries out a plan, step by step, and stops at the first that does not end in Done or Already; the others are Skipped. There is one outcome for
// each step, in order, and the status is the worst of them. The journal has its record already; the entry about the end of the run is the caller's, after
// the proof.
//
// Two things do not follow that order. Acts that evict one pod each and follow each other are carried out in turns, because a disruption budget that holds
// one of them lets it go when another pod is Ready elsewhere; one that is rejected stops the run only after the others were tried, and not at all where the
// plan was asked for with --even-past-budget. And what a step created is deleted by the step after it (remedy.Step.OfBefore) whatever ended the run.
//
// The error is nil where the outcomes tell all, also of a step that was rejected or failed. Else it is *BadPlan, *Expired, *WrongCluster or *Blocked where
// nothing was begun, and *Blocked, *Swapped, *Taken, *Moved, *Vanished, *Riskier, *Interrupted or *Unwritten, or what a hook returned, where the run was
// stopped.
func (c *Client) Carry(ctx context.Context, j Journal, plan remedy.Plan, h Hooks) ([]remedy.Outcome, remedy.Status, error) {
	r := &run{Client: c, journal: j, hooks: h, plan: plan}
	if err := r.admit(ctx); err != nil {
		return r.skipped(0, 0), remedy.Stopped, err
	}
	var out []remedy.Outcome
	for i := 0; i < len(plan.Acts); {
		does, n := r.act, 1
		if k := evictions(plan.Acts[i:]); k > 0 {
			does, n = r.evict, k
		}
		these, on, err := does(ctx, i)
		out = append(out, these...)
		i += n
		if !on || err != nil {
			out = append(out, r.skipped(i, 0)...)
			return out, Worst(out), err
		}
	}
	return out, Worst(out), nil
}

// act carries out the steps of one act. on tells that the run goes on.
func (r *run) act(ctx context.Context, i int) (out []remedy.Outcome, on bool, err error) {
	on = true
	left := ""
	for k, step := range r.plan.Acts[i].Steps {
		s := r.step(i, k)
		s.own = left
		if on && k == 0 {
			on, err = r.hooked(ctx, s, &out, func() error { return r.ready(ctx, i) })
		} else if on && r.hooks.Step != nil {
			cleans := step.OfBefore && out[k-1].Status == remedy.Done
			herr := r.hooks.Step(ctx, i, k, &out[k-1])
			if on = herr == nil; !on {
				err = interruption(ctx, herr)
				if !cleans {
					out = append(out, r.told(s, s.outcome(remedy.Stopped, "%v; this step changed nothing", err), &err))
				}
			}
		}
		if len(out) > k { // a hook ended it
			continue
		}
		if !on && !step.OfBefore {
			out = append(out, r.notTried(i, k, "not tried"))
			continue
		}
		sctx, end := ctx, context.CancelFunc(func() {})
		if step.OfBefore {
			before := out[k-1]
			if before.Status != remedy.Done || before.UID == "" {
				text := "not tried: nothing is known to have been created"
				if before.Status == remedy.Open {
					text = fmt.Sprintf("not tried: whether %s was created is not known, and what has its name may be another's; %s", s.do.Ref, s.howToLook())
				}
				out, on = append(out, r.notTried(i, k, text)), false
				continue
			}
			s.do.Ref.UID, s.planned.Ref.UID = before.UID, before.UID
			sctx, end = outliving(ctx, cleaning)
		}
		o, serr := s.carry(sctx)
		end()
		o = r.told(s, o, &serr)
		left = s.left
		out = append(out, o)
		if serr != nil || o.Status != remedy.Done && o.Status != remedy.Already {
			on = false
		}
		err = both(err, serr)
	}
	return out, on, err
}

// hooked asks a hook before the first step of an act, and ends the step where it says no.
func (r *run) hooked(ctx context.Context, s *stepRun, out *[]remedy.Outcome, ask func() error) (on bool, err error) {
	herr := ask()
	if herr == nil {
		return true, nil
	}
	err = interruption(ctx, herr)
	o := s.outcome(remedy.Stopped, "%v; this step changed nothing", err)
	if ctx.Err() != nil {
		o = s.outcome(remedy.Skipped, "interrupted before anything was sent")
	}
	*out = append(*out, r.told(s, o, &err))
	return false, err
}

func (r *run) ready(ctx context.Context, act int) error {
	if r.hooks.Ready == nil {
		return nil
	}
	return r.hooks.Ready(ctx, act, r.plan.Acts[act])
}

// interruption is the error of a hook, or that of the end of the run where this is what ended it.
func interruption(ctx context.Context, err error) error {
	var already *Interrupted
	if ctx.Err() == nil || errors.As(err, &already) {
		return err
	}
	return &Interrupted{Cause: context.Cause(ctx)}
}

// both is one error of two.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	default:
		return errors.Join(a, b)
	}
}

// outliving is a context that ends some time after its parent does.
func outliving(parent context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		t := time.NewTimer(by)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}

// step is one step that is to be carried out.
func (r *run) step(act, step int) *stepRun {
	do := r.plan.Acts[act].Steps[step]
	return &stepRun{run: r, act: act, step: step, do: do, planned: do, judged: do.ResourceVersion}
}

// told completes the outcome of a step and writes it down.
func (r *run) told(s *stepRun, o remedy.Outcome, err *error) remedy.Outcome {
	o.Act, o.Step, o.Attempts, o.Time = s.act, s.step, s.attempts, r.now()
	var unwritten *Unwritten
	if (o.Status != remedy.Skipped || s.attempts > 0) && !errors.As(*err, &unwritten) {
		e := remedy.Entry{Time: o.Time, Type: remedy.Result, Act: s.act, Step: s.step, Attempt: s.attempts, Outcome: &o}
		if jerr := r.journal.Add(e); jerr != nil {
			*err = errors.Join(&Unwritten{What: s.do.What, Sent: s.sent, Outcome: &o, Err: jerr}, *err)
		}
	}
	r.say(s.do.What + ": " + o.Text)
	return o
}

func (r *run) notTried(act, step int, text string) remedy.Outcome {
	return remedy.Outcome{Act: act, Step: step, Status: remedy.Skipped, Time: r.now(), Text: text}
}

// Worst is the status of a run: the worst of its steps'.
func Worst(outcomes []remedy.Outcome) remedy.Status {
	order := []remedy.Status{remedy.Already, remedy.Done, remedy.Skipped, remedy.Stopped, remedy.Rejected, remedy.Error, remedy.Open}
	worst := -1
	for _, o := range outcomes {
		at := slices.Index(order, o.Status)
		if at < 0 {
			return remedy.Open // what is not known is not done
		}
		worst = max(worst, at)
	}
	if worst < 0 {
		return remedy.Skipped
	}
	return order[worst]
}

// run is one Carry.
type run struct {
	*Client
	journal Journal
	hooks   Hooks
	plan    remedy.Plan
}

func (r *run) say(text string) {
	if r.hooks.Say != nil {
		r.hooks.Say(text)
	}
}

// skipped are the outcomes of the steps from the given one on.
func (r *run) skipped(act, step int) []remedy.Outcome {
	var out []remedy.Outcome
	for i := act; i < len(r.plan.Acts); i++ {
		for k := range r.plan.Acts[i].Steps {
			if i > act || k >= step {
				out = append(out, r.notTried(i, k, "not tried"))
			}
		}
	}
	return out
}

// admit looks at the plan as a whole before anything is begun.
func (r *run) admit(ctx context.Context) error {
	p := &r.plan
	if p.APIVersion != remedy.APIVersion || p.Kind != remedy.KindPlan {
		return &BadPlan{Why: fmt.Sprintf("it is %q of %q, and not %q of %q", p.Kind, p.APIVersion, remedy.KindPlan, remedy.APIVersion)}
	}
	steps, creates := 0, false
	for _, a := range p.Acts {
		for k, s := range a.Steps {
			if err := checkAt(a, k); err != nil {
				return err
			}
			steps++
			creates = creates || s.Verb == remedy.Create
		}
	}
	if steps == 0 {
		return &BadPlan{Why: "it has no step"}
	}
	if blocks := p.Blocks(); len(blocks) > 0 {
		return &Blocked{Verdicts: blocks}
	}
	here, err := r.ClusterID(ctx)
	switch now := r.clusterNow(); {
	case p.Expires.Sub(now) > 2*remedy.Lifetime:
		return &BadPlan{Why: fmt.Sprintf("it expires at %s, which is later than any plan of this tool does", p.Expires.UTC().Format(time.RFC3339))}
	case now.After(p.Expires): // so does a plan that has no time
		return &Expired{At: p.Expires, Now: now}
	case p.Cluster.ID == "":
	case err == nil && here != p.Cluster.ID:
		return &WrongCluster{Planned: p.Cluster.ID, Here: here}
	case err != nil && creates: // everything else says by UID which object it means
		return &WrongCluster{Planned: p.Cluster.ID}
	}
	return nil
}

// stepRun is one step being carried out.
type stepRun struct {
	*run
	act, step int
	do        remedy.Step // as planned, then as rebased
	planned   remedy.Step
	// judged is the resourceVersion that the guards judged. own is the one that the step before this one in the act left: the guards judged the act.
	judged, own string
	left        string // the resourceVersion that this step left, as the answer to it says
	// seen is the object as it was when the guards judged it, or just before; nil before the first judgement that this step knows of.
	seen *unstructured.Unstructured

	sent     bool // something may have reached the API server
	unsure   bool // and what came of it was not told
	attempts int  // requests
	tries    int  // of them those that met trouble
	replans  int
	// conflicts is how often the object was found changed after a call was refused for that.
	conflicts int
	held      *reply // the API server's answer to an eviction that is not allowed now, and may be later; nil where the last one was another
	holder    string // who does not allow it: "a disruption budget", or a webhook by its name
	waited    time.Duration
	last      string // what was said to the last request that was not taken
	code      int
}

func (s *stepRun) outcome(status remedy.Status, format string, args ...any) remedy.Outcome {
	return remedy.Outcome{Status: status, Code: s.code, Text: fmt.Sprintf(format, args...)}
}

func (s *stepRun) ended(o remedy.Outcome, obj *unstructured.Unstructured) remedy.Outcome {
	if obj != nil {
		o.UID, o.ResourceVersion = obj.GetUID(), obj.GetResourceVersion()
	}
	return o
}

// look reads the object now. After the person ended the run there is a short time left to see what came of a call that was sent.
func (s *stepRun) look(ctx context.Context) (*unstructured.Unstructured, error) {
	if s.sent && ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastLook)
		defer cancel()
	}
	obj, err := s.Read(ctx, s.do.Ref)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return obj, err
}

// howToLook is what to run to see what came of a step.
func (s *stepRun) howToLook() string {
	in := ""
	if s.do.Ref.Namespace != "" {
		in = " -n " + s.do.Ref.Namespace
	}
	return fmt.Sprintf("look with: kubectl get %s %s%s -o yaml", lower(s.do.Ref), s.do.Ref.Name, in)
}

// carry does one step. Each turn begins with a look at the object, and ends the step, or changes what is known of it. An eviction that is held has
// no outcome yet.
func (s *stepRun) carry(ctx context.Context) (remedy.Outcome, error) {
	if s.held == nil {
		s.say(s.do.What)
	}
	s.held = nil
	for {
		if s.planned.Change != nil {
			s.do = s.planned // what was left of it the last time may be more now
		}
		if ctx.Err() != nil && !s.unsure {
			return s.interrupted(ctx)
		}
		obj, err := s.look(ctx)
		if err != nil {
			return s.blind(ctx, err)
		}
		if o, err, end := s.judge(obj); end {
			return o, err
		}
		if ctx.Err() != nil {
			if o, late := s.appears(ctx); late {
				return o, nil
			}
			o := s.ended(s.outcome(remedy.Open, "interrupted: the call was sent and not answered; the object was unchanged when it was looked at, and the API server may still do it; %s",
				s.howToLook()), obj)
			return o, &Interrupted{Cause: context.Cause(ctx)}
		}
		if s.tries >= maxTries || s.conflicts >= maxConflicts {
			return s.exhausted(obj), nil
		}
		if obj != nil {
			fresh, o, err := s.again(ctx, obj)
			switch {
			case err != nil || o.Status != "":
				return o, err
			case fresh:
				continue // the guards took their time: look once more
			}
			if s.do, err = rebase(s.do, obj); err != nil {
				return s.ended(s.outcome(remedy.Stopped, "%v", err), obj), err
			}
		}
		o, end, err := s.send(ctx, obj)
		if end {
			return o, err
		}
	}
}

// appears waits a little for what a call that was cut off may still have created, where the next step is to delete it: else nobody would. What is under way
// at the API server when its connection ends is written within moments, or not at all.
func (s *stepRun) appears(ctx context.Context) (o remedy.Outcome, late bool) {
	steps := s.plan.Acts[s.act].Steps
	if s.do.Verb != remedy.Create || s.step+1 == len(steps) || !steps[s.step+1].OfBefore {
		return o, false
	}
	for range 3 {
		if s.sleep(context.WithoutCancel(ctx), time.Second) != nil {
			return o, false
		}
		if obj, err := s.look(ctx); err == nil && obj != nil {
			o, err, _ := s.judge(obj)
			return o, err == nil
		}
	}
	return o, false
}

// judge ends the step where the look tells enough.
func (s *stepRun) judge(obj *unstructured.Unstructured) (o remedy.Outcome, err error, end bool) { //nolint:revive // the flag says whether the others count
	ref := s.do.Ref
	switch {
	case s.do.Verb == remedy.Create && obj == nil:
		return o, nil, false
	case s.do.Verb == remedy.Create:
		if s.unsure && writtenByUs(obj) {
			return s.ended(s.outcome(remedy.Done, "%s was created; the answer to the call was lost, and the object was seen", ref), obj), nil, true
		}
		if s.sent && writtenByUs(obj) {
			return s.ended(s.outcome(remedy.Already, "%s is there, and this tool made it: in this run, although the API server answered otherwise, or in another one", ref), obj), nil, true
		}
		return s.ended(s.outcome(remedy.Stopped, "%v", &Taken{Ref: ref, UID: obj.GetUID()}), obj), &Taken{Ref: ref, UID: obj.GetUID()}, true
	case obj == nil && s.do.Change != nil:
		err := &Vanished{Ref: ref}
		return s.outcome(remedy.Stopped, "%v", err), err, true
	case obj == nil && s.unsure:
		return s.outcome(remedy.Done, "%s is gone; the answer to the call was lost, so somebody else may have removed it", ref), nil, true
	case obj == nil:
		return s.outcome(remedy.Already, "%s was gone already", ref), nil, true
	case obj.GetUID() != ref.UID && s.unsure:
		return s.outcome(remedy.Done, "%s with UID %s is gone; another object has the name now, with UID %s, and was not touched", ref, ref.UID, obj.GetUID()), nil, true
	case obj.GetUID() != ref.UID && s.sent && !strings.Contains(s.last, "UID in the precondition"):
		// With those words the API server says that it was replaced before (apiserver/pkg/storage Preconditions.Check).
		return s.outcome(remedy.Already, "%s with UID %s is gone, although the API server did not say that this run's call was carried out (%s); another object has the name now, with UID %s, and was not touched",
			ref, ref.UID, s.last, obj.GetUID()), nil, true
	case obj.GetUID() != ref.UID && (s.do.Verb == remedy.Evict || s.do.OfBefore):
		return s.outcome(remedy.Already, "%s with UID %s is gone; another object has the name now, with UID %s, and was not touched", ref, ref.UID, obj.GetUID()), nil, true
	case obj.GetUID() != ref.UID:
		err := &Swapped{Ref: ref, Now: obj.GetUID()}
		return s.outcome(remedy.Stopped, "%v", err), err, true
	case shows(s.do, obj) && s.unsure:
		return s.ended(s.outcome(remedy.Done, "%s is %s; the answer to the call was lost, and the change was seen", ref, stateOf(s.do, obj)), obj), nil, true
	case shows(s.do, obj):
		return s.ended(s.outcome(remedy.Already, "%s was as wanted already: %s", ref, stateOf(s.do, obj)), obj), nil, true
	}
	return o, nil, false
}

// writtenByUs tells whether this tool is named as the writer of the object.
func writtenByUs(obj *unstructured.Unstructured) bool {
	for _, f := range obj.GetManagedFields() {
		if f.Manager == manager {
			return true
		}
	}
	return false
}

// blind ends the step where the object cannot be read.
func (s *stepRun) blind(ctx context.Context, err error) (remedy.Outcome, error) {
	switch {
	case s.unsure:
		var stop error
		if ctx.Err() != nil {
			stop = &Interrupted{Cause: context.Cause(ctx)}
		}
		return s.outcome(remedy.Open, "the call was sent, and what came of it could not be seen (%s; then: %v); %s", s.last, err, s.howToLook()), stop
	case ctx.Err() != nil:
		return s.interrupted(ctx)
	case apierrors.IsForbidden(err):
		return s.outcome(remedy.Rejected, "this step changed nothing: %v; %s", err, nextRBAC(s.do.Ref)), nil
	default:
		return s.outcome(remedy.Error, "this step changed nothing: %v", err), nil
	}
}

func (s *stepRun) interrupted(ctx context.Context) (remedy.Outcome, error) {
	o := s.outcome(remedy.Skipped, "interrupted before anything was sent")
	switch {
	case s.last != "":
		o = s.outcome(remedy.Error, "interrupted; this step changed nothing: %s", s.last)
	case s.attempts > 0: // the journal has an intent, and wants to know
		o = s.outcome(remedy.Error, "interrupted before the call was sent; nothing was changed")
	}
	return o, &Interrupted{Cause: context.Cause(ctx)}
}

// exhausted ends the step after the last try, with the object unchanged.
func (s *stepRun) exhausted(obj *unstructured.Unstructured) remedy.Outcome {
	if !s.unsure {
		return s.ended(s.outcome(remedy.Error, "this step changed nothing; it was sent %s: %s", times(s.attempts), s.last), obj)
	}
	return s.ended(s.outcome(remedy.Open, "after %d tries there is no answer that tells (%s); the object was unchanged when it was looked at, and the API server may still do it; %s",
		s.attempts, s.last, s.howToLook()), obj)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// again runs the guards again where somebody else changed the object. fresh tells that it did, and that the object has to be read again.
func (s *stepRun) again(ctx context.Context, obj *unstructured.Unstructured) (fresh bool, o remedy.Outcome, err error) {
	ref, act, version := s.do.Ref, s.plan.Acts[s.act], obj.GetResourceVersion()
	stale := s.step == 0 && s.attempts == 0 && s.hooks.Stale != nil && s.hooks.Stale()
	changed := version != s.judged && (s.own == "" || version != s.own)
	switch {
	case s.do.Verb == remedy.Evict, s.do.OfBefore:
		// Each change of a pod's status is another version, and none of them is another pod. The budget judges an eviction, at the moment of it; and what this
		// run created is deleted in whatever state it is.
		changed = false
	case changed && s.seen != nil && ref.Kind == snapshot.Node && sameButBeat(s.seen, obj):
		changed = false
	}
	if !stale && !changed {
		s.seen = obj
		return false, o, nil
	}
	stop := func(err error) (bool, remedy.Outcome, error) {
		return false, s.ended(s.outcome(remedy.Stopped, "%v; this step changed nothing", err), obj), err
	}
	if s.unsure {
		stop = func(err error) (bool, remedy.Outcome, error) {
			return false, s.ended(s.outcome(remedy.Open, "%v; a call was sent before and not answered (%s); the change was not seen; %s", err, s.last, s.howToLook()), obj), err
		}
	}
	if s.replans == maxReplans {
		return stop(&Moved{Ref: ref, Times: maxReplans})
	}
	s.replans++
	if stale {
		s.say(fmt.Sprintf("running the guards on %s again: time has passed", ref))
	} else {
		s.say(fmt.Sprintf("%s was changed since it was judged: running the guards again", ref))
	}
	if s.hooks.Again == nil {
		return stop(&Moved{Ref: ref})
	}
	now, err := s.hooks.Again(ctx, act)
	if err != nil {
		switch {
		case errors.Is(err, remedy.ErrNothingLeft) && ctx.Err() == nil:
			return true, o, nil // the next look tells what became of it
		case ctx.Err() != nil && s.unsure:
			return stop(&Interrupted{Cause: context.Cause(ctx)})
		case ctx.Err() != nil:
			o, err := s.interrupted(ctx)
			return false, o, err
		}
		return stop(err)
	}
	raw, err := obj.MarshalJSON()
	if err != nil {
		return stop(fmt.Errorf("%s: %w", ref, err))
	}
	e := remedy.Entry{Time: s.now(), Type: remedy.Replan, Act: s.act, Step: s.step, Now: &now, Object: raw}
	if err := s.journal.Add(e); err != nil {
		return stop(&Unwritten{What: s.do.What, Sent: s.sent, Err: err})
	}
	if blocks := (&remedy.Plan{Acts: []remedy.Act{now}}).Blocks(); len(blocks) > 0 {
		return stop(&Blocked{Ref: ref, Verdicts: blocks})
	}
	if remedy.Worse(act.Risk, now.Risk) != act.Risk {
		return stop(&Riskier{Ref: ref, Was: act.Risk, Is: now.Risk})
	}
	for _, step := range now.Steps {
		if step.Ref.Is(ref) && step.ResourceVersion != "" {
			// The picture was taken between this look and the next.
			s.judged, s.seen = step.ResourceVersion, obj
		}
	}
	return true, o, nil
}

// send writes the intent down, sends the call once, and sorts the answer. end tells that the step is over; else the object has to be looked at.
func (s *stepRun) send(ctx context.Context, before *unstructured.Unstructured) (o remedy.Outcome, end bool, err error) {
	ref := s.do.Ref
	q, err := callOf(s.do, false)
	if err != nil {
		return s.outcome(remedy.Error, "this step changed nothing: %v", err), true, nil
	}
	s.attempts++
	intent := remedy.Entry{Time: s.now(), Type: remedy.Intent, Act: s.act, Step: s.step, Attempt: s.attempts, Request: q.String(), Body: q.body}
	if s.do.Verb == remedy.Evict && s.attempts > 1 {
		intent.Body = nil // that of the first attempt, to the byte; there may be hundreds
	}
	if err := s.journal.Add(intent); err != nil {
		s.attempts--
		status := remedy.Error
		if s.unsure {
			status = remedy.Open
		}
		return s.outcome(status, "nothing more was sent: the journal cannot be written: %v", err), true, &Unwritten{What: s.do.What, Sent: s.sent, Err: err}
	}
	if ctx.Err() != nil { // while it was written
		return o, false, nil //nolint:nilerr // the object is looked at next, and that tells
	}
	void, err := s.gate.open(q)
	if err != nil {
		return s.outcome(remedy.Error, "this step changed nothing: %v", err), true, nil
	}
	a, err := s.Client.do(ctx, q)
	void()
	s.sent = s.sent || a.sent
	s.code = a.code
	if err != nil {
		s.last = err.Error()
		s.tries++
		s.unsure = s.unsure || a.sent
		s.pause(ctx, 0)
		return o, false, nil
	}
	s.last = a.says()
	refusal, recognized := admission.Recognize(s.last)
	if a.ok() {
		return s.prove(ctx, before, a), true, nil
	}
	switch {
	case s.do.Verb == remedy.Evict && recognized && refusal.Kind == admission.Denied && a.code == http.StatusTooManyRequests:
		s.held, s.holder = &a, cmp.Or(refusal.Name, "a webhook")
		return o, true, nil
	case s.do.Verb == remedy.Evict && budget(a) != "" && a.code == http.StatusTooManyRequests:
		s.held, s.holder, s.last = &a, aBudget, budget(a)
		return o, true, nil
	case s.do.Verb == remedy.Evict && severalBudgets(a):
		return ofBudget(s.refused(ctx, remedy.Rejected, before, "the API server evicts no pod that has several disruption budgets: %s", s.last)), true, nil
	case s.do.Verb == remedy.Evict && badBudget(a):
		return ofBudget(s.refused(ctx, remedy.Rejected, before, "the API server refused it: %s", s.last)), true, nil
	case a.status != nil && recognized && refusal.Kind != admission.NoDryRun:
		by := "the API server refused it"
		if refusal.Name != "" {
			by = fmt.Sprintf("%s refused it", refusal.Name)
		}
		return s.refused(ctx, remedy.Rejected, before, "%s: %s", by, s.last), true, nil
	case a.status == nil:
		// Something that is not an API server answered. Whether one got the call nobody knows.
		s.tries++
		s.unsure = true
		s.pause(ctx, a.after)
		return o, false, nil
	case a.notFound() && s.do.Verb != remedy.Create:
		s.tries++ // it is gone; or there are servers that do not agree
		s.pause(ctx, 0)
		return o, false, nil
	case a.code == http.StatusConflict || a.code == http.StatusUnprocessableEntity:
		o, end = s.conflict(ctx, before)
		return o, end, nil
	case a.code == http.StatusUnauthorized:
		return s.refused(ctx, remedy.Error, before, "the API server does not take the credentials any more: %s; log in again", s.last), true, nil
	case a.code == http.StatusForbidden && rbac(a):
		return s.refused(ctx, remedy.Rejected, before, "the right is missing: %s; %s", s.last, nextRBAC(ref)), true, nil
	case a.code == http.StatusTooManyRequests:
		s.tries++
		s.pause(ctx, a.after)
		return o, false, nil
	case a.code >= 500:
		s.tries++
		s.unsure = true
		s.pause(ctx, a.after)
		return o, false, nil
	case a.code >= 400:
		return s.refused(ctx, remedy.Rejected, before, "the API server refused it: %s", s.last), true, nil
	default:
		s.tries++
		s.unsure = true
		s.pause(ctx, a.after)
		return o, false, nil
	}
}

// pause waits before the object is looked at and the call is sent again: as long as the server asked for, else a little longer each time. A server that
// asks for more than is left ends the step's tries. An interruption is seen by who looks next.
func (s *stepRun) pause(ctx context.Context, after time.Duration) {
	if s.tries >= maxTries {
		return
	}
	d := after
	if d == 0 {
		d = time.Duration(s.tries) * time.Second
	}
	if s.waited+d > maxWait {
		s.last += fmt.Sprintf(" (it asks to wait %s, which is longer than this run waits)", d)
		s.tries = maxTries
		return
	}
	s.waited += d
	s.say(fmt.Sprintf("%s: %s; looking again in %s", s.do.Ref, s.last, d))
	_ = s.sleep(ctx, d)
}

// prove reads the object back after the API server said that it did it.
func (s *stepRun) prove(ctx context.Context, before *unstructured.Unstructured, a reply) remedy.Outcome {
	ref, answer := s.do.Ref, a.object()
	if s.do.Verb == remedy.Create {
		return s.proveCreated(ctx, answer)
	}
	if answer != nil && answer.GetUID() == ref.UID {
		s.left = answer.GetResourceVersion()
	} else {
		answer = nil
	}
	obj, err := s.look(ctx)
	took := ""
	if s.do.Verb == remedy.Evict {
		took = "the API server took the eviction; "
	}
	switch {
	case err != nil && answer != nil && shows(s.do, answer):
		return s.ended(s.outcome(remedy.Done, "%s is %s, as the API server answered; it could not be read back: %v", ref, stateOf(s.do, answer), err), answer)
	case err != nil && s.do.Verb == remedy.Evict && a.status != nil && a.status.Status == metav1.StatusSuccess:
		return s.outcome(remedy.Done, "%s%s could not be read back: %v", took, ref, err)
	case err != nil:
		return s.outcome(remedy.Open, "the API server says that it did it, and that could not be seen: %v; %s", err, s.howToLook())
	case obj == nil && s.do.Change != nil:
		return s.outcome(remedy.Open, "the API server says that it did it, and %s does not exist any more", ref)
	case obj == nil:
		return s.outcome(remedy.Done, "%s%s is gone", took, ref)
	case obj.GetUID() != ref.UID:
		return s.outcome(remedy.Done, "%s%s with UID %s is gone; another object has the name now, with UID %s", took, ref, ref.UID, obj.GetUID())
	case shows(s.do, obj):
		return s.ended(s.outcome(remedy.Done, "%s%s is %s", took, ref, stateOf(s.do, obj)), obj)
	case answer != nil && shows(s.do, answer) && obj.GetResourceVersion() != before.GetResourceVersion() && obj.GetResourceVersion() != s.left:
		return s.ended(s.outcome(remedy.Done, "%s was %s, as the API server answered; somebody changed it since: it is %s", ref, stateOf(s.do, answer), stateOf(s.do, obj)), obj)
	default:
		return s.ended(s.outcome(remedy.Open, "the API server says that it did it, and a direct read shows that it did not: %s is %s; something between here and the API server does not tell the truth; %s",
			ref, stateOf(s.do, obj), s.howToLook()), obj)
	}
}

func (s *stepRun) proveCreated(ctx context.Context, answer *unstructured.Unstructured) remedy.Outcome {
	ref := s.do.Ref
	obj, err := s.look(ctx)
	switch {
	case err != nil && answer != nil:
		return s.ended(s.outcome(remedy.Done, "%s was created, as the API server answered; it could not be read back: %v", ref, err), answer)
	case err != nil:
		return s.outcome(remedy.Open, "the API server says that it created %s, and that could not be seen: %v; %s", ref, err, s.howToLook())
	case obj != nil && answer != nil && obj.GetUID() == answer.GetUID():
		return s.ended(s.outcome(remedy.Done, "%s was created, with UID %s", ref, obj.GetUID()), obj)
	case obj != nil && answer == nil && writtenByUs(obj):
		return s.ended(s.outcome(remedy.Done, "%s was created, with UID %s", ref, obj.GetUID()), obj)
	case obj == nil:
		return s.outcome(remedy.Open, "the API server says that it created %s, and a direct read does not find it; %s", ref, s.howToLook())
	default:
		return s.ended(s.outcome(remedy.Open, "the API server says that it created %s, and a direct read finds another object of that name, with UID %s; %s", ref, obj.GetUID(), s.howToLook()), obj)
	}
}

// refused ends the step after an answer that says no. Where an earlier call was left without an answer, the object is looked at once more.
func (s *stepRun) refused(ctx context.Context, status remedy.Status, before *unstructured.Unstructured, format string, args ...any) remedy.Outcome {
	o := s.outcome(status, format, args...)
	if !s.unsure {
		return s.ended(o, before)
	}
	obj, err := s.look(ctx)
	if err != nil {
		return s.outcome(remedy.Open, "%s; what came of the call before is not known: %v; %s", o.Text, err, s.howToLook())
	}
	if seen, _, end := s.judge(obj); end {
		return seen
	}
	return s.ended(s.outcome(remedy.Open, "%s; the call before was not answered; the object was unchanged when it was looked at; %s", o.Text, s.howToLook()), obj)
}

// conflict sorts a 409 and a 422: the object was changed between the look and the call, or this is a refusal. A JSON Patch whose test fails is a 422 as
// invalid fields are, so only the object can tell.
func (s *stepRun) conflict(ctx context.Context, before *unstructured.Unstructured) (remedy.Outcome, bool) {
	obj, err := s.look(ctx)
	switch {
	case err != nil && s.unsure:
		return s.outcome(remedy.Open, "%s; what came of the call before is not known: %v; %s", s.last, err, s.howToLook()), true
	case err != nil:
		return s.outcome(remedy.Error, "this step changed nothing: %s; and it could not be read since: %v", s.last, err), true
	case obj == nil && before == nil && s.do.Verb == remedy.Create:
	case obj == nil || before == nil || obj.GetUID() != before.GetUID() || obj.GetResourceVersion() != before.GetResourceVersion():
		s.conflicts++
		return remedy.Outcome{}, false
	}
	return s.refused(ctx, remedy.Rejected, before, "the API server refused it: %s", s.last), true
}

// lower is the kind, as kubectl takes it.
func lower(ref snapshot.Ref) string { return strings.ToLower(string(ref.Kind)) }
