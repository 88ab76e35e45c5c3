package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// undoOptions are what `kubectl stuck undo` was asked.
type undoOptions struct {
	source sourceFlags // none of its flags: files cannot be changed
	output outputFlags
	change changeFlags
	render render.Options
}

func newUndo(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &undoOptions{}
	cmd := &cobra.Command{
		Use:   "undo [ID]",
		Short: "Take back what a run changed, as far as that is possible",
		Long: templates.LongDesc(`
			Take back what a run of this tool changed, as far as that is possible. Without an ID it is the last run on this cluster
			that changed something.

			A pod without a controller that is gone is created again from the journal: same name and spec, new UID; what its
			containers held is lost. Finalizers are put back on an object that is not being deleted; the API server takes none on
			one that is. A pod with a controller is not created again, because its controller makes another.

			It is a plan like that of fix: guards, a dry run by the API server, the question, the journal, the proof.`),
		Example: templates.Examples(`
			# What was done
			kubectl stuck history

			# What taking the last run back would do
			kubectl stuck undo --dry-run=server

			# Take one run back
			kubectl stuck undo 20260301-100000-abc123`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one ID, or none for the last run", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.change.complete(); err != nil {
				return err
			}
			var err error
			if o.render, err = o.output.options(w, render.Pods); err != nil {
				return err
			}
			id := ""
			if len(args) == 1 {
				id = args[0]
			}
			return o.run(cmd.Context(), w, config, id)
		},
	}
	o.output.addFormat(cmd)
	o.change.add(cmd)
	o.change.addWait(cmd)
	return cmd
}

func (o *undoOptions) run(ctx context.Context, w World, config *genericclioptions.ConfigFlags, id string) error {
	dir, err := journalDir(w, o.change.journal)
	if err != nil {
		return err
	}
	r, err := o.source.openFresh(ctx, w, config)
	if err != nil {
		return err
	}
	origin, _, err := r.backend.Open(ctx)
	if err != nil {
		return err
	}
	cluster := clusterOf(ctx, r, origin)
	var h remedy.History
	if id != "" {
		h, err = journal.Read(dir, id)
	} else {
		h, err = lastRun(dir, cluster)
	}
	if err != nil {
		return err
	}
	if err := sameCluster(h.Plan.Cluster, cluster); err != nil {
		return err
	}
	l, err := takeLook(ctx, w, r, undoQuery(h))
	if err != nil {
		return err
	}
	plan, err := remedy.UndoPlan(h, l.picture, cluster)
	if err != nil {
		return refusedError{fmt.Errorf("run %s: %w; nothing was changed", h.ID, err)}
	}
	doc := l.document(nil)
	c := &change{
		w: w, reader: r, flags: o.change, render: o.render, doc: doc, plan: plan, look: l,
		again: func(ctx context.Context, _ remedy.Plan, act remedy.Act) (remedy.Plan, error) {
			q := undoQuery(h)
			if len(q.nodes) > 0 { // a run about a node is taken back as a whole: its acts rest on each other
				l, err := takeLook(ctx, w, r, q)
				if err != nil {
					return remedy.Plan{}, err
				}
				plan, err := remedy.UndoPlan(h, l.picture, cluster)
				if err != nil {
					return remedy.Plan{}, err
				}
				return pick(plan, act)
			}
			q.namespace, q.names = act.Target.Namespace, []string{act.Target.Name}
			l, err := takeLook(ctx, w, r, q)
			if err != nil {
				return remedy.Plan{}, err
			}
			return remedy.UndoPlan(onlyAct(h, act.Target), l.picture, cluster)
		},
	}
	return c.run(ctx)
}

// undoQuery asks for what a run acted on.
func undoQuery(h remedy.History) lookQuery {
	q := lookQuery{}
	for _, act := range h.Plan.Acts {
		if act.Target.Kind == snapshot.Node && !slices.Contains(q.nodes, act.Target.Name) {
			q.nodes = append(q.nodes, act.Target.Name)
		}
	}
	if len(q.nodes) > 0 {
		for _, raw := range slices.Concat(h.Objects, h.Kept) {
			var o metav1.PartialObjectMetadata
			if json.Unmarshal(raw, &o) == nil && o.Kind == string(snapshot.Pod) {
				q.also = append(q.also, snapshot.Ref{Kind: snapshot.Pod, Namespace: o.Namespace, Name: o.Name})
				if ns := (snapshot.Ref{Kind: snapshot.Namespace, Name: o.Namespace}); !slices.Contains(q.also, ns) {
					q.also = append(q.also, ns)
				}
			}
		}
		return q
	}
	for i, act := range h.Plan.Acts {
		if i > 0 && act.Target.Namespace != q.namespace {
			return lookQuery{}
		}
		q.namespace = act.Target.Namespace
		q.names = append(q.names, act.Target.Name)
	}
	if q.namespace != "" {
		q.also = []snapshot.Ref{{Kind: snapshot.Namespace, Name: q.namespace}}
	}
	return q
}

// onlyAct is the history of a run as if it had been about one object only.
func onlyAct(h remedy.History, target snapshot.Ref) remedy.History {
	out := h
	out.Plan.Acts, out.Objects, out.Entries = nil, nil, nil
	for i, act := range h.Plan.Acts {
		if act.Target.Namespace != target.Namespace || act.Target.Name != target.Name {
			continue
		}
		out.Plan.Acts = append(out.Plan.Acts, act)
		out.Objects = append(out.Objects, h.Objects[i])
		for _, e := range h.Entries {
			if e.Act == i {
				e.Act = 0
				if e.Outcome != nil {
					o := *e.Outcome
					o.Act = 0
					e.Outcome = &o
				}
				out.Entries = append(out.Entries, e)
			}
		}
	}
	return out
}

// lastRun finds the last run on the cluster that changed something which can be taken back, and was not.
func lastRun(dir string, cluster remedy.Cluster) (remedy.History, error) {
	all, err := journal.List(dir)
	if err != nil {
		return remedy.History{}, err
	}
	undone := map[string]bool{}
	for _, l := range all {
		switch {
		case l.Err != nil:
		case l.History.Plan.Undoes != "" && l.History.Status() == remedy.Done:
			undone[l.History.Plan.Undoes] = true
		case l.History.Plan.Undoes == "" && l.History.Undoable() && !undone[l.History.ID] && sameCluster(l.History.Plan.Cluster, cluster) == nil:
			return journal.Read(dir, l.ID)
		}
	}
	return remedy.History{}, refusedError{fmt.Errorf("no run in %s can be taken back on this cluster; `kubectl stuck history` lists all runs; nothing was changed", dir)}
}

// pick leaves the act of a plan that is about the same object and does the same.
func pick(plan remedy.Plan, act remedy.Act) (remedy.Plan, error) {
	i := slices.IndexFunc(plan.Acts, func(a remedy.Act) bool { return a.Target.Is(act.Target) && slices.Equal(a.Remedies, act.Remedies) })
	if i < 0 {
		return remedy.Plan{}, fmt.Errorf("%s is as wanted: %w", act.Target, remedy.ErrNothingLeft)
	}
	plan.Acts = []remedy.Act{plan.Acts[i]}
	return plan, nil
}
