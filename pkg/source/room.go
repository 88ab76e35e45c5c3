package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// What it takes to tell whether the pods of a node have room on others: see package room. In a cluster of up to limits.roomPods pods all of them are read.
// In a larger one those of some nodes are, which are chosen so that each of the pods that have to move finds some that would take it; and, where pods are
// to be near others, away from them or spread, those of their namespaces. Of nodes that are not read whole the snapshot says so.

// RightsOfRoom lists the kinds that a Query with Room reads.
func RightsOfRoom() []snapshot.Kind {
	return []snapshot.Kind{
		snapshot.Namespace, snapshot.ReplicaSet, snapshot.Deployment, snapshot.StatefulSet, snapshot.DaemonSet, snapshot.Job, snapshot.PodDisruptionBudget,
		snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.StorageClass, snapshot.VolumeAttachment, snapshot.CSINode, snapshot.CSIDriver,
	}
}

// moving lists the pods of the nodes in Query.Room that somebody makes again elsewhere; a node takes those of its DaemonSets and its static pods with it.
func (p *plan) moving() []*corev1.Pod {
	if len(p.query.Room) == 0 {
		return nil
	}
	return slices.DeleteFunc(p.pods.all(), func(pod *corev1.Pod) bool { return !slices.Contains(p.query.Room, pod.Spec.NodeName) })
}

// withMoving adds the pods of the nodes in Query.Room to those given.
func (p *plan) withMoving(pods []*corev1.Pod) []*corev1.Pod {
	seen := map[*corev1.Pod]bool{}
	for _, pod := range pods {
		seen[pod] = true
	}
	return slices.Concat(pods, slices.DeleteFunc(p.moving(), func(pod *corev1.Pod) bool { return seen[pod] }))
}

// readRoom reads the pods of other nodes.
func (p *plan) readRoom(ctx context.Context) {
	if len(p.query.Room) == 0 || p.closed || ctx.Err() != nil {
		return
	}
	total := p.census.Pods()
	if p.query.Namespace != "" || p.census.Partial {
		total = max(total, len(p.nodes)*maxPodsPerNode)
	} else if total <= p.limits.small {
		return // all were read
	}
	if total <= p.limits.roomPods {
		p.say("reading %d pods, to see where there is room", total)
		p.readRoomPods(ctx, "", 0)
		return
	}
	nodes := p.roomNodes()
	namespaces := p.roomNamespaces()
	p.say("reading the pods of %d nodes, to see whether they have room", len(nodes))
	p.pods.wantWhole(nodes)
	for _, n := range nodes { // what was read of them before was bounded
		delete(p.read, n)
	}
	tasks := []func(){func() { p.readNodePods(ctx, nodes) }}
	for n := range namespaces {
		tasks = append(tasks, func() { p.readRoomPods(ctx, n, p.limits.roomPods) })
	}
	p.all(tasks...)
}

// readRoomPods reads all pods of a namespace ("" = all) in one list. Of those that only take room it keeps what that is told from.
func (p *plan) readRoomPods(ctx context.Context, namespace string, limit int) {
	err := p.list(ctx, ListRequest{Kind: snapshot.Pod, Namespace: namespace, Limit: limit}, func(o runtime.Object) {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			return
		}
		if !candidate(pod) && !slices.Contains(p.query.Room, pod.Spec.NodeName) {
			slim(pod)
		}
		if len(pod.Finalizers) == 0 {
			pod.ManagedFields = nil
		}
		p.pods.keep(pod)
	})
	if errors.Is(err, ErrTruncated) {
		err = fmt.Errorf("%d pods were read to see where there is room, and not the others of the namespace: %w", limit, err)
	}
	if err != nil {
		p.gap(snapshot.Pod, namespace, "", err)
		return
	}
	if namespace == "" {
		p.pods.forget()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.builder.SetComplete(snapshot.Pod, namespace)
}

// slim takes from a pod what says nothing of the room that it takes, of whom it keeps away and of how it is: the most of its size.
func slim(pod *corev1.Pod) {
	pod.Annotations = nil
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			c.Env, c.EnvFrom, c.VolumeMounts, c.Command, c.Args = nil, nil, nil, nil, nil
			c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Lifecycle, c.SecurityContext = nil, nil, nil, nil, nil
		}
	}
	pod.Spec.Volumes = slices.Clip(slices.DeleteFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil || v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil
	}))
}

