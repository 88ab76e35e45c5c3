package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The values of --dry-run.
const (
	dryRunClient = "client"
	dryRunServer = "server"
)

// changeFlags are those of every command that changes a cluster.
type changeFlags struct {
	dryRun  string
	yes     string
	journal string
	wait    time.Duration
}

func (f *changeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dryRun, "dry-run", "", "Change nothing. client: show the plan and what the guards say; server: also ask the API server whether it would accept each step.")
	cmd.Flags().StringVar(&f.yes, "yes", "", "Do not ask. Where data may be lost, the word that would have to be typed is needed too: --yes=NAME of the pod, or the number of pods.")
	cmd.Flags().Lookup("yes").NoOptDefVal = render.Yes
	f.addJournal(cmd)
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{dryRunClient, dryRunServer}, cobra.ShellCompDirectiveNoFileComp))
}

// addWait is how long a proof is waited for.
func (f *changeFlags) addWait(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.wait, "wait", 2*time.Minute, "How long to look whether it helped; 0 does not look.")
}

func (f *changeFlags) addJournal(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.journal, "journal", "", "The folder of the journal. Default: kubectl-stuck in $XDG_STATE_HOME, or in ~/.local/state.")
	_ = cmd.MarkFlagDirname("journal")
}

func (f *changeFlags) complete() error {
	if f.dryRun != "" && f.dryRun != dryRunClient && f.dryRun != dryRunServer {
		return usagef("--dry-run=%s is neither %s nor %s", f.dryRun, dryRunClient, dryRunServer)
	}
	if slices.Contains([]string{"false", "no", "0", "f", "n"}, strings.ToLower(f.yes)) {
		return usagef("--yes=%s: leave --yes away to be asked", f.yes)
	}
	if f.wait < 0 {
		return usagef("--wait %s is negative", f.wait)
	}
	return nil
}

// change takes a plan through everything that comes before and after it is carried out.
type change struct {
	w      World
	reader *reader
	flags  changeFlags
	render render.Options
	doc    *report.Fix
	plan   remedy.Plan
	look   *look
	// again plans one act anew on a new picture.
	again func(context.Context, remedy.Plan, remedy.Act) (remedy.Plan, error)
	// node is what a change of a node does besides; nil for pods.
	node   *nodeRun
	client *apply.Client
	// silent tells that no Event can be left, for want of the right.
	silent bool
	// quiet keeps what is printed back, for one document at the end.
	quiet bool
	// interrupted tells that the person ended the run while it waited for the proof.
	interrupted bool
}

// clock is the cluster's, as well as it is known: by it plans are made, and expire.
func (c *change) clock() time.Time { return c.w.Now().Add(c.look.ahead) }

// refuse ends with the exit code for what was refused, once the page is out.
func (c *change) refuse(format string, a ...any) error {
	if err := c.print(); err != nil {
		return err
	}
	return refusedError{fmt.Errorf(format, a...)}
}

func (c *change) print() error {
	if c.quiet {
		return nil
	}
	return printFix(c.w, c.doc, c.render)
}

// run judges the plan, has it tried, asks, and carries it out.
func (c *change) run(ctx context.Context) error {
	c.doc.Plan = &c.plan
	c.doc.Notes = append(c.doc.Notes, planNotes(&c.plan)...)
	blocked := c.plan.Blocks()
	if c.flags.dryRun == dryRunClient || c.reader.config == nil {
		if len(blocked) > 0 {
			return c.refuse("%s", c.blockedText(blocked))
		}
		return c.print()
	}
	if len(blocked) > 0 {
		return c.refuse("%s; nothing was changed", c.blockedText(blocked))
	}
	var err error
	if c.client, err = apply.New(c.reader.config, apply.Options{Now: c.clock}); err != nil {
		return err
	}
	if err := c.preflight(ctx); err != nil {
		return err
	}
	if c.flags.dryRun == dryRunServer {
		return c.print()
	}
	if err := c.confirm(ctx); err != nil {
		return err
	}
	return c.carryOut(ctx)
}

