package cli

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// watchInterval is the least time between two looks. A look that takes long is followed by ten times its own
// time of rest, so that watching a huge cluster costs its API server no more than a tenth of one look's load.
const watchInterval = 5 * time.Second

// follow looks again and again. On a terminal the page is redrawn; elsewhere it is printed again when it says something new.
// An error of one look is told, and the next look tried.
func (o *podsOptions) follow(ctx context.Context, w World, r *reader) error {
	var last []byte
	for first := true; ; first = false {
		began := w.Now()
		rep, err := o.look(ctx, w, r)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // interrupted: the way to end a watch
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintln(w.Streams.ErrOut, "error: "+render.Clean(err.Error()))
		default:
			var page bytes.Buffer
			if err := render.Report(&page, rep, o.render); err != nil {
				return err
			}
			// What only tells the time is no news.
			rep.TakenAt = time.Time{}
			news := fmt.Appendf(nil, "%v %v", rep.Summary, podKeys(rep))
			switch {
			case o.render.Terminal:
				fmt.Fprint(w.Streams.Out, "\x1b[H\x1b[2J")
				fallthrough
			case !bytes.Equal(news, last):
				if _, err := w.Streams.Out.Write(page.Bytes()); err != nil {
					return fmt.Errorf("writing the answer: %w", err)
				}
			}
			last = news
		}
		rest := max(watchInterval, 10*w.Now().Sub(began))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rest):
		}
	}
}

// podKeys is what makes two looks differ: which pods and other objects hang, in what, and why.
func podKeys(rep *report.Report) []string {
	var out []string
	for _, g := range rep.Groups {
		out = append(out, g.Node, string(g.Reach))
		for _, p := range g.Pods {
			out = append(out, p.Namespace+"/"+p.Name, string(p.State), string(p.Stage))
			for _, f := range p.Findings {
				out = append(out, string(f.Code))
			}
		}
	}
	for _, x := range rep.Objects {
		out = append(out, x.Ref().String(), string(x.State))
		for _, f := range x.Findings {
			out = append(out, string(f.Code))
		}
	}
	return out
}
