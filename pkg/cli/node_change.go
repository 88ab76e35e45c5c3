package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The values of --out-of-service.
const (
	outOfServiceSet    = "set"
	outOfServiceRemove = "remove"
)

// graceMargin is how long past its grace period an evicted pod is waited for: what the kubelet needs to see the deletion, to unmount and to say so.
const graceMargin = 30 * time.Second

// backWait is how long --wait looks for the node when it has no value of its own: a machine that reboots and checks its disks takes minutes.
const backWait = 30 * time.Minute

// nodeFlags are what `kubectl stuck node` can be told to do to a node.
type nodeFlags struct {
	change       changeFlags
	drain        bool
	outOfService string
	restore      bool
	saved        string
	probe        bool
	image        string
	back         time.Duration
	timeout      time.Duration
	attest       string
	lifted       map[string]*bool

	asked remedy.Asked
}

func (f *nodeFlags) add(cmd *cobra.Command) {
	f.change.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.drain, "drain-and-delete", false, "Move the work off the node and delete its Node object: cordon it, evict what can still stop in order, delete the object, and watch where the workloads run then.")
	fl.StringVar(&f.outOfService, "out-of-service", "", "Taint a node that is known to be off as out of service, so that its pods are removed and their volumes detached; =remove takes the taint off.")
	fl.Lookup("out-of-service").NoOptDefVal = outOfServiceSet
	fl.BoolVar(&f.restore, "restore", false, "Give a node that came back its labels, taints and annotations, and keep pods from it until a probe has passed there.")
	fl.StringVar(&f.saved, "saved", "", "With --restore: the ID of the run that deleted the node, or a file with the Node as it was; '-' reads stdin. Default: the last such run in the journal.")
	fl.BoolVar(&f.probe, "probe", false, "Run a small pod of our own on the node, and on a healthy one beside it, and say which part of its life does not work there.")
	fl.StringVar(&f.image, "probe-image", "", "With --probe or --restore: the image of the pod. Default: one that the node has already.")
	fl.DurationVar(&f.back, "wait", 0, "Wait until the node is back: registered, Ready, with a fresh lease. Without a value, for 30m.")
	fl.Lookup("wait").NoOptDefVal = backWait.String()
	fl.DurationVar(&f.timeout, "timeout", 5*time.Minute, "How long evictions are tried and waited for, how long the workloads are looked for elsewhere, and how long a probe may take. Default with --probe alone: 1m.")
	fl.StringVar(&f.attest, "attest", "", "In your own words, what you know that the cluster cannot tell: that the machine is off, or that its containers are stopped. It is kept in the journal.")
	f.lifted = map[string]*bool{}
	for _, l := range []struct{ name, usage string }{
		{"even-in-storm", "Act although so many nodes are unhealthy that the control plane or the network must be suspected."},
		{"even-if-healthy", "Drain and delete a node that nothing shows to be broken."},
		{"even-control-plane", "Drain and delete a member of the control plane."},
		{"even-last", "Drain and delete the last Ready node of its role or zone."},
		{"even-without-room", "Drain and delete although some pods would fit nowhere else."},
		{"even-unmanaged", "Delete pods that nobody makes again. The journal keeps their manifests."},
		{"even-past-budget", "Delete the Node although a disruption budget did not let all pods be evicted."},
		{"delete-emptydir-data", "Delete pods although what they keep in emptyDir volumes goes with them."},
	} {
		f.lifted[l.name] = fl.Bool(l.name, false, l.usage)
	}
	_ = cmd.MarkFlagFilename("saved")
	_ = cmd.RegisterFlagCompletionFunc("out-of-service", cobra.FixedCompletions([]string{outOfServiceSet, outOfServiceRemove}, cobra.ShellCompDirectiveNoFileComp))
}

// acts tells whether something is to be done, and waits whether anything is to be waited for.
func (f *nodeFlags) acts() bool  { return f.drain || f.outOfService != "" || f.restore || f.probe }
func (f *nodeFlags) waits() bool { return f.back > 0 }

