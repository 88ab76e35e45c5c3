package remedy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func volumeInUse() Guard {
	return Guard{
		Name: "volume-in-use",
		Prevents: "A volume is torn away from a node that still has it mounted: what was not written yet is lost, the file system is damaged, or a dead mount stays " +
			"behind that makes the next pod hang too.",
		Flag:  flagAttest,
		Lifts: liftsAttest,
		For:   changes(),
		Needs: []snapshot.Kind{
			snapshot.Node, snapshot.Lease, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.VolumeAttachment, snapshot.CSINode, snapshot.CSIDriver,
		},
		Check: func(c *Case, r Remedy) []Verdict {
			past, _ := c.past(r.ID)
			at := c.atRest()
			if !past || c.Pod.Object == nil || c.Pod.Node == "" || at.known && !at.stopped {
				return nil // a machine that is off has nothing mounted, and to let go of it is what frees its volumes
			}
			var out []Verdict
			for _, v := range volume.Of(c.S, c.Pod.Object) {
				if verdict, ok := c.volumeVerdict(v, at); ok {
					out = append(out, verdict)
				}
			}
			if len(out) == 0 && c.Pod.Stage == stuck.Cleanup {
				out = append(out, Verdict{
					Level: Warn,
					Reason: fmt.Sprintf("The containers of %s ended and the kubelet of node %s has not finished to clean up: what it could not release stays there as the leftover "+
						"of a pod that nobody knows.", c.Pod.Ref, c.Pod.Node),
					Evidence: []diagnose.Evidence{podEvidence(c, "status.phase", string(c.Pod.Object.Status.Phase))},
				})
			}
			return out
		},
	}
}

// volumeVerdict judges one volume of the pod.
func (c *Case) volumeVerdict(v volume.Chain, at rest) (Verdict, bool) {
	if v.Claim == "" && inlineDisk(v) == "" && !v.CanHang() {
		return Verdict{}, false // made of objects of the cluster, or of the node's own disk
	}
	single, ev := exclusive(c, v)
	says, firm, cites := c.held(v, at)
	if len(says) == 0 {
		return Verdict{}, false
	}
	ev = append(ev, cites...)
	reason := fmt.Sprintf("Volume %s of %s: %s.", v.Describe(), c.Pod.Ref, strings.Join(says, "; "))
	if single == "" || !firm {
		return Verdict{Level: Warn, Reason: reason + " What is not released stays on the node as a mount that nobody looks after.", Evidence: ev}, true
	}
	reason += " " + strings.ToUpper(single[:1]) + single[1:] + ": it may be given to another node while this one still writes to it."
	return c.vouched(Verdict{Level: Block, Reason: reason, Evidence: slices.Concat(ev, c.nodeEvidence())}), true
}

// held says what shows that the node still has the volume, or that nobody can tell. firm is false where all that is left is an attachment of which the
// kubelet is done: the volume is being detached, or others on the node use it.
func (c *Case) held(v volume.Chain, at rest) (says []string, firm bool, ev []diagnose.Evidence) {
	node := c.Pod.Node
	if c.Pod.Stage == stuck.Cleanup {
		says, firm = append(says, "its containers ended, and the kubelet has not said that it is unmounted"), true
	}
	here, _ := volume.Attachments(c.S, v.VolumeName(), node)
	switch {
	case here != nil:
		says = append(says, fmt.Sprintf("VolumeAttachment %s has it at node %s (attached: %t)", here.Name, node, here.Status.Attached))
		ev = append(ev, volume.AttachmentEvidence(here))
		firm = firm || !at.stopped
	case v.Claim != "" && v.PVC == nil:
		says, firm = append(says, fmt.Sprintf("claim %s could not be read, so that whether it is attached is not known", v.Claim)), true
	case v.VolumeName() != "" && c.attachable(v) && !c.S.Complete(snapshot.VolumeAttachment, ""):
		says, firm = append(says, "the VolumeAttachments could not be read, so that whether it is attached is not known"), true
		ev = append(ev, diagnose.Evidence{Object: "volumeattachments", Field: "existence", Value: "could not be read"})
	}
	if n := c.S.Node(node); n == nil {
		if len(says) > 0 {
			says, firm = append(says, "what the node has in use could not be read"), true
		}
	} else if name, ok := c.usedBy(v, n); ok {
		says, firm = append(says, fmt.Sprintf("the kubelet of node %s reports it in use", node)), true
		ev = append(ev, diagnose.Evidence{Object: c.nodeRef().String(), Field: "status.volumesInUse", Value: name})
	}
	return says, firm, ev
}

// attachable tells whether the volume is of a kind that is attached to a node before it is mounted; true also where that is not known.
func (c *Case) attachable(v volume.Chain) bool {
	switch v.Kind() {
	case "NFS", "local", "hostPath", "CephFS", "GlusterFS", "Azure file", "gitRepo", "image":
		return false
	}
	driver := v.DriverOn(c.S.CSINode(c.Pod.Node))
	if driver == "" {
		return true
	}
	d := c.S.CSIDriver(driver)
	return d == nil || d.Spec.AttachRequired == nil || *d.Spec.AttachRequired
}

// usedBy finds the volume among those that the node's kubelet reports in use: "kubernetes.io/csi/<driver>^<handle>" of a CSI volume, also of one that a driver
// took over from a plugin (pkg/volume/util GetUniqueVolumeName). Of other plugins the name ends in the disk's.
func (c *Case) usedBy(v volume.Chain, n *corev1.Node) (string, bool) {
	for _, u := range n.Status.VolumesInUse {
		name := string(u)
		if v.Handle() != "" && name == "kubernetes.io/csi/"+v.Driver()+"^"+v.Handle() {
			return name, true
		}
		if disk := diskName(v); disk != "" && (strings.HasSuffix(name, "/"+disk) || strings.HasSuffix(name, "^"+disk)) {
			return name, true
		}
	}
	return "", false
}

// diskName is the disk of a volume plugin of the kubelet's own, as its cloud calls it, without the path that may stand before it.
func diskName(v volume.Chain) string {
	name := ""
	var p corev1.PersistentVolumeSource
	if v.PV != nil {
		p = v.PV.Spec.PersistentVolumeSource
	}
	s := v.Source
	switch {
	case p.AWSElasticBlockStore != nil:
		name = p.AWSElasticBlockStore.VolumeID
	case s.AWSElasticBlockStore != nil:
		name = s.AWSElasticBlockStore.VolumeID
	case p.GCEPersistentDisk != nil:
		name = p.GCEPersistentDisk.PDName
	case s.GCEPersistentDisk != nil:
		name = s.GCEPersistentDisk.PDName
	case p.AzureDisk != nil:
		name = p.AzureDisk.DataDiskURI
	case s.AzureDisk != nil:
		name = s.AzureDisk.DataDiskURI
	case p.Cinder != nil:
		name = p.Cinder.VolumeID
	case s.Cinder != nil:
		name = s.Cinder.VolumeID
	case p.VsphereVolume != nil:
		name = p.VsphereVolume.VolumePath
	case s.VsphereVolume != nil:
		name = s.VsphereVolume.VolumePath
	}
	return name[strings.LastIndex(name, "/")+1:]
}
