package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// restoreNode gives a node back what it lost with its Node object, and lets pods onto it once a probe has passed.
func (o *nodeOptions) restoreNode(ctx context.Context, w World, r *reader, n *nodeRun) error {
	l, err := n.look(ctx, w, r, "", false)
	if err != nil {
		return err
	}
	cluster := clusterOf(ctx, r, l.origin)
	dir, err := journalDir(w, o.act.change.journal)
	if err != nil {
		return err
	}
	saved, run, err := savedNode(w, dir, o.act.saved, n.name, cluster)
	if err != nil && (o.act.saved != "" || n.now.Node == nil || !waitsForProof(n.now.Node)) {
		return err
	}
	n.first = n.now
	if n.now.Node == nil {
		if n.now.Facts.Exists == snapshot.Absent {
			return fmt.Errorf("node %s is not back: it has no Node object; wait for it with --wait", n.name)
		}
		return fmt.Errorf("node %s could not be read: %w", n.name, orUnknown(l.picture.S.Gap(snapshot.Node)))
	}
	doc := n.document(l)
	if saved == nil { // it never lost its Node object; what is left is to prove it, and to let pods onto it again
		saved = n.now.Node
		doc.Notes = append(doc.Notes, fmt.Sprintf("No run of the journal deleted node %s, so that nothing is to be given back to it.", n.name))
	}
	if run != "" {
		doc.Notes = append(doc.Notes, fmt.Sprintf("The node as it was is from run %s.", run))
	}
	n.prepare = func(_ context.Context, c *remedy.NodeCase, cluster remedy.Cluster) (remedy.Plan, error) {
		plan, items, err := remedy.MakeRestore(c, saved, cluster)
		doc.Node.Restore = items
		return plan, err
	}
	plan, err := n.prepare(ctx, n.now, cluster)
	c := &change{w: w, reader: r, flags: o.act.change, render: o.render, doc: doc, plan: plan, look: l, node: n}
	c.again = n.again(c)
	c.quiet = !c.people()
	switch {
	case errors.Is(err, remedy.ErrNothingLeft):
		doc.Notes = append(doc.Notes, fmt.Sprintf("Nothing is to be given back to node %s.", n.name))
		if err := c.print(); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		doc.Notes = append(doc.Notes, fmt.Sprintf("Until a probe has passed there, node %s keeps the taint %s: afterwards it is taken off.", n.name, remedy.TaintUnproven))
		if err := c.run(ctx); err != nil {
			return errors.Join(err, c.flush())
		}
	}
	if o.act.change.dryRun != "" || len(o.source.from) > 0 {
		return c.flush()
	}
	if !waitsForProof(n.now.Node) && errors.Is(err, remedy.ErrNothingLeft) {
		return c.flush()
	}
	return o.prove(ctx, w, r, c, saved)
}

// waitsForProof tells whether something on the node is to be taken off once it is proven.
func waitsForProof(n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Key == remedy.TaintUnproven || t.Key == corev1.TaintNodeOutOfService {
			return true
		}
	}
	return false
}

// prove probes the node and takes off what kept pods from it. The person agreed to that with the restore.
func (o *nodeOptions) prove(ctx context.Context, w World, r *reader, c *change, saved *corev1.Node) error {
	flags := o.act.change
	flags.yes = render.Yes
	p := &nodeRun{name: c.node.name, flags: &o.act}
	result, err := o.runProbeOn(ctx, w, r, p, flags, c.quiet)
	if result != nil {
		c.doc.Node.Probe = result
	}
	if err != nil {
		c.doc.Notes = append(c.doc.Notes, fmt.Sprintf("Node %s is not proven, and keeps the taint %s. Probe it again with the same command; `kubectl taint nodes %s %s-` takes it off unproven.", c.node.name, remedy.TaintUnproven, c.node.name, remedy.TaintUnproven))
		c.warn("node %s keeps the taint %s", c.node.name, remedy.TaintUnproven)
		return errors.Join(err, c.flush())
	}
	n := &nodeRun{name: c.node.name, flags: &o.act, prepare: func(_ context.Context, k *remedy.NodeCase, cluster remedy.Cluster) (remedy.Plan, error) {
		return remedy.MakeProve(k, saved, cluster)
	}}
	l, err := n.look(ctx, w, r, "", false)
	if err != nil {
		return errors.Join(err, c.flush())
	}
	n.first = n.now
	if n.now.Node == nil {
		return errors.Join(fmt.Errorf("node %s could not be read: %w", n.name, orUnknown(l.picture.S.Gap(snapshot.Node))), c.flush())
	}
	plan, err := n.prepare(ctx, n.now, c.plan.Cluster)
	if errors.Is(err, remedy.ErrNothingLeft) {
		return c.flush()
	}
	if err != nil {
		return errors.Join(err, c.flush())
	}
	last := &change{w: w, reader: r, flags: flags, render: o.render, doc: n.document(l), plan: plan, look: l, node: n, quiet: c.quiet}
	last.again = n.again(last)
	err = last.run(ctx)
	if c.quiet {
		c.doc.Notes = append(c.doc.Notes, fmt.Sprintf("Run %s took off what kept pods from node %s: %s.", last.doc.Run, n.name, last.doc.Status))
	}
	return errors.Join(err, c.flush())
}

