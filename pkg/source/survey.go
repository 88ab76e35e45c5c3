package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// staleLease is the age from which a node's lease raises a question. Kubelets renew every 10 s a lease of
// 40 s (nodeLeaseDurationSeconds), and the node controller gives up after 40 to 50 s.
const staleLease = 60 * time.Second

// The leases that tell whether the control plane works are in this namespace.
const systemNamespace = "kube-system"

// survey takes the cheap reads at once: how many pods there are and where, those whose deletion the count hides, and
// the nodes and their heartbeats. After it the suspect nodes are known.
func (p *plan) survey(ctx context.Context) error {
	p.say("counting pods")
	var censusErr, selectErr error
	failed := map[rowKey]int{}
	rows := map[rowKey]int{}
	selective := p.query.LabelSelector != "" || p.query.FieldSelector != ""
	p.census.Namespace = p.query.Namespace
	p.census.Nodes = map[string]*snapshot.NodeCount{}
	p.all(
		func() {
			censusErr = p.count(ctx, "", "", func(r *Row) {
				p.census.Add(r.Node, r.Status, r.Ready, r.Containers)
				if !selective {
					rows[rowKey{r.Node, r.Status}]++
				}
			})
		},
		func() {
			if !selective {
				return
			}
			selectErr = p.count(ctx, p.query.FieldSelector, p.query.LabelSelector, func(r *Row) {
				rows[rowKey{r.Node, r.Status}]++
			})
		},
		func() { p.findDeleted(ctx) },
		func() { p.readNamed(ctx) },
		func() { p.readNodes(ctx) },
		func() { p.readLeases(ctx) },
		func() { p.countWorkloads(ctx) },
	)
	if censusErr == nil {
		censusErr = selectErr
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("counting pods: %w", context.Cause(ctx))
	}
	if censusErr != nil {
		// A list that broke off, and a dump that does not hold all pods, are an answer in part. So are the pods that were
		// named, and, where nothing was counted, those that have not started.
		partly := len(p.named) > 0 || p.census.Pods() > 0
		if !partly && (apierrors.IsForbidden(censusErr) || !p.readWaiting(ctx, "status.phase=Pending")) {
			return noPods(p.query.Namespace, censusErr)
		}
		p.census.Partial = true
		p.gap(snapshot.Pod, p.query.Namespace, "", fmt.Errorf("counting pods: %w", censusErr))
	}
	for k := range rows {
		p.words[k.word] = true
		if k.node == "" && suspicious(k.word) {
			p.unbound = true
		}
	}
	if len(p.query.Names) == 0 {
		if p.anyWord(ambiguous) {
			p.countFailed(ctx, failed)
		}
		for k, n := range rows {
			if n -= failed[k]; n > 0 && suspicious(k.word) && k.node != "" {
				p.suspect[k.node] += n
			}
		}
	}
	p.addUnwellNodes(rows)
	for _, n := range p.query.Nodes {
		p.suspect[n] = max(p.suspect[n], 1)
	}
	for _, pod := range p.named {
		if pod.Spec.NodeName != "" {
			p.suspect[pod.Spec.NodeName] = max(p.suspect[pod.Spec.NodeName], 1)
		}
	}
	return nil
}

type rowKey struct{ node, word string }

func noPods(namespace string, err error) error {
	if apierrors.IsForbidden(err) {
		return &ForbiddenError{Namespace: namespace, Err: err}
	}
	return fmt.Errorf("counting pods: %w", err)
}

// suspicious tells whether a STATUS word may stand for a pod that does not move on.
func suspicious(word string) bool {
	return word != "Running" && word != "Completed" && word != "Succeeded"
}

// ambiguous tells whether a STATUS word may stand for a pod in phase Failed, which is over, as well as for one
// that is still tried. For such a pod the word is its status.reason or the reason of a container, and both are
// open sets: so what is listed here is what a pod in phase Failed never shows.
func ambiguous(word string) bool {
	switch word {
	case "Running", "Completed", "Succeeded", "Pending", "Terminating", "ContainerCreating", "PodInitializing",
		"SchedulingGated", "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "NotReady":
		return false
	}
	return true
}

func (p *plan) anyWord(is func(string) bool) bool {
	for w := range p.words {
		if is(w) {
			return true
		}
	}
	return false
}

// countFailed counts the pods in phase Failed by node and word. Those are leftovers, which do not make their
// node a suspect; thousands of them (Evicted) are common. Where they cannot be counted, nothing is left out.
func (p *plan) countFailed(ctx context.Context, failed map[rowKey]int) {
	err := p.count(ctx, and(p.query.FieldSelector, "status.phase=Failed"), p.query.LabelSelector, func(r *Row) {
		failed[rowKey{r.Node, r.Status}]++
	})
	if err != nil {
		clear(failed)
	}
}

