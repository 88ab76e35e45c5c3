package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
)

const (
	// probeTimeout is how long a probe may take until its log was read, where nothing was asked for. A node that works needs a few seconds.
	probeTimeout = time.Minute
	// probeGlance is how long to wait between two looks at a probe, and so how exact its times are; probeRest is the same after probeBrisk, when it is no
	// longer about fractions of a second.
	probeGlance = 200 * time.Millisecond
	probeRest   = time.Second
	probeBrisk  = 15 * time.Second
	// probeEvents is how many times its own time a reading of its events is followed by rest: each takes the API server through all events of the namespace.
	probeEvents = 10
	// probeLog is how long its log is tried for once its container runs: a kubelet that has just started it may not know yet.
	probeLog = 10 * time.Second
	// probeGone is how long its deletion is waited for, beyond its grace period, and probeHurry the same after an interruption.
	probeGone  = 30 * time.Second
	probeHurry = 8 * time.Second // also where its kubelet never took it up, and will hardly take up that it is to go
)

// randomSuffix makes the names of probes their own.
func randomSuffix() string { return strings.ToLower(rand.Text()[:8]) }

// leftProbes lists the probes that earlier runs left in the namespace. Where they cannot be read none is cleaned up: the probe itself does not depend on it.
func leftProbes(ctx context.Context, r *reader, namespace string) []*corev1.Pod {
	_, now, err := r.backend.Open(ctx)
	if err != nil {
		return nil
	}
	var out []*corev1.Pod
	err = r.backend.List(ctx, source.ListRequest{Kind: snapshot.Pod, Namespace: namespace, LabelSelector: remedy.ProbeLabel}, func(o runtime.Object) {
		if pod, ok := o.(*corev1.Pod); ok && remedy.LeftOver(pod, now) {
			out = append(out, pod)
		}
	})
	if err != nil {
		return nil
	}
	return out
}

// runProbe carries out the plan of a probe. Each pod is created, watched until its log was read or it will not come further, and deleted; that is waited for,
// and where the pod hangs in it, it is deleted by force: it is this tool's own, and keeps nothing. After an interruption it is deleted all the same. The last act
// is that of the node in question, the one before that of the healthy one. The result has no node where the probe was interrupted, or never came to its node.
func runProbe(ctx context.Context, w World, r *reader, client *apply.Client, j apply.Journal, plan remedy.Plan, timeout time.Duration, say func(string)) (remedy.ProbeResult, []remedy.Outcome, error) {
	if say == nil {
		say = func(string) {}
	}
	p := &prober{w: w, r: r, client: client, journal: j, plan: plan, timeout: timeout, say: say, began: w.Now(), runs: map[int]*probing{}}
	for i, act := range plan.Acts {
		if len(act.Steps) > 1 && act.Steps[0].Verb == remedy.Create {
			p.runs[i] = &probing{act: i, ref: act.Target, node: act.Node, image: imageOf(act.Steps[0].Manifest)}
		}
	}
	outcomes, _, err := client.Carry(ctx, j, plan, apply.Hooks{Again: p.again, Ready: p.ready, Step: p.step, Say: say})
	for i := range plan.Acts {
		if q := p.runs[i]; q != nil {
			p.clean(ctx, q, outcomes)
		}
	}
	var result remedy.ProbeResult
	if q := p.runs[len(plan.Acts)-1]; q != nil && q.has(remedy.MarkSent) && ctx.Err() == nil {
		var beside *remedy.ProbeRun
		if b := p.runs[len(plan.Acts)-2]; b != nil && b.has(remedy.MarkSent) {
			run := b.read()
			beside = &run
		}
		result = remedy.JudgeProbe(q.read(), beside, "")
		return result, outcomes, err
	}
	for _, q := range p.runs {
		if q.left != "" {
			err = errors.Join(err, errors.New(q.left))
		}
	}
	return result, outcomes, err
}

// prober runs the probes of one plan.
type prober struct {
	w       World
	r       *reader
	client  *apply.Client
	journal apply.Journal
	plan    remedy.Plan
	timeout time.Duration
	say     func(string)
	began   time.Time
	runs    map[int]*probing // by act
}

// probing is one probe, and what was seen of it.
type probing struct {
	act         int
	ref         snapshot.Ref
	node, image string
	uid         types.UID // empty until it is known to have been created
	pod         *corev1.Pod
	events      []corev1.Event
	due         time.Time // when its events are to be read again
	seen        []remedy.Moment
	settled     bool // its end was seen
	left        string
}

func (q *probing) has(m remedy.Mark) bool {
	return slices.ContainsFunc(q.seen, func(s remedy.Moment) bool { return s.Mark == m })
}

