package storage

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func mountLeakedIntoOtherNamespace() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST311", Slug: "mount-leaked-into-other-namespace", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "Another process holds a copy of the pod's mount",
			Symptom: "Removing the pod's network namespace, volume or directory fails with \"device or resource busy\"; or the containers have ended and the pod stays, while a pod on the node mounts the host's root or the kubelet's directory.",
			Mechanism: "A container that mounts / or /var/lib/kubelet of the host gets copies of all mounts below it at its start. Without mountPropagation " +
				"HostToContainer it never learns that one was unmounted; the copy keeps the file system busy until that container ends.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'grep -l kubelet/pods /proc/[0-9]*/mountinfo'",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restart-holder", Risk: diagnose.RiskLow, Text: "Restart the pod that holds the copy (the finding names candidates; /proc/*/mountinfo on the node names the process)."},
				{ID: "set-mount-propagation", Risk: diagnose.RiskMedium, Text: "For good: mountPropagation: HostToContainer on that hostPath mount, or a narrower path."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/volumes/#mount-propagation",
				"https://github.com/kubernetes/kubernetes/issues/113426",
			},
		},
		Pod: findLeakedMount,
		Log: []diagnose.LogMatch{
			{
				Text: diagnose.Text{Any: busy.Any, None: append([]string{"MountVolume.SetUp", "MountVolume.MountDevice", "mount failed"}, busy.None...)},
				// Devices, modules and the node's own disks are busy as well, at each start and end of the machine.
				Pattern: `un(mount|map)(volume|device)|teardown|netns|unlinkat|/kubelet/|/pods/|kubernetes\.io~|globalmount|sandbox|rootfs|root filesystem|remove filesystem|` +
					`/var/lib/(docker|containerd|containers)|/run/(containerd|docker|containers)|/shm\b|/merged\b`,
			},
		},
	}
}

// busy are the words of the kernel, of umount and of the kubelet for a mount that something else still uses. A cgroup that is busy is another matter.
var busy = diagnose.Text{
	Any:  []string{"device or resource busy", "target is busy", "device is busy", "resource busy", "still mounted by other references"},
	None: []string{"/sys/fs/cgroup", "cgroup", "mkfs", "already mounted or"},
}

func findLeakedMount(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.Node, Name: p.Node}}
	if !ending(p) && !cleaning(p) || unwell(s, p.Node) {
		return f, false
	}
	f.Evidence = diagnose.Said(s, p, busy)
	holders := holders(s, p)
	switch {
	case len(f.Evidence) > 0:
		f.Confidence = diagnose.Likely
		f.Message = fmt.Sprintf("Node %s cannot remove what pod %s/%s had mounted, because something else holds it busy.", p.Node, p.Ref.Namespace, p.Ref.Name)
	case cleaning(p) && len(holders) > 0:
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("All containers of pod %s/%s ended, and %s later node %s has not cleaned up after it.", p.Ref.Namespace, p.Ref.Name, scope.Short(p.For), p.Node)
		f.Alternatives = []string{"hung-fs-mount", "kubelet-restart-volume-reconstruct", "orphaned-pod-dir"}
		f.Decide = "Whether the kubelet's log on node {node} says \"device or resource busy\" for this pod."
	default:
		return f, false
	}
	if len(holders) > 0 {
		f.Message += " It may be held by " + strings.Join(holders, ", ") + "."
		for _, h := range holders {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: h, Field: "spec.containers[].volumeMounts", Value: "hostPath that covers /var/lib/kubelet, without mountPropagation"})
		}
	}
	return f, true
}

// holders lists the pods of the node whose containers have a copy of the kubelet's mounts that never changes, and that
// started before this pod was to end: later ones have no copy.
func holders(s *snapshot.Snapshot, p stuck.Pod) []string {
	pods, _ := s.PodsOnNode(p.Node)
	var out []string
	for _, o := range pods {
		if o.UID == p.Object.UID && o.Name == p.Object.Name || snapshot.IsTerminal(o) || o.CreationTimestamp.After(p.Since) || !copies(o) {
			continue
		}
		out = append(out, snapshot.RefOf(o).String())
	}
	return out[:min(len(out), 5)]
}

// copies tells whether a container of the pod mounts a directory of the host that holds the kubelet's mounts, without
// following what happens to them. A kind of propagation that is not set means none (core/v1 MountPropagationNone).
func copies(p *corev1.Pod) bool {
	wide := map[string]bool{}
	for i := range p.Spec.Volumes {
		if h := p.Spec.Volumes[i].HostPath; h != nil {
			switch strings.TrimSuffix(h.Path, "/") {
			case "", "/var", "/var/lib", "/var/lib/kubelet", "/var/lib/kubelet/pods":
				wide[p.Spec.Volumes[i].Name] = true
			}
		}
	}
	for i := range p.Spec.Containers {
		for _, m := range p.Spec.Containers[i].VolumeMounts {
			if wide[m.Name] && m.SubPath == "" && (m.MountPropagation == nil || *m.MountPropagation == corev1.MountPropagationNone) {
				return true
			}
		}
	}
	return false
}