// patience is how old a picture may be when a change is made. Within it fall the dry run and an answer that was given beforehand.
const patience = 5 * time.Second

// preflight asks for the rights and tries every step.
func (c *change) preflight(ctx context.Context) error {
	p := newProgress(c.w)
	defer p.clear()
	p.say("asking the API server what it would allow")
	var steps []remedy.Step
	for _, act := range c.plan.Acts {
		steps = append(steps, act.Steps...)
	}
	rights, err := c.client.Rights(ctx, steps)
	if err != nil {
		return err
	}
	if err := rights.Err(); err != nil {
		p.clear()
		c.doc.Missing = rights.Missing
		if printErr := c.print(); printErr != nil {
			return printErr
		}
		return fmt.Errorf("%w; nothing was changed", err)
	}
	c.silent = len(rights.Optional) > 0
	c.doc.DryRun = c.client.DryRun(ctx, c.plan, c.gates)
	p.clear()
	for _, a := range c.doc.DryRun {
		act := c.plan.Acts[a.Act]
		switch a.Said {
		case remedy.Accepted, remedy.Untestable:
		case remedy.Held: // a budget may allow it within the time that evictions have
		case remedy.Refused:
			return c.refuse("the API server would refuse it: %s: %s; nothing was changed", act.Steps[a.Step].What, a.Text)
		case remedy.Gone:
			return c.refuse("%s is gone already; nothing was changed", act.Target)
		case remedy.Replaced, remedy.Changed:
			return c.refuse("%s is not what it was a moment ago (%s): look again; nothing was changed", act.Target, a.Text)
		case remedy.Failed:
			if err := c.print(); err != nil {
				return err
			}
			return fmt.Errorf("the API server could not say whether it would accept it: %s: %s; nothing was changed", act.Steps[a.Step].What, a.Text)
		}
	}
	return nil
}

// gates lists what is asked before a step.
func (c *change) gates(act remedy.Act, step remedy.Step) []admission.Gate {
	if c.look == nil {
		return nil
	}
	if act.Target.Kind != snapshot.Pod {
		return nil
	}
	k, ok := c.look.picture.Case(act.Target, c.plan.Asked)
	if !ok {
		return nil
	}
	if step.Verb == remedy.Delete {
		return k.DeleteGates
	}
	return k.UpdateGates
}

// confirm asks, or takes --yes for the answer.
func (c *change) confirm(ctx context.Context) error {
	word := render.Word(&c.plan)
	needsWord := word != "yes"
	if yes := c.flags.yes; yes != "" {
		switch {
		case yes == word, !needsWord && (yes == "true" || yes == c.nameOrNumber()):
			return nil
		case yes == render.Yes || yes == "true":
			return c.refuse("data may be lost, so --yes is not enough: --yes=%s; nothing was changed", word)
		default:
			return c.refuse("--yes=%s is not the word that is asked for here, which is %s; nothing was changed", yes, word)
		}
	}
	if !c.w.Interactive() {
		flag := "--yes"
		if needsWord {
			flag += "=" + word
		}
		return c.refuse("nobody is there to ask: give %s; nothing was changed", flag)
	}
	if c.people() {
		if err := c.print(); err != nil {
			return err
		}
	} else {
		c.warnings()
	}
	text, word := render.Question(&c.plan, c.render)
	answer, err := ask(ctx, c.w, text)
	if err != nil {
		return err
	}
	if answer != word {
		return refusedError{errors.New("not confirmed; nothing was changed")}
	}
	c.look.taken = time.Time{} // time has passed
	return nil
}

// nameOrNumber is the word that would be asked for if data could be lost: who gives it means this plan.
func (c *change) nameOrNumber() string {
	if c.node != nil {
		return c.node.name
	}
	if len(c.plan.Acts) == 1 {
		return c.plan.Acts[0].Target.Name
	}
	return strconv.Itoa(len(c.plan.Acts))
}

