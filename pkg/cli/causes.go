package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
)

func newCauses(w World) *cobra.Command {
	var output outputFlags
	cmd := &cobra.Command{
		Use:   "causes [WORD...]",
		Short: "List the causes that this tool knows",
		Long: templates.LongDesc(`
			List the catalogue of causes, or those of them that have all the given words in their code, name or title.
			'kubectl stuck explain CODE' tells everything about one.`),
		Example: templates.Examples(`
			# All of them
			kubectl stuck causes

			# Those that speak of volumes
			kubectl stuck causes volume

			# As a document for other programs
			kubectl stuck causes -o json`),
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := output.options(w, render.Pods)
			if err != nil {
				return err
			}
			list := slices.DeleteFunc(catalogue(), func(c diagnose.Cause) bool {
				text := strings.ToLower(string(c.Code) + " " + c.Slug + " " + c.Doc.Title)
				return slices.ContainsFunc(args, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
			})
			return printCauses(w, list, o, false)
		},
	}
	output.addFormat(cmd)
	return cmd
}
