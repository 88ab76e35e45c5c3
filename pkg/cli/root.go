package cli

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"
)

// NewCommand builds the whole command tree.
func NewCommand(w World) *cobra.Command {
	config := genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:   "kubectl-stuck",
		Short: "Find pods that are stuck, and why: the pod, its node, or something shared",
		Long: templates.LongDesc(`
			Find pods that hang in Terminating, ContainerCreating and the like, decide whether it is one pod, a whole node or
			something that pods share, and name the cause with its evidence.

			Nothing in a cluster is changed but by fix and undo, which ask first and say what they would do.`),
		Example: templates.Examples(`
			# What is stuck in all namespaces, grouped by node
			kubectl stuck pods -A

			# Everything about one node
			kubectl stuck node worker-7

			# Everything about one pod
			kubectl stuck explain pod/cart-7d9f -n shop

			# What can be done about it, and what each way risks
			kubectl stuck fix pod cart-7d9f -n shop

			# The same from files that somebody sent
			kubectl stuck pods -A --from dump.tar.gz`),
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl stuck"},
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q; the commands are %s", args[0], strings.Join(commandNames(cmd), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(w.Streams.In)
	root.SetOut(w.Streams.Out)
	root.SetErr(w.Streams.ErrOut)
	config.AddFlags(root.PersistentFlags())
	root.AddCommand(
		newPods(w, config),
		newNode(w, config),
		newExplain(w, config),
		newFix(w, config),
		newUndo(w, config),
		newDump(w, config),
		newScanLogs(w),
		newHistory(w),
		newCauses(w),
		newVersion(w),
		newOptions(w),
	)
	root.InitDefaultCompletionCmd()
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	templates.ActsAsRootCommand(root, nil)
	sayAsTyped(root)
	// Last, because the templates set one that knows no exit codes.
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// newOptions lists the flags that every command takes, as kubectl options does.
func newOptions(w World) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "options",
		Short: "List the flags that every command takes",
		Example: templates.Examples(`
			# The flags that choose the cluster and the user, as kubectl has them
			kubectl stuck options`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Usage() },
	}
	cmd.SetOut(w.Streams.Out)
	cmd.SetErr(w.Streams.Out)
	templates.UseOptionsTemplates(cmd)
	return cmd
}

// sayAsTyped makes usage texts name the plugin as people type it. The templates take the name of the binary in one place.
func sayAsTyped(root *cobra.Command) {
	usage := root.UsageFunc()
	root.SetUsageFunc(func(c *cobra.Command) error {
		out := c.OutOrStderr()
		var page bytes.Buffer
		c.SetOut(&page)
		err := usage(c)
		c.SetOut(out)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, strings.ReplaceAll(page.String(), `"`+root.Name()+" ", `"`+root.CommandPath()+" "))
		return err
	})
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}
