package room

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const (
	// selectedNode is the annotation by which the scheduler tells a provisioner where a claim is wanted (k8s.io/component-helpers/storage/volume).
	selectedNode = "volume.kubernetes.io/selected-node"
	// noProvisioner is the provisioner of classes whose volumes are made by hand (the same).
	noProvisioner = "kubernetes.io/no-provisioner"
)

// disk is a volume of a mover that a claim stands for.
type disk struct {
	claim string
	pv    *corev1.PersistentVolume     // nil where it is not bound
	at    *nodeaffinity.NodeSelector   // where the PersistentVolume may be used; nil means anywhere
	gone  bool                         // its PersistentVolume does not exist
	bad   bool                         // nobody can read where it may be used
	zones map[string][]string          // labels of the PersistentVolume that say where it is
	class *storagev1.StorageClass      // of a claim that is bound when its pod is scheduled
	only  string                       // the node that was selected for it
	key   func(*storagev1.CSINode) key // what it counts as, where a driver limits how many it attaches
}

// key is a volume of a driver; the volume is its PersistentVolume's name, or its claim's.
type key struct{ driver, volume string }

// readVolumes follows the claims of a mover, and says what the scheduler would say of them before it looks at nodes.
func (w *world) readVolumes(m *mover) {
	for i := range m.pod.Spec.Volumes {
		v := &m.pod.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			w.readClaim(m, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil: // a new pod gets a new claim
			w.readUnbound(m, "of volume "+v.Name, v.Ephemeral.VolumeClaimTemplate.Spec.StorageClassName, nil, true)
		}
	}
	w.hint(m)
}

func (m *mover) unread(format string, args ...any) {
	if m.unknown == "" {
		m.unknown = fmt.Sprintf(format, args...)
	}
}

func (m *mover) stops(format string, args ...any) {
	if m.stop == "" {
		m.stop = fmt.Sprintf(format, args...)
	}
}

func (w *world) readClaim(m *mover, name string) {
	ns := m.pod.Namespace
	switch w.s.Has(snapshot.PersistentVolumeClaim, ns, name) {
	case snapshot.Unknown:
		m.unread("its claim %q was not read, so where its volume can be used is not known", name)
		return
	case snapshot.Absent:
		m.stops("persistentvolumeclaim %q not found", name)
		return
	case snapshot.Present:
	}
	c := w.s.PVC(ns, name)
	switch {
	case c.DeletionTimestamp != nil:
		m.stops("persistentvolumeclaim %q is being deleted", name)
		return
	case c.Status.Phase == corev1.ClaimLost:
		m.stops("persistentvolumeclaim %q bound to non-existent persistentvolume %q", name, c.Spec.VolumeName)
		return
	}
	if slices.Contains(c.Spec.AccessModes, corev1.ReadWriteOncePod) {
		if other := w.userOf(ns, name); other != nil {
			m.stops("node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod")
		} else if !w.podsKnown(ns) {
			m.unread("its claim %q is for one pod alone, and not all pods of namespace %s were read", name, ns)
		}
	}
	if c.Spec.VolumeName == "" {
		class := c.Spec.StorageClassName
		if old, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
			class = &old
		}
		w.readUnbound(m, fmt.Sprintf("%q", name), class, c, false)
		return
	}
	d := disk{claim: name}
	switch w.s.Has(snapshot.PersistentVolume, "", c.Spec.VolumeName) {
	case snapshot.Unknown:
		m.unread("its PersistentVolume %q was not read, so where it can be used is not known", c.Spec.VolumeName)
		return
	case snapshot.Absent:
		d.gone = true
	case snapshot.Present:
		d.pv = w.s.PV(c.Spec.VolumeName)
		d.read()
		if d.pv.Spec.HostPath != nil && d.pv.Spec.NodeAffinity == nil {
			m.notes = append(m.notes, fmt.Sprintf(
				"PersistentVolume %s is a directory of node %s, and nothing keeps its pods there: elsewhere they find another directory, without the data", d.pv.Name, w.node))
		}
	}
	m.volumes = append(m.volumes, d)
}