// people tells whether the answer is a page, rather than a document for programs.
func (c *change) people() bool {
	return c.render.Format == render.Table || c.render.Format == render.Wide
}

// warnings are what has to be seen before the question where no page is printed.
func (c *change) warnings() {
	all := slices.Clone(c.plan.Verdicts)
	for _, act := range c.plan.Acts {
		all = append(all, act.Verdicts...)
	}
	for _, v := range all {
		c.warn("%s: %s", v.Guard, v.Reason)
	}
}

// judgeAgain plans every act anew and stops where a guard has come to refuse it.
func (c *change) judgeAgain(ctx context.Context) error {
	for i, act := range c.plan.Acts {
		now, err := c.actAgain(ctx, act)
		var blocked *apply.Blocked
		switch {
		case errors.As(err, &blocked):
			c.plan.Acts[i].Verdicts = blocked.Verdicts
			return c.refuse("%s; nothing was changed", c.blockedText(blocked.Verdicts))
		case errors.Is(err, remedy.ErrNothingLeft):
			return c.refuse("%s is gone already, or as wanted; nothing was changed", act.Target)
		case errors.Is(err, remedy.ErrReplaced):
			return c.refuse("%v; nothing was changed", err)
		case err != nil:
			return fmt.Errorf("%w; nothing was changed", err)
		}
		c.plan.Acts[i] = now
	}
	return nil
}

// stale tells that the guards looked too long ago.
func (c *change) stale() bool { return c.w.Now().Sub(c.look.taken) > patience }

// actAgain is what the writer calls when the object of an act has changed, too.
func (c *change) actAgain(ctx context.Context, act remedy.Act) (remedy.Act, error) {
	plan, err := c.again(ctx, c.plan, act)
	if err != nil {
		return remedy.Act{}, err
	}
	if blocked := plan.Blocks(); len(blocked) > 0 {
		return remedy.Act{}, &apply.Blocked{Verdicts: blocked}
	}
	now := plan.Acts[0]
	if remedy.Worse(act.Risk, now.Risk) != act.Risk {
		return remedy.Act{}, &apply.Blocked{Verdicts: []remedy.Verdict{{
			Guard: "changed", Level: remedy.Block,
			Reason: fmt.Sprintf("The risk was %s when it was confirmed, and is %s now.", act.Risk, now.Risk),
		}}}
	}
	if diff := exceeds(act, now); diff != "" {
		return remedy.Act{}, &apply.Blocked{Ref: act.Target, Verdicts: []remedy.Verdict{{
			Guard: "changed", Level: remedy.Block, Reason: "The plan comes out differently now than when it was agreed to: " + diff + ".",
		}}}
	}
	c.look.taken = c.w.Now()
	if more := addedWarnings(act.Verdicts, now.Verdicts); more != "" {
		c.warn("%s", more)
	}
	return now, nil
}

// exceeds says in what an act that was planned anew does more than the one that was agreed to. It may do less: a finalizer can be gone by now.
func exceeds(was, now remedy.Act) string {
	for _, step := range now.Steps {
		i := slices.IndexFunc(was.Steps, func(s remedy.Step) bool {
			return s.Verb == step.Verb && s.Ref == step.Ref && equalGrace(s.Grace, step.Grace)
		})
		if i < 0 {
			return "it has the step " + step.What
		}
		for _, f := range step.Finalizers {
			if !slices.Contains(was.Steps[i].Finalizers, f) {
				return "it takes in finalizer " + f
			}
		}
	}
	return ""
}

// addedWarnings are those that were not there when the person agreed.
func addedWarnings(before, now []remedy.Verdict) string {
	var out []string
	for _, v := range now {
		if !slices.ContainsFunc(before, func(b remedy.Verdict) bool { return b.Guard == v.Guard }) {
			out = append(out, v.Guard+": "+v.Reason)
		}
	}
	return strings.Join(out, " ")
}

