package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageDiskFull() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST609", Slug: "image-disk-full",
		Doc: diagnose.Doc{
			Title:     "The node has no disk space for the image",
			Symptom:   `ErrImagePull and ImagePullBackOff with "no space left on device"; other pods on the node may be evicted, or write errors.`,
			Mechanism: "The layers are unpacked on the file system of the runtime. It is full, or out of inodes; kubelet's garbage collection of images frees nothing that is in use, and starts only above a threshold.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl describe node {node}",
				"kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "look-at-disk", Risk: diagnose.RiskNone, Text: "See what fills the disk: images, container logs, emptyDir volumes, or something beside Kubernetes. Count the inodes too.", Command: "kubectl describe node {node}"},
				{ID: "free-space", Risk: diagnose.RiskLow, Text: "Remove unused images on the host (crictl rmi --prune), and logs that outgrew their limit. Never delete below /var/lib/containerd or /var/lib/kubelet by hand."},
				{ID: "drain", Risk: diagnose.RiskMedium, Text: "Drain the node and give it a bigger disk.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-garbage-collection",
				"https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",
			},
		},
		Reach:    scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultDisk)
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Certain, Evidence: x.ev,
				Message: fmt.Sprintf("Node %s has no disk space, or no inodes, left to unpack images.", p.Node),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				All: []string{"no space left on device"}, Any: []string{"failed to extract layer", "failed to register layer", "failed to pull", "/var/lib/containerd", "/var/lib/docker", "/var/lib/containers", "writing blob", "ingest"},
				None: []string{"/sys/fs/cgroup", "inotify"},
			}},
			{Text: diagnose.Text{Any: []string{"Failed to garbage collect required amount of images", "failed to garbage collect required amount of images", "Image garbage collection failed multiple times in a row"}}},
			{
				Text:       diagnose.Text{All: []string{"eviction manager"}, Any: []string{"attempting to reclaim ephemeral-storage", `resourceName="ephemeral-storage"`, "attempting to reclaim imagefs", "attempting to reclaim nodefs"}},
				Confidence: diagnose.Possible,
			},
		},
	}
}