// flush prints what was kept back for one document.
func (c *change) flush() error {
	if !c.quiet {
		return nil
	}
	c.quiet = false
	return c.print()
}

// probeNode runs the probe alone.
func (o *nodeOptions) probeNode(ctx context.Context, w World, r *reader, n *nodeRun) error {
	_, err := o.runProbeOn(ctx, w, r, n, o.act.change, false)
	return err
}

// runProbeOn plans the probe of the node and runs it.
func (o *nodeOptions) runProbeOn(ctx context.Context, w World, r *reader, n *nodeRun, flags changeFlags, quiet bool) (*remedy.ProbeResult, error) {
	l, err := n.look(ctx, w, r, "", false)
	if err != nil {
		return nil, err
	}
	n.first = n.now
	if n.now.Node == nil {
		return nil, fmt.Errorf("node %s has no Node object that could be read: nothing can be scheduled to it", n.name)
	}
	doc := n.document(l)
	beside, why := remedy.PickBeside(l.picture, n.name)
	options := remedy.ProbeOptions{Namespace: r.namespace, Image: o.act.image, Suffix: randomSuffix(), Beside: beside, Left: leftProbes(ctx, r, r.namespace)}
	reach := n.now.Reach
	n.prepare = func(_ context.Context, c *remedy.NodeCase, cluster remedy.Cluster) (remedy.Plan, error) {
		return remedy.MakeProbe(c, options, cluster)
	}
	cluster := clusterOf(ctx, r, l.origin)
	plan, err := n.prepare(ctx, n.now, cluster)
	for until := w.Now().Add(imagesListed); errors.Is(err, remedy.ErrNoImage) && w.Now().Before(until) && sleep(ctx, beat); {
		if l, err = n.look(ctx, w, r, "", false); err != nil {
			return nil, err
		}
		if n.now.Node == nil {
			return nil, fmt.Errorf("node %s could not be read: %w", n.name, orUnknown(l.picture.S.Gap(snapshot.Node)))
		}
		n.first = n.now
		plan, err = n.prepare(ctx, n.now, cluster)
	}
	if err != nil {
		return nil, err
	}
	c := &change{w: w, reader: r, flags: flags, render: o.render, doc: doc, plan: plan, look: l, node: n, quiet: quiet}
	c.again = n.again(c)
	var result *remedy.ProbeResult
	n.carry = func(ctx context.Context, c *change, j *journal.Run, p *progress) ([]remedy.Outcome, remedy.Status, error) {
		got, outcomes, err := runProbe(ctx, w, r, c.client, j, c.plan, o.act.timeout, p.say)
		if got.Run.Node != "" {
			if beside == "" {
				got.Alone = why
			}
			judged := remedy.JudgeProbe(got.Run, got.Beside, reach)
			judged.Alone = got.Alone
			result = &judged
			doc.Node.Probe = result
		}
		return outcomes, apply.Worst(outcomes), err
	}
	if err := c.run(ctx); err != nil {
		return result, err
	}
	if result != nil && !result.Works {
		return result, toldError{fmt.Errorf("node %s is not proven: %s", n.name, result.Verdict)}
	}
	return result, nil
}

// imagesListed is how long a node that has just registered may take to list its images: a kubelet reports its status every 10s (nodeStatusUpdateFrequency), and
// its images were collected every 30s (pkg/kubelet/images imageGCManager) by then.
const imagesListed = 45 * time.Second

// waitThen waits until the node is back, and does then what was asked for.
func (o *nodeOptions) waitThen(ctx context.Context, w World, r *reader, name string) error {
	if err := o.waitFor(ctx, w, r, name, ""); err != nil {
		return err
	}
	if !o.act.acts() {
		return nil
	}
	return o.actOn(ctx, w, r, name)
}

// beat is how long to wait between two looks at a node that is to come back. A kubelet that starts registers within seconds.
const beat = 2 * time.Second

// freshLease is how old the lease of a node may be that is back: four times the interval at which a kubelet renews it (nodeLeaseDurationSeconds 40s,
// renewed every quarter of it).
const freshLease = 40 * time.Second