// check finds what does not go together.
func (f *nodeFlags) check(cmd *cobra.Command, o *nodeOptions) error {
	changed := cmd.Flags().Changed
	if err := f.change.complete(); err != nil {
		return err
	}
	needs := func(flag string, ok bool, what string) error {
		if changed(flag) && !ok {
			return usagef("--%s goes with %s", flag, what)
		}
		return nil
	}
	one := 0
	for _, on := range []bool{f.drain, f.outOfService != "", f.restore || f.probe} {
		if on {
			one++
		}
	}
	switch {
	case one > 1:
		return usagef("--drain-and-delete, --out-of-service, and --restore or --probe are done one after the other: each is a run of its own")
	case changed("out-of-service") && f.outOfService != outOfServiceSet && f.outOfService != outOfServiceRemove:
		return usagef("--out-of-service=%s is neither %s nor %s", f.outOfService, outOfServiceSet, outOfServiceRemove)
	case (f.acts() || f.waits()) && len(o.names) != 1:
		return usagef("one node at a time: give the name of one")
	case changed("wait") && f.back <= 0:
		return usagef("--wait %s is no time to wait", f.back)
	case f.timeout <= 0:
		return usagef("--timeout %s is no time to wait", f.timeout)
	case changed("attest") && strings.TrimSpace(f.attest) == "":
		return usagef("--attest is empty: say in your own words what you know")
	case len(o.source.from) > 0 && (f.waits() || f.acts() && f.change.dryRun != dryRunClient):
		return usagef("files cannot be changed: with --from, add --dry-run=client to see the plan")
	case (f.acts() || f.waits()) && o.logs.asked():
		return usagef("--logs and --log-file tell what is wrong: look first, and act then")
	case f.probe && !f.restore && f.change.dryRun == dryRunClient && len(o.source.from) > 0:
		return usagef("a probe runs on a live cluster")
	case f.restore && f.waits() && f.change.dryRun != "":
		return usagef("--dry-run changes nothing, so there is nothing to wait for")
	}
	lifts := "--drain-and-delete or --out-of-service"
	for _, err := range []error{
		needs("dry-run", f.acts(), "something to do"), needs("yes", f.acts(), "something to do"),
		needs("attest", f.drain || f.outOfService != "", lifts), needs("saved", f.restore, "--restore"),
		needs("probe-image", f.restore || f.probe, "--restore or --probe"), needs("timeout", f.acts(), "something to do"),
	} {
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.lifted)) {
		if err := needs(name, f.drain || name == "even-in-storm" && f.outOfService != "", lifts); err != nil {
			return err
		}
	}
	if f.attest != "" {
		words, err := remedy.Attestation(f.attest)
		if err != nil {
			return usagef("--attest: %w", err)
		}
		f.attest = words
	}
	if f.probe && !f.restore && !changed("timeout") {
		f.timeout = probeTimeout // a machine that has just come back, as with --restore, gets more
	}
	f.asked = remedy.Asked{
		DrainAndDelete: f.drain, OutOfService: f.outOfService == outOfServiceSet, InService: f.outOfService == outOfServiceRemove, Restore: f.restore, Probe: f.probe && !f.restore,
		Attest: f.attest, Timeout: int64(f.timeout / time.Second), Lifted: chosenLifts(f.lifted),
	}
	f.change.wait = f.timeout
	return nil
}

// chosenLifts are the flags that were given, in order.
func chosenLifts(flags map[string]*bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if *flags[name] {
			out = append(out, name)
		}
	}
	return out
}

// nodeRun is one node that something is done to.
type nodeRun struct {
	name  string
	flags *nodeFlags
	now   *remedy.NodeCase // as last seen
	// first is the node as it was planned on.
	first *remedy.NodeCase
	// prepare plans anew for the node as it is.
	prepare func(ctx context.Context, c *remedy.NodeCase, cluster remedy.Cluster) (remedy.Plan, error)
	// carry, where set, is done instead of carrying out the plan step by step.
	carry func(ctx context.Context, c *change, j *journal.Run, p *progress) ([]remedy.Outcome, remedy.Status, error)
}

