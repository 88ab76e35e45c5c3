package storage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func volumeAttachLimit() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST306", Slug: "volume-attach-limit", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.CSINode, snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.VolumeAttachment},
		Doc: diagnose.Doc{
			Title:   "The node has as many volumes attached as it can take",
			Symptom: "Attaching times out or is refused on one node that has many volumes, while the same works on others; or no node is left: \"node(s) exceed max volume count\".",
			Mechanism: "Machines have a limit of attached disks. The scheduler knows it from CSINode.spec.drivers[].allocatable.count, less what it cannot see: " +
				"disks of other drivers, network interfaces that share the slots, attachments that were left over. Where the driver reports no count, the scheduler counts nothing.",
			Confirm: []string{
				"kubectl get csinode {node} -o yaml",
				"kubectl get volumeattachments",
				"kubectl describe pod {pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "move-pod", Risk: diagnose.RiskLow, Text: "Cordon the node and delete the pod, so that it is scheduled elsewhere.", Command: "kubectl cordon {node}"},
				{ID: "set-attach-limit", Risk: diagnose.RiskMedium, Text: "Tell the driver the true limit (its volumeAttachLimit or reservedVolumeAttachments setting), so that the scheduler stops in time."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/storage-limits/",
				"https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/1361",
				"kubernetes: pkg/scheduler/framework/plugins/nodevolumelimits/csi.go",
			},
		},
		Pod: findAttachLimit,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"AttachmentLimitExceeded", "reached its volume attachment limit", "VolumeAttachmentLimitExceeded", "maximum_persistent_disks", "InstanceDiskLimitExceeded",
				"maximum number of data disks", "attachment limit exceeded for volume",
			}}, Confidence: diagnose.Certain},
			// A driver's own log, which has its answer without the words of the attach-detach controller.
			{Text: diagnose.Text{All: []string{"attached"}, Any: []string{"max number of volumes", "maximum number of volumes"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"AttachVolume.Attach failed"}, Any: tooMany.Any, None: []string{"inotify", "attempts"}}},
			{
				Text:       staysAttaching,
				Confidence: diagnose.Possible, Alternatives: []string{"csi-controller-down"},
				Decide: "How many volumes the machine has attached, and how many its type takes: kubectl get volumeattachments.",
			},
		},
	}
}

// staysAttaching are the words of Amazon's drivers for a volume that does not get beyond attaching (pkg/cloud, WaitForAttachmentState). Messages that were cut end
// anywhere behind "but was"; what else may stand there, is another matter.
var staysAttaching = diagnose.Text{All: []string{"device to be attached but was"}, None: []string{"but was detach", "but was busy"}}

// tooMany are the words by which drivers refuse one volume more.
//
//	Amazon EBS: AttachmentLimitExceeded; Azure: "maximum number of data disks allowed to be attached to a VM"; Google: "Exceeded limit 'maximum_persistent_disks'";
//	OpenStack: "no free disk device", "Too many volumes"; Linode: "max number of volumes (8) already attached"; Hetzner: "maximum number of volumes already attached"; Alibaba: InstanceDiskLimitExceeded; and the kubelet since 1.35, which rejects the pod.
var tooMany = diagnose.Text{
	Any: []string{
		"AttachmentLimitExceeded", "VolumeAttachmentLimitExceeded", "attachment limit", "maximum number of", "too many volumes", "exceeded the limit", "Exceeded limit", "volume limit",
		"no available slots", "exceed max volume count", "maximum_persistent_disks", "InstanceDiskLimitExceeded", "attachments limit", "max volumes", "limit of volumes", "max number of volumes",
		"no free device", "no free disk device", "number of attached", "disk limit",
	},
	None: []string{"retries", "attempts", "inotify", "maximum number of pods", "maximum number of clients"},
}

// rejected is the reason of a pod that the kubelet turned away for want of room for its volumes (pkg/kubelet/volumemanager
// VolumeAttachmentLimitExceededReason; beta in 1.34, feature gate MutableCSINodeAllocatableCount).
const rejected = "VolumeAttachmentLimitExceeded"

