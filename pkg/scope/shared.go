package scope

import (
	"fmt"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// trait is something that a pod has and others may have too, and that can break for all of them at once.
type trait struct{ kind, name string }

// The kinds of traits, from the most telling to the least.
const (
	traitVolume   = "volume"
	traitServer   = "volume server"
	traitDriver   = "CSI driver"
	traitRegistry = "image registry"
	traitWorkload = "workload"
	traitRuntime  = "runtime version"
	traitZone     = "zone"
	traitKubelet  = "kubelet version"
	traitKernel   = "kernel version"
	traitOSImage  = "OS image"
)

// specificity orders the kinds of traits: of two that cover the same pods, the more specific is the better name.
func specificity(kind string) int {
	switch kind {
	case traitServer:
		return 6
	case traitVolume:
		return 5
	case traitDriver:
		return 4
	case traitRegistry:
		return 3
	case traitRuntime, traitKubelet, traitKernel, traitOSImage:
		return 2
	case traitZone:
		return 1
	case traitWorkload:
		return 0
	default:
		return 7 // an object that a cause named
	}
}

// storageTraits lists the volumes, servers and drivers that a pod depends on.
func storageTraits(s *snapshot.Snapshot, p *corev1.Pod) []trait {
	var out []trait
	add := func(kind, name string) {
		if name != "" {
			out = append(out, trait{kind, name})
		}
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		var pv *corev1.PersistentVolume
		if claim := snapshot.ClaimOf(p, v); claim != "" {
			c := s.PVC(p.Namespace, claim)
			if c == nil || c.Spec.VolumeName == "" {
				continue
			}
			if pv = s.PV(c.Spec.VolumeName); pv == nil {
				add(traitVolume, c.Spec.VolumeName)
				continue
			}
		}
		srv := snapshot.ServerOf(v, pv)
		if srv.Host != "" {
			add(traitServer, srv.Kind+" "+srv.Host)
		}
		switch {
		case v.NFS != nil || pv != nil && pv.Spec.NFS != nil:
			add(traitVolume, srv.Host+":"+srv.Path) // two volumes of one export are one
		case v.CSI != nil:
			add(traitDriver, v.CSI.Driver)
		case pv == nil, pv.Spec.Local != nil, pv.Spec.HostPath != nil:
			// nothing, or on one node only: the node's own
		case pv.Spec.CSI != nil:
			add(traitDriver, pv.Spec.CSI.Driver)
			add(traitVolume, pv.Name)
		default:
			add(traitVolume, pv.Name)
		}
	}
	return out
}

// traits lists what could break one stuck pod together with others.
func traits(s *snapshot.Snapshot, p stuck.Pod) []trait {
	var out []trait
	if p.State == stuck.ImagePullBackOff {
		seen := map[string]bool{}
		for _, c := range append(append([]corev1.Container(nil), p.Object.Spec.InitContainers...), p.Object.Spec.Containers...) {
			if r := registry(c.Image); !seen[r] {
				seen[r] = true
				out = append(out, trait{traitRegistry, r})
			}
		}
		return out
	}
	if nodeBound(p) {
		out = append(out, storageTraits(s, p.Object)...)
		if !p.Owner.IsZero() && p.Owner.Kind != snapshot.DaemonSet {
			out = append(out, trait{traitWorkload, p.Owner.String()})
		}
	}
	return out
}

// registry is the host part of an image name (github.com/distribution/reference: the first part names a host if
// it has a dot or a colon or is localhost).
func registry(image string) string {
	host, _, found := strings.Cut(image, "/")
	if found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return host
	}
	return "the default registry"
}

// candidate gathers the stuck pods that have a trait.
type candidate struct {
	trait
	pods    []stuck.Pod
	nodes   map[string]bool
	owners  map[string]bool
	since   time.Time
	healthy int
	named   bool // a cause named it; otherwise pods merely have it in common
	wide    bool // a cause said that it spans more than a workload
	unsure  bool // a cause that named it was not certain
	started int  // pods with the trait that became Ready after the first of these got stuck
}

