package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// everyFinalizer is what --finalizers without names stands for.
const everyFinalizer = "all"

// fixOptions are what `kubectl stuck fix` was asked.
type fixOptions struct {
	source sourceFlags
	output outputFlags
	change changeFlags

	names         []string
	allNamespaces bool
	labels        string
	nodes         []string
	cause         string
	file          string

	finalizers string
	asked      remedy.Asked
	lifted     map[string]*bool

	render render.Options
}

func newFix(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &fixOptions{}
	cmd := &cobra.Command{
		Use:   "fix (pod NAME | -f PLAN)",
		Short: "Show what can be done about a stuck pod, and do the least dangerous thing that helps",
		Long: templates.LongDesc(`
			Show what can be done about stuck pods, and do it, guarded.

			"fix pod" works on pods. With -f, a plan that was saved with -o json is carried out: it expires ten minutes after it was
			made, and everything in it is looked up and judged again before.

			What every change goes through is described in docs/SAFETY.md: a plan with the UIDs of its objects, the guards on fresh
			objects, a dry run by the API server, the question, the journal on disk, the change, and the proof.`),
		Example: templates.Examples(`
			# What can be done about a pod
			kubectl stuck fix pod cart-7d9f -n shop

			# Save a plan, read it, and carry it out
			kubectl stuck fix pod cart-7d9f -n shop --force --dry-run=server -o json > plan.json
			kubectl stuck fix -f plan.json`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.file == "" {
				return usagef("nothing was named: `kubectl stuck fix pod NAME`, or -f with a saved plan")
			}
			if err := o.complete(w); err != nil {
				return err
			}
			return o.runFile(cmd.Context(), w, config)
		},
	}
	cmd.Flags().StringVarP(&o.file, "filename", "f", "", "The saved plan to carry out; '-' reads stdin.")
	_ = cmd.MarkFlagFilename("filename")
	o.output.addFormat(cmd)
	o.change.add(cmd)
	o.change.addWait(cmd)
	cmd.AddCommand(newFixPod(w, config))
	return cmd
}