// read takes from the PersistentVolume where it can be used.
func (d *disk) read() {
	pv := d.pv
	if a := pv.Spec.NodeAffinity; a != nil && a.Required != nil {
		at, err := nodeaffinity.NewNodeSelector(a.Required)
		d.at, d.bad = at, err != nil
	}
	d.zones = map[string][]string{}
	for _, label := range zoneLabels() {
		if v, ok := pv.Labels[label]; ok {
			d.zones[label] = strings.Split(v, "__") // k8s.io/cloud-provider/volume: LabelMultiZoneDelimiter
		}
	}
	d.key = func(n *storagev1.CSINode) key {
		if pv.Spec.CSI != nil {
			return key{pv.Spec.CSI.Driver, pv.Name}
		}
		if driver, plugin := snapshot.MigratedDriver(nil, pv); plugin != "" && n != nil &&
			slices.Contains(strings.Split(n.Annotations[corev1.MigratedPluginsAnnotationKey], ","), plugin) {
			return key{driver, pv.Name}
		}
		return key{}
	}
}

// readUnbound reads a claim that has no PersistentVolume yet. c is nil for one that is made with the pod (fresh).
func (w *world) readUnbound(m *mover, what string, className *string, c *corev1.PersistentVolumeClaim, fresh bool) {
	const immediate = "pod has unbound immediate PersistentVolumeClaims"
	if className == nil || *className == "" {
		if fresh {
			m.notes = append(m.notes, fmt.Sprintf("the claim %s that %s/%s gets is bound before it is scheduled: where to is not known", what, m.pod.Namespace, m.pod.Name))
			return
		}
		m.stops(immediate)
		return
	}
	switch w.s.Has(snapshot.StorageClass, "", *className) {
	case snapshot.Unknown:
		m.unread("the StorageClass %q of its claim %s was not read", *className, what)
		return
	case snapshot.Absent:
		m.stops(immediate)
		return
	case snapshot.Present:
	}
	class := w.s.StorageClass(*className)
	switch mode := class.VolumeBindingMode; {
	case mode == nil || *mode != storagev1.VolumeBindingWaitForFirstConsumer:
		if !fresh {
			m.stops(immediate)
			return
		}
		m.notes = append(m.notes, fmt.Sprintf("the claim %s that %s/%s gets is bound before it is scheduled: where to is not known", what, m.pod.Namespace, m.pod.Name))
	case class.Provisioner == noProvisioner || class.Provisioner == "":
		m.unread("its claim %s waits for a PersistentVolume of class %s that somebody makes by hand, and which there are was not read", what, class.Name)
	default:
		d := disk{claim: what, class: class, key: func(*storagev1.CSINode) key { return key{class.Provisioner, m.pod.Namespace + "/" + what} }}
		if c != nil {
			d.only = c.Annotations[selectedNode]
		}
		m.volumes = append(m.volumes, d)
		m.notes = append(m.notes, fmt.Sprintf("how much storage class %s has left on a node or in a zone is not looked at", class.Name))
	}
}

// userOf finds a pod on a host that uses the claim.
func (w *world) userOf(namespace, claim string) *corev1.Pod {
	for _, h := range w.hosts {
		for _, g := range h.guests {
			if g.pod.Namespace != namespace {
				continue
			}
			for i := range g.pod.Spec.Volumes {
				if c := g.pod.Spec.Volumes[i].PersistentVolumeClaim; c != nil && c.ClaimName == claim {
					return g.pod
				}
			}
		}
	}
	return nil
}

// hint says what the scheduler's words do not: that the data is on the node that goes.
func (w *world) hint(m *mover) {
	n := w.s.Node(w.node)
	if ok := func(n *corev1.Node) bool { ok, err := m.affinity.Match(n); return ok && err == nil }; n != nil && ok(n) &&
		!slices.ContainsFunc(w.hosts, func(h *host) bool { return ok(h.node) }) {
		m.hint += fmt.Sprintf(" Its node selector or affinity takes no node but %s.", w.node)
	}
	for _, d := range m.volumes {
		if d.at == nil || slices.ContainsFunc(w.hosts, func(h *host) bool { return d.at.Match(h.node) }) {
			continue
		}
		where := "no other node may use it"
		if n != nil && d.at.Match(n) {
			where = fmt.Sprintf("only node %s may use it", w.node)
		}
		switch {
		case d.pv.Spec.Local != nil:
			m.hint += fmt.Sprintf(" Its volume %s (claim %s) is a local disk: %s, and the data stays there.", d.pv.Name, d.claim, where)
		case d.pv.Spec.HostPath != nil:
			m.hint += fmt.Sprintf(" Its volume %s (claim %s) is a directory of a node: %s, and the data stays there.", d.pv.Name, d.claim, where)
		default:
			m.hint += fmt.Sprintf(" Its volume %s (claim %s) is bound to a place by its node affinity: %s.", d.pv.Name, d.claim, where)
		}
	}
}