// runNode does what was asked for to one node.
func (o *nodeOptions) runNode(ctx context.Context, w World, config *genericclioptions.ConfigFlags) error {
	r, err := o.source.openFresh(ctx, w, config)
	if err != nil {
		return err
	}
	name := o.names[0]
	if o.act.waits() && !o.act.drain && o.act.outOfService == "" {
		return o.waitThen(ctx, w, r, name)
	}
	return o.actOn(ctx, w, r, name)
}

// actOn does the one thing that was asked for.
func (o *nodeOptions) actOn(ctx context.Context, w World, r *reader, name string) error {
	n := &nodeRun{name: name, flags: &o.act, prepare: func(_ context.Context, c *remedy.NodeCase, cluster remedy.Cluster) (remedy.Plan, error) {
		return remedy.MakeNode(c, cluster)
	}}
	switch {
	case o.act.restore:
		return o.restoreNode(ctx, w, r, n)
	case o.act.probe:
		return o.probeNode(ctx, w, r, n)
	}
	l, err := n.look(ctx, w, r, "", false)
	if err != nil {
		return err
	}
	n.first = n.now
	doc := n.document(l)
	cluster := clusterOf(ctx, r, l.origin)
	if o.act.drain && n.now.Facts.Exists == snapshot.Absent {
		return o.goOn(ctx, w, r, n, l, doc, cluster)
	}
	if n.now.Node == nil {
		return fmt.Errorf("node %s could not be read: %w", name, orUnknown(l.picture.S.Gap(snapshot.Node)))
	}
	plan, err := n.prepare(ctx, n.now, cluster)
	if errors.Is(err, remedy.ErrNothingLeft) {
		doc.Notes = append(doc.Notes, fmt.Sprintf("Node %s: %v.", name, err))
		return printFix(w, doc, o.render)
	}
	if err != nil {
		return err
	}
	if o.act.drain {
		doc.Node.Host = remedy.HostSteps(n.now)
	}
	c := &change{w: w, reader: r, flags: o.act.change, render: o.render, doc: doc, plan: plan, look: l, node: n}
	c.again = n.again(c)
	if err := c.run(ctx); err != nil {
		return err
	}
	if o.act.waits() && o.act.change.dryRun == "" {
		return o.waitFor(ctx, w, r, name, n.first.Ref.UID)
	}
	return nil
}

// look takes a picture of the node and of all that bears on what is to be done to it.
func (n *nodeRun) look(ctx context.Context, w World, r *reader, planned types.UID, again bool) (*look, error) {
	q := lookQuery{nodes: []string{n.name}}
	if n.flags.drain {
		q.room = q.nodes
	}
	l, err := takeLook(ctx, w, r, q)
	if err != nil {
		return nil, err
	}
	s := l.picture.S
	if err := known(s, n.name); err != nil && !n.flags.drain && !n.flags.restore {
		return nil, err
	}
	asked := n.flags.asked
	asked.Again = again
	n.now = l.picture.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: n.name, UID: planned}, asked, apply.Drainer(ctx, s, n.name))
	if n.flags.drain {
		fit := room.Fit(s, n.name, n.now.Movers())
		n.now.Room = &fit
	}
	return l, nil
}

