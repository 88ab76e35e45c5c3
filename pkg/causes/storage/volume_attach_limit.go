package storage

import (
	"fmt"
	"slices"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
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
	}
}

// tooMany are the words by which drivers refuse one volume more.
var tooMany = diagnose.Text{
	Any: []string{
		"AttachmentLimitExceeded", "attachment limit", "maximum number of", "too many volumes", "exceeded the limit", "volume limit", "no available slots",
	},
	None: []string{"retries", "attempts", "inotify"},
}

func findAttachLimit(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.State == stuck.Unschedulable {
		ev := scheduling(s, p, diagnose.Text{Any: []string{"exceed max volume count"}})
		return diagnose.Finding{
			Confidence: diagnose.Likely, Evidence: ev, Reach: scope.ReachPod,
			Message: fmt.Sprintf("Nodes that would otherwise do for pod %s/%s have no room for another volume of its driver.", p.Ref.Namespace, p.Ref.Name),
		}, len(ev) > 0
	}
	f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.Node, Name: p.Node}}
	if !mounting(p) {
		return f, false
	}
	refusals := diagnose.Said(s, p, tooMany, attachReasons()...)
	waits := diagnose.Said(s, p, diagnose.Text{Any: []string{"timed out waiting for the condition", "expected device to be attached but was attaching", "timed out waiting for external-attacher"}}, "FailedAttachVolume")
	n := s.CSINode(p.Node)
	for _, v := range volumesOf(s, p.Object) {
		here, _ := attachments(s, v.volumeName(), p.Node)
		d := v.driver()
		if d == "" && here != nil {
			d = here.Spec.Attacher
		}
		if d == "" || v.volumeName() == "" || here != nil && here.Status.Attached {
			continue
		}
		ev := refusals
		if here != nil && here.Status.AttachError != nil && tooMany.Match(here.Status.AttachError.Message) {
			ev = append(ev, diagnose.Evidence{Object: "volumeattachment " + here.Name, Field: "status.attachError", Value: here.Status.AttachError.Message})
		}
		used := attached(s, d, p.Node)
		limit := allocatable(n, d)
		switch {
		case len(ev) > 0:
			f.Confidence = diagnose.Fresh(s, diagnose.Certain, ev)
			f.Message = fmt.Sprintf("Driver %s refuses to attach another volume to node %s, which has %d.", d, p.Node, used)
			if unread(s, snapshot.VolumeAttachment) {
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
		if !unread(s, snapshot.VolumeAttachment) {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "volumeattachments", Field: "spec.nodeName", Value: fmt.Sprintf("%d of driver %s on node %s", used, d, p.Node)})
		}
		return f, true
	}
	if len(refusals) == 0 || !unread(s, snapshot.PersistentVolumeClaim) && !unread(s, snapshot.PersistentVolume) {
		return f, false
	}
	f.Confidence, f.Evidence = diagnose.Likely, refusals
	f.Message = fmt.Sprintf("The driver of a volume refuses to attach it to node %s, because the node has as many as it may have.", p.Node)
	return f, true
}

// attached counts the attachments of a driver's volumes on a node that are done.
func attached(s *snapshot.Snapshot, driver, node string) int {
	n := 0
	for _, va := range s.VolumeAttachments() {
		if va.Spec.Attacher == driver && va.Spec.NodeName == node && va.Status.Attached {
			n++
		}
	}
	return n
}

// allocatable is how many volumes the driver says the node takes; negative where it does not say.
func allocatable(n *storagev1.CSINode, driver string) int {
	if n == nil {
		return -1
	}
	for _, d := range n.Spec.Drivers {
		if d.Name == driver && d.Allocatable != nil && d.Allocatable.Count != nil {
			return int(*d.Allocatable.Count)
		}
	}
	return -1
}