func newFixPod(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &fixOptions{}
	cmd := &cobra.Command{
		Use:     "pod (NAME... | -l SELECTOR | --node NODE | --cause CODE)",
		Aliases: []string{"pods", "po"},
		Short:   "Show what can be done about stuck pods, and do the least dangerous thing that helps",
		Long: templates.LongDesc(`
			Show what is wrong with a stuck pod and the ladder of remedies for it, the least dangerous first: what each would do
			here, what it risks here, which would not help and why. The least dangerous one that this tool can do is offered.

			--delete, --force and --finalizers choose one. Guards look at fresh objects before anything is done, and some refuse;
			each refusal names the flag that lifts it, and a few cannot be lifted. A pod that must not run twice, of a StatefulSet
			or with a volume for one node, is not force deleted from a node that may still run it: --attest takes your own word that
			it does not, and keeps it in the journal.

			Before it asks you, it has the API server try every step without doing it. Before it changes anything, the object as it is
			and the plan are on disk. Afterwards it waits and says whether it helped. "kubectl stuck history" lists what was done,
			and "kubectl stuck undo" takes back what can be.

			Several pods, by name, selector, node or cause, are asked about once, and the first surprise ends the run.`),
		Example: templates.Examples(`
			# What can be done about a pod; nothing is changed
			kubectl stuck fix pod cart-7d9f -n shop

			# Take its finalizers off, if their owners are gone
			kubectl stuck fix pod cart-7d9f -n shop --finalizers

			# Take one off, by name
			kubectl stuck fix pod cart-7d9f -n shop --finalizers=example.com/cleanup

			# Only see what the API server would say
			kubectl stuck fix pod cart-7d9f -n shop --force --dry-run=server

			# A pod that must not run twice, from a node that you know to be off
			kubectl stuck fix pod db-0 -n shop --force --attest "worker-7 was powered off at 14:20"

			# All pods that are stuck for one cause
			kubectl stuck fix pods -n shop --cause ST501 --finalizers`),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if err := o.completePods(cmd, w); err != nil {
				return err
			}
			return o.runPods(cmd.Context(), w, config)
		},
	}
	o.source.add(cmd)
	o.output.addFormat(cmd)
	o.change.add(cmd)
	o.change.addWait(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With a selector, node or cause: pods of all namespaces.")
	f.StringVarP(&o.labels, "selector", "l", "", "Stuck pods that match this label selector.")
	f.StringSliceVar(&o.nodes, "node", nil, "Stuck pods of these nodes.")
	f.StringVar(&o.cause, "cause", "", "Stuck pods that this cause explains, by its code or short name.")
	f.BoolVar(&o.asked.Delete, "delete", false, "Delete the pod as kubectl delete does, so that its controller makes another.")
	f.BoolVar(&o.asked.Force, "force", false, "Delete the pod at once, without waiting for its node. Its containers may go on running there.")
	f.StringVar(&o.finalizers, "finalizers", "", "Take finalizers off: those named, separated by commas, or all.")
	f.Lookup("finalizers").NoOptDefVal = everyFinalizer
	f.StringVar(&o.asked.Attest, "attest", "", "In your own words, what you know that the cluster cannot tell: that the node is off, or that the containers are stopped. It is kept in the journal.")
	f.IntVar(&o.asked.MaxPods, "max-pods", 10, "Act on no more pods than this in one run.")
	f.IntVar(&o.asked.MaxShare, "max-share", 50, "Act on no more than this share of the pods of a workload or namespace in one run, in percent.")
	o.lifted = map[string]*bool{}
	for _, l := range []struct{ name, usage string }{
		{"even-in-grace", "Force delete a pod that still has time to end by itself."},
		{"even-if-owner-alive", "Take a finalizer off although who owns it is alive and may yet do its work."},
		{"even-in-storm", "Act although so many nodes are unhealthy that the control plane or the network must be suspected."},
	} {
		o.lifted[l.name] = f.Bool(l.name, false, l.usage)
	}
	return cmd
}

// complete checks the options that all forms of fix have.
func (o *fixOptions) complete(w World) error {
	if err := o.change.complete(); err != nil {
		return err
	}
	var err error
	o.render, err = o.output.options(w, render.Pods)
	return err
}