func (c *change) warn(format string, a ...any) {
	fmt.Fprintf(c.w.Streams.ErrOut, "warning: %s\n", render.Clean(fmt.Sprintf(format, a...)))
}

// carryOut writes the journal, changes the cluster, and looks whether it helped.
func (c *change) carryOut(ctx context.Context) error {
	// What a person agreed to while thinking for a while is judged again, last of all. Of a node that is before anything is kept: its pods come and go, and what
	// is kept goes with their acts, one by one.
	if c.node != nil && c.stale() {
		if err := c.judgeNodeAgain(ctx); err != nil {
			return err
		}
	}
	record, before, err := c.record(ctx)
	if err != nil {
		return err
	}
	if c.node == nil && c.stale() {
		if err := c.judgeAgain(ctx); err != nil {
			return err
		}
		record.Plan = c.plan
	}
	dir, err := journalDir(c.w, c.flags.journal)
	if err != nil {
		return err
	}
	j, err := journal.Create(dir, record)
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	defer func() { _ = j.Close() }()
	c.doc.Run, c.doc.Journal = j.ID(), j.Path()
	p := newProgress(c.w)
	hooks := apply.Hooks{
		Again: func(ctx context.Context, act remedy.Act) (remedy.Act, error) { p.clear(); return c.actAgain(ctx, act) },
		Stale: c.stale,
		Say:   p.say,
	}
	if c.node != nil {
		hooks.Ready = c.nodeReady(p)
	}
	carry := func() ([]remedy.Outcome, remedy.Status, error) { return c.client.Carry(ctx, j, c.plan, hooks) }
	if c.node != nil && c.node.carry != nil {
		carry = func() ([]remedy.Outcome, remedy.Status, error) { return c.node.carry(ctx, c, j, p) }
	}
	outcomes, status, err := carry()
	p.clear()
	c.doc.Outcomes, c.doc.Status = outcomes, status
	if c.node != nil && c.node.wentPast(outcomes, c.plan.Acts) {
		c.doc.Status = remedy.Done
	}
	c.pointBack()
	failure := err
	if changed(outcomes) {
		if c.flags.wait > 0 {
			c.prove(ctx, j, before)
		} else {
			c.doc.Notes = append(c.doc.Notes, "Nobody looked whether it helped: --wait is 0.")
		}
		if c.node == nil || c.node.carry == nil {
			c.tell(ctx, j)
		}
	}
	if err := j.End(c.w.Now(), status, errorText(failure)); err != nil {
		c.warn("the end of the run could not be written to the journal: %v", err)
	}
	if c.node != nil {
		c.node.after(ctx, c)
	}
	if err := c.print(); err != nil {
		return toldError{fmt.Errorf("%w%s", err, c.more())}
	}
	return c.verdict(failure)
}

// pointBack says how to take the run back, where the journal is not where it would be looked for.
func (c *change) pointBack() {
	if c.flags.journal == "" {
		return
	}
	can := false
	for _, o := range c.doc.Outcomes {
		can = can || (o.Status == remedy.Done || o.Status == remedy.Open) && c.plan.Acts[o.Act].Steps[o.Step].Undo.Can
	}
	if can {
		c.doc.Next = append(c.doc.Next, "kubectl stuck undo "+c.doc.Run+" --journal "+c.flags.journal)
	}
	c.doc.Next = append(c.doc.Next, "kubectl stuck history "+c.doc.Run+" --journal "+c.flags.journal)
}

// record is what goes to disk before anything is changed: the plan, and the objects whole.
func (c *change) record(ctx context.Context) (remedy.Record, []remedy.Before, error) {
	who, err := c.client.Who(ctx)
	if err != nil {
		c.warn("the API server does not say who you are: %v", err)
	}
	who.User, who.Host = c.w.User(), c.w.Host()
	if c.reader.config.Impersonate.UserName != "" {
		who.As = c.reader.config.Impersonate.UserName
	}
	r := remedy.Record{
		APIVersion: remedy.APIVersion, Kind: remedy.KindRun, Time: c.w.Now().UTC(), Version: version, Who: who, Plan: c.plan,
	}
	var before []remedy.Before
	for _, act := range c.plan.Acts {
		raw, err := c.whole(ctx, act)
		if err != nil {
			return r, nil, err
		}
		r.Objects = append(r.Objects, raw)
		if c.node != nil {
			before = append(before, c.node.before(act))
		} else {
			before = append(before, remedy.BeforeAct(c.look.picture, act))
		}
	}
	if c.node != nil {
		r.Kept = c.node.kept(c)
	}
	return r, before, nil
}

