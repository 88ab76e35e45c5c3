package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
)

func newExplain(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	pod := &podsOptions{}
	cmd := &cobra.Command{
		Use:   "explain pod/NAME | node/NAME | CODE",
		Short: "Tell everything about one stuck pod, one node, or one cause",
		Long: templates.LongDesc(`
			Tell the whole story of one pod or one node: what it hangs in, since when and at which stage, every cause that was
			found with all of its evidence, what would decide between causes that cannot be told apart, and the remedies,
			the least dangerous first.

			Of a cause (ST201, or its short name) the documentation is shown: symptom, mechanism, how to confirm it by hand, and
			what to do. That needs no cluster.`),
		Example: templates.Examples(`
			# One pod
			kubectl stuck explain pod/cart-7d9f -n shop

			# One node
			kubectl stuck explain node/worker-7

			# One cause
			kubectl stuck explain ST101`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%s takes one argument: pod/NAME, node/NAME or a code like ST101", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, ok := strings.Cut(args[0], "/")
			if err := pod.logs.check(cmd, pod.source.from, 1); err != nil {
				return err
			}
			switch {
			case !ok:
				return explainCause(w, args[0], pod)
			case name == "":
				return usagef("%q names nothing", args[0])
			case slices.Contains(podKinds(), kind):
				return explainPod(cmd.Context(), w, config, pod, name)
			case slices.Contains(nodeKinds(), kind):
				o := nodeOptions{source: pod.source, output: pod.output, logs: pod.logs, names: []string{name}}
				if err := o.complete(w); err != nil {
					return err
				}
				o.render.View = render.Explain
				return o.run(cmd.Context(), w, config)
			default:
				return usagef("%q is neither a pod, nor a node, nor the code of a cause", args[0])
			}
		},
	}
	pod.source.add(cmd)
	pod.output.add(cmd)
	pod.logs.add(cmd)
	return cmd
}

func explainPod(ctx context.Context, w World, config *genericclioptions.ConfigFlags, o *podsOptions, name string) error {
	o.names = []string{name}
	if err := o.complete(w); err != nil {
		return err
	}
	o.render.View = render.Explain
	return o.run(ctx, w, config)
}

// explainCause prints the documentation of a cause.
func explainCause(w World, name string, o *podsOptions) error {
	if len(o.source.from) > 0 {
		return usagef("--from goes with pod/NAME or node/NAME: a cause is explained without a cluster")
	}
	if o.logs.asked() {
		return usagef("--logs and --log-file go with pod/NAME or node/NAME: a cause is explained without a cluster")
	}
	c, ok := findCause(name)
	if !ok {
		return usagef("%q is no cause: `kubectl stuck causes` lists them (a pod is named pod/%s, a node node/%s)", name, name, name)
	}
	opts, err := o.output.options(w, render.Explain)
	if err != nil {
		return err
	}
	return printCauses(w, []diagnose.Cause{c}, opts, true)
}

func findCause(name string) (diagnose.Cause, bool) {
	all := catalogue()
	i := slices.IndexFunc(all, func(c diagnose.Cause) bool {
		return strings.EqualFold(string(c.Code), name) || strings.EqualFold(c.Slug, name)
	})
	if i < 0 {
		return diagnose.Cause{}, false
	}
	return all[i], true
}

func printCauses(w World, list []diagnose.Cause, o render.Options, whole bool) error {
	var page bytes.Buffer
	if err := render.Causes(&page, list, o, whole); err != nil {
		return err
	}
	if _, err := w.Streams.Out.Write(page.Bytes()); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