func (o *fixOptions) completePods(cmd *cobra.Command, w World) error {
	if err := bareNames(o.names, podKinds()); err != nil {
		return err
	}
	chosen := o.labels != "" || len(o.nodes) > 0 || o.cause != ""
	switch {
	case len(o.names) == 0 && !chosen:
		return usagef("no pod was named: give a name, or -l, --node or --cause")
	case len(o.names) > 0 && chosen:
		return usagef("pods are given by name, or by -l, --node and --cause, and not by both")
	case o.allNamespaces && len(o.names) > 0:
		return usagef("pods are named within a namespace: give -n with %s, or leave -A away", strings.Join(o.names, " "))
	case o.asked.MaxPods < 1:
		return usagef("--max-pods %d: at least 1", o.asked.MaxPods)
	case o.asked.MaxShare < 1 || o.asked.MaxShare > 100:
		return usagef("--max-share %d is no percentage from 1 to 100", o.asked.MaxShare)
	case o.asked.Delete && (o.asked.Force || cmd.Flags().Changed("finalizers")):
		return usagef("--delete lets the kubelet end the pod: it does not go with --force or --finalizers")
	}
	slices.Sort(o.names)
	o.names = slices.Compact(o.names)
	if err := checkSelectors(o.labels, ""); err != nil {
		return err
	}
	if o.cause != "" {
		c, ok := findCause(o.cause)
		if !ok {
			return usagef("--cause %q is no cause: `kubectl stuck causes` lists them", o.cause)
		}
		o.cause = string(c.Code)
	}
	if cmd.Flags().Changed("finalizers") {
		o.asked.Finalizers = true
		for name := range strings.SplitSeq(o.finalizers, ",") {
			name = strings.TrimSpace(name)
			switch {
			case name == "":
				return usagef("--finalizers=%s names an empty finalizer; --finalizers alone means all of them", o.finalizers)
			case name == everyFinalizer && o.finalizers != everyFinalizer:
				return usagef("--finalizers=%s: all goes with no names", o.finalizers)
			case name != everyFinalizer:
				o.asked.Named = append(o.asked.Named, name)
			}
		}
	}
	o.asked.Lifted = chosenLifts(o.lifted)
	if cmd.Flags().Changed("attest") && strings.TrimSpace(o.asked.Attest) == "" {
		return usagef("--attest is empty: say in your own words what you know")
	}
	if o.asked.Attest != "" {
		words, err := remedy.Attestation(o.asked.Attest)
		if err != nil {
			return usagef("--attest: %w", err)
		}
		o.asked.Attest = words
	}
	if len(o.source.from) > 0 && (o.change.dryRun == dryRunServer || o.asked.Acts() && o.change.dryRun != dryRunClient) {
		return usagef("files cannot be changed: with --from only the ladder is shown, and with --dry-run=client the plan")
	}
	if !o.asked.Acts() && o.change.dryRun != "" {
		return usagef("--dry-run goes with --delete, --force or --finalizers")
	}
	if !o.asked.Acts() && o.change.yes != "" {
		return usagef("--yes goes with --delete, --force or --finalizers")
	}
	return o.complete(w)
}

// runPods shows the ladder of the pods, or acts on them.
func (o *fixOptions) runPods(ctx context.Context, w World, config *genericclioptions.ConfigFlags) error {
	r, err := o.source.openFresh(ctx, w, config)
	if err != nil {
		return err
	}
	namespace := r.namespace
	if o.allNamespaces {
		namespace = ""
	}
	seen, err := takeLook(ctx, w, r, lookQuery{namespace: namespace, names: o.names, labels: o.labels, nodes: o.nodes})
	if err != nil {
		return err
	}
	refs, gone, err := o.selectPods(seen, namespace)
	if err != nil {
		return err
	}
	doc := seen.document(refs)
	for _, name := range gone { // a run that is repeated goes on with what is left
		doc.Notes = append(doc.Notes, fmt.Sprintf("Pod %s/%s does not exist: nothing to do about it.", namespace, name))
	}
	if len(refs) == 0 {
		doc.Notes = append(doc.Notes, "No stuck pod matches: nothing to do.")
		return printFix(w, doc, o.render)
	}
	if !o.asked.Acts() {
		seen.ladders(doc, refs, o.asked)
		picked, err := o.offer(ctx, w, doc)
		if err != nil || !picked {
			return err
		}
	}
	plan, err := remedy.Make(seen.picture, refs, o.asked, clusterOf(ctx, r, seen.origin))
	if err != nil {
		return err
	}
	c := &change{
		w: w, reader: r, flags: o.change, render: o.render, doc: doc, plan: plan, look: seen,
		again: o.again(w, r),
	}
	return c.run(ctx)
}

