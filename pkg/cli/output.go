package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// outputFlags choose how the answer is written, and what the exit code says.
type outputFlags struct {
	output   string
	exitCode bool
	headers  bool
	missing  bool
}

func (f *outputFlags) add(cmd *cobra.Command) {
	f.addFormat(cmd)
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", false, "Exit with 3 if something is stuck, and with 5 if nothing is but part of the answer could not be read.")
}

// addFormat adds the flags for commands that are not about a cluster.
func (f *outputFlags) addFormat(cmd *cobra.Command) {
	names := make([]string, 0, len(render.Formats()))
	for _, n := range render.Formats() {
		names = append(names, string(n))
	}
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "Output format: "+strings.Join(names, ", ")+". Default: text for people.")
	cmd.Flags().BoolVar(&f.headers, "no-headers", false, "With -o custom-columns, print no line of headers.")
	cmd.Flags().BoolVar(&f.missing, "allow-missing-template-keys", true, "With templates, print nothing for a field that is not there, rather than fail.")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// options turns the flags into what render takes; view is how people see it.
func (f *outputFlags) options(w World, view render.View) (render.Options, error) {
	out, err := render.ParseOutput(f.output)
	if err != nil {
		return render.Options{}, usageError{err}
	}
	o := render.Options{
		Format: out.Format, Template: out.Template, View: view, NoHeaders: f.headers, AllowMissingTemplateKeys: f.missing,
	}
	if out.File {
		text, err := os.ReadFile(out.Template)
		if err != nil {
			return render.Options{}, fmt.Errorf("template of --output: %w", err)
		}
		o.Template = string(text)
	}
	o.Width = w.Width(w.Streams.Out)
	o.Terminal = o.Width > 0
	o.Color = o.Terminal && w.Getenv("NO_COLOR") == "" && w.Getenv("TERM") != "dumb"
	return o, nil
}

// print writes the report, and decides the exit code from it alone.
func (f *outputFlags) print(w World, r *report.Report, o render.Options) error {
	var page bytes.Buffer
	if err := render.Report(&page, r, o); err != nil {
		return err
	}
	if _, err := w.Streams.Out.Write(page.Bytes()); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return f.verdict(r)
}

func (f *outputFlags) verdict(r *report.Report) error {
	switch {
	case !f.exitCode:
		return nil
	case r.Summary.StuckPods+r.Summary.StuckObjects > 0:
		return codeError(ExitStuck)
	case !r.Summary.Complete:
		return codeError(ExitIncomplete)
	default:
		return nil
	}
}
