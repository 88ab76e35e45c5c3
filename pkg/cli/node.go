package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// nodeOptions are what `kubectl stuck node` was asked.
type nodeOptions struct {
	source sourceFlags
	output outputFlags
	logs   logFlags
	act    nodeFlags
	names  []string
	render render.Options
}

func newNode(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &nodeOptions{}
	cmd := &cobra.Command{
		Use:     "node [NAME...]",
		Aliases: []string{"nodes", "no"},
		Short:   "Tell which nodes have something wrong or the whole story of one, and drain, replace, restore or probe it",
		Long: templates.LongDesc(`
			Without a name: a line for each node on which pods are stuck or that is in trouble itself, with the verdict
			whether it is the node.

			With a name: everything about that node that bears on stuck pods. Its conditions, the age of its lease, versions,
			taints; who is stuck there and why, who is well; the volumes attached to it; the disruption budgets of
			its pods; its events; and what deleting its Node object would mean.

			--logs adds what the node's own logs say, and weighs it against the rest: a hung mount or a process that cannot be killed
			shows nowhere else. --log-file does so with a log that was copied from the node, where its kubelet is dead.

			--drain-and-delete moves the work off a node that is broken, and deletes its Node object. Before that it computes whether the
			others have room, and refuses where pods would stay Pending, run twice, or be lost; each refusal names the flag that lifts it.
			What a live kubelet can still stop is evicted, as disruption budgets allow; pods of a dead one are told apart and not waited for.
			Afterwards it shows where each workload runs, what is left behind, and what is to be done on the machine.

			--wait waits until the node is back, --restore gives it its labels, taints and annotations again and keeps pods away until
			a probe has passed, and --probe alone runs that probe: it also settles whether it is the node. --out-of-service is for a
			machine that is known to be off, when its volumes have to go elsewhere at once.

			All namespaces are read, unless -n names one; a probe runs in the namespace of -n or of the context.`),
		Example: templates.Examples(`
			# A line for each node with something wrong
			kubectl stuck node

			# The whole story of one node
			kubectl stuck node worker-7

			# And what its kubelet, runtime and kernel wrote, read through its kubelet
			kubectl stuck node worker-7 --logs

			# The same where its kubelet is dead: what journalctl --utc -o short-iso printed on the node
			kubectl stuck node worker-7 --log-file worker-7.log

			# The same from files
			kubectl stuck node worker-7 --from dump.tar.gz

			# Is it the node? Run a pod of our own there and on a healthy node
			kubectl stuck node worker-7 --probe

			# What draining and deleting it would do, and what the API server would say to each step
			kubectl stuck node worker-7 --drain-and-delete --dry-run=server

			# Do it
			kubectl stuck node worker-7 --drain-and-delete

			# Once its machine is started again: wait, give it back what it had, prove it
			kubectl stuck node worker-7 --wait --restore

			# A machine that is known to be off, and volumes that are needed elsewhere
			kubectl stuck node worker-7 --out-of-service --attest "worker-7 was powered off at 14:20"`),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			if err := o.logs.check(cmd, o.source.from, len(args)); err != nil {
				return err
			}
			if err := o.act.check(cmd, o); err != nil {
				return err
			}
			if err := o.complete(w); err != nil {
				return err
			}
			if o.act.acts() || o.act.waits() {
				return o.runNode(cmd.Context(), w, config)
			}
			return o.run(cmd.Context(), w, config)
		},
	}
	o.source.add(cmd)
	o.output.add(cmd)
	o.logs.add(cmd)
	o.act.add(cmd)
	return cmd
}

func (o *nodeOptions) complete(w World) error {
	if err := bareNames(o.names, nodeKinds()); err != nil {
		return err
	}
	view := render.NodeOverview
	if len(o.names) > 0 {
		view = render.NodeDetail
	}
	var err error
	o.render, err = o.output.options(w, view)
	return err
}

func (o *nodeOptions) run(ctx context.Context, w World, config *genericclioptions.ConfigFlags) error {
	r, err := o.source.open(ctx, w, config)
	if err != nil {
		return err
	}
	namespace := ""
	if r.named {
		namespace = r.namespace
	}
	causes := catalogue()
	s, err := r.load(ctx, w, source.Query{Namespace: namespace, Nodes: o.names}, causes)
	if err != nil {
		return err
	}
	for _, n := range o.names {
		if err := known(s, n); err != nil {
			return err
		}
	}
	found := stuck.Find(s, stuck.Options{})
	d := diagnose.Run(s, found, causes, o.names...)
	logs, d, err := o.logs.read(ctx, w, r, s, d, causes, o.names)
	if err != nil {
		return err
	}
	rep := report.Build(s, found, d, report.Options{
		Asked:    report.Asked{Namespace: namespace, Nodes: o.names},
		Select:   func(p stuck.Pod) bool { return len(o.names) == 0 || slices.Contains(o.names, p.Node) },
		Overview: len(o.names) == 0,
		Stories:  o.names,
		Logs:     logs,
	})
	return o.output.print(w, rep, o.render)
}

// known fails for a node of which there is no trace: no Node object, no pod, no lease.
func known(s *snapshot.Snapshot, node string) error {
	pods, _ := s.PodsOnNode(node)
	if s.Has(snapshot.Node, "", node) == snapshot.Absent && len(pods) == 0 && s.NodeLease(node) == nil {
		return fmt.Errorf("node %s does not exist: there is no Node object, no pod and no lease of that name", node)
	}
	return nil
}