// selectPods names the pods that were asked for: those named, or the stuck ones that match. gone are names that stand for nothing, where others do.
func (o *fixOptions) selectPods(l *look, namespace string) (out []snapshot.Ref, gone []string, err error) {
	for _, name := range o.names {
		p := l.picture.S.Pod(namespace, name)
		if p == nil {
			if l.picture.S.Has(snapshot.Pod, namespace, name) == snapshot.Absent {
				gone = append(gone, name)
				continue
			}
			return nil, nil, fmt.Errorf("pod %s/%s could not be read: %w", namespace, name, orUnknown(l.picture.S.Gap(snapshot.Pod)))
		}
		out = append(out, snapshot.RefOf(p))
	}
	if len(o.names) > 0 {
		if len(out) == 0 {
			return nil, nil, fmt.Errorf("pod %s/%s does not exist: nothing to do", namespace, strings.Join(gone, ", "))
		}
		return out, gone, nil
	}
	selector, _ := labels.Parse(o.labels)
	for _, p := range l.picture.Found.Stuck {
		if (namespace == "" || p.Ref.Namespace == namespace) && selector.Matches(labels.Set(p.Object.Labels)) &&
			(len(o.nodes) == 0 || slices.Contains(o.nodes, p.Node)) &&
			(o.cause == "" || slices.ContainsFunc(l.picture.D.Of(p.Ref), func(f diagnose.Finding) bool { return string(f.Code) == o.cause })) {
			out = append(out, p.Ref)
		}
	}
	return out, nil, nil
}

func orUnknown(err error) error {
	if err == nil {
		return errors.New("no reason was given")
	}
	return err
}

// offer shows the ladder and, on a terminal, asks whether the offered rung is to be used.
func (o *fixOptions) offer(ctx context.Context, w World, doc *report.Fix) (bool, error) {
	if err := printFix(w, doc, o.render); err != nil {
		return false, err
	}
	if len(doc.Cases) != 1 || !w.Interactive() || o.render.Format != render.Table || len(o.source.from) > 0 {
		return false, nil
	}
	i := slices.IndexFunc(doc.Cases[0].Ladder, func(r remedy.Rung) bool { return r.Offered })
	if i < 0 {
		return false, nil
	}
	rung := doc.Cases[0].Ladder[i]
	answer, err := ask(ctx, w, fmt.Sprintf("\nPlan this now: %s? [y/N] ", render.Clean(rung.Title)))
	if err != nil || !slices.Contains([]string{"y", "yes"}, strings.ToLower(answer)) {
		return false, err
	}
	switch rung.ID {
	case remedy.DeletePod:
		o.asked.Delete = true
	case remedy.ForceDelete:
		o.asked.Force = true
	case remedy.RemoveFinalizers:
		o.asked.Finalizers = true
	default:
		return false, fmt.Errorf("%s cannot be asked for here", rung.ID)
	}
	return true, nil
}

// again returns what makes an act anew on a new picture, with the same wishes.
func (o *fixOptions) again(w World, r *reader) func(context.Context, remedy.Plan, remedy.Act) (remedy.Plan, error) {
	return func(ctx context.Context, plan remedy.Plan, act remedy.Act) (remedy.Plan, error) {
		return planAgain(ctx, w, r, plan.Asked, plan.Cluster, act)
	}
}

// planAgain looks at the object of an act again, and plans it anew with the same wishes. It fails with remedy.ErrReplaced where the name stands for
// another object now.
func planAgain(ctx context.Context, w World, r *reader, asked remedy.Asked, cluster remedy.Cluster, act remedy.Act) (remedy.Plan, error) {
	q := lookQuery{namespace: act.Target.Namespace, names: []string{act.Target.Name}}
	if act.Node != "" {
		q.nodes = []string{act.Node}
	}
	l, err := takeLook(ctx, w, r, q)
	if err != nil {
		return remedy.Plan{}, err
	}
	p := l.picture.S.Pod(act.Target.Namespace, act.Target.Name)
	switch {
	case p == nil && l.picture.S.Has(snapshot.Pod, act.Target.Namespace, act.Target.Name) == snapshot.Absent:
		return remedy.Plan{}, fmt.Errorf("%s is gone: %w", act.Target, remedy.ErrNothingLeft)
	case p == nil:
		return remedy.Plan{}, fmt.Errorf("%s could not be read: %w", act.Target, orUnknown(l.picture.S.Gap(snapshot.Pod)))
	case p.UID != act.Target.UID:
		return remedy.Plan{}, fmt.Errorf("%s has UID %s, and the plan is for %s: %w", act.Target, p.UID, act.Target.UID, remedy.ErrReplaced)
	}
	asked.Again = true
	return remedy.Make(l.picture, []snapshot.Ref{act.Target}, asked, cluster)
}

