package snapshot

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// index finds objects by what many pods ask for, so that the time that a question takes does not grow with the picture. It is made once, when the
// snapshot is built. Every list in it is in the order of names.
type index struct {
	attachmentsOf map[string][]*storagev1.VolumeAttachment   // by PersistentVolume
	attached      map[driverOn]int                           // attachments that are done
	slices        map[key][]*discoveryv1.EndpointSlice       // by the namespace and name of the Service
	budgets       map[string][]*policyv1.PodDisruptionBudget // by namespace
	quotas        map[string][]*corev1.ResourceQuota         // by namespace
	users         map[key][]*corev1.Pod                      // by the namespace and name of a claim
}

type driverOn struct{ driver, node string }

func indexOf(ordered map[Kind][]runtime.Object) index {
	x := index{
		attachmentsOf: map[string][]*storagev1.VolumeAttachment{}, attached: map[driverOn]int{}, slices: map[key][]*discoveryv1.EndpointSlice{},
		budgets: map[string][]*policyv1.PodDisruptionBudget{}, quotas: map[string][]*corev1.ResourceQuota{}, users: map[key][]*corev1.Pod{},
	}
	for _, va := range typed[*storagev1.VolumeAttachment](ordered[VolumeAttachment]) {
		if pv := va.Spec.Source.PersistentVolumeName; pv != nil {
			x.attachmentsOf[*pv] = append(x.attachmentsOf[*pv], va)
		}
		if va.Status.Attached {
			x.attached[driverOn{va.Spec.Attacher, va.Spec.NodeName}]++
		}
	}
	for _, e := range typed[*discoveryv1.EndpointSlice](ordered[EndpointSlice]) {
		k := key{e.Namespace, e.Labels[discoveryv1.LabelServiceName]}
		x.slices[k] = append(x.slices[k], e)
	}
	for _, b := range typed[*policyv1.PodDisruptionBudget](ordered[PodDisruptionBudget]) {
		x.budgets[b.Namespace] = append(x.budgets[b.Namespace], b)
	}
	for _, q := range typed[*corev1.ResourceQuota](ordered[ResourceQuota]) {
		x.quotas[q.Namespace] = append(x.quotas[q.Namespace], q)
	}
	for _, p := range typed[*corev1.Pod](ordered[Pod]) {
		for i := range p.Spec.Volumes {
			claim := ClaimOf(p, &p.Spec.Volumes[i])
			if claim == "" {
				continue
			}
			k := key{p.Namespace, claim}
			if u := x.users[k]; len(u) == 0 || u[len(u)-1] != p {
				x.users[k] = append(u, p)
			}
		}
	}
	return x
}

// PodsUsing lists the pods that were read and have a volume of the claim, by name, those that have ended with them.
func (s *Snapshot) PodsUsing(namespace, claim string) []*corev1.Pod {
	s.read(Pod)
	return slices.Clip(s.d.index.users[key{namespace, claim}])
}

// AttachmentsOf lists the VolumeAttachments of a PersistentVolume, by name.
func (s *Snapshot) AttachmentsOf(pv string) []*storagev1.VolumeAttachment {
	s.read(VolumeAttachment)
	return slices.Clip(s.d.index.attachmentsOf[pv])
}

// AttachedOn counts the VolumeAttachments of a driver (spec.attacher) to a node that are done.
func (s *Snapshot) AttachedOn(driver, node string) int {
	s.read(VolumeAttachment)
	return s.d.index.attached[driverOn{driver, node}]
}

// lists holds the objects of a kind as what they are, from when a kind was first asked for.
type lists struct {
	mu     sync.Mutex
	byKind map[Kind]any // []T
}

// list is everything of a kind. All callers get the same slice and must not change it; appending to it copies it.
func list[T runtime.Object](s *Snapshot, k Kind) []T {
	s.read(k)
	l := &s.d.lists
	l.mu.Lock()
	defer l.mu.Unlock()
	if made, ok := l.byKind[k].([]T); ok {
		return made
	}
	made := typed[T](s.d.ordered[k])
	if l.byKind == nil {
		l.byKind = map[Kind]any{}
	}
	l.byKind[k] = made
	return made
}

func typed[T runtime.Object](objects []runtime.Object) []T {
	var out []T
	for _, o := range objects {
		if t, ok := o.(T); ok {
			out = append(out, t)
		}
	}
	return slices.Clip(out)
}