// again returns what plans one act of the node's plan anew.
func (n *nodeRun) again(c *change) func(context.Context, remedy.Plan, remedy.Act) (remedy.Plan, error) {
	return func(ctx context.Context, plan remedy.Plan, act remedy.Act) (remedy.Plan, error) {
		planned := types.UID("")
		if act.Target.Kind == snapshot.Node {
			planned = act.Target.UID
		}
		l, err := n.look(ctx, c.w, c.reader, planned, true)
		if err != nil {
			return remedy.Plan{}, err
		}
		if act.Target.Kind == snapshot.Pod {
			return n.podAgain(ctx, l, plan, act)
		}
		switch {
		case n.now.Facts.Exists == snapshot.Absent:
			return remedy.Plan{}, fmt.Errorf("%s is gone: %w", act.Target, remedy.ErrNothingLeft)
		case n.now.Node == nil:
			return remedy.Plan{}, fmt.Errorf("%s could not be read: %w", act.Target, orUnknown(l.picture.S.Gap(snapshot.Node)))
		case n.now.Node.UID != act.Target.UID:
			return remedy.Plan{}, fmt.Errorf("%s has UID %s, and the plan is for %s: %w", act.Target, n.now.Node.UID, act.Target.UID, remedy.ErrReplaced)
		}
		if why := n.newcomers(act); why != "" {
			return remedy.Plan{}, &apply.Blocked{Ref: act.Target, Verdicts: []remedy.Verdict{{Guard: "changed", Level: remedy.Block, Reason: why + "."}}}
		}
		now, err := n.prepare(ctx, n.now, plan.Cluster)
		if err != nil {
			return remedy.Plan{}, err
		}
		return pick(now, act)
	}
}

// newcomers says which pods came since the person agreed, where the act deletes the Node and would take them with it.
func (n *nodeRun) newcomers(act remedy.Act) string {
	if !slices.Contains(act.Remedies, remedy.DeleteNode) {
		return ""
	}
	came := n.now.Newcomers(n.first)
	if len(came) == 0 {
		return ""
	}
	return fmt.Sprintf("Since it was agreed to, %s came to node %s: run the same command again to see what becomes of that", firstOf(came, 3), n.name)
}

// podAgain looks at a pod that is to be evicted again. One that its kubelet has come to be silent about is evicted all the same: that only asks.
func (n *nodeRun) podAgain(ctx context.Context, l *look, plan remedy.Plan, act remedy.Act) (remedy.Plan, error) {
	p := l.picture.S.Pod(act.Target.Namespace, act.Target.Name)
	switch {
	case p == nil && !n.now.AllPods:
		return remedy.Plan{}, fmt.Errorf("%s could not be read: %w", act.Target, orUnknown(l.picture.S.Gap(snapshot.Pod)))
	case p == nil:
		return remedy.Plan{}, fmt.Errorf("%s is gone: %w", act.Target, remedy.ErrNothingLeft)
	case p.UID != act.Target.UID:
		return remedy.Plan{}, fmt.Errorf("%s has UID %s, and the plan is for %s: %w", act.Target, p.UID, act.Target.UID, remedy.ErrReplaced)
	}
	now, err := n.prepare(ctx, n.now, plan.Cluster)
	if err == nil {
		if one, err := pick(now, act); err == nil {
			return one, nil
		}
	}
	act.Steps = slices.Clone(act.Steps)
	for i := range act.Steps {
		act.Steps[i].ResourceVersion = p.ResourceVersion
	}
	plan.Acts = []remedy.Act{act}
	return plan, nil
}

