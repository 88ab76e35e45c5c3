package finalizer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Alive says how the owner of a finalizer is.
type Alive string

// What is known of an owner.
const (
	Lives   Alive = "alive"
	Slow    Alive = "slow"    // it runs, and has not done its work for Patience or longer
	Gone    Alive = "gone"    // it is not installed any more, or nothing of it runs
	Unknown Alive = "unknown" // what would tell was not read, or contradicts itself
)

// How an owner was found.
const (
	ByTable  = "table"     // its finalizers are known
	ByGroup  = "crd-group" // CustomResourceDefinitions of the finalizer's domain are installed
	ByWriter = "writer"    // it wrote the finalizer, says managedFields
	ByName   = "name"      // a controller is called like the finalizer's domain
	ByNone   = "none"
)

// Patience is how long a working owner may take before it is called slow. Most take seconds; the slow ones wait for a cloud or a database.
const Patience = 10 * time.Minute

// Owner is what is known of the owner of one finalizer.
type Owner struct {
	Finalizer string
	// Name is the owner for people: "Job controller", "Kueue"; empty where nobody knows it.
	Name string
	How  string // one of the By constants
	// Controller is the workload behind it, and Lease the one by which it elects its leader; nil where none was found.
	Controller, Lease *snapshot.Ref
	Alive             Alive
	// Sure is how sure that is. Certain needs complete reads, and an owner whose workload is known and not guessed.
	Sure diagnose.Confidence
	// Why says what Alive rests on, as a clause: "it is scaled to 0 replicas". Decide says what would tell, where Alive is Unknown, and where the
	// owner lives what would tell why it waits; a full sentence.
	Why, Decide string
	Evidence    []diagnose.Evidence
	// Todo is what the owner still has to do, and Leaks what comes of it if the finalizer is removed before, both as clauses; empty where not known.
	Todo, Leaks string
	// Writer is the manager that wrote the finalizer, and Set when; empty and zero where it is not recorded. Telling is false where the manager says
	// nothing of the owner: kubectl, "manager", whoever creates pods.
	Writer  string
	Set     time.Time
	Telling bool
	Ref     string // where the finalizer is documented: a URL
	BuiltIn bool   // Kubernetes' own
}

// BuiltIn tells whether Kubernetes itself sets and removes the finalizer, on pods or on anything else.
func BuiltIn(finalizer string) bool {
	e := lookup(finalizer)
	return e != nil && e.builtIn
}

// OfAll tells it of every finalizer of the object, in the order in which they stand there. Those in the spec of a Namespace count.
func OfAll(s *snapshot.Snapshot, about snapshot.Ref, obj metav1.Object) []Owner {
	var out []Owner
	for _, f := range finalizersOf(obj) {
		out = append(out, Of(s, about, obj, f))
	}
	return out
}

func finalizersOf(obj metav1.Object) []string {
	if obj == nil {
		return nil
	}
	list := slices.Clone(obj.GetFinalizers())
	if ns, ok := obj.(*corev1.Namespace); ok && ns != nil {
		for _, f := range ns.Spec.Finalizers {
			list = append(list, string(f))
		}
	}
	return list
}

// Of tells who owns the finalizer of the object that about names, and how the owner is. Beyond the table it looks at what may run the owner:
// Deployments, StatefulSets, DaemonSets, Leases and CustomResourceDefinitions; for Kubernetes' own finalizers at the Lease alone.
func Of(s *snapshot.Snapshot, about snapshot.Ref, obj metav1.Object, finalizer string) Owner {
	o := Owner{Finalizer: finalizer, How: ByNone, Alive: Unknown, Sure: diagnose.Possible}
	if obj == nil {
		obj = &metav1.ObjectMeta{}
	}
	e := lookup(finalizer)
	if e != nil {
		o.Name, o.How, o.Todo, o.Leaks, o.Ref, o.BuiltIn = e.name, ByTable, e.todo, e.leaks, e.ref, e.builtIn
	}
	o.see(about, "metadata.finalizers", finalizer)
	if w, ok := writerOf(obj, finalizer); ok {
		o.Writer, o.Telling = w.Manager, telling(w.Manager)
		if w.Time != nil {
			o.Set = w.Time.Time
		}
		o.see(about, "metadata.managedFields[].manager", w.Manager)
	}
	if o.BuiltIn {
		ofSystem(s, &o, e)
	} else {
		ofProject(s, &o, hintsFor(obj, finalizer, s.Objects(snapshot.CustomResourceDefinition)))
	}
	if left := remaining(s, about, obj, finalizer); left != "" {
		o.Todo = left
	}
	if at := obj.GetDeletionTimestamp(); o.Alive == Lives && at != nil && s.Now().Sub(at.Time) >= Patience {
		o.Alive = Slow
		o.Why += fmt.Sprintf(", and the object has waited for %s", scope.Short(s.Now().Sub(at.Time)))
		if o.Decide == "" {
			o.Decide = fmt.Sprintf("What the log of %s says of %s, and whether the API server accepts the removal with --dry-run=server.", o.subject(), about)
		}
	}
	return o
}