// and joins two field selectors.
func and(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

// readWaiting reads the pods that the field selector chooses, up to a bound, and tells whether there was an answer.
func (p *plan) readWaiting(ctx context.Context, fieldSelector string) bool {
	r := ListRequest{Kind: snapshot.Pod, Namespace: p.query.Namespace, Limit: p.limits.pending, FieldSelector: fieldSelector}
	if len(p.query.Names) == 0 {
		r.LabelSelector, r.FieldSelector = p.query.LabelSelector, and(p.query.FieldSelector, fieldSelector)
	}
	err := p.list(ctx, r, func(o runtime.Object) {
		if pod, ok := o.(*corev1.Pod); ok {
			p.pods.add(pod)
		}
	})
	if errors.Is(err, ErrTruncated) {
		err = fmt.Errorf("%d pods that wait were read, and the others only counted: %w", p.limits.pending, err)
	}
	if err != nil {
		p.gap(snapshot.Pod, p.query.Namespace, "", err)
	}
	return err == nil || errors.Is(err, ErrTruncated)
}

// readNamed reads the pods that were asked for by name.
func (p *plan) readNamed(ctx context.Context) {
	wanted := map[types.NamespacedName]bool{}
	for _, n := range p.query.Names {
		wanted[types.NamespacedName{Namespace: p.query.Namespace, Name: n}] = true
	}
	for _, o := range p.fetch(ctx, snapshot.Pod, wanted) {
		if pod, ok := o.(*corev1.Pod); ok {
			p.pods.addNamed(pod)
			p.mu.Lock()
			p.named = append(p.named, pod)
			p.mu.Unlock()
		}
	}
}

func (p *plan) readNodes(ctx context.Context) {
	nodes := map[string]*corev1.Node{}
	err := p.list(ctx, ListRequest{Kind: snapshot.Node}, func(o runtime.Object) {
		if n, ok := o.(*corev1.Node); ok {
			nodes[n.Name] = n
		}
	})
	if err != nil {
		p.gap(snapshot.Node, "", "", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes = nodes
	if err == nil {
		p.builder.SetComplete(snapshot.Node, "")
	}
}

// readLeases reads the heartbeats of the nodes and of the control plane.
func (p *plan) readLeases(ctx context.Context) {
	p.all(
		func() {
			var got []runtime.Object
			err := p.list(ctx, ListRequest{Kind: snapshot.Lease, Namespace: corev1.NamespaceNodeLease}, func(o runtime.Object) {
				got = append(got, o)
			})
			p.add(got...)
			if err != nil {
				p.gap(snapshot.Lease, corev1.NamespaceNodeLease, "", err)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, o := range got {
				if l, ok := o.(*coordinationv1.Lease); ok && l.Spec.RenewTime != nil {
					p.renewed[l.Name] = l.Spec.RenewTime.Time
				}
			}
			if err == nil {
				p.builder.SetComplete(snapshot.Lease, corev1.NamespaceNodeLease)
				p.beats = true
			}
		},
		func() {
			p.fetch(ctx, snapshot.Lease, map[types.NamespacedName]bool{
				{Namespace: systemNamespace, Name: "kube-controller-manager"}:  true,
				{Namespace: systemNamespace, Name: "kube-scheduler"}:           true,
				{Namespace: systemNamespace, Name: "cloud-controller-manager"}: true,
			})
		},
	)
}

// addUnwellNodes makes suspects of nodes whose pods look healthy only because nobody reports otherwise: a
// DaemonSet's pods stay Running on a dead node. Only nodes with pods that were looked for count.
func (p *plan) addUnwellNodes(rows map[rowKey]int) {
	if len(p.query.Names) > 0 {
		return
	}
	looked := map[string]bool{}
	for k := range rows {
		looked[k.node] = true
	}
	extra := 0
	for _, name := range slices.Sorted(maps.Keys(p.nodes)) {
		if p.suspect[name] > 0 || !looked[name] || !p.unwell(name) {
			continue
		}
		if extra++; extra > p.limits.nodes {
			p.gap(snapshot.Pod, "", "", fmt.Errorf("more than %d nodes are not well although no pod on them looks stuck; the pods of the others were counted and not read: %w", p.limits.nodes, ErrTruncated))
			return
		}
		p.suspect[name] = 1
	}
}

// unwell tells whether the node is not Ready or does not renew its lease.
func (p *plan) unwell(node string) bool {
	if c := snapshot.NodeCondition(p.nodes[node], corev1.NodeReady); c == nil || c.Status != corev1.ConditionTrue {
		return true
	}
	t, ok := p.renewed[node]
	return ok && p.now.Sub(t) > staleLease
}
