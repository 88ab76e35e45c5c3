package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
)

// dumpOptions are what `kubectl stuck dump` was asked.
type dumpOptions struct {
	source sourceFlags
	redact bool
	force  bool
	nodes  []string
}

func newDump(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &dumpOptions{}
	cmd := &cobra.Command{
		Use:   "dump PATH",
		Short: "Write down what the other commands look at, to look at it later or elsewhere",
		Long: templates.LongDesc(`
			Write a snapshot of what the diagnosis rests on: the pods that are or may be stuck, the pods beside them, the counts of
			all others, and what those refer to. --from of the other commands reads it, and gives the same answer, at
			the time at which it was taken.

			PATH is a directory to be made, a file that ends in .tar.gz, or "-" for such an archive on stdout. The content of
			Secrets and ConfigMaps is never read. Pod specs are written as they are, with the values of their environment,
			unless --redact is given.

			All namespaces are read, unless -n names one.`),
		Example: templates.Examples(`
			# For a colleague
			kubectl stuck dump stuck.tar.gz

			# For people outside: names replaced, each by the same one everywhere, and values of environment variables left out
			kubectl stuck dump stuck.tar.gz --redact

			# Look at it
			kubectl stuck pods -A --from stuck.tar.gz`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usagef("%s takes one argument: the directory or .tar.gz file to write, or - for stdout", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), w, config, args[0]) },
	}
	o.source.add(cmd)
	cmd.Flags().BoolVar(&o.redact, "redact", false, "Replace names, each by the same one everywhere, and leave out values of environment variables and arguments.")
	cmd.Flags().BoolVar(&o.force, "force", false, "Replace a dump that is there already: a directory that this tool wrote, or a .tar.gz file.")
	cmd.Flags().StringSliceVar(&o.nodes, "node", nil, "Write everything about these nodes too, even where nothing on them looks stuck.")
	return cmd
}

// words are what the causes look for in messages: redaction must not change them.
func words(causes []diagnose.Cause) []string {
	var out []string
	text := func(t diagnose.Text) { out = slices.Concat(out, t.All, t.Any, t.None) }
	for _, c := range causes {
		g := c.Signature
		if g == nil {
			continue
		}
		for _, m := range g.Events {
			text(m.Text)
		}
		for _, m := range slices.Concat(g.Waiting, g.PodStatus) {
			text(m.Text)
		}
		for _, m := range slices.Concat(g.PodConditions, g.NodeConditions) {
			text(m.Text)
		}
	}
	return out
}

func (o *dumpOptions) run(ctx context.Context, w World, config *genericclioptions.ConfigFlags, path string) error {
	r, err := o.source.open(ctx, w, config)
	if err != nil {
		return err
	}
	namespace := ""
	if r.named {
		namespace = r.namespace
	}
	s, err := r.load(ctx, w, source.Query{Namespace: namespace, Nodes: o.nodes, Objects: true}, catalogue())
	if err != nil {
		return err
	}
	if err := dump.Write(ctx, path, s, dump.WriteOptions{Redact: o.redact, Keep: slices.Concat(words(catalogue()), finalizer.Words(), admission.Words()), Force: o.force, Stdout: w.Streams.Out}); err != nil {
		return err
	}
	fmt.Fprintf(w.Streams.ErrOut, "written to %s: %d pods in full of %d, taken %s\n", path, len(s.Pods()), max(s.Census().Pods(), len(s.Pods())), s.Now().UTC().Format("2006-01-02 15:04:05 UTC"))
	for _, g := range s.Gaps() {
		fmt.Fprintf(w.Streams.ErrOut, "not in it: %s\n", render.Clean(g.Error()))
	}
	return nil
}