// judgeNodeAgain plans everything anew, and stops where that does more than what was agreed to.
func (c *change) judgeNodeAgain(ctx context.Context) error {
	l, err := c.node.look(ctx, c.w, c.reader, c.node.first.Ref.UID, false)
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	plan, err := c.node.prepare(ctx, c.node.now, c.plan.Cluster)
	switch {
	case errors.Is(err, remedy.ErrNothingLeft):
		return c.refuse("%s is gone already, or as wanted; nothing was changed", c.node.name)
	case errors.Is(err, remedy.ErrReplaced):
		return c.refuse("%v; nothing was changed", err)
	case err != nil:
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if blocked := plan.Blocks(); len(blocked) > 0 {
		c.plan.Verdicts = plan.Verdicts
		for i := range c.plan.Acts {
			if one, err := pick(plan, c.plan.Acts[i]); err == nil {
				c.plan.Acts[i].Verdicts = one.Acts[0].Verdicts
			}
		}
		return c.refuse("%s; nothing was changed", c.blockedText(blocked))
	}
	if was := c.plan.Risk(); remedy.Worse(was, plan.Risk()) != was {
		return c.refuse("the risk was %s when it was confirmed, and is %s now: look again; nothing was changed", was, plan.Risk())
	}
	for _, act := range plan.Acts {
		if !slices.ContainsFunc(c.plan.Acts, func(a remedy.Act) bool { return a.Target.Is(act.Target) && slices.Equal(a.Remedies, act.Remedies) }) {
			return c.refuse("the plan comes out differently now than when it was agreed to: it takes in %s; look again; nothing was changed", act.Target)
		}
		if why := c.node.newcomers(act); why != "" {
			return c.refuse("%s; nothing was changed", why)
		}
	}
	c.plan.Acts, c.plan.Verdicts, c.look = plan.Acts, plan.Verdicts, l
	return nil
}

// before is what has to be known to tell whether an act helped: of evictions nothing, because the deletion of the node tells of its pods together.
func (n *nodeRun) before(act remedy.Act) remedy.Before {
	if act.Target.Kind != snapshot.Node || n.now == nil || slices.Contains(act.Remedies, remedy.Cordon) {
		return remedy.Before{}
	}
	return remedy.NewBeforeNode(n.now, act.Remedies)
}

// kept are the pods that go with the node and have no act of their own.
func (n *nodeRun) kept(c *change) []json.RawMessage {
	if !n.flags.drain {
		return nil
	}
	var out []json.RawMessage
	for _, p := range n.now.Pods {
		pod := p.Case.Pod.Object
		if slices.ContainsFunc(c.plan.Acts, func(a remedy.Act) bool { return a.Target.UID == pod.UID }) {
			continue
		}
		whole := pod.DeepCopy()
		whole.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
		if raw, err := json.Marshal(whole); err == nil {
			out = append(out, raw)
		}
	}
	return out
}

// nodeReady returns what is done before each act: the Node is deleted only after evicted pods had their time to stop, and after the guards looked once more.
func (c *change) nodeReady(p *progress) func(context.Context, int, remedy.Act) error {
	return func(ctx context.Context, i int, act remedy.Act) error {
		if !slices.Contains(act.Remedies, remedy.DeleteNode) {
			return nil
		}
		evicted := map[types.UID]bool{}
		for _, a := range c.plan.Acts[:i] {
			if slices.Contains(a.Remedies, remedy.EvictPod) {
				evicted[a.Target.UID] = true
			}
		}
		c.look.taken = time.Time{} // the guards look again, at what is left
		if len(evicted) == 0 {
			return nil
		}
		return c.awaitStop(ctx, evicted, p)
	}
}

// awaitStop waits until the evicted pods are gone, or past their grace period and its margin, or the time is up. Those that were not evicted, because a budget was
// gone past, are not waited for: an eviction sets deletionTimestamp before it is answered, and the list is a consistent read.
func (c *change) awaitStop(ctx context.Context, evicted map[types.UID]bool, p *progress) error {
	until := c.w.Now().Add(c.node.flags.timeout)
	for {
		var left []string
		overdue := 0
		err := c.reader.backend.List(ctx, source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.nodeName=" + c.node.name}, func(o runtime.Object) {
			pod, ok := o.(*corev1.Pod)
			if !ok || !evicted[pod.UID] || snapshot.IsTerminal(pod) && len(pod.Finalizers) > 0 {
				return
			}
			left = append(left, pod.Namespace+"/"+pod.Name)
			if d := pod.DeletionTimestamp; d == nil || c.clock().Sub(d.Time) > graceMargin { // or a budget did not let it go
				overdue++
			}
		})
		now := c.w.Now()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !now.Before(until):
			return fmt.Errorf("whether the evicted pods of %s stopped could not be read: %w", c.node.name, err)
		case err == nil && (len(left) == overdue || !now.Before(until)):
			if len(left) > 0 {
				c.warn("%d of %d pods that were to be evicted are still there: %s", len(left), len(evicted), firstOf(left, 3))
			}
			return nil
		}
		p.say(fmt.Sprintf("%d of %d evicted pods are gone; waiting for %s", len(evicted)-len(left), len(evicted), firstOf(left, 3)))
		if !sleep(ctx, glance) {
			return context.Cause(ctx)
		}
	}
}