// findShared looks for traits that explain stuck pods of several nodes better than those nodes do.
func findShared(s *snapshot.Snapshot, pods []stuck.Pod, explained map[snapshot.Ref]Explanation) []Shared {
	byTrait := map[trait]*candidate{}
	gather := func(t trait, p stuck.Pod, named, wide, unsure bool) {
		c := byTrait[t]
		if c == nil {
			c = &candidate{trait: t, nodes: map[string]bool{}, owners: map[string]bool{}, since: p.Since}
			byTrait[t] = c
		}
		c.pods = append(c.pods, p)
		c.named, c.wide, c.unsure = c.named || named, c.wide || wide, c.unsure || unsure
		c.owners[p.OwnerOrSelf().String()] = true
		if p.Node != "" {
			c.nodes[p.Node] = true
		}
		if p.Since.Before(c.since) {
			c.since = p.Since
		}
	}
	for _, p := range pods {
		if e, ok := explained[p.Ref]; ok && e.speaksFor() {
			if !e.Via.IsZero() && e.Via.Kind != snapshot.Pod && e.Via.Kind != snapshot.Node {
				gather(trait{called(e.Via.Kind), strings.TrimPrefix(e.Via.Namespace+"/"+e.Via.Name, "/")}, p, true, e.Reach == ReachShared || e.Reach == ReachCluster, !e.Certain)
			}
			continue // it has its reason, and speaks for no other
		}
		for _, t := range dedupe(traits(s, p)) {
			gather(t, p, false, false, false)
		}
	}
	stuckPods := map[snapshot.Ref]bool{}
	for _, p := range pods {
		stuckPods[p.Ref] = true
	}
	for _, p := range s.Pods() {
		if stuckPods[snapshot.RefOf(p)] || snapshot.IsTerminal(p) || p.DeletionTimestamp != nil {
			continue
		}
		well := snapshot.PodCondition(p, corev1.PodReady)
		if well == nil || well.Status != corev1.ConditionTrue {
			continue
		}
		for _, t := range dedupe(wellTraits(s, p)) {
			if c := byTrait[t]; c != nil {
				c.healthy++
				if well.LastTransitionTime.After(c.since) {
					c.started++
				}
			}
		}
	}
	bound := map[string]int{} // by node: the stuck pods that wait for it
	for _, p := range pods {
		if nodeBound(p) {
			bound[p.Node]++
		}
	}
	var out []Shared
	for _, c := range byTrait {
		if sh, ok := c.judge(s, bound); ok {
			out = append(out, sh)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if len(a.Pods) != len(b.Pods) {
			return len(a.Pods) > len(b.Pods)
		}
		if x, y := specificity(a.Kind), specificity(b.Kind); x != y {
			return x > y
		}
		return a.Kind+a.Name < b.Kind+b.Name
	})
	return withoutCovered(out)
}

// wellTraits lists the traits of a pod that is well, to be held against those of stuck ones.
func wellTraits(s *snapshot.Snapshot, p *corev1.Pod) []trait {
	out := storageTraits(s, p)
	for i := range p.Spec.Containers {
		out = append(out, trait{traitRegistry, registry(p.Spec.Containers[i].Image)})
	}
	if o, ok := s.Owner(p); ok {
		out = append(out, trait{traitWorkload, o.String()})
	}
	return out
}

