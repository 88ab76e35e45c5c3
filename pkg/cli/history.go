package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// historyOptions are what `kubectl stuck history` was asked.
type historyOptions struct {
	output   outputFlags
	dir      string
	manifest bool
}

func newHistory(w World) *cobra.Command {
	o := &historyOptions{}
	cmd := &cobra.Command{
		Use:   "history [ID]",
		Short: "Show what was done to clusters, and what became of it",
		Long: templates.LongDesc(`
			Show the runs of this tool that were to change a cluster, from the journal on this machine; or, of one run, the whole story:
			who, from where, what was planned, which guards spoke and which were lifted, each call with its answer, the proof, whether it
			can be undone, and what is not known.

			No cluster is asked. A run without an end was interrupted, or is still going on. A call without an answer may have been done:
			the story says how to find out.`),
		Example: templates.Examples(`
			# All runs, the latest first
			kubectl stuck history

			# The whole story of one
			kubectl stuck history 20260301-100000-abcdef

			# The object as it was before, for kubectl create -f -
			kubectl stuck history 20260301-100000-abcdef --manifest

			# A journal that is kept elsewhere, as a document for other programs
			kubectl stuck history --journal /srv/journal -o json`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one ID, or none for all runs", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return o.run(w, args) },
	}
	o.output.addFormat(cmd)
	cmd.Flags().StringVar(&o.dir, "journal", "", "The folder of the journal. Default: kubectl-stuck in $XDG_STATE_HOME, or in ~/.local/state.")
	cmd.Flags().BoolVar(&o.manifest, "manifest", false, "Print the objects that a run kept as YAML that kubectl create takes.")
	return cmd
}

func (o *historyOptions) run(w World, args []string) error {
	show, err := o.output.options(w, render.Pods)
	switch {
	case err != nil:
		return err
	case o.manifest && len(args) == 0:
		return usagef("--manifest is of one run: name its ID, as 'kubectl stuck history' lists them")
	case o.manifest && o.output.output != "":
		return usagef("--manifest prints YAML: it goes without --output")
	case len(args) == 1 && !journal.ValidID(args[0]):
		return usagef("%q is not the ID of a run; they look like 20260301-100000-abcdef, and 'kubectl stuck history' lists them", args[0])
	}
	dir := o.dir
	if dir == "" {
		if dir, err = journal.Dir(w.Getenv); err != nil {
			return err
		}
	}
	list, err := journal.List(dir)
	if err != nil {
		return err
	}
	var runs []remedy.History
	var unread []report.SkippedFile
	for _, l := range list {
		if l.Err != nil {
			unread = append(unread, report.SkippedFile{Name: l.Path, Reason: withoutPath(l.Err, l.Path)})
			continue
		}
		runs = append(runs, l.History)
	}
	var page strings.Builder
	if len(args) == 0 {
		err = render.History(&page, report.NewHistory(w.Now(), dir, runs, unread), show)
	} else {
		err = o.one(w, &page, dir, args[0], runs, show)
	}
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w.Streams.Out, page.String()); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// withoutPath is what is wrong with a file, for a place where its name stands already.
func withoutPath(err error, path string) string {
	rest, begins := strings.CutPrefix(err.Error(), path)
	switch {
	case !begins:
		return rest
	case len(rest) > 1 && rest[0] == ':' && rest[1] != ' ':
		return "line " + rest[1:]
	default:
		return strings.TrimLeft(rest, ": ")
	}
}

// one writes the story of a run, or what it kept.
func (o *historyOptions) one(w World, page io.Writer, dir, id string, runs []remedy.History, show render.Options) error {
	h, err := journal.Read(dir, id)
	if errors.Is(err, journal.ErrNoRun) {
		return fmt.Errorf("%w; 'kubectl stuck history' lists those that there are", err)
	}
	if err != nil {
		return err
	}
	r := report.NewRun(w.Now(), h, runs)
	if o.manifest {
		return render.Manifests(page, r)
	}
	return render.Run(page, r, show)
}
