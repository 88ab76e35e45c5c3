package storage

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// multiAttach is the wording of the attach-detach controller for a volume that another node has
// (pkg/controller/volume/attachdetach/reconciler): the older one, and that of 1.37.
var multiAttach = diagnose.Text{Any: []string{
	"multi-attach error", "already exclusively attached to one node", "waiting for detach", "volume is already used by",
}}

// held is a volume of a starting pod that another node still has.
type held struct {
	volume.Chain
	va   *storagev1.VolumeAttachment // on the other node
	said []diagnose.Evidence
}

// heldElsewhere finds the first volume of a starting pod that is attached to another node and not to its own.
func heldElsewhere(s *snapshot.Snapshot, p stuck.Pod) (held, bool) {
	if !mounting(p) {
		return held{}, false
	}
	ev := diagnose.Said(s, p, multiAttach)
	for _, v := range volume.Of(s, p.Object) {
		if v.VolumeName() == "" || !v.Exclusive() {
			continue
		}
		here, elsewhere := volume.Attachments(s, v.VolumeName(), p.Node)
		if len(elsewhere) == 0 || here != nil && here.Status.Attached {
			continue
		}
		return held{Chain: v, va: elsewhere[0], said: about(ev, v.VolumeName())}, true
	}
	return held{}, false
}

// about keeps the evidence that names the volume.
func about(ev []diagnose.Evidence, volume string) []diagnose.Evidence {
	return slices.DeleteFunc(slices.Clone(ev), func(e diagnose.Evidence) bool { return !strings.Contains(e.Value, volume) })
}

// sure is how sure it is that another node holds the volume: beyond doubt where the attach-detach controller says so now.
func (h held) sure(s *snapshot.Snapshot) diagnose.Confidence {
	if len(h.said) == 0 {
		return diagnose.Likely
	}
	return diagnose.Fresh(s, diagnose.Certain, h.said)
}

// refused is what is left of held where nothing that could be read names the other node: the attach-detach controller says that a volume of the pod is
// attached elsewhere, and perhaps a pod that was read uses one of its claims on another node, or a Node says that it has the volume.
type refused struct {
	claim string // the pod's only claim, or the one that user has too
	user  *corev1.Pod
	node  string // the other node, where it is known
	said  []diagnose.Evidence
	// used tells that the controller speaks of pods that use the volume; otherwise it knows of none.
	used bool
}

func refusedElsewhere(s *snapshot.Snapshot, p stuck.Pod) (refused, bool) {
	if !mounting(p) {
		return refused{}, false
	}
	r := refused{said: diagnose.Said(s, p, multiAttach)}
	if len(r.said) == 0 {
		return r, false
	}
	r.used = strings.Contains(strings.ToLower(r.said[len(r.said)-1].Value), "already used by")
	claims, known := 0, 0
	for _, v := range volume.Of(s, p.Object) {
		if v.Claim == "" {
			continue
		}
		claims++
		if v.PV != nil {
			known++
			if node := reportedBy(s, v, p.Node); node != "" {
				r.claim, r.node = v.Claim, node
				r.user = volume.UserElsewhere(s, p.Object, v.Claim)
				return r, true
			}
		}
		if u := volume.UserElsewhere(s, p.Object, v.Claim); u != nil {
			r.claim, r.user, r.node = v.Claim, u, u.Spec.NodeName
			return r, blind(s)
		}
		if r.claim = v.Claim; claims > 1 {
			r.claim = ""
		}
	}
	// Where all of it was read, and nothing holds a volume elsewhere, the words are about what is over.
	return r, blind(s) || known < claims
}

// reportedBy finds another node whose status says that it has the volume attached (status.volumesAttached), which is all there is of plugins of the
// kubelet's own: they have no VolumeAttachment.
func reportedBy(s *snapshot.Snapshot, v volume.Chain, node string) string {
	id := v.Handle()
	switch src := v.PV.Spec.PersistentVolumeSource; {
	case id != "":
	case src.AWSElasticBlockStore != nil:
		id = src.AWSElasticBlockStore.VolumeID
	case src.GCEPersistentDisk != nil:
		id = src.GCEPersistentDisk.PDName
	case src.AzureDisk != nil:
		id = src.AzureDisk.DataDiskURI
	case src.Cinder != nil:
		id = src.Cinder.VolumeID
	case src.VsphereVolume != nil:
		id = src.VsphereVolume.VolumePath
	}
	if len(id) < 4 {
		return ""
	}
	for _, n := range s.Nodes() {
		for _, a := range n.Status.VolumesAttached {
			if n.Name != node && strings.HasSuffix(string(a.Name), id) {
				return n.Name
			}
		}
	}
	return ""
}

func (r refused) ref(p stuck.Pod) snapshot.Ref {
	if r.claim == "" {
		return p.Ref
	}
	return snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: r.claim}
}

// evidence is what is said, and who uses the claim.
func (r refused) evidence() []diagnose.Evidence {
	if r.user == nil {
		return r.said
	}
	return append(slices.Clone(r.said), diagnose.Evidence{
		Object: snapshot.RefOf(r.user).String(), Field: "spec.volumes", Value: "claim " + r.claim + ", on node " + r.user.Spec.NodeName,
	})
}

// downNodes lists the nodes, but the pod's own, that are known not to be ready.
func downNodes(s *snapshot.Snapshot, own string) []string {
	var out []string
	for _, n := range s.Nodes() {
		if n.Name != own && !ready(s, n.Name) {
			out = append(out, n.Name)
		}
	}
	return out
}