// volumesFree: disks named in the pod itself that only one pod of a node may write.
func volumesFree(m *mover, h *host) verdict {
	for i := range m.pod.Spec.Volumes {
		for _, g := range h.guests {
			for j := range g.pod.Spec.Volumes {
				if disksClash(&m.pod.Spec.Volumes[i], &g.pod.Spec.Volumes[j]) {
					return refuse(false, "node(s) had no available disk")
				}
			}
		}
	}
	return verdict{}
}

func disksClash(a, b *corev1.Volume) bool {
	switch {
	case a.GCEPersistentDisk != nil && b.GCEPersistentDisk != nil:
		x, y := a.GCEPersistentDisk, b.GCEPersistentDisk
		return x.PDName == y.PDName && !(x.ReadOnly && y.ReadOnly)
	case a.AWSElasticBlockStore != nil && b.AWSElasticBlockStore != nil:
		return a.AWSElasticBlockStore.VolumeID == b.AWSElasticBlockStore.VolumeID
	case a.ISCSI != nil && b.ISCSI != nil:
		return a.ISCSI.IQN == b.ISCSI.IQN && !(a.ISCSI.ReadOnly && b.ISCSI.ReadOnly)
	case a.RBD != nil && b.RBD != nil:
		x, y := a.RBD, b.RBD
		shared := slices.ContainsFunc(x.CephMonitors, func(mon string) bool { return slices.Contains(y.CephMonitors, mon) })
		return shared && x.RBDPool == y.RBDPool && x.RBDImage == y.RBDImage && !(x.ReadOnly && y.ReadOnly)
	}
	return false
}

// attachable: how many volumes of a driver the node takes (CSINode.spec.drivers[].allocatable.count), against those attached and those of its pods.
func (w *world) attachable(m *mover, h *host) verdict {
	n := w.s.CSINode(h.node.Name)
	wanted := map[key]bool{}
	for _, d := range m.volumes {
		if d.key != nil {
			if k := d.key(n); k.driver != "" {
				wanted[k] = true
			}
		}
	}
	if len(wanted) == 0 {
		return verdict{}
	}
	if n == nil {
		if w.s.Has(snapshot.CSINode, "", h.node.Name) == snapshot.Unknown {
			return verdict{doubt: "node(s) of which the CSINode was not read, so how many volumes they take is not known"}
		}
		return w.registered(wanted, nil)
	}
	if v := w.registered(wanted, n); len(v.reasons) > 0 {
		return v
	}
	limits := map[string]int{}
	for _, d := range n.Spec.Drivers {
		if d.Allocatable != nil && d.Allocatable.Count != nil {
			limits[d.Name] = int(*d.Allocatable.Count)
		}
	}
	if len(limits) == 0 {
		return verdict{}
	}
	taken := w.taken(h, n)
	count := map[string]int{}
	for k := range taken {
		count[k.driver]++
	}
	for k := range wanted {
		if !taken[k] {
			count[k.driver]++
		}
	}
	for k := range wanted {
		limit, ok := limits[k.driver]
		if ok && !taken[k] && count[k.driver] > limit {
			return refuse(false, "node(s) exceed max volume count")
		}
		if ok && !w.s.Complete(snapshot.VolumeAttachment, "") {
			return verdict{doubt: "node(s) of which not all VolumeAttachments were read"}
		}
	}
	return verdict{}
}

