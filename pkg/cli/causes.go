package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

func newCauses(w World) *cobra.Command {
	var output outputFlags
	var area, reach, shown string
	cmd := &cobra.Command{
		Use:   "causes [WORD...]",
		Short: "List the causes that this tool knows",
		Long: templates.LongDesc(`
			List the catalogue of causes, or those of them that have all the given words in their code, name, title or symptom.
			'kubectl stuck explain CODE' tells everything about one.`),
		Example: templates.Examples(`
			# All of them
			kubectl stuck causes

			# Those that speak of volumes
			kubectl stuck causes volume

			# Those of the container runtime that only the logs of a node tell
			kubectl stuck causes --area runtime --shown-by log

			# As a document for other programs
			kubectl stuck causes -o json`),
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := output.options(w, render.Pods)
			if err != nil {
				return err
			}
			if err := oneOf("--area", area, diagnose.Areas()); err != nil {
				return err
			}
			if err := oneOf("--reach", reach, scope.Reaches()); err != nil {
				return err
			}
			if err := oneOf("--shown-by", shown, []diagnose.Shown{diagnose.ShownByAPI, diagnose.ShownByLog}); err != nil {
				return err
			}
			list := slices.DeleteFunc(catalogue(), func(c diagnose.Cause) bool {
				if area != "" && string(c.Area()) != area || reach != "" && string(c.Reach) != reach ||
					shown != "" && !slices.Contains(c.Shown(), diagnose.Shown(shown)) {
					return true
				}
				text := strings.ToLower(string(c.Code) + " " + c.Slug + " " + c.Doc.Title + " " + c.Doc.Symptom)
				return slices.ContainsFunc(args, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
			})
			return printCauses(w, list, o, false)
		},
	}
	cmd.Flags().StringVar(&area, "area", "", "Only causes of one area: "+join(diagnose.Areas()))
	cmd.Flags().StringVar(&reach, "reach", "", "Only causes that span this much: "+join(scope.Reaches()))
	cmd.Flags().StringVar(&shown, "shown-by", "", "Only causes that show in the API (api), or in the logs of a node (log)")
	output.addFormat(cmd)
	return cmd
}

// oneOf fails where a flag has a value that is not among those it can have.
func oneOf[T ~string](flag, value string, values []T) error {
	if value == "" || slices.Contains(values, T(value)) {
		return nil
	}
	return usagef("%s %q: it is one of %s", flag, value, join(values))
}

func join[T ~string](values []T) string {
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}
