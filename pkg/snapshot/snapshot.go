package snapshot

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Snapshot is the picture. It never changes; objects it returns must not be changed either.
type Snapshot struct {
	d   *data
	rec *Reads
}

// Reads records which kinds were looked at. It is safe for concurrent use.
type Reads struct {
	mu    sync.Mutex
	kinds map[Kind]bool
}

// Kinds lists what was looked at, in order.
func (r *Reads) Kinds() []Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Kind, 0, len(r.kinds))
	for k := range r.kinds {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// Recorded returns the same picture, and a record of the kinds that are looked at through it.
func (s *Snapshot) Recorded() (*Snapshot, *Reads) {
	r := &Reads{kinds: map[Kind]bool{}}
	return &Snapshot{d: s.d, rec: r}, r
}

func (s *Snapshot) read(k Kind) {
	if s.rec == nil {
		return
	}
	s.rec.mu.Lock()
	s.rec.kinds[k] = true
	s.rec.mu.Unlock()
}

// Now is when the picture was taken: the only clock below cli.
func (s *Snapshot) Now() time.Time { return s.d.now }

// Origin says where the picture is from.
func (s *Snapshot) Origin() Origin { return s.d.origin }

// Census is how many pods each node has, by STATUS word.
func (s *Snapshot) Census() Census { s.read(Pod); return s.d.census }

// Gaps lists what could not be read.
func (s *Snapshot) Gaps() []Gap { return s.d.gaps }

// Gap returns why the kind, or a part of it, could not be read; nil where nothing is missing.
func (s *Snapshot) Gap(k Kind) error {
	for _, g := range s.d.gaps {
		if g.Kind == k {
			return g
		}
	}
	return nil
}

// Has tells what is known about the existence of an object.
func (s *Snapshot) Has(k Kind, namespace, name string) Presence {
	s.read(k)
	if _, ok := s.d.objects[k][key{namespace, name}]; ok {
		return Present
	}
	if s.d.absent[k][key{namespace, name}] || s.d.complete[k][""] || s.d.complete[k][namespace] {
		return Absent
	}
	return Unknown
}

// Objects lists every object of the kind that was read, by namespace and name. Events are not objects
// here: see Events.
func (s *Snapshot) Objects(k Kind) []runtime.Object { s.read(k); return s.d.ordered[k] }

// Complete tells whether every object of the kind in the namespace was read ("" = all namespaces).
func (s *Snapshot) Complete(k Kind, namespace string) bool {
	return s.d.complete[k][""] || s.d.complete[k][namespace]
}

// Pods lists the pods that were read in full, by namespace and name: those that may be stuck, and all
// the pods of the nodes they are on. The Census counts the others.
func (s *Snapshot) Pods() []*corev1.Pod { s.read(Pod); return s.d.pods }

// Pod returns one pod; nil where it was not read.
func (s *Snapshot) Pod(namespace, name string) *corev1.Pod {
	return get[*corev1.Pod](s, Pod, namespace, name)
}

// PodsOnNode lists the pods bound to the node that were read. all tells whether that is every one of them.
func (s *Snapshot) PodsOnNode(node string) (pods []*corev1.Pod, all bool) {
	s.read(Pod)
	return s.d.byNode[node], s.d.fullNode[node] || s.d.complete[Pod][""]
}

// Nodes lists the nodes by name.
func (s *Snapshot) Nodes() []*corev1.Node { return list[*corev1.Node](s, Node) }

// Node returns one node; nil where it was not read (see Has for why).
func (s *Snapshot) Node(name string) *corev1.Node { return get[*corev1.Node](s, Node, "", name) }

// NodeLease returns the lease that the node's kubelet renews; nil where it was not read.
func (s *Snapshot) NodeLease(node string) *coordinationv1.Lease {
	return s.Lease(corev1.NamespaceNodeLease, node)
}

// FreshestNodeLease is when the node lease that was renewed last was; zero where no node lease was read.
func (s *Snapshot) FreshestNodeLease() time.Time { s.read(Lease); return s.d.renewed }

// Lease returns one lease; nil where it was not read.
func (s *Snapshot) Lease(namespace, name string) *coordinationv1.Lease {
	return get[*coordinationv1.Lease](s, Lease, namespace, name)
}

// Events lists the events about an object, oldest first. Where both UIDs are known they must agree, so that a
// predecessor of the same name does not speak for it.
func (s *Snapshot) Events(about Ref) []EventRecord {
	s.read(Event)
	var out []EventRecord
	for _, i := range s.d.byObject[key{about.Namespace, about.Name}] {
		e := s.d.events[i]
		// Events about a node carry its name as UID (pkg/kubelet: nodeRef) and live in namespace "default".
		if e.Regarding.Kind == about.Kind && (about.Kind == Node || e.Regarding.Is(about)) {
			out = append(out, e)
		}
	}
	return out
}

// AllEvents lists every event that was read, oldest first.
func (s *Snapshot) AllEvents() []EventRecord { s.read(Event); return s.d.events }

// ReplicaSet returns one; nil where it was not read. The other getters below do the same for their kind.
func (s *Snapshot) ReplicaSet(namespace, name string) *appsv1.ReplicaSet {
	return get[*appsv1.ReplicaSet](s, ReplicaSet, namespace, name)
}

// StatefulSet returns one.
func (s *Snapshot) StatefulSet(namespace, name string) *appsv1.StatefulSet {
	return get[*appsv1.StatefulSet](s, StatefulSet, namespace, name)
}

// DaemonSets lists them.
func (s *Snapshot) DaemonSets() []*appsv1.DaemonSet { return list[*appsv1.DaemonSet](s, DaemonSet) }

// Job returns one.
func (s *Snapshot) Job(namespace, name string) *batchv1.Job {
	return get[*batchv1.Job](s, Job, namespace, name)
}

// NamespaceOf returns the namespace object.
func (s *Snapshot) NamespaceOf(name string) *corev1.Namespace {
	return get[*corev1.Namespace](s, Namespace, "", name)
}

// PVC returns one.
func (s *Snapshot) PVC(namespace, name string) *corev1.PersistentVolumeClaim {
	return get[*corev1.PersistentVolumeClaim](s, PersistentVolumeClaim, namespace, name)
}

// PV returns one.
func (s *Snapshot) PV(name string) *corev1.PersistentVolume {
	return get[*corev1.PersistentVolume](s, PersistentVolume, "", name)
}

// StorageClass returns one.
func (s *Snapshot) StorageClass(name string) *storagev1.StorageClass {
	return get[*storagev1.StorageClass](s, StorageClass, "", name)
}

// VolumeAttachments lists them.
func (s *Snapshot) VolumeAttachments() []*storagev1.VolumeAttachment {
	return list[*storagev1.VolumeAttachment](s, VolumeAttachment)
}

// CSINode returns one.
func (s *Snapshot) CSINode(node string) *storagev1.CSINode {
	return get[*storagev1.CSINode](s, CSINode, "", node)
}

// CSIDriver returns one.
func (s *Snapshot) CSIDriver(name string) *storagev1.CSIDriver {
	return get[*storagev1.CSIDriver](s, CSIDriver, "", name)
}

// ConfigMap returns the metadata of one.
func (s *Snapshot) ConfigMap(namespace, name string) *metav1.PartialObjectMetadata {
	return get[*metav1.PartialObjectMetadata](s, ConfigMap, namespace, name)
}

// Secret returns the metadata of one.
func (s *Snapshot) Secret(namespace, name string) *metav1.PartialObjectMetadata {
	return get[*metav1.PartialObjectMetadata](s, Secret, namespace, name)
}

// Service returns one.
func (s *Snapshot) Service(namespace, name string) *corev1.Service {
	return get[*corev1.Service](s, Service, namespace, name)
}

// EndpointSlices lists those of a Service.
func (s *Snapshot) EndpointSlices(namespace, service string) []*discoveryv1.EndpointSlice {
	s.read(EndpointSlice)
	return slices.Clip(s.d.index.slices[key{namespace, service}])
}

// PodDisruptionBudgets lists those of a namespace.
func (s *Snapshot) PodDisruptionBudgets(namespace string) []*policyv1.PodDisruptionBudget {
	s.read(PodDisruptionBudget)
	return slices.Clip(s.d.index.budgets[namespace])
}

// RuntimeClass returns one.
func (s *Snapshot) RuntimeClass(name string) *nodev1.RuntimeClass {
	return get[*nodev1.RuntimeClass](s, RuntimeClass, "", name)
}

// MutatingWebhooks lists the configurations.
func (s *Snapshot) MutatingWebhooks() []*admissionv1.MutatingWebhookConfiguration {
	return list[*admissionv1.MutatingWebhookConfiguration](s, MutatingWebhookConfiguration)
}

// ValidatingWebhooks lists the configurations.
func (s *Snapshot) ValidatingWebhooks() []*admissionv1.ValidatingWebhookConfiguration {
	return list[*admissionv1.ValidatingWebhookConfiguration](s, ValidatingWebhookConfiguration)
}

// MutatingPolicies lists the MutatingAdmissionPolicies.
func (s *Snapshot) MutatingPolicies() []*admissionv1.MutatingAdmissionPolicy {
	return list[*admissionv1.MutatingAdmissionPolicy](s, MutatingAdmissionPolicy)
}

// MutatingPolicyBindings lists the MutatingAdmissionPolicyBindings.
func (s *Snapshot) MutatingPolicyBindings() []*admissionv1.MutatingAdmissionPolicyBinding {
	return list[*admissionv1.MutatingAdmissionPolicyBinding](s, MutatingAdmissionPolicyBinding)
}

// ValidatingPolicies lists the ValidatingAdmissionPolicies.
func (s *Snapshot) ValidatingPolicies() []*admissionv1.ValidatingAdmissionPolicy {
	return list[*admissionv1.ValidatingAdmissionPolicy](s, ValidatingAdmissionPolicy)
}

// ValidatingPolicyBindings lists the ValidatingAdmissionPolicyBindings.
func (s *Snapshot) ValidatingPolicyBindings() []*admissionv1.ValidatingAdmissionPolicyBinding {
	return list[*admissionv1.ValidatingAdmissionPolicyBinding](s, ValidatingAdmissionPolicyBinding)
}

// ResourceQuotas lists those of a namespace.
func (s *Snapshot) ResourceQuotas(namespace string) []*corev1.ResourceQuota {
	s.read(ResourceQuota)
	return slices.Clip(s.d.index.quotas[namespace])
}

// ResourceClaim returns one.
func (s *Snapshot) ResourceClaim(namespace, name string) *resourcev1.ResourceClaim {
	return get[*resourcev1.ResourceClaim](s, ResourceClaim, namespace, name)
}

// Deployment returns one.
func (s *Snapshot) Deployment(namespace, name string) *appsv1.Deployment {
	return get[*appsv1.Deployment](s, Deployment, namespace, name)
}

// Deployments lists them.
func (s *Snapshot) Deployments() []*appsv1.Deployment { return list[*appsv1.Deployment](s, Deployment) }

// StatefulSets lists them.
func (s *Snapshot) StatefulSets() []*appsv1.StatefulSet {
	return list[*appsv1.StatefulSet](s, StatefulSet)
}

// Leases lists those that were read, of every namespace.
func (s *Snapshot) Leases() []*coordinationv1.Lease { return list[*coordinationv1.Lease](s, Lease) }

// CRDs lists the metadata of the CustomResourceDefinitions. Their names are <plural>.<group>.
func (s *Snapshot) CRDs() []*metav1.PartialObjectMetadata {
	return list[*metav1.PartialObjectMetadata](s, CustomResourceDefinition)
}

// Owner names what controls the pod: the Deployment rather than its ReplicaSet, the CronJob rather than its Job. ok is false for a bare pod.
// Where the ReplicaSet was not read, a pod-template-hash that ends the ReplicaSet's name tells the Deployment
// (pkg/controller/deployment names ReplicaSets <deployment>-<hash>).
func (s *Snapshot) Owner(p *corev1.Pod) (Ref, bool) {
	c := metav1.GetControllerOf(p)
	if c == nil {
		return Ref{}, false
	}
	owner := Ref{Kind: Kind(c.Kind), Namespace: p.Namespace, Name: c.Name, UID: c.UID}
	if owner.Kind == Node {
		owner.Namespace = ""
	}
	if owner.Kind == Job {
		return s.cronJobOf(owner), true
	}
	if owner.Kind != ReplicaSet {
		return owner, true
	}
	if rs := s.ReplicaSet(p.Namespace, c.Name); rs != nil {
		if d := metav1.GetControllerOf(rs); d != nil {
			return Ref{Kind: Kind(d.Kind), Namespace: p.Namespace, Name: d.Name, UID: d.UID}, true
		}
		return owner, true
	}
	if h := p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; h != "" {
		if n := len(c.Name) - len(h) - 1; n > 0 && c.Name[n:] == "-"+h {
			return Ref{Kind: Deployment, Namespace: p.Namespace, Name: c.Name[:n]}, true
		}
	}
	return owner, true
}

// cronJobOf is the CronJob behind a Job, or the Job itself. Where the Job was not read its name tells: a CronJob's Jobs are called after it and
// the minute that they were due, counted since 1970 (pkg/controller/cronjob getJobName).
func (s *Snapshot) cronJobOf(job Ref) Ref {
	if j := s.Job(job.Namespace, job.Name); j != nil {
		if c := metav1.GetControllerOf(j); c != nil {
			return Ref{Kind: Kind(c.Kind), Namespace: job.Namespace, Name: c.Name, UID: c.UID}
		}
		return job
	}
	i := strings.LastIndexByte(job.Name, '-')
	if i <= 0 || len(job.Name)-i-1 != 8 || strings.Trim(job.Name[i+1:], "0123456789") != "" {
		return job
	}
	return Ref{Kind: "CronJob", Namespace: job.Namespace, Name: job.Name[:i]}
}

// RefOf names a pod.
func RefOf(p *corev1.Pod) Ref {
	return Ref{Kind: Pod, Namespace: p.Namespace, Name: p.Name, UID: p.UID}
}

func get[T runtime.Object](s *Snapshot, k Kind, namespace, name string) T {
	s.read(k)
	o, _ := s.d.objects[k][key{namespace, name}].(T)
	return o
}
