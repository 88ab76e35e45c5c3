package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
)

// sourceFlags choose where the picture is taken from.
type sourceFlags struct {
	from []string
	asOf string
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.from, "from", nil, "Read files instead of a cluster: output of kubectl get -o json or yaml, a directory or archive of it, what kubectl cluster-info dump or must-gather wrote, or what kubectl stuck dump wrote; '-' reads stdin. May be repeated.")
	cmd.Flags().StringVar(&f.asOf, "as-of", "", "The time at which the files of --from were taken (RFC 3339), where they do not record it. Default: the newest time found in them.")
	_ = cmd.MarkFlagFilename("from")
}

// reader takes pictures of one cluster, or of one set of files.
type reader struct {
	backend source.Backend
	// namespace is the one that the person works in: from -n, the kubeconfig context, or "default". Files have none.
	namespace string
	// named tells that the namespace was chosen with -n.
	named bool
	// config is the connection; nil for files.
	config *rest.Config
}

// open checks the flags and makes the reader. Nothing is sent to a cluster yet; files are opened.
func (f *sourceFlags) open(ctx context.Context, w World, config *genericclioptions.ConfigFlags) (*reader, error) {
	return f.openFor(ctx, w, config, false)
}

// openFresh makes a reader for what is about to be changed: it asks for lists as they are now.
func (f *sourceFlags) openFresh(ctx context.Context, w World, config *genericclioptions.ConfigFlags) (*reader, error) {
	return f.openFor(ctx, w, config, true)
}

func (f *sourceFlags) openFor(ctx context.Context, w World, config *genericclioptions.ConfigFlags, fresh bool) (*reader, error) {
	named := config.Namespace != nil && *config.Namespace != ""
	if len(f.from) > 0 {
		var asOf time.Time
		if f.asOf != "" {
			t, err := time.Parse(time.RFC3339, f.asOf)
			if err != nil {
				return nil, usagef("--as-of %q is not a time like 2026-03-01T10:00:00Z", f.asOf)
			}
			asOf = t
		}
		b, err := dump.Open(ctx, f.from, dump.Options{AsOf: asOf, NotAfter: w.Now(), Stdin: w.Streams.In})
		if err != nil {
			return nil, err
		}
		r := &reader{backend: b, named: named}
		if named {
			r.namespace = *config.Namespace
		}
		return r, nil
	}
	if f.asOf != "" {
		return nil, usagef("--as-of goes with --from: a live cluster tells the time itself")
	}
	loader := config.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	cfg, err := config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	cfg.UserAgent = "kubectl-stuck/" + version
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	kubeContext := raw.CurrentContext
	if config.Context != nil && *config.Context != "" {
		kubeContext = *config.Context
	}
	b, err := live.New(cfg, live.Options{Context: kubeContext, Now: w.Now, Fresh: fresh})
	if err != nil {
		return nil, err
	}
	return &reader{backend: b, namespace: namespace, named: named, config: cfg}, nil
}

// load takes one picture.
func (r *reader) load(ctx context.Context, w World, q source.Query, catalogue []diagnose.Cause) (*snapshot.Snapshot, error) {
	q.Needs = append(needs(catalogue), q.Needs...)
	q.Owners = finalizer.Seeker
	p := newProgress(w)
	q.Progress = p.say
	s, err := r.take(ctx, q)
	p.clear()
	return s, err
}

// take lets files say themselves how they are read: a dump of ours holds a whole picture, other files are read like a cluster.
func (r *reader) take(ctx context.Context, q source.Query) (*snapshot.Snapshot, error) {
	if files, ok := r.backend.(*dump.Backend); ok {
		return files.Load(ctx, q)
	}
	return source.Load(ctx, r.backend, q)
}

// needs gathers the kinds that the causes look at.
func needs(catalogue []diagnose.Cause) []snapshot.Kind {
	seen := map[snapshot.Kind]bool{}
	var out []snapshot.Kind
	for _, c := range catalogue {
		for _, k := range c.Reads() {
			if !seen[k] {
				seen[k] = true
				out = append(out, k)
			}
		}
	}
	return out
}

// progress tells on stderr what is being read, where somebody looks.
type progress struct {
	out   io.Writer
	width int // of a line, in cells: what is longer would leave a part behind when it is cleared
	shown bool
}

func newProgress(w World) *progress {
	width := w.Width(w.Streams.ErrOut)
	if width == 0 {
		return &progress{}
	}
	return &progress{out: w.Streams.ErrOut, width: width}
}

func (p *progress) say(what string) {
	if p.out != nil {
		p.shown = true
		what = render.Clean(what)
		if room := p.width - 3; len(what) > room && room > 0 { // bytes: at least as many as cells
			what = strings.ToValidUTF8(what[:room], "")
		}
		fmt.Fprintf(p.out, "\r\x1b[K%s …", what)
	}
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// checkSelectors finds mistakes in selectors before anything is read.
func checkSelectors(label, field string) error {
	if _, err := labels.Parse(label); err != nil {
		return usagef("--selector %q: %v", label, err)
	}
	if _, err := fields.ParseSelector(field); err != nil {
		return usagef("--field-selector %q: %v", field, err)
	}
	return nil
}

// catalogue is every cause there is.
func catalogue() []diagnose.Cause { return causes.All() }