// whole reads the object of an act as the API server has it.
func (c *change) whole(ctx context.Context, act remedy.Act) (json.RawMessage, error) {
	if act.Target.UID == "" {
		return json.RawMessage("null"), nil
	}
	obj, err := c.client.Read(ctx, act.Target)
	if apierrors.IsNotFound(err) && slices.Contains(act.Remedies, remedy.EvictPod) {
		return json.RawMessage("null"), nil // it ended by itself since the plan was made, which is what was wanted
	}
	if err != nil {
		return nil, fmt.Errorf("%s could not be read to be kept: %w; nothing was changed", act.Target, err)
	}
	if obj.GetUID() != act.Target.UID {
		return nil, refusedError{fmt.Errorf("%s has UID %s, and the plan is for %s: another object has its name; nothing was changed", act.Target, obj.GetUID(), act.Target.UID)}
	}
	return marshal(obj)
}

func marshal(obj *unstructured.Unstructured) (json.RawMessage, error) {
	raw, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", obj.GetKind(), obj.GetNamespace(), obj.GetName(), err)
	}
	return raw, nil
}

// changed tells whether anything may have been done.
func changed(outcomes []remedy.Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o remedy.Outcome) bool {
		return o.Status == remedy.Done || o.Status == remedy.Already || o.Status == remedy.Open
	})
}

// tell leaves an Event on each object that was changed. It is a courtesy: what fails here changes nothing.
func (c *change) tell(ctx context.Context, j *journal.Run) {
	if ctx.Err() != nil {
		return
	}
	if c.silent {
		_ = j.Add(remedy.Entry{Time: c.w.Now().UTC(), Type: remedy.Message, Text: "no Event was left: the right to create events is missing"})
		return
	}
	for i, act := range c.plan.Acts {
		reason, message := c.eventOf(i, act)
		if reason == "" {
			continue
		}
		if err := c.client.Tell(ctx, j, act.Target, reason, message); err != nil {
			_ = j.Add(remedy.Entry{Time: c.w.Now().UTC(), Type: remedy.Message, Act: i, Text: "no Event was left: " + err.Error()})
			return // a server that is busy, or forbids it, is not asked again for a courtesy
		}
	}
}

// eventOf words what was done to an object: only the steps that were.
func (c *change) eventOf(i int, act remedy.Act) (reason, message string) {
	var did []string
	for _, o := range c.doc.Outcomes {
		if o.Act != i || o.Status != remedy.Done || o.Step >= len(act.Steps) {
			continue
		}
		step := act.Steps[o.Step]
		did = append(did, step.What)
		switch {
		case step.Verb == remedy.Evict:
			reason = "Evicted"
		case step.Ref.Kind == snapshot.Node:
			reason = nodeEvent(step)
		case step.Verb == remedy.Create:
			reason = "CreatedAgain"
		case step.Verb == remedy.Patch && step.PutsBack:
			reason = "FinalizersPutBack"
		case step.Verb == remedy.Patch:
			reason = "FinalizersRemoved"
		case step.Grace != nil && *step.Grace == 0:
			reason = "ForceDeleted"
		default:
			reason = "Deleted"
		}
	}
	return reason, fmt.Sprintf("kubectl stuck: %s (run %s)", strings.Join(did, "; "), c.doc.Run)
}

