package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"
)

// Set by the linker: see the Makefile.
var (
	version = "dev"
	commit  = "unknown"
	date    = "unknown"
)

func newVersion(w World) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this plugin",
		Example: templates.Examples(`
			# Print the version
			kubectl stuck version`),
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(w.Streams.Out, "kubectl-stuck %s (commit %s, built %s, %s, %s/%s)\n",
				version, commit, date, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, and was given %q", cmd.CommandPath(), args)
	}
	return nil
}