// look is one picture, and where it is from.
type look struct {
	picture *remedy.Picture
	origin  snapshot.Origin
	taken   time.Time // by this machine's clock
	// ahead is by how much the cluster's clock is ahead of this machine's.
	ahead time.Duration
}

type lookQuery struct {
	namespace string
	names     []string
	labels    string
	nodes     []string
	also      []snapshot.Ref
	// room are nodes whose pods are to find room elsewhere.
	room []string
}

// takeLook reads what plans and guards decide on.
func takeLook(ctx context.Context, w World, r *reader, q lookQuery) (*look, error) {
	causes := catalogue()
	taken := w.Now()
	s, err := r.load(ctx, w, source.Query{
		Namespace: q.namespace, Names: q.names, LabelSelector: q.labels, Nodes: q.nodes, Also: q.also, Room: q.room, Needs: guardNeeds(),
	}, causes)
	if err != nil {
		return nil, err
	}
	found := stuck.Find(s, stuck.Options{
		Named: func(p snapshot.Ref) bool { return p.Namespace == q.namespace && slices.Contains(q.names, p.Name) },
	})
	return &look{picture: remedy.NewPicture(s, found, diagnose.Run(s, found, causes, q.nodes...)), origin: s.Origin(), taken: taken, ahead: s.Now().Sub(taken)}, nil
}

// guardNeeds are the kinds that guards look at.
func guardNeeds() []snapshot.Kind {
	var out []snapshot.Kind
	for _, g := range remedy.Guards() {
		for _, k := range g.Needs {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// document begins the answer about the pods.
func (l *look) document(refs []snapshot.Ref) *report.Fix {
	p := l.picture
	rep := report.Build(p.S, p.Found, p.D, report.Options{
		Select: func(q stuck.Pod) bool { return slices.ContainsFunc(refs, q.Ref.Is) },
	})
	doc := &report.Fix{
		APIVersion: report.APIVersion, Kind: report.KindFix, TakenAt: p.S.Now(), Origin: l.origin, Cases: []report.FixCase{}, Gaps: rep.Gaps,
	}
	shown := map[snapshot.Ref]report.Pod{}
	for _, g := range rep.Groups {
		for _, q := range g.Pods {
			shown[snapshot.Ref{Kind: snapshot.Pod, Namespace: q.Namespace, Name: q.Name}] = q
		}
	}
	for _, q := range rep.Waiting {
		shown[snapshot.Ref{Kind: snapshot.Pod, Namespace: q.Namespace, Name: q.Name}] = q
	}
	for _, ref := range refs {
		q, ok := shown[snapshot.Ref{Kind: snapshot.Pod, Namespace: ref.Namespace, Name: ref.Name}]
		if !ok {
			q = report.Pod{Namespace: ref.Namespace, Name: ref.Name, UID: string(ref.UID), Findings: []report.Finding{}}
			if obj := p.S.Pod(ref.Namespace, ref.Name); obj != nil {
				q.Node, q.Status = obj.Spec.NodeName, snapshot.StatusOf(obj).Word
				if owner, ok := p.S.Owner(obj); ok {
					q.Owner = &owner
				}
			}
		}
		doc.Cases = append(doc.Cases, report.FixCase{Pod: q, Well: !ok, Ladder: []remedy.Rung{}})
	}
	return doc
}

// ladders adds the ladder of each pod.
func (l *look) ladders(doc *report.Fix, refs []snapshot.Ref, asked remedy.Asked) {
	for i, ref := range refs {
		if c, ok := l.picture.Case(ref, asked); ok {
			doc.Cases[i].Ladder = append(doc.Cases[i].Ladder, remedy.Ladder(c)...)
		}
	}
}