func (o *Owner) see(about snapshot.Ref, field, value string) {
	o.Evidence = append(o.Evidence, diagnose.Evidence{Object: about.String(), Field: field, Value: value})
}

// subject names what runs the owner, as well as it is known.
func (o *Owner) subject() string {
	switch {
	case o.Controller != nil:
		return o.Controller.String()
	case o.Name != "":
		return o.Name
	default:
		return "its owner"
	}
}

// String says in one clause who the owner is and how it is: "Kueue (deployment kueue-system/kueue-controller-manager), which is gone: it is scaled to 0
// replicas".
func (o Owner) String() string {
	who := o.Name
	switch {
	case who == "" && o.Controller != nil:
		who = o.Controller.String()
	case who == "":
		who = "an owner that is not known"
	case o.Controller != nil:
		who += " (" + o.Controller.String() + ")"
	}
	switch o.Alive {
	case Lives:
		who += ", which is alive"
	case Slow:
		who += ", which is alive and has not removed it"
	case Gone:
		who += ", which is gone"
	case Unknown:
		who += "; whether it runs is not known"
	}
	if o.Why == "" {
		return who
	}
	return who + ": " + o.Why
}

// ofSystem judges a part of Kubernetes by the lease by which it elects its leader: where the control plane is managed, its pods cannot be seen, and
// the lease can.
func ofSystem(s *snapshot.Snapshot, o *Owner, e *entry) {
	if e.lease == "" {
		o.Alive, o.Sure, o.Why = Lives, diagnose.Certain, "it is a part of the API server, which answered"
		return
	}
	ref := snapshot.Ref{Kind: snapshot.Lease, Namespace: metav1.NamespaceSystem, Name: e.lease}
	l := s.Lease(ref.Namespace, ref.Name)
	o.Decide = fmt.Sprintf("Whether %s runs: kubectl get lease %s -n %s.", e.lease, e.lease, ref.Namespace)
	if l == nil || l.Spec.RenewTime == nil {
		o.Why = fmt.Sprintf("the lease of %s could not be read", e.lease)
		if s.Has(snapshot.Lease, ref.Namespace, ref.Name) == snapshot.Absent {
			o.Why = fmt.Sprintf("there is no lease of %s, as in clusters with one control-plane node that elects no leader", e.lease)
		}
		return
	}
	o.Lease = &ref
	age := s.Now().Sub(l.Spec.RenewTime.Time)
	o.see(ref, "spec.renewTime", l.Spec.RenewTime.UTC().Format(time.RFC3339))
	switch {
	case fresh(s, l):
		o.Alive, o.Sure, o.Decide = Lives, diagnose.Certain, ""
		o.Why = fmt.Sprintf("%s renewed its lease %s ago", e.lease, scope.Short(max(age, 0)))
	case clockRuns(s, e.lease):
		o.Alive, o.Sure = Gone, diagnose.Certain
		o.Why = fmt.Sprintf("%s has not renewed its lease for %s", e.lease, scope.Short(age))
	default:
		o.Why = fmt.Sprintf("the lease of %s is %s old, and so is every other: time stood still when this picture was taken", e.lease, scope.Short(age))
	}
}

// writerOf finds in managedFields who last set the finalizer. The set is written there as f:metadata → f:finalizers → v:"<finalizer>".
func writerOf(obj metav1.Object, finalizer string) (metav1.ManagedFieldsEntry, bool) {
	var found metav1.ManagedFieldsEntry
	ok := false
	for _, m := range obj.GetManagedFields() {
		if m.FieldsV1 == nil || m.Manager == "" || !strings.Contains(m.FieldsV1.GetRawString(), `"v:\"`+finalizer+`\""`) {
			continue
		}
		if !ok || m.Time != nil && (found.Time == nil || m.Time.After(found.Time.Time)) {
			found, ok = m, true
		}
	}
	return found, ok
}

// telling tells whether the name of a field manager says who owns what it wrote. It does not where it is a tool of people or of deployments, the default
// name of a library, or whoever creates pods: what a webhook or a template puts on an object is written in the name of who creates it.
func telling(manager string) bool {
	m := strings.ToLower(manager)
	return m != "" && !slices.Contains(toolNames(), m) && !slices.ContainsFunc(toolPrefixes(), func(p string) bool { return strings.HasPrefix(m, p) })
}

