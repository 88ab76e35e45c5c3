package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// overdue is for how long an object must have been marked for deletion before somebody is looked for who holds it. What goes in its own time is
// not worth reading the workloads of a cluster for; seconds are enough for most. It does not hold for pods that were asked for by name.
const overdue = 10 * time.Second

// readFinalizerOwners looks for the owners of the finalizers that hold what is stuck: what is installed, what could run it, and who is elected. It reads
// nothing where no object that is being deleted, and is overdue, has a finalizer of somebody other than Kubernetes; so it runs after the rest.
//
// The workloads of all namespaces are read as a stream, of which only those are kept that may be such an owner: in a big cluster they are many, and
// a controller is one of them.
func (p *plan) readFinalizerOwners(ctx context.Context, pods []*corev1.Pod) {
	kinds := []snapshot.Kind{snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet}
	if p.query.Owners == nil || !p.needs[snapshot.Deployment] {
		return
	}
	held := p.held(pods)
	if len(held) == 0 || p.query.Owners(held, nil) == nil {
		return
	}
	p.say("looking for the owners of finalizers")
	var crds []*metav1.PartialObjectMetadata
	p.all(
		func() { crds = p.readDefinitions(ctx) },
		func() { p.readLeaderLeases(ctx) },
	)
	keep := p.query.Owners(held, crds)
	var tasks []func()
	for _, k := range kinds {
		if p.needs[k] {
			tasks = append(tasks, func() { p.readOwnersAmong(ctx, k, keep) })
		}
	}
	p.all(tasks...)
}

// held lists the objects with finalizers that should be gone by now: pods in question, their namespaces, claims and volumes, and attachments.
func (p *plan) held(pods []*corev1.Pod) []metav1.Object {
	var out []metav1.Object
	p.mu.Lock()
	named := slices.Clone(p.named)
	p.mu.Unlock()
	add := func(o runtime.Object) {
		m, ok := o.(metav1.Object)
		if !ok || m.GetDeletionTimestamp() == nil {
			return
		}
		// Who names a pod wants to know who holds it, however short: a finalizer may be about to be taken off.
		if p.now.Sub(m.GetDeletionTimestamp().Time) < overdue && !slices.ContainsFunc(named, func(n *corev1.Pod) bool { return n.UID == m.GetUID() }) {
			return
		}
		if ns, is := o.(*corev1.Namespace); len(m.GetFinalizers()) > 0 || is && len(ns.Spec.Finalizers) > 0 {
			out = append(out, m)
		}
	}
	for _, pod := range pods {
		add(pod)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range []snapshot.Kind{snapshot.Namespace, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.VolumeAttachment} {
		for _, o := range p.builder.Objects(k) {
			add(o)
		}
	}
	return out
}

// readDefinitions lists the metadata of all CustomResourceDefinitions.
func (p *plan) readDefinitions(ctx context.Context) []*metav1.PartialObjectMetadata {
	if !p.needs[snapshot.CustomResourceDefinition] {
		return nil
	}
	var crds []*metav1.PartialObjectMetadata
	if !p.readAll(ctx, snapshot.CustomResourceDefinition, "") {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.builder.Objects(snapshot.CustomResourceDefinition) {
		if c, ok := o.(*metav1.PartialObjectMetadata); ok {
			crds = append(crds, c)
		}
	}
	return crds
}

// ownersKept bounds how many workloads of a kind are kept. More than that cannot be owners: the words that they were kept by say nothing.
const ownersKept = 200

// readOwnersAmong lists the workloads of a kind in all namespaces, and keeps those that may be an owner; without the right to, those of the namespace
// in question. Only where all of them were seen is it recorded that an owner which was not kept does not exist.
func (p *plan) readOwnersAmong(ctx context.Context, k snapshot.Kind, keep func(runtime.Object) bool) {
	read := func(namespace string) error {
		var got []runtime.Object
		more := false
		err := p.list(ctx, ListRequest{Kind: k, Namespace: namespace}, func(o runtime.Object) {
			switch {
			case !keep(o):
			case len(got) == ownersKept:
				more = true
			default:
				got = append(got, o)
			}
		})
		if err == nil && more {
			err = fmt.Errorf("more than %d may be the owner of a finalizer, and the others were not kept: %w", ownersKept, ErrTruncated)
		}
		p.add(got...)
		if err != nil {
			p.gap(k, namespace, "", err)
		}
		return err
	}
	err := read("")
	switch {
	case err == nil:
		p.mu.Lock()
		p.builder.SetComplete(k, snapshot.FinalizerOwners)
		p.mu.Unlock()
	case p.query.Namespace != "" && !errors.Is(err, ErrTruncated):
		_ = read(p.query.Namespace) // a gap, or the controller of this one namespace
	}
}