// firstOf names some of many.
func firstOf(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// nodeEvent is the reason of the Event about what was done to a Node.
func nodeEvent(s remedy.Step) string {
	switch {
	case s.Verb == remedy.Delete:
		return "NodeObjectDeleted"
	case s.Verb == remedy.Create:
		return "CreatedAgain"
	case s.Change != nil && s.Change.Unschedulable != nil && *s.Change.Unschedulable:
		return "Cordoned"
	case s.Change != nil && s.Change.Unschedulable != nil:
		return "Uncordoned"
	default:
		return "NodeChanged"
	}
}

// wentPast tells that the Node was deleted although disruption budgets had not allowed evictions: that is what --even-past-budget asks for.
func (n *nodeRun) wentPast(outcomes []remedy.Outcome, acts []remedy.Act) bool {
	refused, deleted := false, false
	for _, o := range outcomes {
		good := o.Status == remedy.Done || o.Status == remedy.Already
		switch ids := acts[o.Act].Remedies; {
		case slices.Contains(ids, remedy.EvictPod) && o.Status == remedy.Rejected && o.Budget:
			refused = true
		case slices.Contains(ids, remedy.DeleteNode) && good:
			deleted = true
		case !good:
			return false
		}
	}
	return refused && deleted
}

// after adds what the change of a node left to say: what is left behind, what is Pending and why, what is to be done on the machine.
func (n *nodeRun) after(ctx context.Context, c *change) {
	status := map[remedy.ID]remedy.Status{}
	for _, out := range c.doc.Outcomes {
		for _, id := range c.plan.Acts[out.Act].Remedies {
			if s, ok := status[id]; !ok || s == remedy.Done || s == remedy.Already {
				status[id] = out.Status
			}
		}
	}
	done := func(id remedy.ID) bool { return status[id] == remedy.Done || status[id] == remedy.Already }
	switch {
	case n.flags.drain && done(remedy.DeleteNode):
		n.afterDelete(ctx, c.w, c.reader, c.doc)
		c.doc.Next = append(c.doc.Next,
			fmt.Sprintf("kubectl stuck node %s --wait --restore%s", n.name, journalFlag(c.flags.journal)))
	case n.flags.drain:
		if status[remedy.DeleteNode] != remedy.Open {
			c.doc.Node.Host = nil // they are for a machine whose Node object is gone
		}
		if done(remedy.Cordon) || n.first.Node != nil && n.first.Node.Spec.Unschedulable {
			c.doc.Notes = append(c.doc.Notes, fmt.Sprintf("The Node object of %s is still there, and cordoned. Run the same command again to go on; `kubectl stuck undo %s` lets pods onto it again.", n.name, c.doc.Run))
		}
	case n.flags.asked.OutOfService && done(remedy.OutOfService):
		c.doc.Notes = append(c.doc.Notes, fmt.Sprintf("The taint stays until somebody takes it off: `kubectl stuck node %s --out-of-service=remove`, once the machine is back and its kubelet answers.", n.name))
	}
}

func journalFlag(dir string) string {
	if dir == "" {
		return ""
	}
	return " --journal " + dir
}

// afterDelete looks at what the deletion of the Node left.
func (n *nodeRun) afterDelete(ctx context.Context, w World, r *reader, doc *report.Fix) {
	if doc.Node.Host == nil {
		doc.Node.Host = remedy.HostSteps(n.first)
	}
	if ctx.Err() != nil {
		return
	}
	if _, err := n.look(ctx, w, r, "", true); err != nil {
		doc.Notes = append(doc.Notes, fmt.Sprintf("What is left of node %s could not be read: %v.", n.name, err))
		return
	}
	doc.Node.Leftovers = remedy.Leftovers(n.now, n.first)
	pending := map[string][]string{}
	for _, s := range doc.Sights {
		for _, m := range append([]remedy.Sight{s}, s.Moves...) {
			if m.Replacement != nil && !m.Replacement.Ready {
				pending[m.Replacement.Ref.Namespace] = append(pending[m.Replacement.Ref.Namespace], m.Replacement.Ref.Name)
			}
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(pending)) {
		names := slices.Compact(slices.Sorted(slices.Values(pending[namespace])))
		l, err := takeLook(ctx, w, r, lookQuery{namespace: namespace, names: names})
		if err != nil {
			doc.Notes = append(doc.Notes, fmt.Sprintf("Why pods of namespace %s are not Ready could not be read: %v.", namespace, err))
			continue
		}
		var refs []snapshot.Ref
		for _, name := range names {
			if p := l.picture.S.Pod(namespace, name); p != nil {
				refs = append(refs, snapshot.RefOf(p))
			}
		}
		doc.Cases = append(doc.Cases, l.document(refs).Cases...)
	}
}

// document begins the answer about the node.
func (n *nodeRun) document(l *look) *report.Fix {
	doc := l.document(nil)
	doc.Node = n.part()
	return doc
}

// part is what the answer says of the node as it is now.
func (n *nodeRun) part() *report.NodeFix {
	out := &report.NodeFix{Name: n.name, Reach: string(n.now.Reach), Room: n.now.Room}
	if n.now.Facts.Exists != snapshot.Unknown {
		out.Facts = n.now.Facts.String()
	}
	if n.now.Group != nil {
		out.Why = strings.Join(n.now.Group.Why, "; ")
	}
	for _, f := range n.now.Findings {
		out.Causes = append(out.Causes, fmt.Sprintf("%s %s (%s): %s", f.Code, f.Slug, f.Confidence, f.Message))
	}
	place := map[types.UID]string{}
	why := map[types.UID]string{}
	if n.now.Room != nil {
		for _, p := range n.now.Room.Places {
			place[p.Pod.UID] = p.Node
		}
		for _, p := range slices.Concat(n.now.Room.Pending, n.now.Room.Unknown) {
			why[p.Pod.UID] = p.Why
		}
	}
	if !n.flags.drain && !n.flags.asked.OutOfService {
		return out
	}
	for _, p := range n.now.Pods {
		ref := p.Case.Pod.Ref
		q := report.NodeFixPod{Ref: ref, Fate: p.Fate, Why: p.Why, To: place[ref.UID], Pending: why[ref.UID]}
		if o := p.Case.Pod.Owner; !o.IsZero() {
			q.Owner = &o
		}
		out.Pods = append(out.Pods, q)
	}
	return out
}

// goOn finishes a run that deleted the Node object and was ended before it had told what came of it.
func (o *nodeOptions) goOn(ctx context.Context, w World, r *reader, n *nodeRun, l *look, doc *report.Fix, cluster remedy.Cluster) error {
	if err := known(l.picture.S, n.name); err != nil {
		// Nothing of it is left in the cluster: only the journal can tell that there was such a node.
		dir, dirErr := journalDir(w, o.act.change.journal)
		if dirErr != nil {
			return dirErr
		}
		if _, _, savedErr := savedNode(w, dir, "", n.name, cluster); savedErr != nil {
			return err
		}
	}
	doc.Notes = append(doc.Notes, fmt.Sprintf("The Node object of %s is gone already. What follows is what its deletion left.", n.name))
	before, told, err := n.beforeOfRun(w, o.act.change.journal, cluster, l)
	if err != nil {
		doc.Notes = append(doc.Notes, fmt.Sprintf("Which pods it had is not known: %v.", err))
	} else {
		doc.Notes = append(doc.Notes, told)
	}
	c := &change{w: w, reader: r, flags: o.act.change, render: o.render, doc: doc, look: l, node: n}
	if before.Target.Name != "" && o.act.change.dryRun == "" {
		doc.Sights = []remedy.Sight{c.await(ctx, before)}
	}
	n.afterDelete(ctx, w, r, doc)
	doc.Next = append(doc.Next, fmt.Sprintf("kubectl stuck node %s --wait --restore%s", n.name, journalFlag(o.act.change.journal)))
	if err := c.print(); err != nil {
		return err
	}
	for _, s := range doc.Sights {
		if !s.Good {
			return toldError{fmt.Errorf("not all is proven: %s", strings.Join(s.Says, " "))}
		}
	}
	if o.act.waits() && o.act.change.dryRun == "" {
		return o.waitFor(ctx, w, r, n.name, n.uid())
	}
	return nil
}

// await looks at one thing until it is settled, or the time is up.
func (c *change) await(ctx context.Context, b remedy.Before) remedy.Sight {
	until := c.w.Now().Add(c.flags.wait)
	p := newProgress(c.w)
	defer p.clear()
	for {
		sight := c.glance(ctx, b)
		if sight.Settled || !c.w.Now().Before(until) {
			return sight
		}
		if len(sight.Says) > 0 {
			p.say(render.Clean(sight.Says[len(sight.Says)-1]))
		}
		if !sleep(ctx, min(glance, until.Sub(c.w.Now()))) {
			return sight
		}
	}
}

// uid is that of the Node object as it was planned on; empty where that is not known.
func (n *nodeRun) uid() types.UID {
	if n.first == nil {
		return ""
	}
	return n.first.Ref.UID
}

// beforeOfRun makes out of the journal what was known before the Node was deleted: the pods as they were kept, and their workloads as they are now. told
// says which run that is.
func (n *nodeRun) beforeOfRun(w World, dirFlag string, cluster remedy.Cluster, l *look) (before remedy.Before, told string, err error) {
	dir, err := journalDir(w, dirFlag)
	if err != nil {
		return remedy.Before{}, "", err
	}
	_, id, err := savedNode(w, dir, "", n.name, cluster)
	if err != nil {
		return remedy.Before{}, "", err
	}
	h, err := journal.Read(dir, id)
	if err != nil {
		return remedy.Before{}, "", err
	}
	if err := sameCluster(h.Plan.Cluster, cluster); err != nil {
		return remedy.Before{}, "", err
	}
	b := snapshot.NewBuilder()
	b.SetOrigin(l.origin)
	for _, raw := range slices.Concat(h.Objects, h.Kept) {
		var meta metav1.TypeMeta
		if json.Unmarshal(raw, &meta) != nil {
			continue
		}
		switch meta.Kind {
		case "Pod":
			pod := &corev1.Pod{}
			if json.Unmarshal(raw, pod) == nil {
				b.Add(pod)
			}
		case "Node":
			node := &corev1.Node{}
			if json.Unmarshal(raw, node) == nil {
				b.Add(node)
			}
		}
	}
	for _, k := range snapshot.Workloads() {
		for _, o := range l.picture.S.Objects(k) {
			b.Add(o)
		}
	}
	b.SetNodeComplete(n.name)
	s, err := b.Build(h.Time)
	if err != nil {
		return remedy.Before{}, "", err
	}
	found := stuck.Find(s, stuck.Options{})
	then := remedy.NewPicture(s, found, diagnose.Run(s, found, catalogue()))
	c := then.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: n.name}, n.flags.asked, nil)
	n.first = c
	told = fmt.Sprintf("What it had is from run %s, which deleted it %s ago.", id, scope.Short(max(0, l.picture.S.Now().Sub(h.Time))))
	return remedy.NewBeforeNode(c, []remedy.ID{remedy.DeleteNode}), told, nil
}
