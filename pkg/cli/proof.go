package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// glance is how long to wait between two looks at what came of a change.
const glance = time.Second

// prove looks until every act that was done has shown its effect, or the time is up, and writes down what was seen last.
func (c *change) prove(ctx context.Context, j *journal.Run, before []remedy.Before) {
	until := c.w.Now().Add(c.flags.wait)
	p := newProgress(c.w)
	defer p.clear()
	last := map[int]remedy.Sight{}
	for {
		open := 0
		for i, b := range before {
			if seen, ok := last[i]; ok && seen.Settled || b.Target.Name == "" || !c.touched(i) {
				continue
			}
			sight := c.glance(ctx, b)
			sight.Act = i
			c.partial(&sight, c.plan.Acts[i])
			last[i] = sight
			if !sight.Settled {
				open++
				if len(sight.Says) > 0 {
					p.say(render.Clean(sight.Says[len(sight.Says)-1]))
				}
			}
		}
		if open == 0 || !c.w.Now().Before(until) || !sleep(ctx, min(glance, until.Sub(c.w.Now()))) {
			break
		}
	}
	p.clear()
	for i := range before {
		sight, ok := last[i]
		if !ok {
			continue
		}
		c.doc.Sights = append(c.doc.Sights, sight)
		if err := j.Add(remedy.Entry{Time: c.w.Now().UTC(), Type: remedy.Proof, Act: i, Text: strings.Join(sight.Says, " ")}); err != nil {
			c.warn("what was seen could not be written to the journal: %v", err)
		}
	}
	if ctx.Err() != nil {
		c.interrupted = true
		text := "Interrupted while waiting for the proof. What was changed stays changed."
		if c.doc.Status != remedy.Done {
			text = "Interrupted before all was done. What was changed stays changed."
		}
		c.doc.Notes = append(c.doc.Notes, text)
	}
}

// partial ends the waiting where some of the finalizers were to go, and have gone: the others hold the object, as was known before.
func (c *change) partial(sight *remedy.Sight, act remedy.Act) {
	if len(act.Remedies) != 1 || act.Remedies[0] != remedy.RemoveFinalizers || len(c.plan.Asked.Named) == 0 || sight.Gone || len(sight.Held) == 0 {
		return
	}
	for _, step := range act.Steps {
		for _, f := range step.Finalizers {
			if slices.Contains(sight.Held, f) {
				return
			}
		}
	}
	sight.Settled, sight.Good = true, true
}

// touched tells whether anything of the act may have been done.
func (c *change) touched(act int) bool {
	return changed(slices.DeleteFunc(slices.Clone(c.doc.Outcomes), func(o remedy.Outcome) bool { return o.Act != act }))
}

// sleep waits; false where the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// glance reads just what shows the effect of one act, and judges it. It goes on for a moment after an interruption, so that the last word is true.
func (c *change) glance(ctx context.Context, b remedy.Before) remedy.Sight {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
	}
	s, err := c.near(ctx, b)
	if err != nil {
		return remedy.Sight{Time: c.w.Now().UTC(), Says: []string{fmt.Sprintf("What came of it could not be seen: %v.", err)}}
	}
	found := stuck.Find(s, stuck.Options{})
	if b.Target.Kind == snapshot.Node {
		return remedy.LookNode(b, s, found)
	}
	return remedy.Look(b, s, found)
}

// near reads the object, the pods of its workload and of its node, and what was attached there.
func (c *change) near(ctx context.Context, b remedy.Before) (*snapshot.Snapshot, error) {
	backend := c.reader.backend
	_, now, err := backend.Open(ctx)
	if err != nil {
		return nil, err
	}
	builder := snapshot.NewBuilder()
	builder.SetOrigin(c.look.origin)
	get := func(k snapshot.Kind, namespace, name string) {
		o, err := backend.Get(ctx, k, namespace, name)
		switch {
		case err == nil:
			builder.Add(o)
		case apierrors.IsNotFound(err) && !errors.Is(err, source.ErrNotServed):
			builder.SetAbsent(k, namespace, name)
		default:
			builder.AddGap(snapshot.Gap{Kind: k, Namespace: namespace, Name: name, Reason: snapshot.ReasonError, Detail: err.Error()})
		}
	}
	list := func(r source.ListRequest, each func(runtime.Object), all func()) {
		err := backend.List(ctx, r, func(o runtime.Object) { builder.Add(o); each(o) })
		if err != nil {
			builder.AddGap(snapshot.Gap{Kind: r.Kind, Namespace: r.Namespace, Reason: snapshot.ReasonError, Detail: err.Error()})
			return
		}
		all()
	}
	nodes := map[string]bool{}
	see := func(o runtime.Object) {
		if p, ok := o.(*corev1.Pod); ok && p.Spec.NodeName != "" {
			nodes[p.Spec.NodeName] = true
		}
	}
	asked := map[snapshot.Ref]bool{}
	owner := func(ref *snapshot.Ref) {
		if ref == nil || asked[*ref] {
			return
		}
		asked[*ref] = true
		if _, ok := snapshot.InfoOf(ref.Kind); ok {
			get(ref.Kind, ref.Namespace, ref.Name)
		}
	}
	selected := map[string]bool{}
	for _, one := range append([]remedy.Before{b}, b.Moves...) {
		get(one.Target.Kind, one.Target.Namespace, one.Target.Name)
		owner(one.Controller)
		owner(one.Workload)
		if key := one.Target.Namespace + "\x00" + one.Selector; one.Selector != "" && !selected[key] {
			selected[key] = true
			list(source.ListRequest{Kind: snapshot.Pod, Namespace: one.Target.Namespace, LabelSelector: one.Selector}, see, func() {})
		}
	}
	if b.Node != "" {
		list(source.ListRequest{Kind: snapshot.Pod, FieldSelector: "spec.nodeName=" + b.Node}, func(runtime.Object) {}, func() { builder.SetNodeComplete(b.Node) })
		nodes[b.Node] = true
	}
	for n := range nodes {
		get(snapshot.Node, "", n)
		get(snapshot.Lease, "kube-node-lease", n)
	}
	if len(b.Volumes) > 0 || b.Target.Kind == snapshot.Node {
		list(source.ListRequest{Kind: snapshot.VolumeAttachment}, func(runtime.Object) {}, func() { builder.SetComplete(snapshot.VolumeAttachment, "") })
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return builder.Build(now)
}