// registered: a driver may ask that its pods go only where it runs (CSIDriver.spec.preventPodSchedulingIfMissing).
func (w *world) registered(wanted map[key]bool, n *storagev1.CSINode) verdict {
	for k := range wanted {
		d := w.s.CSIDriver(k.driver)
		if d == nil || d.Spec.PreventPodSchedulingIfMissing == nil || !*d.Spec.PreventPodSchedulingIfMissing {
			continue
		}
		if n == nil || !slices.ContainsFunc(n.Spec.Drivers, func(x storagev1.CSINodeDriver) bool { return x.Name == k.driver }) {
			return refuse(false, k.driver+" CSI driver is not installed on the node")
		}
	}
	return verdict{}
}

// taken are the volumes that the host has: attached, or of its pods as far as their claims were read.
func (w *world) taken(h *host, n *storagev1.CSINode) map[key]bool {
	out := map[key]bool{}
	for _, a := range w.s.VolumeAttachments() {
		if pv := a.Spec.Source.PersistentVolumeName; a.Spec.NodeName == h.node.Name && pv != nil {
			out[key{a.Spec.Attacher, *pv}] = true
		}
	}
	for _, g := range h.guests {
		x := &mover{guest: g}
		for i := range g.pod.Spec.Volumes {
			if claim := snapshot.ClaimOf(g.pod, &g.pod.Spec.Volumes[i]); claim != "" && w.s.PVC(g.pod.Namespace, claim) != nil {
				w.readClaim(x, claim)
			}
		}
		for _, d := range x.volumes {
			if d.key != nil {
				if k := d.key(n); k.driver != "" {
					out[k] = true
				}
			}
		}
	}
	return out
}

// volumeNode: where bound volumes can be used, and where those that wait for their pod can be made.
func volumeNode(m *mover, h *host) verdict {
	var nodeConflict, bindConflict, gone bool
	for _, d := range m.volumes {
		switch {
		case d.gone:
			gone = true
		case d.bad || d.at != nil && !d.at.Match(h.node):
			nodeConflict = true
		case d.class != nil && (d.only != "" && d.only != h.node.Name || !allowed(d.class, h.node)):
			bindConflict = true
		}
	}
	var out verdict
	for _, r := range []struct {
		is  bool
		why string
	}{
		{nodeConflict, "node(s) didn't match PersistentVolume's node affinity"},
		{bindConflict, "node(s) didn't find available persistent volumes to bind"},
		{gone, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"},
	} {
		if r.is {
			out.reasons, out.final = append(out.reasons, r.why), true
		}
	}
	return out
}

// allowed tells whether the class can make a volume for the node (allowedTopologies: any of the terms, and all of its expressions).
func allowed(class *storagev1.StorageClass, n *corev1.Node) bool {
	if len(class.AllowedTopologies) == 0 {
		return true
	}
	return slices.ContainsFunc(class.AllowedTopologies, func(t corev1.TopologySelectorTerm) bool {
		return len(t.MatchLabelExpressions) > 0 && !slices.ContainsFunc(t.MatchLabelExpressions, func(e corev1.TopologySelectorLabelRequirement) bool {
			v, ok := n.Labels[e.Key]
			return !ok || !slices.Contains(e.Values, v)
		})
	})
}

// zoneLabels are those of a PersistentVolume that say in which zones and regions it is.
func zoneLabels() []string {
	return []string{corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion, corev1.LabelTopologyZone, corev1.LabelTopologyRegion}
}

// volumeZone: a node that has such labels must have those of the volume. The old names of the labels are met by the new ones.
func volumeZone(m *mover, h *host) verdict {
	if !slices.ContainsFunc(zoneLabels(), func(l string) bool { _, ok := h.node.Labels[l]; return ok }) {
		return verdict{}
	}
	for _, d := range m.volumes {
		for label, values := range d.zones {
			v, ok := h.node.Labels[label]
			if !ok {
				switch label {
				case corev1.LabelFailureDomainBetaZone:
					v, ok = h.node.Labels[corev1.LabelTopologyZone]
				case corev1.LabelFailureDomainBetaRegion:
					v, ok = h.node.Labels[corev1.LabelTopologyRegion]
				}
			}
			if !ok || !slices.Contains(values, v) {
				return refuse(true, "node(s) had no available volume zone")
			}
		}
	}
	return verdict{}
}