// judge decides whether the trait explains its pods. It takes two pods, of two nodes or two workloads, and no pod with the trait
// that started since. Being on two nodes is needed unless the trait is an object that a cause named: on one
// node alone, the node is as good an explanation.
func (c *candidate) judge(s *snapshot.Snapshot, bound map[string]int) (Shared, bool) {
	named := c.named
	if len(c.pods) < 2 || !named && len(c.nodes) < 2 || named && !c.wide && len(c.owners) < 2 {
		return Shared{}, false
	}
	if c.started > 0 && !named {
		return Shared{}, false
	}
	sh := Shared{Kind: c.kind, Name: c.name, Owners: len(c.owners), Healthy: c.healthy, Confidence: Likely}
	for _, p := range c.pods {
		sh.Pods = append(sh.Pods, p.Ref)
	}
	for n := range c.nodes {
		sh.Nodes = append(sh.Nodes, n)
	}
	sort.Strings(sh.Nodes)
	// How many of the stuck pods on those nodes have it: where most do not, the nodes have another problem as well.
	onNodes, have := 0, 0
	for n := range c.nodes {
		onNodes += bound[n]
	}
	for _, p := range c.pods {
		if c.nodes[p.Node] && nodeBound(p) {
			have++
		}
	}
	switch {
	case named && c.unsure:
		sh.Confidence = Likely
	case named:
		sh.Confidence = Certain
	case c.kind == traitWorkload:
		// A workload that hangs everywhere explains itself only where nothing else on those nodes hangs.
		if have < onNodes {
			return Shared{}, false
		}
		sh.Confidence = Possible
	case c.kind == traitDriver || c.kind == traitRegistry:
		sh.Confidence = Possible
		if len(c.nodes) >= 3 && c.healthy == 0 {
			sh.Confidence = Likely
		}
	case len(c.owners) < 2, c.healthy > len(c.pods), 2*have < onNodes:
		sh.Confidence = Possible // one workload may have a fault of its own, and many that are well speak for the volume
	}
	sh.Why = fmt.Sprintf("%s of %s on %s have %s %s in common", count(len(sh.Pods), "stuck pod"), count(len(c.owners), "workload"), count(len(c.nodes), "node"), c.kind, c.name)
	if len(c.nodes) == 0 {
		sh.Why = fmt.Sprintf("%s of %s wait for %s %s", count(len(sh.Pods), "stuck pod"), count(len(c.owners), "workload"), strings.ToLower(c.kind), c.name)
	}
	if have > 0 {
		sh.Why += fmt.Sprintf("; %d of the %d pods that hang on those nodes do", have, onNodes)
	}
	if named && c.healthy > 0 {
		sh.Why += fmt.Sprintf("; %s that use it look well", count(c.healthy, "pod"))
	}
	if !named {
		if c.healthy > 0 {
			sh.Why += fmt.Sprintf("; %s that use it look well but none became Ready since %s", count(c.healthy, "pod"), Ago(s.Now().Sub(c.since)))
		} else {
			sh.Why += "; no pod that uses it is well"
		}
	}
	return sh, true
}

// withoutCovered drops what says no more than a better one does: the same pods, or fewer, under a less telling name.
func withoutCovered(in []Shared) []Shared {
	var out []Shared
	pods := make([]map[snapshot.Ref]bool, len(in))
	with := map[snapshot.Ref][]int{} // by pod: what it shares
	for i, a := range in {
		pods[i] = make(map[snapshot.Ref]bool, len(a.Pods))
		for _, r := range a.Pods {
			if !pods[i][r] {
				pods[i][r] = true
				with[r] = append(with[r], i)
			}
		}
	}
	for i, a := range in {
		covered := false
		for _, j := range with[a.Pods[0]] { // what covers it has every pod of it; judge lets nothing pass that has none
			b := in[j]
			if i == j || !subset(a.Pods, pods[j]) {
				continue
			}
			x, y := specificity(a.Kind), specificity(b.Kind)
			if len(a.Pods) < len(b.Pods) && y >= x-1 || len(a.Pods) == len(b.Pods) && (y > x || y == x && j < i) || len(a.Pods) < len(b.Pods) && a.Kind == traitWorkload {
				covered = true
				break
			}
		}
		if !covered {
			out = append(out, a)
		}
	}
	return out
}

func subset(a []snapshot.Ref, in map[snapshot.Ref]bool) bool {
	for _, r := range a {
		if !in[r] {
			return false
		}
	}
	return true
}

func dedupe(in []trait) []trait {
	seen := map[trait]bool{}
	var out []trait
	for _, t := range in {
		if !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

// called is what people call a kind of thing that is no Kubernetes kind.
func called(k snapshot.Kind) string {
	switch k {
	case "NFSServer":
		return "NFS server"
	case "Registry":
		return traitRegistry
	case "SchedulingGate":
		return "scheduling gate"
	default:
		return string(k)
	}
}

// count words a number with its noun: "1 pod", "12 pods".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
