package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// readEvents reads the events about the pods in question, their claims and their nodes. The API server does not
// keep events in its watch cache and has no index of them: every request scans a namespace in etcd. So few
// pods are asked for by name, many by namespace, and no request covers all namespaces.
func (p *plan) readEvents(ctx context.Context, pods []*corev1.Pod) {
	byNamespace := map[string][]*corev1.Pod{}
	for _, pod := range pods {
		byNamespace[pod.Namespace] = append(byNamespace[pod.Namespace], pod)
	}
	few := len(pods) <= p.limits.eventGets
	tasks := []func(){func() { p.readNodeEvents(ctx) }}
	for _, ns := range slices.Sorted(maps.Keys(byNamespace)) {
		of := byNamespace[ns]
		if few && len(of) <= 3 {
			for _, pod := range of {
				tasks = append(tasks, func() { p.readPodEvents(ctx, pod) })
			}
			continue
		}
		tasks = append(tasks, func() { p.readNamespaceEvents(ctx, ns, of) })
	}
	p.all(tasks...)
}

// readPodEvents reads the events about one pod and the claims that it mounts.
func (p *plan) readPodEvents(ctx context.Context, pod *corev1.Pod) {
	about := []string{"involvedObject.kind=Pod,involvedObject.name=" + pod.Name}
	if pod.DeletionTimestamp == nil {
		for _, c := range claimsOf(pod) {
			about = append(about, "involvedObject.kind=PersistentVolumeClaim,involvedObject.name="+c)
		}
	}
	for _, selector := range about {
		p.events(ctx, ListRequest{Namespace: pod.Namespace, FieldSelector: selector}, func(*corev1.Event) bool { return true })
	}
}

// readNamespaceEvents reads the warnings of a namespace, and every event about what is in question. Where there are
// too many events, the pods that stand for the others are asked for by name as well.
func (p *plan) readNamespaceEvents(ctx context.Context, namespace string, pods []*corev1.Pod) {
	inQuestion := map[string]bool{}
	for _, pod := range pods {
		inQuestion["Pod/"+pod.Name] = true
		for _, c := range claimsOf(pod) {
			inQuestion["PersistentVolumeClaim/"+c] = true
		}
		if c := metav1.GetControllerOf(pod); c != nil {
			inQuestion[c.Kind+"/"+c.Name] = true
		}
	}
	cut := p.events(ctx, ListRequest{Namespace: namespace, Limit: p.limits.events}, func(e *corev1.Event) bool {
		return e.Type == corev1.EventTypeWarning || inQuestion[e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name]
	})
	if !cut {
		return
	}
	var tasks []func()
	for _, pod := range representatives(pods, 10) {
		tasks = append(tasks, func() { p.readPodEvents(ctx, pod) })
	}
	p.all(tasks...)
}

// readNodeEvents reads the events about the nodes in question. They are in namespace default, because a node
// has none (pkg/apis/core and client-go's recorder).
func (p *plan) readNodeEvents(ctx context.Context) {
	var nodes []string
	for _, n := range p.suspects() {
		if n != "" {
			nodes = append(nodes, n)
		}
	}
	everything := func(e *corev1.Event) bool { return p.suspect[e.InvolvedObject.Name] > 0 }
	if len(nodes) > 3 {
		p.events(ctx, ListRequest{Namespace: metav1.NamespaceDefault, FieldSelector: "involvedObject.kind=Node", Limit: p.limits.events}, everything)
		return
	}
	for _, n := range nodes {
		p.events(ctx, ListRequest{Namespace: metav1.NamespaceDefault, FieldSelector: "involvedObject.kind=Node,involvedObject.name=" + n}, everything)
	}
}

// events reads a list of events and keeps some; it tells whether the list was cut.
func (p *plan) events(ctx context.Context, r ListRequest, keep func(*corev1.Event) bool) (cut bool) {
	r.Kind = snapshot.Event
	p.mu.Lock()
	skip := p.refused[refusal{snapshot.Event, r.Namespace}] || p.refused[refusal{snapshot.Event, ""}]
	p.mu.Unlock()
	if skip {
		return false
	}
	var kept []runtime.Object
	err := p.list(ctx, r, func(o runtime.Object) {
		if e, ok := o.(*corev1.Event); !ok || keep(e) { // other versions of events are kept as they are
			kept = append(kept, o)
		}
	})
	p.add(kept...)
	if err == nil {
		return false
	}
	if errors.Is(err, ErrTruncated) {
		err = fmt.Errorf("the first %d events were read, and beyond them those of some pods: %w", r.Limit, err)
		cut = true
	}
	switch reason := gapReason(err); {
	case reason == snapshot.ReasonForbidden:
		p.refuse(snapshot.Event, r.Namespace)
	case errors.Is(err, ErrNotInDump): // where there are some, the next request may find its own
		p.refuse(snapshot.Event, "")
		r.Namespace = ""
	}
	p.gap(snapshot.Event, r.Namespace, "", err)
	return cut
}

// claimsOf names the PersistentVolumeClaims that the pod mounts.
func claimsOf(pod *corev1.Pod) []string {
	var claims []string
	for i := range pod.Spec.Volumes {
		switch v := &pod.Spec.Volumes[i]; {
		case v.PersistentVolumeClaim != nil:
			claims = append(claims, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil: // named after both (k8s.io/component-helpers/storage/ephemeral)
			claims = append(claims, pod.Name+"-"+v.Name)
		}
	}
	return claims
}

// representatives picks up to n pods, one of each node, owner and STATUS word before a second of any.
func representatives(pods []*corev1.Pod, n int) []*corev1.Pod {
	type group struct {
		node, word string
		owner      types.UID
	}
	seen := map[group]int{}
	rank := map[*corev1.Pod]int{}
	for _, pod := range pods {
		g := group{node: pod.Spec.NodeName, word: snapshot.StatusOf(pod).Word}
		if c := metav1.GetControllerOf(pod); c != nil {
			g.owner = c.UID
		}
		rank[pod] = seen[g]
		seen[g]++
	}
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b *corev1.Pod) int { return rank[a] - rank[b] })
	return sorted[:min(n, len(sorted))]
}