func findAttachLimit(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.State == stuck.Unschedulable {
		ev := scheduling(s, p, diagnose.Text{Any: []string{"exceed max volume count"}})
		return diagnose.Finding{
			Confidence: diagnose.Likely, Evidence: ev, Reach: scope.ReachPod,
			Message: fmt.Sprintf("Nodes that would otherwise do for pod %s/%s have no room for another volume of its driver.", p.Ref.Namespace, p.Ref.Name),
		}, len(ev) > 0
	}
	f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.Node, Name: p.Node}}
	if p.Object != nil && p.Object.Status.Reason == rejected {
		f.Confidence = diagnose.Certain
		f.Message = fmt.Sprintf("The kubelet of node %s turned pod %s/%s away: the node has as many volumes attached as it can take. The pod does not start any more; its controller makes another.", p.Node, p.Ref.Namespace, p.Ref.Name)
		f.Evidence = []diagnose.Evidence{{Object: p.Ref.String(), Field: "status.reason", Value: rejected + ": " + p.Object.Status.Message}}
		return f, true
	}
	if !mounting(p) {
		return f, false
	}
	refusals := diagnose.Said(s, p, tooMany, append(attachReasons(), "", rejected)...)
	waits := diagnose.Said(s, p, diagnose.Text{Any: []string{"timed out waiting for the condition", "timed out waiting for external-attacher", "attachment timeout"}}, attachReasons()...)
	attaching := diagnose.Said(s, p, staysAttaching, attachReasons()...)
	waits = append(waits, attaching...)
	n := s.CSINode(p.Node)
	for _, v := range volume.Of(s, p.Object) {
		here, _ := volume.Attachments(s, v.VolumeName(), p.Node)
		d := v.DriverOn(n)
		if d == "" && here != nil {
			d = here.Spec.Attacher
		}
		if d == "" || v.VolumeName() == "" || here != nil && here.Status.Attached {
			continue
		}
		ev := refusals
		if here != nil && here.Status.AttachError != nil && tooMany.Match(here.Status.AttachError.Message) {
			ev = append(ev, diagnose.Evidence{Object: "volumeattachment " + here.Name, Field: "status.attachError", Value: here.Status.AttachError.Message})
		}
		used := volume.Attached(s, d, p.Node)
		limit := volume.Limit(n, d)
		switch {
		case len(ev) > 0:
			f.Confidence = diagnose.Fresh(s, diagnose.Certain, ev)
			f.Message = fmt.Sprintf("Driver %s refuses to attach another volume to node %s, which has %d.", d, p.Node, used)
			if volume.Unread(s, snapshot.VolumeAttachment) {
				f.Message = fmt.Sprintf("Driver %s refuses to attach another volume to node %s.", d, p.Node)
			}
		case limit >= 0 && used >= limit:
			f.Confidence = diagnose.Likely
			f.Message = fmt.Sprintf("Node %s has %d volumes of driver %s attached, and its limit is %d.", p.Node, used, d, limit)
		case len(waits) > 0 && limit < 0 && n != nil && used >= 8:
			f.Confidence = diagnose.Possible
			f.Message = fmt.Sprintf("Attaching to node %s times out; it has %d volumes of driver %s, which reports no limit that the scheduler could keep.", p.Node, used, d)
			f.Alternatives = []string{"csi-controller-down"}
			f.Decide = "Whether the driver's controller logs a limit, or the machine type of node {node} has one at that number."
		default:
			continue
		}
		count := "absent"
		if limit >= 0 {
			count = fmt.Sprint(limit)
		}
		f.Evidence = slices.Concat(ev, waits)
		if n != nil {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "csinode " + p.Node, Field: "spec.drivers[" + d + "].allocatable.count", Value: count})
		}
		if !volume.Unread(s, snapshot.VolumeAttachment) {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "volumeattachments", Field: "spec.nodeName", Value: fmt.Sprintf("%d of driver %s on node %s", used, d, p.Node)})
		}
		return f, true
	}
	if !blind(s) {
		return f, false
	}
	if len(refusals) == 0 {
		f.Confidence, f.Evidence = diagnose.Possible, attaching
		f.Message = fmt.Sprintf("A volume stays at being attached to node %s, which is how a machine that takes no more of them answers.", p.Node)
		f.Alternatives = []string{"csi-controller-down", "volume-attach-fails"}
		f.Decide = "How many volumes are attached to node {node}, and how many its machine type takes: kubectl get volumeattachments."
		f.Decide = strings.ReplaceAll(f.Decide, "{node}", p.Node)
		return f, len(attaching) > 0
	}
	f.Confidence, f.Evidence = diagnose.Likely, refusals
	f.Message = fmt.Sprintf("The driver of a volume refuses to attach it to node %s, because the node has as many as it may have.", p.Node)
	return f, true
}