// verdict is the exit code of what was done.
func (c *change) verdict(failure error) error {
	var blocked *apply.Blocked
	switch {
	case errors.As(failure, &blocked):
		return toldError{refusedError{fmt.Errorf("%s%s", c.blockedText(blocked.Verdicts), c.more())}}
	case failure != nil:
		return toldError{fmt.Errorf("%w%s", failure, c.more())}
	case c.doc.Status == remedy.Stopped:
		return toldError{refusedError{fmt.Errorf("stopped before it was done%s", c.more())}}
	case c.doc.Status != remedy.Done && c.doc.Status != remedy.Already:
		return toldError{fmt.Errorf("not done: %s%s", c.first(), c.more())}
	}
	if c.interrupted {
		return toldError{fmt.Errorf("interrupted while waiting for the proof%s", c.more())}
	}
	for _, s := range c.doc.Sights {
		if !s.Good {
			return toldError{fmt.Errorf("it was done, and is not proven to have helped: %s%s", strings.TrimSuffix(strings.Join(s.Says, " "), "."), c.more())}
		}
	}
	return nil
}

// first is the first step that did not end well, in the words of its outcome.
func (c *change) first() string {
	for _, o := range c.doc.Outcomes {
		if o.Status != remedy.Done && o.Status != remedy.Already {
			return fmt.Sprintf("%s: %s", o.Status, o.Text)
		}
	}
	return string(c.doc.Status)
}

// more says whether something was changed, and where the whole story is.
func (c *change) more() string {
	text := "; nothing was changed"
	for _, o := range c.doc.Outcomes {
		switch o.Status {
		case remedy.Done:
			text = "; what was done stays done"
		case remedy.Already:
			if o.Attempts > 0 && text == "; nothing was changed" {
				text = "; it is as wanted, and this run or somebody else did it"
			}
		case remedy.Open:
			return "; whether it was changed is not known; see `kubectl stuck history " + c.doc.Run + "`"
		}
	}
	return text + "; see `kubectl stuck history " + c.doc.Run + "`"
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refusedError is what a guard, the API server's dry run, or the person refused. Nothing was changed by it.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// blockedText says what forbids the plan. The page for people has it in full already.
func (c *change) blockedText(vs []remedy.Verdict) string {
	if c.people() {
		var names []string
		for _, v := range vs {
			if !slices.Contains(names, v.Guard) {
				names = append(names, v.Guard)
			}
		}
		return "refused by " + strings.Join(names, ", ")
	}
	var out []string
	for _, v := range vs {
		text := "refused by " + v.Guard + ": " + v.Reason
		if v.Override != "" {
			text += " Lifted by " + v.Override + "."
		} else {
			text += " Nothing lifts this."
		}
		out = append(out, text)
	}
	return strings.TrimSuffix(strings.Join(out, " "), ".")
}

func planNotes(p *remedy.Plan) []string {
	if p.Asked.Attest != "" {
		return []string{"Your attestation is kept in the journal: " + p.Asked.Attest}
	}
	return nil
}

// journalDir is where the journal is.
func journalDir(w World, flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	dir, err := journal.Dir(w.Getenv)
	if err != nil {
		return "", fmt.Errorf("%w; nothing was changed", err)
	}
	return dir, nil
}

// printFix prints the document.
func printFix(w World, doc *report.Fix, o render.Options) error {
	var page strings.Builder
	if err := render.Fix(&page, doc, o); err != nil {
		return err
	}
	if _, err := io.WriteString(w.Streams.Out, page.String()); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// ask puts a question to the terminal and reads a line. Interrupting is no answer.
func ask(ctx context.Context, w World, question string) (string, error) {
	fmt.Fprint(w.Streams.ErrOut, question)
	type line struct {
		text string
		err  error
	}
	got := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(io.LimitReader(w.Streams.In, 4096)).ReadString('\n')
		got <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(w.Streams.ErrOut)
		return "", ctx.Err()
	case l := <-got:
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return "", fmt.Errorf("reading the answer: %w", l.err)
		}
		return strings.TrimSpace(l.text), nil
	}
}