func (q *probing) mark(m remedy.Mark, at time.Time, text string) {
	if !q.has(m) {
		q.seen = append(q.seen, remedy.Moment{Mark: m, Time: at, Text: text})
	}
}

func (q *probing) read() remedy.ProbeRun {
	return remedy.ProbeRun{
		Node: q.node, Pod: q.ref.Namespace + "/" + q.ref.Name, Image: q.image, Stages: remedy.ReadProbe(q.pod, q.events, q.seen), Left: q.left,
	}
}

// imageOf is the image of the probe's container.
func imageOf(manifest json.RawMessage) string {
	var pod corev1.Pod
	if json.Unmarshal(manifest, &pod) != nil || len(pod.Spec.Containers) == 0 {
		return ""
	}
	return pod.Spec.Containers[0].Image
}

// ready is asked before each act: the probe before it is to be gone, so that the two do not disturb each other.
func (p *prober) ready(ctx context.Context, act int, _ remedy.Act) error {
	if before := p.runs[act-1]; before != nil && before.uid != "" {
		p.await(ctx, before)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if q := p.runs[act]; q != nil {
		q.mark(remedy.MarkSent, p.w.Now(), "")
	}
	return nil
}

// step watches the probe between its creation and its deletion.
func (p *prober) step(ctx context.Context, act, _ int, before *remedy.Outcome) error {
	q := p.runs[act]
	if q == nil || before == nil || before.Status != remedy.Done {
		return nil // Carry tells
	}
	q.uid = before.UID
	q.mark(remedy.MarkCreated, p.w.Now(), "")
	err := p.watch(ctx, q)
	q.mark(remedy.MarkEnd, p.w.Now(), "")
	return err
}

// again is for a probe that an earlier run left: while it is the same, it goes in whatever state it is.
func (p *prober) again(ctx context.Context, act remedy.Act) (remedy.Act, error) {
	obj, err := p.client.Read(ctx, act.Target)
	switch {
	case apierrors.IsNotFound(err):
		return act, fmt.Errorf("%s is gone: %w", act.Target, remedy.ErrNothingLeft)
	case err != nil:
		return act, err
	case obj.GetUID() != act.Target.UID || obj.GetLabels()[remedy.ProbeLabel] == "":
		return act, fmt.Errorf("%s is not the probe that it was: %w", act.Target, remedy.ErrReplaced)
	}
	act.Steps = slices.Clone(act.Steps)
	for i := range act.Steps {
		act.Steps[i].ResourceVersion = obj.GetResourceVersion()
	}
	return act, nil
}

// watch looks at a probe until its log was read, or it will not come further, or its time is up.
func (p *prober) watch(ctx context.Context, q *probing) error {
	began := p.w.Now()
	until := began.Add(p.timeout)
	for {
		err := p.look(ctx, q)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if apierrors.IsNotFound(err) || err == nil && q.pod.UID != q.uid {
			q.mark(remedy.MarkVanished, p.w.Now(), "")
			return nil
		}
		if q.has(remedy.MarkStarted) {
			return p.readLog(ctx, q, until)
		}
		over := false
		if q.pod != nil {
			_, over = remedy.ProbeOver(q.pod)
		}
		now := p.w.Now()
		if over || !now.Before(until) {
			q.mark(remedy.MarkEnd, now, "")
			return p.lastWords(ctx, q)
		}
		p.say(fmt.Sprintf("probing node %s: %s", q.node, q.waitsFor()))
		pause := probeGlance
		if now.Sub(began) > probeBrisk {
			pause = probeRest
		}
		if !sleep(ctx, min(pause, until.Sub(now)+time.Millisecond)) {
			return context.Cause(ctx)
		}
	}
}

// waitsFor is what comes next, for the line of progress.
func (q *probing) waitsFor() string {
	for _, s := range []struct {
		mark remedy.Mark
		text string
	}{
		{remedy.MarkBound, "waiting for the scheduler"}, {remedy.MarkTaken, "waiting for its kubelet"}, {remedy.MarkSandbox, "waiting for volumes and sandbox"},
		{remedy.MarkImage, "waiting for the image"}, {remedy.MarkStarted, "waiting for the container"},
	} {
		if !q.has(s.mark) {
			return s.text
		}
	}
	return "reading its log"
}

// look reads the pod, and its events where they are due.
func (p *prober) look(ctx context.Context, q *probing) error {
	got, err := p.r.backend.Get(ctx, snapshot.Pod, q.ref.Namespace, q.ref.Name)
	if pod, ok := got.(*corev1.Pod); ok && err == nil {
		q.pod = pod
	} else if err == nil {
		err = fmt.Errorf("%s could not be read", q.ref)
	}
	now := p.w.Now()
	if q.has(remedy.MarkBound) && !now.Before(q.due) {
		began := now
		p.readEvents(ctx, q)
		now = p.w.Now()
		q.due = now.Add(probeEvents * now.Sub(began))
	}
	if q.pod != nil && q.pod.UID == q.uid {
		for _, m := range remedy.Marks(q.pod, q.events) {
			q.mark(m, now, "")
		}
	}
	return err
}

// readEvents reads what is said about the pod. Where that cannot be read the pod has to do.
func (p *prober) readEvents(ctx context.Context, q *probing) {
	var out []corev1.Event
	about := fmt.Sprintf("involvedObject.kind=Pod,involvedObject.name=%s,involvedObject.uid=%s", q.ref.Name, q.uid)
	err := p.r.backend.List(ctx, source.ListRequest{Kind: snapshot.Event, Namespace: q.ref.Namespace, FieldSelector: about}, func(o runtime.Object) {
		if e, ok := o.(*corev1.Event); ok && e.InvolvedObject.UID == q.uid {
			out = append(out, *e)
		}
	})
	if err == nil {
		q.events = out
	}
}

// lastWords reads the events once more, for what was said last. Nothing that it shows counts as having come in time.
func (p *prober) lastWords(ctx context.Context, q *probing) error {
	p.readEvents(ctx, q)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// readLog reads the log of the container, which goes through the kubelet. A right that is missing is no fault of the node.
func (p *prober) readLog(ctx context.Context, q *probing, until time.Time) error {
	p.say(fmt.Sprintf("probing node %s: %s", q.node, q.waitsFor()))
	if last := p.w.Now().Add(probeLog); last.Before(until) {
		until = last
	}
	for {
		err := live.PodLog(ctx, p.r.config, q.ref.Namespace, q.ref.Name, remedy.ProbeContainer, until.Sub(p.w.Now())+time.Second)
		now := p.w.Now()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			q.mark(remedy.MarkLog, now, "")
			return p.lastWords(ctx, q)
		case forbids(err):
			q.mark(remedy.MarkUnasked, now, "it may not be read: the right to get pods/log is missing")
			return p.lastWords(ctx, q)
		case !now.Before(until):
			q.mark(remedy.MarkNoLog, now, err.Error())
			return p.lastWords(ctx, q)
		}
		if !sleep(ctx, min(probeRest, until.Sub(now)+time.Millisecond)) {
			return context.Cause(ctx)
		}
	}
}

// forbids tells that the API server does not let the person read the log.
func forbids(err error) bool {
	var no *live.LogRefused
	return errors.As(err, &no) && no.Lacking()
}

// await waits until the probe, which was deleted, is gone. It goes on for a moment after an interruption.
func (p *prober) await(ctx context.Context, q *probing) {
	if q.settled {
		return
	}
	began := p.w.Now()
	until := began.Add(probeGone + remedy.ProbeGrace*time.Second)
	if !q.has(remedy.MarkTaken) {
		until = began.Add(probeHurry)
	}
	late, end := context.WithTimeout(context.WithoutCancel(ctx), probeGone+probeHurry)
	defer end()
	hurried := false
	for {
		if ctx.Err() != nil && !hurried {
			hurried = true
			if soon := p.w.Now().Add(probeHurry); soon.Before(until) {
				until = soon
			}
		}
		got, err := p.r.backend.Get(late, snapshot.Pod, q.ref.Namespace, q.ref.Name)
		now := p.w.Now()
		pod, ok := got.(*corev1.Pod)
		if apierrors.IsNotFound(err) || err == nil && ok && pod.UID != q.uid {
			q.settled = true
			q.mark(remedy.MarkGone, now, "")
			return
		}
		if err == nil && ok {
			q.pod = pod
		}
		if !now.Before(until) || late.Err() != nil {
			text := ""
			switch {
			case err != nil:
				text = fmt.Sprintf("whether it is gone could not be read: %v", err)
			case len(q.pod.Finalizers) > 0:
				text = "it is held by finalizers " + strings.Join(q.pod.Finalizers, ", ")
			}
			q.settled = true
			p.readEvents(late, q)
			q.mark(remedy.MarkKept, now, text)
			return
		}
		p.say(fmt.Sprintf("probing node %s: waiting until its pod is gone", q.node))
		if !sleep(late, min(probeGlance, until.Sub(now)+time.Millisecond)) {
			continue // the next look is the last
		}
	}
}

// clean sees to it that nothing is left of a probe, whatever happened before.
func (p *prober) clean(ctx context.Context, q *probing, outcomes []remedy.Outcome) {
	var created, deleted *remedy.Outcome
	for i := range outcomes {
		switch o := &outcomes[i]; {
		case o.Act == q.act && o.Step == 0:
			created = o
		case o.Act == q.act && o.Step == 1:
			deleted = o
		}
	}
	if created == nil || created.Attempts == 0 {
		if created != nil && created.Status != remedy.Skipped {
			q.mark(remedy.MarkEnd, p.w.Now(), created.Text)
		}
		return
	}
	if created.Status != remedy.Done {
		q.mark(remedy.MarkEnd, p.w.Now(), created.Text)
	}
	if created.UID != "" && created.Status == remedy.Done {
		q.uid = created.UID
	}
	late, end := context.WithTimeout(context.WithoutCancel(ctx), probeGone+2*probeHurry)
	defer end()
	if q.uid == "" {
		// What was sent may have been done after all. The name was made for this run, so that what has it is ours.
		obj, err := p.client.Read(late, q.ref)
		switch {
		case apierrors.IsNotFound(err):
			return
		case err != nil:
			if created.Status == remedy.Open {
				q.left = fmt.Sprintf("whether pod %s/%s was created is not known: %v; %s", q.ref.Namespace, q.ref.Name, err, q.byHand(false))
			}
			return
		case obj.GetLabels()[remedy.ProbeLabel] == "":
			return
		}
		q.uid = obj.GetUID()
	}
	if deleted == nil || deleted.Status != remedy.Done && deleted.Status != remedy.Already {
		if err := p.remove(late, q, nil, nil); err != nil {
			q.left = fmt.Sprintf("pod %s/%s on node %s was not deleted: %v; its kubelet ends it at its deadline; %s", q.ref.Namespace, q.ref.Name, q.node, err, q.byHand(false))
			return
		}
	}
	p.await(ctx, q)
	if !q.has(remedy.MarkKept) {
		return
	}
	now := int64(0)
	if err := p.remove(late, q, &now, deleted); err != nil {
		q.left = fmt.Sprintf("pod %s/%s hangs in its deletion on node %s, and could not be deleted by force: %v; %s", q.ref.Namespace, q.ref.Name, q.node, err, q.byHand(true))
	}
}

// byHand is how the person deletes the probe.
func (q *probing) byHand(force bool) string {
	cmd := fmt.Sprintf("kubectl delete pod %s -n %s", q.ref.Name, q.ref.Namespace)
	if force {
		cmd += " --grace-period=0 --force"
	}
	return cmd
}

// remove deletes a probe in a way that the plan had not foreseen, by its UID. The journal has it under the step of its act that was to delete it; told, where
// set, is that step's outcome, which then tells of it too.
func (p *prober) remove(ctx context.Context, q *probing, grace *int64, told *remedy.Outcome) error {
	ref := q.ref
	ref.UID = q.uid
	obj, err := p.client.Read(ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case obj.GetUID() != q.uid:
		return nil // another has its name
	case len(obj.GetFinalizers()) > 0 && grace != nil:
		return fmt.Errorf("it is held by finalizers %s", strings.Join(obj.GetFinalizers(), ", "))
	}
	what := fmt.Sprintf("delete pod %s/%s", ref.Namespace, ref.Name)
	if grace != nil {
		what += " by force: it hangs in its deletion, is this tool's own, and keeps nothing"
	}
	plan := p.plan
	plan.Verdicts, plan.Undoes = nil, ""
	plan.Expires = plan.Expires.Add(p.w.Now().Sub(p.began)) // this is the end of the same run
	plan.Acts = []remedy.Act{{
		Target: ref, Node: q.node, Remedies: []remedy.ID{remedy.ProbeNode}, Risk: diagnose.RiskLow,
		Steps: []remedy.Step{{Verb: remedy.Delete, Ref: ref, ResourceVersion: obj.GetResourceVersion(), Grace: grace, What: what}},
	}}
	outcomes, status, err := p.client.Carry(ctx, underStep{p.journal, q.act}, plan, apply.Hooks{Again: p.again, Say: p.say})
	if err != nil {
		return err
	}
	if status != remedy.Done && status != remedy.Already {
		return errors.New(outcomes[0].Text)
	}
	if told != nil {
		told.Text += "; it hung there, and was deleted by force"
	}
	return nil
}

// underStep is a journal in which another plan's only step stands for the deletion of a probe, which is the second step of its act.
type underStep struct {
	apply.Journal
	act int
}

func (u underStep) Add(e remedy.Entry) error {
	if e.Type == remedy.Replan { // of a plan that the record does not have
		e = remedy.Entry{Time: e.Time, Type: remedy.Message, Text: "the probe was changed before it was deleted; it is the same pod"}
	}
	e.Act, e.Step = u.act, 1
	if e.Outcome != nil {
		o := *e.Outcome
		o.Act, o.Step = e.Act, e.Step
		e.Outcome = &o
	}
	return u.Journal.Add(e)
}
