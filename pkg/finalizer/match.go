package finalizer

import (
	"path"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// hints are what an owner is looked for by.
type hints struct {
	finalizer string
	entry     *entry
	writer    string // a manager whose name tells something; else empty
	born      bool   // the writer set it in the write that created the object
	domain    string
	namespace string    // of the object
	deleted   time.Time // the object's deletionTimestamp; zero where it is not being deleted
	// groups are API groups of installed CustomResourceDefinitions that belong to the finalizer's domain, and crds those definitions.
	groups []string
	crds   []*metav1.PartialObjectMetadata
	words  []string // of the domain, without those that many have in common
	driver string   // of a volume, as CSI sidecars write it in names: ebs-csi-aws-com
}

// hintsFor gathers what tells about the owner of a finalizer.
func hintsFor[T any](obj metav1.Object, finalizer string, crds []T) hints {
	h := hints{finalizer: finalizer, entry: lookup(finalizer), domain: domainOf(finalizer), namespace: obj.GetNamespace()}
	if at := obj.GetDeletionTimestamp(); at != nil {
		h.deleted = at.Time
	}
	if w, ok := writerOf(obj, finalizer); ok && telling(w.Manager) {
		h.writer = strings.ToLower(w.Manager)
		created := obj.GetCreationTimestamp()
		h.born = w.Time != nil && !created.IsZero() && w.Time.Equal(&created)
	}
	h.words = wordsOf(h.domain)
	want := ""
	if h.entry != nil {
		want = h.entry.group
	}
	for _, o := range crds {
		c, is := any(o).(*metav1.PartialObjectMetadata)
		if !is {
			continue
		}
		_, group, ok := strings.Cut(c.Name, ".")
		if !ok || group != want && !related(h.domain, group) {
			continue
		}
		h.crds = append(h.crds, c)
		if !slices.Contains(h.groups, group) {
			h.groups = append(h.groups, group)
		}
	}
	if h.entry != nil && h.entry.sidecar != "" {
		h.driver = driverOf(obj, finalizer)
	}
	return h
}

// driverOf names the CSI driver that a finalizer of a volume or an attachment belongs to, as its sidecars write it in names of finalizers and leases:
// every character that is neither a letter nor a digit becomes "-" (kubernetes-csi/csi-lib-utils SanitizeDriverName, external-attacher GetFinalizerName).
func driverOf(obj metav1.Object, finalizer string) string {
	if d, ok := strings.CutPrefix(finalizer, attacher); ok {
		return d
	}
	driver := obj.GetAnnotations()["pv.kubernetes.io/provisioned-by"]
	if v, ok := obj.(*corev1.PersistentVolume); ok && v != nil && v.Spec.CSI != nil {
		driver = v.Spec.CSI.Driver
	}
	if driver == "" {
		driver = obj.GetAnnotations()["volume.kubernetes.io/storage-provisioner"]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, driver)
}

// domainOf is what stands before the slash, or all of a finalizer that has none.
func domainOf(finalizer string) string {
	d, _, _ := strings.Cut(finalizer, "/")
	return strings.ToLower(d)
}

// related tells whether a finalizer's domain and an API group are of one project: they are equal, or one is below the other. A domain that many
// projects share relates to nothing.
func related(domain, group string) bool {
	if domain == group {
		return true
	}
	return below(domain, group) && !shared(group) || below(group, domain) && !shared(domain)
}

// below tells whether the first domain is a part of the second.
func below(domain, of string) bool {
	n := len(domain) - len(of)
	return n > 0 && of != "" && domain[n-1] == '.' && domain[n:] == of
}

func shared(domain string) bool {
	return !strings.Contains(domain, ".") || slices.Contains([]string{
		"k8s.io", "x-k8s.io", "sigs.k8s.io", "sigs.x-k8s.io", "kubernetes.io", "storage.k8s.io", "k8s.aws", "services.k8s.aws", "amazonaws.com", "google.com", "cloud.google.com",
		"googleapis.com", "gke.io", "azure.com", "microsoft.com", "openshift.io", "redhat.com", "ibm.com", "oracle.com", "coreos.com", "vmware.com", "github.com", "github.io", "apache.org",
	}, domain)
}

// wordsOf are the parts of a domain that are its own: "acme" of acme.example.com is too short a name for nothing, "finalizers" and "io" are everybody's.
func wordsOf(domain string) []string {
	var out []string
	for part := range strings.SplitSeq(domain, ".") {
		switch {
		case len(part) < 4, strings.Contains(part, "k8s"), strings.HasPrefix(part, "finalizer"), strings.HasPrefix(part, "kubernetes"):
		case slices.Contains([]string{"info", "operator", "operators", "controller", "controllers", "apps", "batch", "core", "cloud", "github", "gitlab", "google", "amazonaws", "azure", "storage", "resources", "cluster", "database", "services", "networking", "example"}, part):
		default:
			out = append(out, part)
		}
	}
	return out
}

// Seeker prepares the search for the owners of finalizers on objects that are being deleted. It returns nil where all of them are Kubernetes' own;
// else a function that tells whether a Deployment, StatefulSet or DaemonSet may be the owner of one of them. What it lets through is all that Of looks at.
func Seeker(held []metav1.Object, crds []*metav1.PartialObjectMetadata) func(workload runtime.Object) bool {
	type key struct{ finalizer, writer, driver string }
	seen := map[key]bool{}
	var all []hints
	for _, obj := range held {
		for _, f := range finalizersOf(obj) {
			if BuiltIn(f) {
				continue
			}
			h := hintsFor(obj, f, crds)
			if k := (key{f, h.writer, h.driver}); !seen[k] {
				seen[k] = true
				all = append(all, h)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return func(o runtime.Object) bool {
		w, ok := workloadOf(o)
		return ok && slices.ContainsFunc(all, func(h hints) bool { return h.match(w) > 0 })
	}
}

// workload is what there is to know of something that may run an owner.
type workload struct {
	ref               snapshot.Ref
	labels            map[string]string
	annotations       map[string]string
	containers        []string // names of its containers
	programs          []string // last parts of their commands
	images            []string // without registry host, tag and digest
	wanted, available int
	since             time.Time // since when it is not available, where that is recorded
}

func workloadOf(o runtime.Object) (workload, bool) {
	var w workload
	var m *metav1.ObjectMeta
	var pod *corev1.PodSpec
	one := func(n *int32) int {
		if n == nil {
			return 1
		}
		return int(*n)
	}
	switch d := o.(type) {
	case *appsv1.Deployment:
		m, pod, w.ref.Kind = &d.ObjectMeta, &d.Spec.Template.Spec, snapshot.Deployment
		w.wanted, w.available = one(d.Spec.Replicas), int(d.Status.AvailableReplicas)
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentAvailable && c.Status == corev1.ConditionFalse {
				w.since = c.LastTransitionTime.Time
			}
		}
	case *appsv1.StatefulSet:
		m, pod, w.ref.Kind = &d.ObjectMeta, &d.Spec.Template.Spec, snapshot.StatefulSet
		w.wanted, w.available = one(d.Spec.Replicas), int(max(d.Status.AvailableReplicas, d.Status.ReadyReplicas))
	case *appsv1.DaemonSet:
		m, pod, w.ref.Kind = &d.ObjectMeta, &d.Spec.Template.Spec, snapshot.DaemonSet
		w.wanted, w.available = int(d.Status.DesiredNumberScheduled), int(max(d.Status.NumberAvailable, d.Status.NumberReady))
	default:
		return w, false
	}
	w.ref.Namespace, w.ref.Name, w.ref.UID = m.Namespace, m.Name, m.UID
	w.labels, w.annotations = m.Labels, m.Annotations
	for i := range pod.Containers {
		c := &pod.Containers[i]
		w.containers = append(w.containers, c.Name)
		if len(c.Command) > 0 {
			w.programs = append(w.programs, path.Base(c.Command[0]))
		}
		w.images = append(w.images, imagePath(c.Image))
	}
	return w, true
}

// imagePath is an image without its registry host, tag and digest: "kueue/kueue" of registry.k8s.io/kueue/kueue:v0.14.
func imagePath(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	if host, rest, ok := strings.Cut(image, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return rest
	}
	return image
}

// How well a workload matches what is known of an owner; the best matches are taken, and the others are chance.
const (
	noMatch   = 0
	byDomain  = 1 // a controller that has a word of the finalizer's domain in its name or image
	byPart    = 2 // its name begins or ends so, and nothing else says that it is not a sibling or a stranger
	byImage   = 3
	byProgram = 4 // a container or a command is called so
	byRelease = 5 // installed together with the CustomResourceDefinitions
	byName    = 6
)

// strong tells whether a match is by what the owner is called, and not by a likeness.
func strong(match int) bool { return match >= byPart }

func (h *hints) match(w workload) int {
	if h.driver != "" {
		return h.matchSidecar(w)
	}
	best := h.named(w)
	if h.writer != "" {
		m := called(w, h.writer, true)
		if h.entry != nil && len(h.entry.workloads) > 0 {
			m = min(m, byPart) // what the project's own workloads are called is known, and tells more
		}
		best = max(best, m)
	}
	if best == noMatch && h.installedWith(w) {
		best = byRelease
	}
	// A likeness counts only where nothing better is known of the owner than its domain.
	if best == noMatch && h.entry == nil && controls(w) {
		for _, word := range h.words {
			if hasWord(w.ref.Name, word) || slices.ContainsFunc(w.images, func(i string) bool { return hasWord(i, word) }) {
				return byDomain
			}
		}
	}
	return best
}

// named tells how the workload bears a name that the table knows.
func (h *hints) named(w workload) int {
	best := noMatch
	if h.entry != nil {
		for _, n := range h.entry.workloads {
			best = max(best, called(w, n, false))
		}
	}
	return best
}

// viaWriter tells whether nothing but the name of the finalizer's writer leads to the workload.
func (h *hints) viaWriter(w workload) bool {
	return h.writer != "" && h.driver == "" && h.named(w) == noMatch && called(w, h.writer, true) > noMatch
}

// called tells how the workload bears the name. A Helm chart puts its release before it, and so does a stranger: "town-crier" is no crier. Of a name of
// one word such an ending alone tells nothing. What a program calls itself may be the beginning of what its workload is called, and of its webhook's.
func called(w workload, name string, begins bool) int {
	n := strings.ToLower(w.ref.Name)
	before, ends := strings.CutSuffix(n, "-"+name)
	program := slices.Contains(w.containers, name) || slices.Contains(w.programs, name)
	switch {
	case n == name, ends && (program || ofRelease(w, before) || slices.ContainsFunc(w.images, func(i string) bool { return imageOf(i, name) })):
		return byName
	case program:
		return byProgram
	case slices.ContainsFunc(w.images, func(i string) bool { return path.Base(i) == name }):
		return byImage
	case ends && strings.Contains(name, "-"), begins && len(name) >= 4 && strings.HasPrefix(n, name+"-"):
		return byPart
	default:
		return noMatch
	}
}

// imageOf tells whether the image is called so, with or without what a controller is: "kueue" of "kueue-controller-manager".
func imageOf(image, name string) bool {
	base := path.Base(image)
	for base != name {
		i := strings.LastIndexByte(name, '-')
		if i < 0 || !slices.Contains(controllerWords(), name[i+1:]) {
			return false
		}
		name = name[:i]
	}
	return true
}

// ofRelease tells whether what stands before a name is the release that the workload was installed as.
func ofRelease(w workload, before string) bool {
	for _, r := range []string{w.labels["app.kubernetes.io/instance"], w.labels["release"], w.annotations["meta.helm.sh/release-name"]} {
		if r != "" && (before == strings.ToLower(r) || strings.HasPrefix(before, strings.ToLower(r)+"-")) {
			return true
		}
	}
	return false
}

// kin tells whether the writer's name has a word of the finalizer's domain in it: lb-operator wrote lb.example.com/cleanup.
func (h *hints) kin() bool {
	parts := strings.FieldsFunc(h.domain, func(r rune) bool { return r == '.' || r == '-' })
	if len(parts) > 1 {
		parts = parts[:len(parts)-1] // "com", "io"
	}
	return slices.ContainsFunc(parts, func(p string) bool {
		return len(p) >= 2 && !slices.Contains([]string{"io", "co", "com", "org", "net", "dev", "k8s", "kubernetes", "finalizer", "finalizers", "example", "cloud", "app", "apps"}, p) &&
			!slices.Contains(controllerWords(), p) && hasWord(h.writer, p)
	})
}

// controller tells whether the writer can be taken for the owner: it is called as controllers are, or like the finalizer.
func (h *hints) controller() bool {
	if h.writer == "" {
		return false
	}
	return h.kin() || slices.ContainsFunc(controllerWords(), func(word string) bool { return hasWord(h.writer, word) || strings.HasSuffix(h.writer, word) })
}

// redacted stands in a redacted dump for every value of an annotation, so that two of them are equal and mean nothing.
const redacted = "REDACTED"

// installedWith tells whether the workload is of the Helm release that made the definitions, and is a controller by its name.
func (h *hints) installedWith(w workload) bool {
	const release, namespace = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
	name := w.annotations[release]
	if name == "" || name == redacted || !controls(w) {
		return false
	}
	return slices.ContainsFunc(h.crds, func(c *metav1.PartialObjectMetadata) bool {
		return c.Annotations[release] == name && c.Annotations[namespace] == w.annotations[namespace]
	})
}

// controls tells whether a workload is called as controllers are.
func controls(w workload) bool {
	return slices.ContainsFunc(controllerWords(), func(word string) bool {
		return hasWord(w.ref.Name, word) || slices.ContainsFunc(w.containers, func(c string) bool { return hasWord(c, word) })
	})
}

func controllerWords() []string {
	return []string{"operator", "controller", "manager", "provisioner", "reconciler"}
}

// hasWord tells whether one of the parts of the text, between "-", "/", "." or "_", is the word.
func hasWord(text, word string) bool {
	return slices.Contains(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == '-' || r == '/' || r == '.' || r == '_' }), word)
}

// matchSidecar finds the controller of a CSI driver: it has the sidecar, and its namespace, name or images have a word of the driver in them. Drivers
// call their workloads as they like; the lease, which has the driver's name, is the better evidence.
func (h *hints) matchSidecar(w workload) int {
	has := slices.ContainsFunc(w.containers, func(c string) bool { return strings.Contains(c, h.entry.sidecar) }) ||
		slices.ContainsFunc(w.images, func(i string) bool { return strings.HasSuffix(i, h.entry.sidecar) })
	if !has {
		return noMatch
	}
	where := strings.ToLower(w.ref.Namespace + "/" + w.ref.Name + "/" + strings.Join(w.images, "/"))
	for part := range strings.SplitSeq(strings.ToLower(h.driver), "-") {
		switch part {
		case "csi", "com", "io", "org", "net", "driver", "storage", "aws", "azure", "k8s", "kubernetes", "cloud", "dev", "gke", "":
			continue
		}
		if len(part) >= 3 && strings.Contains(where, part) {
			return byProgram
		}
	}
	return noMatch
}

// leases lists what the owner elects its leader by: Leases of the names that are known, and those that a pod of its workload holds.
func (h *hints) leases(s *snapshot.Snapshot, found []workload) []*coordinationv1.Lease {
	var out []*coordinationv1.Lease
	for _, o := range s.Objects(snapshot.Lease) {
		l, ok := o.(*coordinationv1.Lease)
		if !ok || l.Namespace == corev1.NamespaceNodeLease || l.Spec.RenewTime == nil {
			continue
		}
		if h.elects(l) || slices.ContainsFunc(found, func(w workload) bool { return holds(w, l) }) {
			out = append(out, l)
		}
	}
	return out
}

func (h *hints) elects(l *coordinationv1.Lease) bool {
	if h.driver != "" {
		switch h.entry.sidecar {
		case "csi-attacher":
			return l.Name == "external-attacher-leader-"+h.driver
		default:
			return l.Name == h.driver
		}
	}
	if h.entry != nil {
		return slices.ContainsFunc(h.entry.leases, func(p string) bool { return like(p, l.Name) })
	}
	return h.writer != "" && (l.Name == h.writer || strings.HasPrefix(l.Name, h.writer+"-")) || below(l.Name, h.domain) && !shared(h.domain)
}

// holds tells whether a pod of the workload holds the lease: it writes its name, which begins with that of its workload.
func holds(w workload, l *coordinationv1.Lease) bool {
	return l.Namespace == w.ref.Namespace && l.Spec.HolderIdentity != nil && strings.HasPrefix(*l.Spec.HolderIdentity, w.ref.Name+"-")
}