// toolPrefixes and toolNames are how managers are called, or begin, that tell nothing.
func toolPrefixes() []string {
	return []string{
		"kubectl", "helm", "argocd", "kube-", "kubelet", "k3s", "rke2", "before-first-apply", "openapi-generator", "python-requests", "okhttp", "go-http-client",
		"fabric8", "node-fetch", "mozilla", "curl", "terraform", "pulumi", "___", "__debug", "fluxcd", "kustomize-controller", "helm-controller", "manager-", "main-",
		"swagger-codegen", "axios", "apache-httpclient", "vert.x", "kubernetes java", "kubernetes-client", "hashicorp", "skaffold", "headlamp", "rancher ui", "rancher-ui",
		"postmanruntime", "wget", "aiohttp", "python-httpx", "undici", "reqwest", "guzzle", "opentofu", "octant", "kubesphere-console", "openlens",
	}
}

func toolNames() []string {
	return []string{
		"manager", "main", "controller", "operator", "app", "server", "java", "python", "node", "unknown", "dashboard", "lens", "k9s", "freelens", "webhook", "kopf", "exe", "cloud",
		"oc", "agent", "ruby", "perl", "php", "deno", "bun", "kubernetes", "client", "client-go", "tilt", "werf", "devspace", "garden", "ansible", "portainer", "console", "bridge", "rancher", "jenkins", "kustomize", "kapp", "sdk", "dart", "tofu",
	}
}

// remaining says what the owner of a finalizer waits for in the case at hand; empty where the table says all that is known.
func remaining(s *snapshot.Snapshot, about snapshot.Ref, obj metav1.Object, finalizer string) string {
	if a, ok := obj.(*storagev1.VolumeAttachment); ok && strings.HasPrefix(finalizer, attacher) && a.Status.DetachError != nil && a.Status.DetachError.Message != "" {
		return fmt.Sprintf("detach volume %s from node %s, which failed: %s", volumeOf(a), a.Spec.NodeName, strings.TrimSuffix(a.Status.DetachError.Message, "."))
	}
	switch finalizer {
	case resourcev1.Finalizer:
		if c, ok := obj.(*resourcev1.ResourceClaim); ok && len(c.Status.ReservedFor) > 0 {
			var users []string
			for _, r := range c.Status.ReservedFor {
				users = append(users, r.Resource+" "+r.Name)
			}
			return "wait until nobody has the claim reserved; now " + list(users) + " has"
		}
	case pvcProtection:
		if users := UsersOf(s, about.Namespace, about.Name); len(users) > 0 {
			return "wait until no pod that is there uses the claim; now " + list(users) + " does"
		}
	case pvProtection:
		if v, ok := obj.(*corev1.PersistentVolume); ok && v.Spec.ClaimRef != nil && v.Status.Phase == corev1.VolumeBound {
			return fmt.Sprintf("wait until the volume is not bound; now it is bound to claim %s/%s", v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name)
		}
	case batchv1.JobTrackingFinalizer:
		if p, ok := obj.(*corev1.Pod); ok && !snapshot.IsTerminal(p) && p.DeletionTimestamp == nil {
			return "wait until the pod has ended, and count it in the status of its Job"
		}
	case string(corev1.FinalizerKubernetes):
		if n, ok := obj.(*corev1.Namespace); ok {
			for _, c := range n.Status.Conditions {
				if c.Status == corev1.ConditionTrue && c.Type == corev1.NamespaceContentRemaining {
					return "delete what is in the namespace: " + strings.TrimSuffix(c.Message, ".")
				}
			}
		}
	}
	return ""
}

func volumeOf(a *storagev1.VolumeAttachment) string {
	if pv := a.Spec.Source.PersistentVolumeName; pv != nil {
		return *pv
	}
	return "of a pod"
}

// UsersOf lists the pods that keep the claim: also those that have ended do, until they are deleted. It follows podUsesPVCForDeletion of
// pkg/controller/volume/pvcprotection (Kubernetes 1.37): pods that are bound to a node and name the claim, and, until their kubelet is done with
// them, those for which it was made.
func UsersOf(s *snapshot.Snapshot, namespace, claim string) []string {
	var out []string
	for _, p := range s.Pods() {
		if p.Namespace != namespace || p.Spec.NodeName == "" {
			continue
		}
		done := p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil && *p.DeletionGracePeriodSeconds == 0
		for i := range p.Spec.Volumes {
			v := &p.Spec.Volumes[i]
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim || !done && v.Ephemeral != nil && p.Name+"-"+v.Name == claim {
				out = append(out, "pod "+p.Name)
				break
			}
		}
	}
	return out
}

// list joins a few names, and counts the rest.
func list(names []string) string {
	const most = 3
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