// roomNodes chooses nodes that take pods: for each workload that has pods to move some of those that would take it, then others; those with the fewest
// pods first, and over the zones.
func (p *plan) roomNodes() []string {
	zones := map[string][]*corev1.Node{}
	for _, n := range p.nodes {
		c := snapshot.NodeCondition(n, corev1.NodeReady)
		if n.Spec.Unschedulable || n.DeletionTimestamp != nil || c == nil || c.Status != corev1.ConditionTrue || slices.Contains(p.query.Room, n.Name) {
			continue
		}
		z := n.Labels[corev1.LabelTopologyZone]
		zones[z] = append(zones[z], n)
	}
	var order []*corev1.Node
	names := slices.Sorted(maps.Keys(zones))
	for _, z := range names {
		slices.SortFunc(zones[z], func(a, b *corev1.Node) int {
			return cmp.Or(cmp.Compare(p.census.Of(a.Name).Pods, p.census.Of(b.Name).Pods), cmp.Compare(a.Name, b.Name))
		})
	}
	for i := 0; ; i++ {
		before := len(order)
		for _, z := range names {
			if i < len(zones[z]) {
				order = append(order, zones[z][i])
			}
		}
		if len(order) == before {
			break
		}
	}
	asked := map[string]*corev1.Pod{} // one of each workload
	for _, pod := range p.moving() {
		key := pod.Namespace + "/" + pod.Name
		if c := metav1.GetControllerOf(pod); c != nil {
			key = pod.Namespace + "/" + c.Kind + "/" + c.Name
			if c.Kind == string(snapshot.DaemonSet) || c.Kind == string(snapshot.Node) {
				continue
			}
		}
		asked[key] = pod
	}
	chosen := map[string]bool{}
	var out []string
	take := func(most int, suits func(*corev1.Node) bool) {
		for _, n := range order {
			if most <= 0 || len(out) >= p.limits.roomNodes {
				return
			}
			if !suits(n) {
				continue
			}
			most--
			if !chosen[n.Name] {
				chosen[n.Name] = true
				out = append(out, n.Name)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		pod := asked[key]
		affinity := nodeaffinity.GetRequiredNodeAffinity(pod)
		take(max(3, p.limits.roomNodes/len(asked)), func(n *corev1.Node) bool {
			ok, err := affinity.Match(n)
			return err == nil && ok && snapshot.Untolerated(n, pod, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute) == nil
		})
	}
	take(p.limits.roomNodes, func(*corev1.Node) bool { return true })
	return out
}

// roomNamespaces are those whose pods decide where those that move may be, wherever they are.
func (p *plan) roomNamespaces() map[string]bool {
	out := map[string]bool{}
	for _, pod := range p.moving() {
		terms := func(list []corev1.PodAffinityTerm, hostname bool) {
			for i := range list {
				t := &list[i]
				if t.TopologyKey == corev1.LabelHostname && !hostname {
					continue // the pods of the node itself decide
				}
				if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
					out[pod.Namespace] = true
				}
				for _, n := range t.Namespaces {
					out[n] = true
				}
			}
		}
		if a := pod.Spec.Affinity; a != nil && a.PodAffinity != nil {
			terms(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, true) // the first of its kind may go anywhere
		}
		if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
			terms(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, false)
		}
		for i := range pod.Spec.TopologySpreadConstraints {
			if pod.Spec.TopologySpreadConstraints[i].WhenUnsatisfiable == corev1.DoNotSchedule {
				out[pod.Namespace] = true
			}
		}
	}
	return out
}

// readRoomKinds reads what else decides: the labels of namespaces, how volumes are made, and how many of them the nodes take.
func (p *plan) readRoomKinds(ctx context.Context) {
	if len(p.query.Room) == 0 {
		return
	}
	var tasks []func()
	for _, k := range []snapshot.Kind{snapshot.Namespace, snapshot.StorageClass, snapshot.CSINode, snapshot.CSIDriver} {
		tasks = append(tasks, func() { p.readAll(ctx, k, "") })
	}
	p.all(tasks...)
}