// waitFor waits until a Node object of that name is there, other than the one with the UID, Ready and with a fresh lease.
func (o *nodeOptions) waitFor(ctx context.Context, w World, r *reader, name string, not types.UID) error {
	until := w.Now().Add(o.act.back)
	p := newProgress(w)
	defer p.clear()
	for {
		node, state, err := backState(ctx, r, name, not)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("interrupted while waiting for node %s: %w", name, context.Cause(ctx))
		case err == nil && state == "":
			p.clear()
			return o.sayBack(ctx, w, r, node)
		case err != nil:
			state = err.Error()
		}
		if !w.Now().Before(until) {
			return fmt.Errorf("node %s is not back after %s: %s", name, scope.Short(o.act.back), state)
		}
		p.say(fmt.Sprintf("waiting for node %s: %s", name, state))
		if !sleep(ctx, min(beat, until.Sub(w.Now()))) {
			return fmt.Errorf("interrupted while waiting for node %s: %w", name, context.Cause(ctx))
		}
	}
}

// backState says what is still missing of a node that is to come back; empty where nothing is.
func backState(ctx context.Context, r *reader, name string, not types.UID) (*corev1.Node, string, error) {
	_, now, err := r.backend.Open(ctx)
	if err != nil {
		return nil, "", err
	}
	got, err := r.backend.Get(ctx, snapshot.Node, "", name)
	if apierrors.IsNotFound(err) {
		return nil, "it has not registered: its kubelet does that when it is started", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("the Node object could not be read: %w", err)
	}
	node, ok := got.(*corev1.Node)
	if !ok {
		return nil, "", errors.New("the Node object could not be read")
	}
	ready := snapshot.NodeCondition(node, corev1.NodeReady)
	switch {
	case node.UID == not:
		return node, "the Node object that was to go is still there", nil
	case ready == nil || ready.Status != corev1.ConditionTrue:
		text := "it is registered, and not Ready"
		if ready != nil && ready.Message != "" {
			text += ": " + ready.Message
		}
		return node, text, nil
	}
	lease, err := r.backend.Get(ctx, snapshot.Lease, corev1.NamespaceNodeLease, name)
	if l, ok := lease.(*coordinationv1.Lease); err == nil && ok && l.Spec.RenewTime != nil {
		// Garbage collection deletes the lease of the old Node object, and the kubelet makes one for the new at its next renewal.
		if slices.ContainsFunc(l.OwnerReferences, func(r metav1.OwnerReference) bool { return r.Kind == string(snapshot.Node) && r.UID != node.UID }) {
			return node, "its lease is still that of the old Node object", nil
		}
		if age := now.Sub(l.Spec.RenewTime.Time); age > freshLease {
			return node, fmt.Sprintf("it is called Ready, and its lease was renewed %s ago", scope.Short(age)), nil
		}
		return node, "", nil
	}
	if apierrors.IsNotFound(err) {
		return node, "it has no lease yet", nil
	}
	if err != nil && !apierrors.IsForbidden(err) {
		return node, "", fmt.Errorf("its lease could not be read: %w", err)
	}
	return node, "", nil // a lease that may not be read: the condition has to do
}

// sayBack tells that the node is there again.
func (o *nodeOptions) sayBack(ctx context.Context, w World, r *reader, node *corev1.Node) error {
	text := fmt.Sprintf("Node %s is back: Ready, with a fresh lease, registered %s.", node.Name, node.CreationTimestamp.UTC().Format(time.RFC3339))
	people := o.render.Format == render.Table || o.render.Format == render.Wide
	if o.act.acts() && (o.act.restore || o.act.probe) && !people {
		return nil // what follows prints the document
	}
	origin, now, err := r.backend.Open(ctx)
	if err != nil {
		return err
	}
	doc := &report.Fix{
		APIVersion: report.APIVersion, Kind: report.KindFix, TakenAt: now, Origin: origin, Cases: []report.FixCase{}, Gaps: []report.Gap{},
		Node: &report.NodeFix{Name: node.Name}, Notes: []string{text},
	}
	if o.act.drain && !people {
		return nil
	}
	if !o.act.restore && !o.act.probe {
		journal := journalFlag(o.act.change.journal)
		doc.Next = append(doc.Next, "kubectl stuck node "+node.Name+" --restore"+journal, "kubectl stuck node "+node.Name+" --probe"+journal)
	}
	if unschedulable(node) != "" {
		doc.Notes = append(doc.Notes, "It takes no pods: "+unschedulable(node)+".")
	}
	return printFix(w, doc, o.render)
}

// unschedulable says what keeps pods from a node.
func unschedulable(n *corev1.Node) string {
	var why []string
	if n.Spec.Unschedulable {
		why = append(why, "it is cordoned")
	}
	for _, t := range n.Spec.Taints {
		if t.Key == remedy.TaintUnproven || t.Key == corev1.TaintNodeOutOfService {
			why = append(why, "it has the taint "+t.Key)
		}
	}
	return strings.Join(why, ", and ")
}
